/** Types whose requests their owner holds back; calls add up. */
export class PauseBook {
  private readonly counts = new Map<string, number>();
  private readonly onResumed: () => void;

  constructor(onResumed: () => void) {
    this.onResumed = onResumed;
  }

  isPaused(typeUrl: string): boolean {
    return this.counts.has(typeUrl);
  }

  /** The returned function takes it back; it does nothing the second time. */
  pause(typeUrl: string): () => void {
    this.counts.set(typeUrl, (this.counts.get(typeUrl) ?? 0) + 1);
    let done = false;
    return () => {
      if (done) return;
      done = true;
      const left = (this.counts.get(typeUrl) ?? 1) - 1;
      if (left > 0) {
        this.counts.set(typeUrl, left);
        return;
      }
      this.counts.delete(typeUrl);
      this.onResumed();
    };
  }
}
