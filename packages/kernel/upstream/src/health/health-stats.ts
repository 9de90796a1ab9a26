import { type Counter, type Gauge, HealthFlag, type StatsScope } from '@dragoman/core';

/** `cluster.<name>.health_check.*`. */
export class HealthStats {
  readonly attempt: Counter;
  readonly success: Counter;
  readonly failure: Counter;
  readonly passiveFailure: Counter;
  readonly networkFailure: Counter;
  private readonly healthy: Gauge;
  private readonly degraded: Gauge;

  /** @param scope `cluster.<name>.health_check` */
  constructor(scope: StatsScope) {
    this.attempt = scope.counter('attempt');
    this.success = scope.counter('success');
    this.failure = scope.counter('failure');
    this.passiveFailure = scope.counter('passive_failure');
    this.networkFailure = scope.counter('network_failure');
    scope.counter('verify_cluster');
    this.healthy = scope.gauge('healthy', 'never-import');
    this.degraded = scope.gauge('degraded', 'never-import');
  }

  /** A host goes over from some flags to others. One that is not there (yet, or any more) has failed. */
  count(before: number, after: number): void {
    const failed = (flags: number): number => ((flags & HealthFlag.failed_active_hc) === 0 ? 0 : 1);
    const degraded = (flags: number): number => ((flags & HealthFlag.degraded_active_hc) === 0 ? 0 : 1);
    this.healthy.add(failed(before) - failed(after));
    this.degraded.add(degraded(after) - degraded(before));
  }
}
