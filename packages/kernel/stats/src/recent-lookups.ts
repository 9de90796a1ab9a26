/** Names kept when lookups are recorded. Envoy's figure. */
export const RECENT_LOOKUPS_CAPACITY = 100;

/**
 * The names that were last looked up by text (`/stats/recentlookups`): each is a stat that somebody does not keep a
 * handle of. Off until {@link enable}; then the last 100 different names and how often each came.
 */
export class RecentLookups {
  readonly #counts = new Map<string, number>();
  #enabled = false;
  #total = 0;

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Lookups since the last {@link clear}, while recording or not. */
  get total(): number {
    return this.#total;
  }

  /** The recorded names, those looked up most first, then by name. */
  get counts(): readonly (readonly [name: string, count: number])[] {
    return [...this.#counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  record(name: string): void {
    this.#total++;
    if (!this.#enabled) return;
    const count = this.#counts.get(name) ?? 0;
    // Taken out and put back: the map's first name is the one that was not looked up for longest.
    this.#counts.delete(name);
    this.#counts.set(name, count + 1);
    if (this.#counts.size > RECENT_LOOKUPS_CAPACITY) {
      this.#counts.delete(this.#counts.keys().next().value as string);
    }
  }

  enable(): void {
    this.#enabled = true;
  }

  disable(): void {
    this.#enabled = false;
    this.#counts.clear();
  }

  clear(): void {
    this.#counts.clear();
    this.#total = 0;
  }
}
