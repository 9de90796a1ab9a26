/** Who waits for an answer about a name. */
export class Waiters {
  private readonly byName = new Map<string, ((found: boolean) => void)[]>();

  get names(): readonly string[] {
    return [...this.byName.keys()];
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** Fulfilled with the answer. Never rejects. */
  wait(name: string): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = this.byName.get(name);
      if (waiting === undefined) this.byName.set(name, [resolve]);
      else waiting.push(resolve);
    });
  }

  answer(name: string, found: boolean): void {
    const waiting = this.byName.get(name) ?? [];
    this.byName.delete(name);
    for (const resolve of waiting) resolve(found);
  }
}
