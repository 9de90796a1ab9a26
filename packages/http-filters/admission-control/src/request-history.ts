import type { Clock } from '@dragoman/core';

/** How finely the window slides: requests are kept by the second in which they ended. */
const GRANULARITY_MS = 1000;

interface Second {
  /** When the first of them ended, ms of the clock. */
  readonly since: number;
  requests: number;
  successes: number;
}

/**
 * Requests that ended within a sliding window, and how many of them succeeded (Envoy: `ThreadLocalControllerImpl`). What it
 * keeps is one entry for each second of the window in which a request ended.
 */
export class RequestHistory {
  /** Of the window, as of the last {@link slide}. */
  requests = 0;
  successes = 0;
  private readonly clock: Clock;
  private readonly windowSeconds: number;
  /** Oldest first. */
  private readonly seconds: Second[] = [];

  /** @param windowSeconds whole, 1 or more */
  constructor(clock: Clock, windowSeconds: number) {
    this.clock = clock;
    this.windowSeconds = windowSeconds;
  }

  record(success: boolean): void {
    const second = this.slide();
    second.requests++;
    this.requests++;
    if (!success) return;
    second.successes++;
    this.successes++;
  }

  /** Forgets what the window has left behind, and opens the second that is now. */
  slide(): Second {
    const { seconds } = this;
    const now = this.clock.now();
    const windowMs = this.windowSeconds * 1000;
    for (
      let oldest = seconds[0];
      oldest !== undefined && now - oldest.since >= windowMs;
      oldest = seconds[0]
    ) {
      this.requests -= oldest.requests;
      this.successes -= oldest.successes;
      seconds.shift();
    }
    const newest = seconds.at(-1);
    if (newest !== undefined && now - newest.since < GRANULARITY_MS) return newest;
    const opened = { since: now, requests: 0, successes: 0 };
    seconds.push(opened);
    return opened;
  }

  /**
   * Requests a second, rounded down, over the window; over a longer time while nothing has slid since. As in Envoy, what is
   * asked for here alone does not make the window slide.
   */
  get averageRps(): number {
    const oldest = this.seconds[0];
    if (oldest === undefined) return 0;
    const age = Math.floor((this.clock.now() - oldest.since) / 1000);
    return Math.floor(this.requests / Math.max(this.windowSeconds, age));
  }
}
