import type { MergedStat } from './merged-stats.ts';

/** The stats of a scope that is leased, over all threads. */
export class MergedGroup {
  readonly key: string;
  /** Threads that have leases of it. */
  threads = 0;
  readonly stats = new Set<MergedStat>();

  constructor(key: string) {
    this.key = key;
  }
}

/** Which stats are forgotten together, and when. */
export class MergedGroups {
  readonly #byKey = new Map<string, MergedGroup>();
  readonly #forget: (stat: MergedStat) => void;

  /** @param forget told of each stat that no group keeps any more */
  constructor(forget: (stat: MergedStat) => void) {
    this.#forget = forget;
  }

  /** A thread has taken its first lease. */
  join(key: string): MergedGroup {
    let group = this.#byKey.get(key);
    if (group === undefined) {
      group = new MergedGroup(key);
      this.#byKey.set(key, group);
    }
    group.threads++;
    return group;
  }

  /** A thread has given its last lease back. */
  leave(group: MergedGroup): void {
    if (--group.threads === 0) this.#drop(group);
  }

  /**
   * A thread has ended. What it alone kept stays for now: whoever replaces it takes the same leases, and goes on with what was
   * counted.
   */
  lose(group: MergedGroup): void {
    group.threads--;
  }

  /** Threads that have ended were replaced: forgets what nobody has taken up. */
  dropLost(): void {
    for (const group of [...this.#byKey.values()]) if (group.threads === 0) this.#drop(group);
  }

  /** @param group undefined: the stat stays */
  add(stat: MergedStat, group: MergedGroup | undefined): void {
    if (group === undefined) stat.owners = Number.POSITIVE_INFINITY;
    else if (!group.stats.has(stat)) {
      group.stats.add(stat);
      stat.owners++;
    }
  }

  #drop(group: MergedGroup): void {
    this.#byKey.delete(group.key);
    for (const stat of group.stats) if (--stat.owners === 0) this.#forget(stat);
  }
}
