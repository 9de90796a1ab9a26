import {
  type Cluster,
  Cluster_DnsLookupFamily,
  type Cluster_RefreshRate,
  Cluster_RefreshRateSchema,
  durationMs,
} from '@dragoman/api';
import { ConfigError, type DnsLookupFamily, ProblemCollector, refuseUnsupported } from '@dragoman/core';
import type { FailureRate } from './failure-back-off.ts';

/** How a cluster's names are resolved, and how often. */
export interface DnsOptions {
  readonly family: DnsLookupFamily;
  /** `dns_refresh_rate`, ms. Default 5,000. */
  readonly refreshMs: number;
  /** `dns_jitter`, ms: up to so much is added to each wait. Default 0. */
  readonly jitterMs: number;
  /** `respect_dns_ttl`: the shortest TTL of an answer takes the place of {@link refreshMs}. */
  readonly respectTtl: boolean;
  /** `dns_failure_refresh_rate`; undefined: {@link refreshMs}. */
  readonly failure: FailureRate | undefined;
}

const DEFAULT_REFRESH_MS = 5_000;
/** Envoy: without `max_interval` failures are at most ten base intervals apart. */
const FAILURE_MAX_FACTOR = 10;
const RATE_FIELDS = new Set(['base_interval', 'max_interval']);

/** Reads the `dns_*` fields of a cluster. @throws ConfigError with every problem, paths relative to the cluster */
export function readDnsOptions(cluster: Cluster): DnsOptions {
  const problems = new ProblemCollector();
  const refreshMs = durationMs(cluster.dnsRefreshRate) ?? DEFAULT_REFRESH_MS;
  // Envoy's constraint: more than a millisecond.
  if (!(refreshMs > 1)) problems.add('dns_refresh_rate', 'must be more than 1 ms');
  const jitterMs = durationMs(cluster.dnsJitter) ?? 0;
  if (jitterMs < 0) problems.add('dns_jitter', 'must not be negative');
  const failure = problems.try('dns_failure_refresh_rate', () =>
    readFailureRate(cluster.dnsFailureRefreshRate),
  );
  problems.throwIfAny();
  return {
    family: lookupFamily(cluster.dnsLookupFamily),
    refreshMs,
    jitterMs,
    respectTtl: cluster.respectDnsTtl,
    failure,
  };
}

export function lookupFamily(family: Cluster_DnsLookupFamily): DnsLookupFamily {
  return (Cluster_DnsLookupFamily[family] ?? 'AUTO') as DnsLookupFamily;
}

/** Reads a `dns_failure_refresh_rate`. @throws ConfigError, paths relative to it */
export function readFailureRate(rate: Cluster_RefreshRate | undefined): FailureRate | undefined {
  if (rate === undefined) return undefined;
  refuseUnsupported(rate, Cluster_RefreshRateSchema, RATE_FIELDS);
  const baseMs = durationMs(rate.baseInterval);
  if (baseMs === undefined) throw ConfigError.at('base_interval', 'is missing');
  if (!(baseMs > 1)) throw ConfigError.at('base_interval', 'must be more than 1 ms');
  const maxMs = durationMs(rate.maxInterval) ?? baseMs * FAILURE_MAX_FACTOR;
  if (maxMs < baseMs) throw ConfigError.at('max_interval', 'must not be less than base_interval');
  return { baseMs, maxMs };
}
