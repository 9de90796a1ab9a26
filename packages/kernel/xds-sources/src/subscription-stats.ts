import {
  ClusterLoadAssignmentSchema,
  type DescMessage,
  LbEndpointSchema,
  RouteConfigurationSchema,
  ScopedRouteConfigurationSchema,
  VirtualHostSchema,
} from '@dragoman/api';
import type { Counter, Gauge, Histogram, StatsScope, TextReadout } from '@dragoman/core';
import { xxHash64 } from '@dragoman/hashing';

/** Types of which Envoy counts updates that bring nothing. */
const COUNTS_EMPTY: ReadonlySet<string> = new Set(
  [
    ClusterLoadAssignmentSchema,
    LbEndpointSchema,
    RouteConfigurationSchema,
    ScopedRouteConfigurationSchema,
    VirtualHostSchema,
  ].map(({ typeName }) => typeName),
);

/** The stats of one subscription, under Envoy's names. */
export class SubscriptionStats {
  readonly attempt: Counter;
  /** Nothing came. */
  readonly failure: Counter;
  /** Something came, and was refused. */
  readonly rejected: Counter;
  readonly initFetchTimeout: Counter;
  private readonly success: Counter;
  private readonly empty: Counter | undefined;
  private readonly time: Gauge;
  private readonly duration: Histogram;
  private readonly version: Gauge;
  private readonly versionText: TextReadout;

  constructor(scope: StatsScope, type: DescMessage) {
    this.attempt = scope.counter('update_attempt');
    this.failure = scope.counter('update_failure');
    this.rejected = scope.counter('update_rejected');
    this.initFetchTimeout = scope.counter('init_fetch_timeout');
    this.success = scope.counter('update_success');
    this.empty = COUNTS_EMPTY.has(type.typeName) ? scope.counter('update_empty') : undefined;
    this.time = scope.gauge('update_time', 'never-import');
    this.duration = scope.histogram('update_duration', 'milliseconds');
    this.version = scope.gauge('version', 'never-import');
    this.versionText = scope.textReadout('version_text');
  }

  /** An update was taken over. */
  updated(version: string, empty: boolean, wallTimeMs: number, durationMs: number): void {
    this.success.inc();
    if (empty) this.empty?.inc();
    this.time.set(Math.floor(wallTimeMs));
    this.duration.record(Math.round(durationMs));
    this.version.set(hashOf(version));
    this.versionText.set(version);
  }
}

/** Gauges hold 53 bits exactly, and this has 64: the number is the nearest one. */
function hashOf(version: string): number {
  const { high, low } = xxHash64(Buffer.from(version).toString('latin1'));
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}
