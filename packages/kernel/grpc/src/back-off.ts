import type { BackOffRange, RandomSource } from '@dragoman/core';

/** Delays drawn from an interval that doubles each time, up to a maximum (Envoy: fully jittered exponential back-off). */
export class BackOff {
  private readonly range: BackOffRange;
  private intervalMs: number;

  constructor(range: BackOffRange) {
    this.range = range;
    this.intervalMs = range.baseMs;
  }

  /** Whole milliseconds: 0 … the interval, exclusive. */
  next(random: RandomSource): number {
    const { intervalMs } = this;
    this.intervalMs = Math.min(intervalMs * 2, this.range.maxMs);
    return random.next() % intervalMs;
  }

  /** Begins again with the shortest interval. */
  reset(): void {
    this.intervalMs = this.range.baseMs;
  }
}
