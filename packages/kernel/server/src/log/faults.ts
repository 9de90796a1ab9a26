import type { Clock, Counter, Logger } from '@dragoman/core';
import { describeThrown } from './describe-thrown.ts';

/** In each window this many faults are logged in full; all are counted. */
const LOGGED_PER_WINDOW = 20;
const WINDOW_MS = 10_000;

/**
 * What nobody caught. A bug that shows itself here concerns one connection or one timer, so the proxy serves on; each is
 * logged with its stack and counted as `server.envoy_bug_failures`.
 */
export class Faults {
  /** How many there were. */
  count = 0;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private counter: Counter | undefined = undefined;
  private windowStart = Number.NEGATIVE_INFINITY;
  private inWindow = 0;

  constructor(clock: Clock, logger: Logger) {
    this.clock = clock;
    this.logger = logger;
  }

  /** From now on counted in the stats too, with those so far. */
  countIn(counter: Counter): void {
    this.counter = counter;
    counter.add(this.count);
  }

  /** Counts one that is logged elsewhere. */
  note(): void {
    this.count++;
    this.counter?.inc();
  }

  /** Never throws, whatever it is given. */
  record(kind: string, thrown: unknown): void {
    this.note();
    const now = this.clock.now();
    if (now - this.windowStart >= WINDOW_MS) {
      if (this.inWindow > LOGGED_PER_WINDOW) {
        this.logger.critical(`${this.inWindow - LOGGED_PER_WINDOW} more faults were not logged`);
      }
      this.windowStart = now;
      this.inWindow = 0;
    }
    this.inWindow++;
    if (this.inWindow > LOGGED_PER_WINDOW) return;
    this.logger.critical(`${kind} (${this.count} so far): ${describeThrown(thrown)}`);
  }
}
