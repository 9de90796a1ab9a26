const EMPTY = Buffer.alloc(0);

/** The messages of a call, framed: those that wait to be sent, and, where a retry may need them, those that were. */
export class Outbox {
  /** Bytes that wait. */
  pendingBytes = 0;
  private readonly frames: Buffer[] = [];
  private next = 0;
  private keepLimit: number;
  private totalBytes = 0;
  private droppedAny = false;
  private ended = false;
  private endTaken = false;

  /** @param keepLimit messages that were sent are kept while all of them are no more than this, bytes; 0: none is */
  constructor(keepLimit: number) {
    this.keepLimit = keepLimit;
  }

  /** Whether another try can be sent all of it. */
  get replayable(): boolean {
    return !this.droppedAny;
  }

  get complete(): boolean {
    return this.ended;
  }

  add(frame: Buffer): void {
    this.frames.push(frame);
    this.pendingBytes += frame.length;
    this.totalBytes += frame.length;
    if (this.totalBytes > this.keepLimit) this.stopKeeping();
  }

  end(): void {
    this.ended = true;
  }

  /** The next message to send; undefined when none waits. */
  take(): Buffer | undefined {
    if (this.next === this.frames.length) return undefined;
    const frame = this.frames[this.next] as Buffer;
    this.pendingBytes -= frame.length;
    if (this.keepLimit > 0) {
      this.next++;
      return frame;
    }
    this.droppedAny = true;
    this.frames[this.next++] = EMPTY;
    if (this.next === this.frames.length) {
      this.frames.length = 0;
      this.next = 0;
    }
    return frame;
  }

  /** True once, when everything was taken and nothing more comes. */
  takeEnd(): boolean {
    if (!this.ended || this.endTaken || this.next < this.frames.length) return false;
    this.endTaken = true;
    return true;
  }

  /** What was taken is to be sent again. Only when {@link replayable}. */
  rewind(): void {
    this.next = 0;
    this.endTaken = false;
    this.pendingBytes = 0;
    for (const frame of this.frames) this.pendingBytes += frame.length;
  }

  /** No further try: what was sent goes. */
  stopKeeping(): void {
    if (this.keepLimit === 0) return;
    this.keepLimit = 0;
    if (this.next === 0) return;
    this.droppedAny = true;
    this.frames.splice(0, this.next);
    this.next = 0;
  }

  clear(): void {
    this.frames.length = 0;
    this.next = 0;
    this.pendingBytes = 0;
    this.droppedAny = true;
  }
}
