import {
  type CircuitBreakers,
  CircuitBreakersSchema,
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
  RoutingPriority as PriorityEnum,
} from '@dragoman/api';
import { type ProblemCollector, refuseUnsupported, type RoutingPriority } from '@dragoman/core';
import { DEFAULT_RETRY_BUDGET, DEFAULT_THRESHOLDS, type Thresholds } from '../resources.ts';

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
