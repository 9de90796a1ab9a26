import type { Clock, Timer } from '@dragoman/core';

export interface RequestLimit {
  /** Requests that may be sent at once, at least 1. */
  readonly maxTokens: number;
  /** Requests that may be sent a second, above 0. */
  readonly fillRate: number;
}

/** `rate_limit_settings` of discovery requests: a bucket of tokens. */
export class RequestLimiter {
  private readonly clock: Clock;
  private readonly limit: RequestLimit;
  private readonly timer: Timer;
  private tokens: number;
  private filledAt: number;

  /** @param onToken runs when there is a token again, after {@link take} said that there is none */
  constructor(clock: Clock, limit: RequestLimit, onToken: () => void) {
    this.clock = clock;
    this.limit = limit;
    this.tokens = limit.maxTokens;
    this.filledAt = clock.now();
    this.timer = clock.timer(onToken);
  }

  /** Takes a token. False: there is none. */
  take(): boolean {
    const { maxTokens, fillRate } = this.limit;
    const now = this.clock.now();
    this.tokens = Math.min(maxTokens, this.tokens + ((now - this.filledAt) / 1000) * fillRate);
    this.filledAt = now;
    if (this.tokens >= 1 - EPSILON) {
      this.tokens = Math.max(0, this.tokens - 1);
      return true;
    }
    if (!this.timer.enabled) this.timer.enable(Math.min(((1 - this.tokens) / fillRate) * 1000, MAX_DELAY_MS));
    return false;
  }

  close(): void {
    this.timer.disable();
  }
}

/** What adding up fractions may lose. */
const EPSILON = 1e-6;
const MAX_DELAY_MS = 2 ** 31 - 1;
