import type { MessageSizeStats, StatsScope, TimeoutBudgetStats } from '@dragoman/core';

/** @param scope `cluster.<name>` */
export function timeoutBudgetStats(scope: StatsScope): TimeoutBudgetStats {
  return {
    global: scope.histogram('upstream_rq_timeout_budget_percent_used', 'unspecified'),
    perTry: scope.histogram('upstream_rq_timeout_budget_per_try_percent_used', 'unspecified'),
  };
}

/** @param scope `cluster.<name>` */
export function messageSizeStats(scope: StatsScope): MessageSizeStats {
  return {
    rqHeadersSize: scope.histogram('upstream_rq_headers_size', 'bytes'),
    rqHeadersCount: scope.histogram('upstream_rq_headers_count', 'unspecified'),
    rqBodySize: scope.histogram('upstream_rq_body_size', 'bytes'),
    rsHeadersSize: scope.histogram('upstream_rs_headers_size', 'bytes'),
    rsHeadersCount: scope.histogram('upstream_rs_headers_count', 'unspecified'),
    rsBodySize: scope.histogram('upstream_rs_body_size', 'bytes'),
  };
}
