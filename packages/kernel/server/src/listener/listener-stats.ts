import type { Counter, Gauge, Histogram, StatsScope } from '@dragoman/core';

/** `listener.<address or stat_prefix>.*`. */
export interface ListenerStats {
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxDestroy: Counter;
  readonly cxOverflow: Counter;
  readonly cxLengthMs: Histogram;
  readonly preCxTimeout: Counter;
  /** A connection that failed while listener filters looked at it. */
  readonly filterError: Counter;
  /** A peer that ended its side while listener filters waited for its bytes. */
  readonly filterRemoteClose: Counter;
  /** Node hands connections over one at a time, so this is always 1. */
  readonly acceptedPerEvent: Histogram;
  readonly preCxActive: Gauge;
  readonly globalCxOverflow: Counter;
  readonly cxOverloadReject: Counter;
  /** Connections that were closed because the config of a listener filter had not come. */
  readonly configMissing: Counter;
  /** The same of a network filter. */
  readonly networkConfigMissing: Counter;
  readonly noFilterChainMatch: Counter;
  readonly transportTimeout: Counter;
  readonly workerCxTotal: Counter;
  readonly workerCxActive: Gauge;
}

/** @param workerName `worker_0`, `worker_1`, … */
export function createListenerStats(scope: StatsScope, workerName: string): ListenerStats {
  const perWorker = scope.scope(workerName);
  return {
    cxTotal: scope.counter('downstream_cx_total'),
    cxActive: scope.gauge('downstream_cx_active'),
    cxDestroy: scope.counter('downstream_cx_destroy'),
    cxOverflow: scope.counter('downstream_cx_overflow'),
    cxLengthMs: scope.histogram('downstream_cx_length_ms', 'milliseconds'),
    preCxTimeout: scope.counter('downstream_pre_cx_timeout'),
    filterError: scope.counter('downstream_listener_filter_error'),
    filterRemoteClose: scope.counter('downstream_listener_filter_remote_close'),
    acceptedPerEvent: scope.histogram('connections_accepted_per_socket_event', 'unspecified'),
    preCxActive: scope.gauge('downstream_pre_cx_active'),
    globalCxOverflow: scope.counter('downstream_global_cx_overflow'),
    cxOverloadReject: scope.counter('downstream_cx_overload_reject'),
    configMissing: scope.counter('extension_config_missing'),
    networkConfigMissing: scope.counter('network_extension_config_missing'),
    noFilterChainMatch: scope.counter('no_filter_chain_match'),
    transportTimeout: scope.counter('downstream_cx_transport_socket_connect_timeout'),
    workerCxTotal: perWorker.counter('downstream_cx_total'),
    workerCxActive: perWorker.gauge('downstream_cx_active'),
  };
}
