import type { RandomSource } from '@dragoman/core';

/** Bounds of the waits after failures. */
export interface BackoffBounds {
  /** Milliseconds, at least 1. */
  readonly baseMs: number;
  /** Milliseconds, at least `baseMs`. */
  readonly maxMs: number;
}

/**
 * Waits that double, each drawn from the upper half of its bound: a server that comes back is not met by everybody at once, and
 * never by the same proxy without a pause.
 */
export class Backoff {
  private readonly bounds: BackoffBounds;
  private readonly random: RandomSource;
  private boundMs: number;
  private count = 0;

  constructor(bounds: BackoffBounds, random: RandomSource) {
    this.bounds = bounds;
    this.random = random;
    this.boundMs = bounds.baseMs;
  }

  /** Waits handed out since the last {@link reset}. */
  get failures(): number {
    return this.count;
  }

  /**
   * The next wait in milliseconds.
   * @param atLeastMs what the server has asked for (Retry-After); goes before the bound
   */
  next(atLeastMs = 0): number {
    const wait = this.boundMs * (0.5 + this.random.random() / 2);
    this.boundMs = Math.min(this.boundMs * 2, this.bounds.maxMs);
    this.count++;
    return Math.max(wait, atLeastMs);
  }

  /** The trouble is over. */
  reset(): void {
    this.boundMs = this.bounds.baseMs;
    this.count = 0;
  }
}
