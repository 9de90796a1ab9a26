import type { Clock } from '@dragoman/core';

/** The latest answer to a health check that was passed through. */
export interface CachedAnswer {
  readonly status: number;
  readonly degraded: boolean;
}

/**
 * Keeps an answer until the end of the period in which it came: periods of `cache_time` follow one another from the start on, whatever
 * happens in them, as in Envoy.
 */
export class AnswerCache {
  private readonly clock: Clock;
  private readonly periodMs: number;
  private readonly startedAt: number;
  private answer: CachedAnswer | undefined;
  private endsAt = 0;

  constructor(clock: Clock, periodMs: number) {
    this.clock = clock;
    this.periodMs = periodMs;
    this.startedAt = clock.now();
  }

  /** Undefined when the next request is to be passed through. */
  get current(): CachedAnswer | undefined {
    return this.answer !== undefined && this.clock.now() < this.endsAt ? this.answer : undefined;
  }

  /** Out of its period too. */
  get latest(): CachedAnswer | undefined {
    return this.answer;
  }

  set(answer: CachedAnswer): void {
    this.answer = answer;
    const periods = Math.floor((this.clock.now() - this.startedAt) / this.periodMs) + 1;
    this.endsAt = this.startedAt + periods * this.periodMs;
  }
}
