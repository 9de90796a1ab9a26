import type { Clock, Counter, Gauge, Histogram, StatsScope, TextReadout } from '@dragoman/core';
import { xxHash64 } from '@dragoman/hashing';

/** The stats of one subscription, under Envoy's names. */
export class SubscriptionStats {
  readonly attempt: Counter;
  /** Nothing came. */
  readonly failure: Counter;
  /** Something came, and was refused. */
  readonly rejected: Counter;
  readonly initFetchTimeout: Counter;
  private readonly success: Counter;
  private readonly empty: Counter;
  private readonly time: Gauge;
  private readonly duration: Histogram;
  private readonly version: Gauge;
  private readonly versionText: TextReadout;

  constructor(scope: StatsScope) {
    this.attempt = scope.counter('update_attempt');
    this.failure = scope.counter('update_failure');
    this.rejected = scope.counter('update_rejected');
    this.initFetchTimeout = scope.counter('init_fetch_timeout');
    this.success = scope.counter('update_success');
    this.empty = scope.counter('update_empty');
    this.time = scope.gauge('update_time', 'never-import');
    this.duration = scope.histogram('update_duration', 'milliseconds');
    this.version = scope.gauge('version', 'never-import');
    this.versionText = scope.textReadout('version_text');
  }

  /** @param begun {@link Clock.now} when the update was handed over */
  accepted(version: string, resources: number, begun: number, clock: Clock): void {
    this.success.inc();
    if (resources === 0) this.empty.inc();
    this.time.set(Math.floor(clock.wallTime()));
    this.duration.record(Math.round(clock.now() - begun));
    const { high, low } = xxHash64(Buffer.from(version).toString('latin1'));
    // A double keeps the upper 53 of the 64 bits: enough to see that two proxies have the same version.
    this.version.set((high >>> 0) * 2 ** 32 + (low >>> 0));
    this.versionText.set(version);
  }
}
