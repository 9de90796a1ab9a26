import type { Counter, Gauge, StatsScope } from '@dragoman/core';

/** Ways to be an outlier; the names are those of `envoy.data.cluster.v3.OutlierEjectionType`. */
export const EJECTION_TYPES = {
  CONSECUTIVE_5XX: 'consecutive_5xx',
  CONSECUTIVE_GATEWAY_FAILURE: 'consecutive_gateway_failure',
  CONSECUTIVE_LOCAL_ORIGIN_FAILURE: 'consecutive_local_origin_failure',
  SUCCESS_RATE: 'success_rate',
  SUCCESS_RATE_LOCAL_ORIGIN: 'local_origin_success_rate',
  FAILURE_PERCENTAGE: 'failure_percentage',
  FAILURE_PERCENTAGE_LOCAL_ORIGIN: 'local_origin_failure_percentage',
} as const;

export type EjectionType = keyof typeof EJECTION_TYPES;

/** `cluster.<name>.outlier_detection.*`. */
export class OutlierStats {
  readonly active: Gauge;
  readonly overflow: Counter;
  readonly enforcedTotal: Counter;
  /** Deprecated ones, which dashboards know. */
  readonly total: Counter;
  readonly consecutive5xx: Counter;
  readonly successRate: Counter;
  readonly detected: Record<EjectionType, Counter>;
  readonly enforced: Record<EjectionType, Counter>;

  /** @param scope `cluster.<name>.outlier_detection` */
  constructor(scope: StatsScope) {
    this.active = scope.gauge('ejections_active', 'never-import');
    this.overflow = scope.counter('ejections_overflow');
    this.enforcedTotal = scope.counter('ejections_enforced_total');
    this.total = scope.counter('ejections_total');
    this.consecutive5xx = scope.counter('ejections_consecutive_5xx');
    this.successRate = scope.counter('ejections_success_rate');
    const each = (prefix: string) =>
      Object.fromEntries(
        Object.entries(EJECTION_TYPES).map(([type, name]) => [type, scope.counter(`${prefix}_${name}`)]),
      ) as Record<EjectionType, Counter>;
    this.detected = each('ejections_detected');
    this.enforced = each('ejections_enforced');
  }
}
