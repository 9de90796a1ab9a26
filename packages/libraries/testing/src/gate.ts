/**
 * A place where something waits until a test lets it pass: latency without sleeps.
 *
 *     const gate = new Gate();
 *     upstream.answer(gated(gate, text('late')));
 *     await gate.reached();   // the request is there, the answer is held back
 *     gate.open();
 */
export class Gate {
  private isOpen = false;
  private waiters: (() => void)[] = [];
  private arrivals = 0;
  private watchers: { count: number; resolve: () => void }[] = [];

  /** How often somebody has come to the gate so far. */
  get reachedCount(): number {
    return this.arrivals;
  }

  /** Comes to the gate, and settles once it is open. */
  pass(): Promise<void> {
    this.arrivals++;
    this.watchers = this.watchers.filter(({ count, resolve }) => {
      if (this.arrivals < count) return true;
      resolve();
      return false;
    });
    if (this.isOpen) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Settles once somebody (the `count`-th) has come to the gate. */
  reached(count = 1): Promise<void> {
    if (this.arrivals >= count) return Promise.resolve();
    return new Promise((resolve) => this.watchers.push({ count, resolve }));
  }

  /** Lets everybody pass, now and later. */
  open(): void {
    this.isOpen = true;
    this.letPass(this.waiters.length);
  }

  /** Lets those who wait pass, at most `count` of them; later ones wait again. */
  letPass(count = 1): void {
    for (const resolve of this.waiters.splice(0, count)) resolve();
  }

  /** Holds back whoever comes from now on. */
  close(): void {
    this.isOpen = false;
  }
}
