import type { Clock, DnsAddress, DnsResolver, DnsResult, RandomSource, Timer } from '@dragoman/core';
import type { DnsOptions } from './dns-options.ts';
import { FailureBackOff } from './failure-back-off.ts';

export interface NameWatcherContext {
  readonly dns: DnsResolver;
  readonly clock: Clock;
  readonly random: RandomSource;
}

export interface NameListener {
  /** A query goes out. */
  onAttempt(): void;
  /**
   * The name was resolved, perhaps to nothing.
   * @returns whether it counts as success; after a failure the next query comes at the failure rate
   */
  onAddresses(addresses: readonly DnsAddress[]): boolean;
  /** The servers failed or did not answer: what was known before stays. */
  onFailure(reason: string): void;
}

/** A timer waits at most 2³¹−1 ms; no TTL needs to be trusted for longer than a day. */
export const MAX_WAIT_MS = 86_400_000;

/** Resolves one name again and again: one query at a time, the next a wait after the answer of the one before. */
export class NameWatcher {
  private readonly name: string;
  private readonly options: DnsOptions;
  private readonly context: NameWatcherContext;
  private readonly listener: NameListener;
  private readonly timer: Timer;
  private stopped = false;
  private readonly backOff: FailureBackOff;

  constructor(name: string, options: DnsOptions, context: NameWatcherContext, listener: NameListener) {
    this.name = name;
    this.options = options;
    this.context = context;
    this.listener = listener;
    this.timer = context.clock.timer(() => this.query());
    this.backOff = new FailureBackOff(options.failure, options.refreshMs, context.random);
  }

  start(): void {
    this.query();
  }

  /** Nothing is called any more, also by a query that is under way. */
  stop(): void {
    this.stopped = true;
    this.timer.disable();
  }

  private query(): void {
    this.listener.onAttempt();
    this.context.dns.resolve(this.name, this.options.family).then(
      (result) => this.onResult(result),
      (error: unknown) => this.onResult({ ok: false, reason: String(error) }),
    );
  }

  private onResult(result: DnsResult): void {
    if (this.stopped) return;
    let good = false;
    if (result.ok) good = this.listener.onAddresses(result.addresses);
    else this.listener.onFailure(result.reason);
    if (this.stopped) return;
    const wait = good && result.ok ? this.waitAfter(result.addresses) : this.backOff.next();
    this.timer.enable(Math.min(wait, MAX_WAIT_MS));
  }

  private waitAfter(addresses: readonly DnsAddress[]): number {
    const { options } = this;
    this.backOff.reset();
    let wait = options.refreshMs;
    if (options.respectTtl) {
      const ttlMs = addresses.reduce(
        (least, { ttlSeconds }) => Math.min(least, ttlSeconds * 1000),
        Number.POSITIVE_INFINITY,
      );
      // A TTL of 0 would mean to ask without pause, no TTL at all never: both fall back to the rate.
      if (ttlMs > 0 && ttlMs < Number.POSITIVE_INFINITY) wait = ttlMs;
    }
    return options.jitterMs === 0 ? wait : wait + this.context.random.random() * options.jitterMs;
  }
}
