import type { Counter, Gauge, Histogram, StatsScope } from '@dragoman/core';
import { UserAgentStats } from './user-agent.ts';

/** `http.<stat_prefix>.*`: the connection manager's stats, resolved once. */
export interface ConnectionManagerStats {
  readonly cxTotal: Counter;
  readonly cxHttp1Total: Counter;
  readonly cxHttp2Total: Counter;
  readonly cxSslTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxHttp1Active: Gauge;
  readonly cxHttp2Active: Gauge;
  readonly cxSslActive: Gauge;
  readonly cxDestroy: Counter;
  readonly cxDestroyLocal: Counter;
  readonly cxDestroyRemote: Counter;
  readonly cxDestroyActiveRq: Counter;
  readonly cxDestroyLocalActiveRq: Counter;
  readonly cxDestroyRemoteActiveRq: Counter;
  readonly cxProtocolError: Counter;
  readonly cxDrainClose: Counter;
  readonly cxIdleTimeout: Counter;
  readonly cxMaxDurationReached: Counter;
  readonly cxMaxRequestsReached: Counter;
  readonly cxDelayedCloseTimeout: Counter;
  readonly cxRxBytes: Counter;
  readonly cxTxBytes: Counter;
  /** Of connections above their write limit: what they still have to send. */
  readonly cxTxBytesBuffered: Gauge;
  /** HTTP/1 connections over their maximum duration that wait for their next response (`http1_safe_max_connection_duration`). */
  readonly cxSoftDrain: Gauge;
  readonly cxLengthMs: Histogram;
  readonly flowControlPaused: Counter;
  readonly flowControlResumed: Counter;
  readonly rqTotal: Counter;
  readonly rqHttp1Total: Counter;
  readonly rqHttp2Total: Counter;
  readonly rqActive: Gauge;
  readonly rqCompleted: Counter;
  /** By class: index 1 is 1xx … 5 is 5xx. */
  readonly rqClass: readonly (Counter | undefined)[];
  readonly rqRxReset: Counter;
  readonly rqTxReset: Counter;
  readonly rqNonRelativePath: Counter;
  /** Responses whose head went out before the request was complete. */
  readonly rqResponseBeforeComplete: Counter;
  readonly rqTooLarge: Counter;
  /** Connections that were closed since too many of their streams were reset too soon. */
  readonly rqTooManyPrematureResets: Counter;
  readonly rsTooLarge: Counter;
  readonly rqTimeout: Counter;
  readonly rqHeaderTimeout: Counter;
  readonly rqIdleTimeout: Counter;
  readonly rqMaxDurationReached: Counter;
  readonly rqRejectedViaIpDetection: Counter;
  readonly rqFailedPathNormalization: Counter;
  readonly rqRedirectedWithNormalizedPath: Counter;
  readonly rqWsOnNonWsRoute: Counter;
  readonly cxUpgradesTotal: Counter;
  readonly cxUpgradesActive: Gauge;
  readonly cxOverloadDisableKeepalive: Counter;
  readonly rqOverloadClose: Counter;
  readonly rqTime: Histogram;
  /** `tracing.health_check`: requests that the health check filter took. */
  readonly tracingHealthCheck: Counter;
  /** Requests by what their user agent runs on. */
  readonly userAgents: UserAgentStats;
  /** `listener.<address>.http.<stat_prefix>.downstream_rq_*`, the same by listener. */
  readonly listenerRqCompleted: Counter;
  readonly listenerRqClass: readonly (Counter | undefined)[];
}

/** Stats that Envoy documents for protocols which do not exist here yet: they stand at 0. */
const RESERVED_COUNTERS = [
  'downstream_cx_http3_total',
  'downstream_rq_http3_total',
  'tracing.client_enabled',
  'tracing.not_traceable',
  'tracing.random_sampling',
  'tracing.service_forced',
] as const;
const RESERVED_GAUGES = [
  // Nothing read is kept here: a codec stops reading instead.
  'downstream_cx_rx_bytes_buffered',
  'downstream_cx_http3_active',
] as const;

function byClass(scope: StatsScope, base: string): (Counter | undefined)[] {
  return [undefined, 1, 2, 3, 4, 5].map((digit) =>
    digit === undefined ? undefined : scope.counter(`${base}_${digit}xx`),
  );
}

/** Makes the stats of a connection manager below `http.<stat_prefix>.` and its mirror below its listener's scope. */
export function createStats(
  root: StatsScope,
  listener: StatsScope,
  statPrefix: string,
): ConnectionManagerStats {
  const scope = root.scope(`http.${statPrefix}`);
  const perListener = listener.scope(`http.${statPrefix}`);
  for (const name of RESERVED_COUNTERS) scope.counter(name);
  for (const name of RESERVED_GAUGES) scope.gauge(name);
  return {
    cxTotal: scope.counter('downstream_cx_total'),
    cxHttp1Total: scope.counter('downstream_cx_http1_total'),
    cxHttp2Total: scope.counter('downstream_cx_http2_total'),
    cxSslTotal: scope.counter('downstream_cx_ssl_total'),
    cxActive: scope.gauge('downstream_cx_active'),
    cxHttp1Active: scope.gauge('downstream_cx_http1_active'),
    cxHttp2Active: scope.gauge('downstream_cx_http2_active'),
    cxSslActive: scope.gauge('downstream_cx_ssl_active'),
    cxDestroy: scope.counter('downstream_cx_destroy'),
    cxDestroyLocal: scope.counter('downstream_cx_destroy_local'),
    cxDestroyRemote: scope.counter('downstream_cx_destroy_remote'),
    cxDestroyActiveRq: scope.counter('downstream_cx_destroy_active_rq'),
    cxDestroyLocalActiveRq: scope.counter('downstream_cx_destroy_local_active_rq'),
    cxDestroyRemoteActiveRq: scope.counter('downstream_cx_destroy_remote_active_rq'),
    cxProtocolError: scope.counter('downstream_cx_protocol_error'),
    cxDrainClose: scope.counter('downstream_cx_drain_close'),
    cxIdleTimeout: scope.counter('downstream_cx_idle_timeout'),
    cxMaxDurationReached: scope.counter('downstream_cx_max_duration_reached'),
    cxMaxRequestsReached: scope.counter('downstream_cx_max_requests_reached'),
    cxDelayedCloseTimeout: scope.counter('downstream_cx_delayed_close_timeout'),
    cxRxBytes: scope.counter('downstream_cx_rx_bytes_total'),
    cxTxBytes: scope.counter('downstream_cx_tx_bytes_total'),
    cxTxBytesBuffered: scope.gauge('downstream_cx_tx_bytes_buffered'),
    cxLengthMs: scope.histogram('downstream_cx_length_ms', 'milliseconds'),
    cxSoftDrain: scope.gauge('downstream_cx_http1_soft_drain'),
    flowControlPaused: scope.counter('downstream_flow_control_paused_reading_total'),
    flowControlResumed: scope.counter('downstream_flow_control_resumed_reading_total'),
    rqTotal: scope.counter('downstream_rq_total'),
    rqHttp1Total: scope.counter('downstream_rq_http1_total'),
    rqHttp2Total: scope.counter('downstream_rq_http2_total'),
    rqActive: scope.gauge('downstream_rq_active'),
    rqCompleted: scope.counter('downstream_rq_completed'),
    rqClass: byClass(scope, 'downstream_rq'),
    rqRxReset: scope.counter('downstream_rq_rx_reset'),
    rqTxReset: scope.counter('downstream_rq_tx_reset'),
    rqNonRelativePath: scope.counter('downstream_rq_non_relative_path'),
    rqResponseBeforeComplete: scope.counter('downstream_rq_response_before_rq_complete'),
    rqTooLarge: scope.counter('downstream_rq_too_large'),
    rqTooManyPrematureResets: scope.counter('downstream_rq_too_many_premature_resets'),
    rsTooLarge: scope.counter('rs_too_large'),
    rqTimeout: scope.counter('downstream_rq_timeout'),
    rqHeaderTimeout: scope.counter('downstream_rq_header_timeout'),
    rqIdleTimeout: scope.counter('downstream_rq_idle_timeout'),
    rqMaxDurationReached: scope.counter('downstream_rq_max_duration_reached'),
    rqRejectedViaIpDetection: scope.counter('downstream_rq_rejected_via_ip_detection'),
    rqFailedPathNormalization: scope.counter('downstream_rq_failed_path_normalization'),
    rqRedirectedWithNormalizedPath: scope.counter('downstream_rq_redirected_with_normalized_path'),
    cxUpgradesTotal: scope.counter('downstream_cx_upgrades_total'),
    cxUpgradesActive: scope.gauge('downstream_cx_upgrades_active'),
    rqWsOnNonWsRoute: scope.counter('downstream_rq_ws_on_non_ws_route'),
    cxOverloadDisableKeepalive: scope.counter('downstream_cx_overload_disable_keepalive'),
    rqOverloadClose: scope.counter('downstream_rq_overload_close'),
    rqTime: scope.histogram('downstream_rq_time', 'milliseconds'),
    tracingHealthCheck: scope.counter('tracing.health_check'),
    userAgents: new UserAgentStats(scope),
    listenerRqCompleted: perListener.counter('downstream_rq_completed'),
    listenerRqClass: byClass(perListener, 'downstream_rq'),
  };
}
