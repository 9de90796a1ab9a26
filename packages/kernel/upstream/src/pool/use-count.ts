/** Counts the users of something, and tells when the last one has gone. */
export class UseCount {
  private count = 0;
  private readonly onUnused: () => void;

  constructor(onUnused: () => void) {
    this.onUnused = onUnused;
  }

  get unused(): boolean {
    return this.count === 0;
  }

  take(): void {
    this.count++;
  }

  give(): void {
    if (--this.count === 0) this.onUnused();
  }
}
