/** Changes that come one after the other. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Settles as `change` does, which begins when all before it are over. */
  take<T>(change: () => Promise<T>): Promise<T> {
    const result = this.last.then(change);
    this.last = result.catch(() => {});
    return result;
  }

  /** Resolves when all changes are over that have been asked for, failed or not. */
  async settled(): Promise<void> {
    await this.last;
  }
}
