import type { Counter, Gauge, StatsScope } from '@dragoman/core';

/** The controller's stats. Those of several workers are added up where they are requests, else the largest is shown. */
export interface GradientStats {
  readonly blocked: Counter;
  /** Requests. */
  readonly headroom: Gauge;
  /** Requests. */
  readonly limit: Gauge;
  /** Thousandths. */
  readonly gradient: Gauge;
  /** 1 while the minRTT is measured. */
  readonly measuring: Gauge;
  /** ms. */
  readonly minRtt: Gauge;
  /** ms. */
  readonly sampleRtt: Gauge;
}

export function gradientStats(scope: StatsScope): GradientStats {
  return {
    blocked: scope.counter('rq_blocked'),
    headroom: scope.gauge('burst_queue_size', 'never-import'),
    limit: scope.gauge('concurrency_limit', 'never-import'),
    gradient: scope.gauge('gradient', 'max'),
    measuring: scope.gauge('min_rtt_calculation_active', 'max'),
    minRtt: scope.gauge('min_rtt_msecs', 'max'),
    sampleRtt: scope.gauge('sample_rtt_msecs', 'max'),
  };
}
