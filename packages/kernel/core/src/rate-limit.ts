import type { RequestHeaders } from './header-map.ts';
import type { Route } from './route.ts';
import type { StreamInfo } from './stream-info.ts';

/** One key and value of a descriptor. */
export interface RateLimitEntry {
  readonly key: string;
  readonly value: string;
}

export const RATE_LIMIT_UNITS = ['UNKNOWN', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'MONTH', 'YEAR'] as const;
export type RateLimitUnit = (typeof RATE_LIMIT_UNITS)[number];

/** What a request is counted by: the entries, in the order of the actions. */
export interface RateLimitDescriptor {
  readonly entries: readonly RateLimitEntry[];
  /** `limit`: instead of the limit that the service has configured. */
  readonly limit: { readonly requestsPerUnit: number; readonly unit: RateLimitUnit } | undefined;
  /** `hits_addend`; undefined: what the filter says, 1 by default. */
  readonly hitsAddend: number | undefined;
}

/** What descriptors are made of. */
export interface RateLimitedRequest {
  readonly headers: RequestHeaders;
  readonly info: StreamInfo;
  readonly route: Route;
  /** `--service-cluster`, or `node.cluster`. */
  readonly localCluster: string;
}

/** One `envoy.config.route.v3.RateLimit`, compiled. */
export interface RateLimitRule {
  /** The filter that it is for, 0 … 10. Default 0. */
  readonly stage: number;
  /** The rule is off while the runtime value `ratelimit.<disableKey>.http_filter_enabled` says so; empty: none. */
  readonly disableKey: string;
  /** The request is counted when it is over, and not held up. Default false. */
  readonly applyOnStreamDone: boolean;
  /** Undefined when one of the actions does not apply: the request is then not counted by this rule. */
  descriptor(request: RateLimitedRequest): RateLimitDescriptor | undefined;
}

/** The `rate_limits` of a route and of its virtual host, for the filters that limit. At least one of the lists has rules. */
export interface RateLimits {
  readonly route: readonly RateLimitRule[];
  readonly virtualHost: readonly RateLimitRule[];
  /** `include_vh_rate_limits`. Without it those of the virtual host count only where the route has none. */
  readonly includeVirtualHost: boolean;
}
