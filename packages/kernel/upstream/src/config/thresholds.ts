import {
  type CircuitBreakers,
  CircuitBreakersSchema,
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
  RoutingPriority as PriorityEnum,
} from '@dragoman/api';
import { type ProblemCollector, refuseUnsupported, type RoutingPriority } from '@dragoman/core';

/** `circuit_breakers.thresholds` of one priority. */
export interface Thresholds {
  /** Default 1024. */
  readonly maxConnections: number;
  /** Default 1024. */
  readonly maxPendingRequests: number;
  /** Default 1024. */
  readonly maxRequests: number;
  /** Default 3. */
  readonly maxRetries: number;
  /** Default: no limit. */
  readonly maxConnectionPools: number;
  /** `per_host_thresholds`: connections to one host. Undefined: no limit. */
  readonly maxConnectionsPerHost: number | undefined;
  /** `track_remaining`: whether the `remaining_*` gauges are kept. */
  readonly trackRemaining: boolean;
  /** Takes the place of {@link maxRetries}. */
  readonly retryBudget: { readonly percent: number; readonly minConcurrency: number } | undefined;
}

/** Envoy's defaults (2³²−1 pools: no limit). */
export const DEFAULT_THRESHOLDS: Thresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  maxConnectionPools: 2 ** 32 - 1,
  maxConnectionsPerHost: undefined,
  trackRemaining: false,
  retryBudget: undefined,
};

/** Envoy's values of a `retry_budget` that says no more. */
export const DEFAULT_RETRY_BUDGET = { percent: 20, minConcurrency: 3 } as const;

const BREAKER_FIELDS = new Set(['thresholds', 'per_host_thresholds']);
const THRESHOLD_FIELDS = new Set([
  'priority',
  'max_connections',
  'max_pending_requests',
  'max_requests',
  'max_retries',
  'retry_budget',
  'track_remaining',
  'max_connection_pools',
]);
const PER_HOST_FIELDS = new Set(['priority', 'max_connections']);
const PER_HOST_REASON =
  'of one host only max_connections can be limited; thresholds has the limits of the cluster';
const PER_HOST_REASONS = Object.fromEntries(
  [...THRESHOLD_FIELDS]
    .filter((field) => !PER_HOST_FIELDS.has(field))
    .map((field) => [field, PER_HOST_REASON]),
);

/** The thresholds of both priorities. As in Envoy the first entry of a priority counts, and one without entry has the defaults. */
export function readThresholds(
  breakers: CircuitBreakers | undefined,
  path: string,
  problems: ProblemCollector,
): Readonly<Record<RoutingPriority, Thresholds>> {
  if (breakers === undefined) return { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS };
  problems.try(path, () => refuseUnsupported(breakers, CircuitBreakersSchema, BREAKER_FIELDS));
  breakers.thresholds.forEach((entry, index) => {
    problems.try(`${path}.thresholds[${index}]`, () =>
      refuseUnsupported(entry, CircuitBreakers_ThresholdsSchema, THRESHOLD_FIELDS),
    );
  });
  breakers.perHostThresholds.forEach((entry, index) => {
    problems.try(`${path}.per_host_thresholds[${index}]`, () =>
      refuseUnsupported(entry, CircuitBreakers_ThresholdsSchema, PER_HOST_FIELDS, '', PER_HOST_REASONS),
    );
  });
  const of = (priority: number): Thresholds => ({
    ...readEntry(breakers.thresholds.find((entry) => entry.priority === priority)),
    maxConnectionsPerHost: breakers.perHostThresholds.find((entry) => entry.priority === priority)
      ?.maxConnections,
  });
  return { default: of(PriorityEnum.DEFAULT), high: of(PriorityEnum.HIGH) };
}

function readEntry(entry: CircuitBreakers_Thresholds | undefined): Thresholds {
  if (entry === undefined) return DEFAULT_THRESHOLDS;
  const budget = entry.retryBudget;
  return {
    maxConnections: entry.maxConnections ?? DEFAULT_THRESHOLDS.maxConnections,
    maxPendingRequests: entry.maxPendingRequests ?? DEFAULT_THRESHOLDS.maxPendingRequests,
    maxRequests: entry.maxRequests ?? DEFAULT_THRESHOLDS.maxRequests,
    maxRetries: entry.maxRetries ?? DEFAULT_THRESHOLDS.maxRetries,
    maxConnectionPools: entry.maxConnectionPools ?? DEFAULT_THRESHOLDS.maxConnectionPools,
    maxConnectionsPerHost: undefined,
    trackRemaining: entry.trackRemaining,
    retryBudget:
      budget === undefined
        ? undefined
        : {
            percent: budget.budgetPercent?.value ?? DEFAULT_RETRY_BUDGET.percent,
            minConcurrency: budget.minRetryConcurrency ?? DEFAULT_RETRY_BUDGET.minConcurrency,
          },
  };
}
