import type { ClusterTrafficStats, Counter, Gauge, Histogram, StatsScope } from '@dragoman/core';

/** Counters of a cluster, by the names that Envoy gives them. A worker counts these. */
export const CLUSTER_COUNTERS = [
  'bind_errors',
  'lb_healthy_panic',
  'lb_local_cluster_not_ok',
  'lb_recalculate_zone_structures',
  'lb_subsets_created',
  'lb_subsets_fallback',
  'lb_subsets_fallback_panic',
  'lb_subsets_removed',
  'lb_subsets_selected',
  'lb_zone_cluster_too_small',
  'lb_zone_no_capacity_left',
  'lb_zone_number_differs',
  'lb_zone_routing_all_directly',
  'lb_zone_routing_cross_zone',
  'lb_zone_routing_sampled',
  'original_dst_host_invalid',
  'retry_or_shadow_abandoned',
  'upstream_cx_close_notify',
  'upstream_cx_connect_attempts_exceeded',
  'upstream_cx_connect_fail',
  'upstream_cx_connect_timeout',
  'upstream_cx_connect_with_0_rtt',
  'upstream_cx_destroy',
  'upstream_cx_destroy_local',
  'upstream_cx_destroy_local_with_active_rq',
  'upstream_cx_destroy_remote',
  'upstream_cx_destroy_remote_with_active_rq',
  'upstream_cx_destroy_with_active_rq',
  'upstream_cx_http1_total',
  'upstream_cx_http2_total',
  'upstream_cx_http3_total',
  'upstream_cx_idle_timeout',
  'upstream_cx_max_duration_reached',
  'upstream_cx_max_requests',
  'upstream_cx_none_healthy',
  'upstream_cx_overflow',
  'upstream_cx_pool_overflow',
  'upstream_cx_protocol_error',
  'upstream_cx_rx_bytes_total',
  'upstream_cx_total',
  'upstream_cx_tx_bytes_total',
  'upstream_flow_control_backed_up_total',
  'upstream_flow_control_drained_total',
  'upstream_flow_control_paused_reading_total',
  'upstream_flow_control_resumed_reading_total',
  'upstream_http3_broken',
  'upstream_rq_0rtt',
  'upstream_rq_cancelled',
  'upstream_rq_completed',
  'upstream_rq_maintenance_mode',
  'upstream_rq_max_duration_reached',
  'upstream_rq_pending_failure_eject',
  'upstream_rq_pending_overflow',
  'upstream_rq_pending_total',
  'upstream_rq_per_try_idle_timeout',
  'upstream_rq_per_try_timeout',
  'upstream_rq_retry',
  'upstream_rq_retry_backoff_exponential',
  'upstream_rq_retry_backoff_ratelimited',
  'upstream_rq_retry_limit_exceeded',
  'upstream_rq_retry_overflow',
  'upstream_rq_retry_success',
  'upstream_rq_rx_reset',
  'upstream_rq_timeout',
  'upstream_rq_total',
  'upstream_rq_tx_reset',
] as const;

/** Gauges that add up over the workers. */
export const CLUSTER_GAUGES = [
  'lb_subsets_active',
  'upstream_cx_active',
  // Stays 0: what a connection reads goes through the codec in the same turn; there is no read buffer between them as in
  // Envoy. What a codec keeps (a head in parts, one chunk for a slow receiver) is the stream's by then.
  'upstream_cx_rx_bytes_buffered',
  'upstream_cx_tx_bytes_buffered',
  'upstream_rq_active',
  'upstream_rq_pending_active',
] as const;

/** What main counts of the hosts of a cluster and of the source they come from. */
export const CLUSTER_MEMBERSHIP_COUNTERS = [
  'assignment_stale',
  'assignment_timeout_received',
  'assignment_use_cached',
  'membership_change',
  'update_attempt',
  'update_empty',
  'update_failure',
  'update_no_rebuild',
  'update_success',
] as const;

export const CLUSTER_MEMBERSHIP_GAUGES = [
  'max_host_weight',
  'membership_degraded',
  'membership_excluded',
  'membership_healthy',
  'membership_total',
  'version',
  'warming_state',
] as const;

/** Every stat that a worker keeps of a cluster; handles are made when the cluster is. */
export class ClusterStats implements ClusterTrafficStats {
  readonly bindErrors: Counter;
  readonly lbHealthyPanic: Counter;
  readonly lbLocalClusterNotOk: Counter;
  readonly lbRecalculateZoneStructures: Counter;
  readonly lbZoneClusterTooSmall: Counter;
  readonly lbZoneNoCapacityLeft: Counter;
  readonly lbZoneRoutingAllDirectly: Counter;
  readonly lbZoneRoutingCrossZone: Counter;
  readonly lbZoneRoutingSampled: Counter;
  readonly retryOrShadowAbandoned: Counter;
  readonly upstreamInternalRedirectSucceededTotal: Counter;
  readonly upstreamInternalRedirectFailedTotal: Counter;
  readonly upstreamCxActive: Gauge;
  readonly upstreamCxCloseNotify: Counter;
  readonly upstreamCxConnectFail: Counter;
  readonly upstreamCxConnectMs: Histogram;
  readonly upstreamCxConnectTimeout: Counter;
  readonly upstreamCxDestroy: Counter;
  readonly upstreamCxDestroyLocal: Counter;
  readonly upstreamCxDestroyLocalWithActiveRq: Counter;
  readonly upstreamCxDestroyRemote: Counter;
  readonly upstreamCxDestroyRemoteWithActiveRq: Counter;
  readonly upstreamCxDestroyWithActiveRq: Counter;
  readonly upstreamCxHttp1Total: Counter;
  readonly upstreamCxHttp2Total: Counter;
  readonly upstreamCxIdleTimeout: Counter;
  readonly upstreamCxLengthMs: Histogram;
  readonly upstreamCxMaxDurationReached: Counter;
  readonly upstreamCxMaxRequests: Counter;
  readonly upstreamCxNoneHealthy: Counter;
  readonly upstreamCxOverflow: Counter;
  readonly upstreamCxPoolOverflow: Counter;
  readonly upstreamCxProtocolError: Counter;
  readonly upstreamCxRxBytesTotal: Counter;
  readonly upstreamCxTotal: Counter;
  readonly upstreamCxTxBytesBuffered: Gauge;
  readonly upstreamCxTxBytesTotal: Counter;
  readonly upstreamFlowControlBackedUpTotal: Counter;
  readonly upstreamFlowControlDrainedTotal: Counter;
  readonly upstreamFlowControlPausedReadingTotal: Counter;
  readonly upstreamFlowControlResumedReadingTotal: Counter;
  readonly upstreamRqActive: Gauge;
  readonly upstreamRqCancelled: Counter;
  readonly upstreamRqMaintenanceMode: Counter;
  readonly upstreamRqMaxDurationReached: Counter;
  readonly upstreamRqPendingActive: Gauge;
  readonly upstreamRqPendingFailureEject: Counter;
  readonly upstreamRqPendingOverflow: Counter;
  readonly upstreamRqPendingTotal: Counter;
  readonly upstreamRqPerTryIdleTimeout: Counter;
  readonly upstreamRqPerTryTimeout: Counter;
  readonly upstreamRqRetry: Counter;
  readonly upstreamRqRetryBackoffExponential: Counter;
  readonly upstreamRqRetryBackoffRatelimited: Counter;
  readonly upstreamRqRetryLimitExceeded: Counter;
  readonly upstreamRqRetryOverflow: Counter;
  readonly upstreamRqRetrySuccess: Counter;
  readonly upstreamRqRxReset: Counter;
  readonly upstreamRqTime: Histogram;
  readonly upstreamRqTimeout: Counter;
  readonly upstreamRqTotal: Counter;
  readonly upstreamRqTxReset: Counter;

  /** @param scope `cluster.<name>` */
  constructor(scope: StatsScope) {
    // All of them exist from the start, as in Envoy: a dashboard must not depend on what has happened yet.
    for (const name of CLUSTER_COUNTERS) scope.counter(name);
    for (const name of CLUSTER_GAUGES) scope.gauge(name);
    this.bindErrors = scope.counter('bind_errors');
    this.lbHealthyPanic = scope.counter('lb_healthy_panic');
    this.lbLocalClusterNotOk = scope.counter('lb_local_cluster_not_ok');
    this.lbRecalculateZoneStructures = scope.counter('lb_recalculate_zone_structures');
    this.lbZoneClusterTooSmall = scope.counter('lb_zone_cluster_too_small');
    this.lbZoneNoCapacityLeft = scope.counter('lb_zone_no_capacity_left');
    this.lbZoneRoutingAllDirectly = scope.counter('lb_zone_routing_all_directly');
    this.lbZoneRoutingCrossZone = scope.counter('lb_zone_routing_cross_zone');
    this.lbZoneRoutingSampled = scope.counter('lb_zone_routing_sampled');
    this.retryOrShadowAbandoned = scope.counter('retry_or_shadow_abandoned');
    this.upstreamInternalRedirectSucceededTotal = scope.counter('upstream_internal_redirect_succeeded_total');
    this.upstreamInternalRedirectFailedTotal = scope.counter('upstream_internal_redirect_failed_total');
    this.upstreamCxActive = scope.gauge('upstream_cx_active');
    this.upstreamCxCloseNotify = scope.counter('upstream_cx_close_notify');
    this.upstreamCxConnectFail = scope.counter('upstream_cx_connect_fail');
    this.upstreamCxConnectMs = scope.histogram('upstream_cx_connect_ms', 'milliseconds');
    this.upstreamCxConnectTimeout = scope.counter('upstream_cx_connect_timeout');
    this.upstreamCxDestroy = scope.counter('upstream_cx_destroy');
    this.upstreamCxDestroyLocal = scope.counter('upstream_cx_destroy_local');
    this.upstreamCxDestroyLocalWithActiveRq = scope.counter('upstream_cx_destroy_local_with_active_rq');
    this.upstreamCxDestroyRemote = scope.counter('upstream_cx_destroy_remote');
    this.upstreamCxDestroyRemoteWithActiveRq = scope.counter('upstream_cx_destroy_remote_with_active_rq');
    this.upstreamCxDestroyWithActiveRq = scope.counter('upstream_cx_destroy_with_active_rq');
    this.upstreamCxHttp1Total = scope.counter('upstream_cx_http1_total');
    this.upstreamCxHttp2Total = scope.counter('upstream_cx_http2_total');
    this.upstreamCxIdleTimeout = scope.counter('upstream_cx_idle_timeout');
    this.upstreamCxLengthMs = scope.histogram('upstream_cx_length_ms', 'milliseconds');
    this.upstreamCxMaxDurationReached = scope.counter('upstream_cx_max_duration_reached');
    this.upstreamCxMaxRequests = scope.counter('upstream_cx_max_requests');
    this.upstreamCxNoneHealthy = scope.counter('upstream_cx_none_healthy');
    this.upstreamCxOverflow = scope.counter('upstream_cx_overflow');
    this.upstreamCxPoolOverflow = scope.counter('upstream_cx_pool_overflow');
    this.upstreamCxProtocolError = scope.counter('upstream_cx_protocol_error');
    this.upstreamCxRxBytesTotal = scope.counter('upstream_cx_rx_bytes_total');
    this.upstreamCxTotal = scope.counter('upstream_cx_total');
    this.upstreamCxTxBytesBuffered = scope.gauge('upstream_cx_tx_bytes_buffered');
    this.upstreamCxTxBytesTotal = scope.counter('upstream_cx_tx_bytes_total');
    this.upstreamFlowControlBackedUpTotal = scope.counter('upstream_flow_control_backed_up_total');
    this.upstreamFlowControlDrainedTotal = scope.counter('upstream_flow_control_drained_total');
    this.upstreamFlowControlPausedReadingTotal = scope.counter('upstream_flow_control_paused_reading_total');
    this.upstreamFlowControlResumedReadingTotal = scope.counter(
      'upstream_flow_control_resumed_reading_total',
    );
    this.upstreamRqActive = scope.gauge('upstream_rq_active');
    this.upstreamRqCancelled = scope.counter('upstream_rq_cancelled');
    this.upstreamRqMaintenanceMode = scope.counter('upstream_rq_maintenance_mode');
    this.upstreamRqMaxDurationReached = scope.counter('upstream_rq_max_duration_reached');
    this.upstreamRqPendingActive = scope.gauge('upstream_rq_pending_active');
    this.upstreamRqPendingFailureEject = scope.counter('upstream_rq_pending_failure_eject');
    this.upstreamRqPendingOverflow = scope.counter('upstream_rq_pending_overflow');
    this.upstreamRqPendingTotal = scope.counter('upstream_rq_pending_total');
    this.upstreamRqPerTryIdleTimeout = scope.counter('upstream_rq_per_try_idle_timeout');
    this.upstreamRqPerTryTimeout = scope.counter('upstream_rq_per_try_timeout');
    this.upstreamRqRetry = scope.counter('upstream_rq_retry');
    this.upstreamRqRetryBackoffExponential = scope.counter('upstream_rq_retry_backoff_exponential');
    this.upstreamRqRetryBackoffRatelimited = scope.counter('upstream_rq_retry_backoff_ratelimited');
    this.upstreamRqRetryLimitExceeded = scope.counter('upstream_rq_retry_limit_exceeded');
    this.upstreamRqRetryOverflow = scope.counter('upstream_rq_retry_overflow');
    this.upstreamRqRetrySuccess = scope.counter('upstream_rq_retry_success');
    this.upstreamRqRxReset = scope.counter('upstream_rq_rx_reset');
    this.upstreamRqTime = scope.histogram('upstream_rq_time', 'milliseconds');
    this.upstreamRqTimeout = scope.counter('upstream_rq_timeout');
    this.upstreamRqTotal = scope.counter('upstream_rq_total');
    this.upstreamRqTxReset = scope.counter('upstream_rq_tx_reset');
  }
}
