import type { Clock, ResettableStream, Timer } from '@dragoman/core';

/** A response that is complete here, and on its way to its client. */
export interface FlushingStream extends ResettableStream {
  /** When it was complete; of the clock. */
  endedAt: number;
  /** Its client has had its time. */
  giveUp(): void;
}

/** The responses of one connection that wait for their client. One timer watches them all, so that most of them cost none. */
export class FlushWatch {
  private readonly streams = new Set<FlushingStream>();
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private readonly run: (act: () => void) => void;
  private timer: Timer | undefined = undefined;

  /**
   * @param timeoutMs of each; 0: without limit
   * @param run what the timer does goes through it
   */
  constructor(clock: Clock, timeoutMs: number, run: (act: () => void) => void) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    this.run = run;
  }

  get empty(): boolean {
    return this.streams.size === 0;
  }

  add(stream: FlushingStream): void {
    stream.endedAt = this.clock.now();
    this.streams.add(stream);
    if (this.timeoutMs <= 0) return;
    this.timer ??= this.clock.timer(() => this.run(() => this.onTimeout()));
    if (!this.timer.enabled) this.timer.enable(this.timeoutMs);
  }

  forEach(visit: (stream: ResettableStream) => void): void {
    for (const stream of this.streams) visit(stream);
  }

  /** @returns whether it was there */
  delete(stream: FlushingStream): boolean {
    return this.streams.delete(stream);
  }

  stop(): void {
    this.timer?.disable();
  }

  private onTimeout(): void {
    const now = this.clock.now();
    for (const stream of [...this.streams]) {
      const leftMs = stream.endedAt + this.timeoutMs - now;
      if (leftMs > 0) {
        this.timer?.enable(leftMs);
        return;
      }
      stream.giveUp();
    }
  }
}
