import type { Counter, Gauge, Histogram, StatsScope } from '@dragoman/core';
import { ENVOY_STATS } from '@dragoman/stats';

/** What the admin server counts: `listener.admin.*` and `http.admin.*`. */
export interface AdminServerStats {
  readonly listenerConnections: Counter;
  readonly listenerActive: Gauge;
  readonly listenerDestroyed: Counter;
  readonly listenerLength: Histogram;
  readonly connections: Counter;
  readonly http1Connections: Counter;
  readonly active: Gauge;
  readonly http1Active: Gauge;
  readonly destroyed: Counter;
  readonly destroyedRemote: Counter;
  readonly destroyedLocal: Counter;
  readonly protocolErrors: Counter;
  readonly length: Histogram;
  readonly rxBytes: Counter;
  readonly txBytes: Counter;
  readonly requests: Counter;
  readonly http1Requests: Counter;
  readonly activeRequests: Gauge;
  readonly completed: Counter;
  /** By the first digit of the status, 1 … 5. */
  readonly statusClasses: readonly Counter[];
  readonly requestTime: Histogram;
}

/**
 * Makes the stats. All documented names of a listener and a connection manager are there, as they are in Envoy, also
 * those that a server for a few operators never counts.
 */
export function createServerStats(root: StatsScope): AdminServerStats {
  const listener = root.scope('listener.admin');
  const http = root.scope('http.admin');
  createAll(listener, 'listener.<address>.');
  createAll(http, 'http.<stat_prefix>.');
  return {
    listenerConnections: listener.counter('downstream_cx_total'),
    listenerActive: listener.gauge('downstream_cx_active'),
    listenerDestroyed: listener.counter('downstream_cx_destroy'),
    listenerLength: listener.histogram('downstream_cx_length_ms', 'milliseconds'),
    connections: http.counter('downstream_cx_total'),
    http1Connections: http.counter('downstream_cx_http1_total'),
    active: http.gauge('downstream_cx_active'),
    http1Active: http.gauge('downstream_cx_http1_active'),
    destroyed: http.counter('downstream_cx_destroy'),
    destroyedRemote: http.counter('downstream_cx_destroy_remote'),
    destroyedLocal: http.counter('downstream_cx_destroy_local'),
    protocolErrors: http.counter('downstream_cx_protocol_error'),
    length: http.histogram('downstream_cx_length_ms', 'milliseconds'),
    rxBytes: http.counter('downstream_cx_rx_bytes_total'),
    txBytes: http.counter('downstream_cx_tx_bytes_total'),
    requests: http.counter('downstream_rq_total'),
    http1Requests: http.counter('downstream_rq_http1_total'),
    activeRequests: http.gauge('downstream_rq_active'),
    completed: http.counter('downstream_rq_completed'),
    statusClasses: [1, 1, 2, 3, 4, 5].map((digit) => http.counter(`downstream_rq_${digit}xx`)),
    requestTime: http.histogram('downstream_rq_time', 'milliseconds'),
  };
}

function createAll(scope: StatsScope, prefix: string): void {
  const tree = ENVOY_STATS.find((candidate) => candidate.prefix === prefix);
  for (const { name, kind, unit } of tree?.stats ?? []) {
    if (kind === 'counter') scope.counter(name);
    else if (kind === 'gauge') scope.gauge(name);
    else scope.histogram(name, unit);
  }
}
