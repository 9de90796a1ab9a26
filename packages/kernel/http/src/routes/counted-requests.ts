import type { Counter, RequestStats, StatsScope } from '@dragoman/core';
import { ResponseCounters } from '@dragoman/stats';

/** Counts under `vhost.<virtual host>.`, for a virtual cluster or a route. */
export class CountedRequests implements RequestStats {
  readonly rqTotal: Counter;
  readonly rqTimeout: Counter;
  readonly rqRetry: Counter;
  readonly rqRetrySuccess: Counter;
  readonly rqRetryOverflow: Counter;
  readonly rqRetryLimitExceeded: Counter;
  private readonly responses: ResponseCounters;

  /** @param prefix with a dot at its end */
  constructor(scope: StatsScope, prefix: string) {
    this.rqRetry = scope.counter(`${prefix}upstream_rq_retry`);
    this.rqRetrySuccess = scope.counter(`${prefix}upstream_rq_retry_success`);
    this.rqRetryOverflow = scope.counter(`${prefix}upstream_rq_retry_overflow`);
    this.rqRetryLimitExceeded = scope.counter(`${prefix}upstream_rq_retry_limit_exceeded`);
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
