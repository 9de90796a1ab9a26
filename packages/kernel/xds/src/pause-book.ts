/** Types whose requests are held back; calls add up. */
export class PauseBook {
  private readonly counts = new Map<string, number>();
  private readonly onResumed: () => void;

  /** @param onResumed something was taken back: what is not paused any more may go on */
  constructor(onResumed: () => void) {
    this.onResumed = onResumed;
  }

  isPaused(typeUrl: string): boolean {
    return this.counts.has(typeUrl);
  }

  /** The returned function takes it back; it does nothing the second time. */
  pause(typeUrls: readonly string[]): () => void {
    for (const typeUrl of typeUrls) this.counts.set(typeUrl, (this.counts.get(typeUrl) ?? 0) + 1);
    let done = false;
    return () => {
      if (done) return;
      done = true;
      for (const typeUrl of typeUrls) {
        const left = (this.counts.get(typeUrl) ?? 1) - 1;
        if (left > 0) this.counts.set(typeUrl, left);
        else this.counts.delete(typeUrl);
      }
      this.onResumed();
    };
  }
}
