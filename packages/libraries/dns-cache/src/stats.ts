import type { Counter, Gauge, StatsScope } from '@dragoman/core';

/** `dns_cache.<name>.` */
export class DnsCacheStats {
  readonly queryAttempt: Counter;
  readonly querySuccess: Counter;
  readonly queryFailure: Counter;
  readonly queryTimeout: Counter;
  readonly pendingOverflow: Counter;
  readonly hostAdded: Counter;
  readonly hostRemoved: Counter;
  readonly addressChanged: Counter;
  readonly hostOverflow: Counter;
  readonly hosts: Gauge;
  readonly pendingOpen: Gauge;
  readonly pendingRemaining: Gauge;

  constructor(scope: StatsScope) {
    // Counts what was read from a file, which there is none of.
    scope.counter('cache_load');
    this.queryAttempt = scope.counter('dns_query_attempt');
    this.querySuccess = scope.counter('dns_query_success');
    this.queryFailure = scope.counter('dns_query_failure');
    this.queryTimeout = scope.counter('dns_query_timeout');
    this.pendingOverflow = scope.counter('dns_rq_pending_overflow');
    this.hostAdded = scope.counter('host_added');
    this.hostRemoved = scope.counter('host_removed');
    this.addressChanged = scope.counter('host_address_changed');
    this.hostOverflow = scope.counter('host_overflow');
    this.hosts = scope.gauge('num_hosts');
    this.pendingOpen = scope.gauge('circuit_breakers.rq_pending_open');
    this.pendingRemaining = scope.gauge('circuit_breakers.rq_pending_remaining');
  }
}
