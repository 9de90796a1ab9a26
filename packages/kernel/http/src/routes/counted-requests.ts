import type { Counter, RequestStats, StatsScope } from '@dragoman/core';
import { ResponseCounters } from '@dragoman/stats';

/** Counts under `vhost.<virtual host>.`, for a virtual cluster or a route. */
export class CountedRequests implements RequestStats {
  readonly rqTotal: Counter;
  readonly rqTimeout: Counter;
  private readonly responses: ResponseCounters;

  /** @param prefix with a dot at its end */
  constructor(scope: StatsScope, prefix: string) {
    // There from the start, as in Envoy, though nothing is retried yet.
    for (const name of ['', '_limit_exceeded', '_overflow', '_success'])
      scope.counter(`${prefix}upstream_rq_retry${name}`);
    this.rqTotal = scope.counter(`${prefix}upstream_rq_total`);
    this.rqTimeout = scope.counter(`${prefix}upstream_rq_timeout`);
    this.responses = new ResponseCounters(scope, prefix);
  }

  chargeResponse(status: number): void {
    this.responses.charge(status);
  }

  chargeResponseTime(ms: number): void {
    this.responses.recordTime(ms);
  }
}
