import type { Clock, RandomSource, Timer } from '@dragoman/core';
import type { SeededRandom } from '@dragoman/testing';
import { drawExponential } from './latency.ts';
import type { SimProxy } from './proxy.ts';
import { Results } from './results.ts';

/** Clients that do not wait for each other: a Poisson stream of requests. */
export interface OpenLoopOptions {
  readonly proxy: SimProxy;
  /** Requests a second, more than 0, on average. */
  readonly ratePerSecond: number;
  /** Milliseconds since the start of the simulation. Default 0. */
  readonly fromMs?: number;
  /** No request begins at or after this time. Default: no end. */
  readonly untilMs?: number;
  /** The headers of each request, such as what is hashed. Default: none beside those of every request. */
  readonly headers?: (random: RandomSource) => Readonly<Record<string, string>>;
  /** Where outcomes are written. Default: of its own. */
  readonly results?: Results;
}

const NO_HEADERS = {};

/** See {@link OpenLoopOptions}. Goes on as long as the simulation runs. */
export class OpenLoop {
  readonly results: Results;
  /** Requests that were sent so far. */
  sent = 0;
  private readonly options: OpenLoopOptions;
  private readonly clock: Clock;
  private readonly random: SeededRandom;
  private readonly timer: Timer;
  private readonly untilMs: number;
  private readonly meanMs: number;

  constructor(options: OpenLoopOptions, clock: Clock, startedAt: number, random: SeededRandom) {
    const { ratePerSecond, fromMs = 0, untilMs = Number.POSITIVE_INFINITY, results } = options;
    if (!(ratePerSecond > 0))
      throw new RangeError(`${ratePerSecond} requests a second: more than 0 is needed`);
    this.options = options;
    this.clock = clock;
    this.random = random;
    this.results = results ?? new Results(startedAt);
    this.meanMs = 1000 / ratePerSecond;
    this.untilMs = startedAt + untilMs;
    this.timer = clock.timer(() => this.onDue());
    this.arm(Math.max(0, startedAt + fromMs - clock.now()));
  }

  private arm(afterMs: number): void {
    const delayMs = afterMs + drawExponential(this.meanMs, this.random);
    if (this.clock.now() + delayMs < this.untilMs) this.timer.enable(delayMs);
  }

  private onDue(): void {
    const { proxy, headers } = this.options;
    this.arm(0);
    this.sent++;
    proxy.send(headers === undefined ? NO_HEADERS : headers(this.random), this.results.add);
  }
}
