import type { Counter, StatsScope } from '@dragoman/core';

/** Under `http.<stat_prefix>.health_check.`; Envoy's names. */
export class HealthCheckStats {
  readonly requestTotal: Counter;
  readonly failed: Counter;
  readonly ok: Counter;
  readonly cachedResponse: Counter;
  readonly failed_cluster_not_found: Counter;
  readonly failed_cluster_empty: Counter;
  readonly failed_cluster_unhealthy: Counter;
  readonly degraded: Counter;

  constructor(scope: StatsScope) {
    this.requestTotal = scope.counter('request_total');
    this.failed = scope.counter('failed');
    this.ok = scope.counter('ok');
    this.cachedResponse = scope.counter('cached_response');
    this.failed_cluster_not_found = scope.counter('failed_cluster_not_found');
    this.failed_cluster_empty = scope.counter('failed_cluster_empty');
    this.failed_cluster_unhealthy = scope.counter('failed_cluster_unhealthy');
    this.degraded = scope.counter('degraded');
  }
}
