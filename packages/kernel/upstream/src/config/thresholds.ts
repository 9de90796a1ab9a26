import {
  type CircuitBreakers,
  CircuitBreakersSchema,
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
  RoutingPriority as PriorityEnum,
} from '@dragoman/api';
import { type ProblemCollector, refuseUnsupported, type RoutingPriority } from '@dragoman/core';
import { DEFAULT_RETRY_BUDGET, DEFAULT_THRESHOLDS, type Thresholds } from '../resources.ts';

const BREAKER_FIELDS = new Set(['thresholds']);
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

/** The thresholds of both priorities. As in Envoy the first entry of a priority counts, and one without entry has the defaults. */
export function readThresholds(
  breakers: CircuitBreakers | undefined,
  path: string,
  problems: ProblemCollector,
): Readonly<Record<RoutingPriority, Thresholds>> {
  if (breakers === undefined) return { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS };
  problems.try(path, () =>
    refuseUnsupported(breakers, CircuitBreakersSchema, BREAKER_FIELDS, '', {
      per_host_thresholds: 'limits for each host are not built yet; thresholds holds limits for the cluster',
    }),
  );
  breakers.thresholds.forEach((entry, index) => {
    problems.try(`${path}.thresholds[${index}]`, () =>
      refuseUnsupported(entry, CircuitBreakers_ThresholdsSchema, THRESHOLD_FIELDS),
    );
  });
  const of = (priority: number): Thresholds =>
    readEntry(breakers.thresholds.find((entry) => entry.priority === priority));
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
