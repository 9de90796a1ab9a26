import type { HistogramUnit } from '@dragoman/core';

/** One documented stat. */
export interface EnvoyStat {
  /** Below the tree's prefix. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Histograms only. */
  readonly unit?: HistogramUnit;
}

/** The stats below one prefix. `<…>` stands for a name of the config. */
export interface EnvoyStatTree {
  readonly prefix: string;
  /** What must be so for the tree to be there, when configuring its owner is not enough. */
  readonly condition?:
    | 'traffic'
    | 'track_remaining'
    | 'track_cluster_stats'
    | 'load_stats_config'
    | 'threads'
    | 'http2'
    | 'tls';
  readonly stats: readonly EnvoyStat[];
}

function tree(
  prefix: string,
  names: { counters?: string; gauges?: string; milliseconds?: string; bytes?: string; unspecified?: string },
  condition?: EnvoyStatTree['condition'],
): EnvoyStatTree {
  const list = (text: string | undefined): string[] =>
    (text ?? '').split(/\s+/).filter((name) => name !== '');
  return {
    prefix,
    ...(condition === undefined ? {} : { condition }),
    stats: [
      ...list(names.counters).map((name) => ({ name, kind: 'counter' as const })),
      ...list(names.gauges).map((name) => ({ name, kind: 'gauge' as const })),
      ...list(names.milliseconds).map((name) => ({
        name,
        kind: 'histogram' as const,
        unit: 'milliseconds' as const,
      })),
      ...list(names.bytes).map((name) => ({ name, kind: 'histogram' as const, unit: 'bytes' as const })),
      ...list(names.unspecified).map((name) => ({
        name,
        kind: 'histogram' as const,
        unit: 'unspecified' as const,
      })),
    ],
  };
}

/** Of codecs of HTTP/2. Floods and METADATA frames are not told of by the layer below: what counts them stands at 0. */
const HTTP2 = {
  counters: `dropped_headers_with_underscores goaway_graceful_sent goaway_sent header_overflow headers_cb_no_stream
    inbound_empty_frames_flood inbound_priority_frames_flood inbound_window_update_frames_flood keepalive_timeout
    metadata_empty_frames outbound_control_flood outbound_flood requests_rejected_with_underscores_in_headers
    rx_messaging_error rx_reset stream_refused_errors trailers tx_flush_timeout tx_reset`,
  gauges: `deferred_stream_close outbound_control_frames_active outbound_frames_active pending_send_bytes
    streams_active`,
};

/** Of TLS; `ciphers.<…>`, `versions.<…>` and `curves.<…>` come with the first handshake that has them. */
const SSL = {
  counters: `connection_error fail_verify_cert_hash fail_verify_error fail_verify_no_cert fail_verify_san handshake
    no_certificate ocsp_staple_failed ocsp_staple_omitted ocsp_staple_requests ocsp_staple_responses
    session_reused was_key_usage_invalid`,
};

/** Of a virtual cluster, or of a route with a `stat_prefix`. */
const REQUESTS = `upstream_rq_retry upstream_rq_retry_limit_exceeded upstream_rq_retry_overflow
  upstream_rq_retry_success upstream_rq_timeout upstream_rq_total`;

/**
 * Envoy's documented stats that exist as soon as the thing they describe is configured, as far as it is built here.
 * Stats that appear with the first event (`upstream_rq_200`, `user_agent.ios.…`) are not in it, nor those of what does
 * not exist here: `tcp.on_demand_cluster_*` (clusters are not discovered on demand), `dns.cares.reinits` (a resolver is
 * never made anew), `cluster.<name>.http1.*` (what these count is refused on the downstream side only), and
 * `upstream_rq_per_cx` (requests of a connection are not recorded yet).
 * Source: the statistics pages of Envoy's configuration reference.
 */
export const ENVOY_STATS: readonly EnvoyStatTree[] = [
  tree('server.', {
    counters: `debug_assertion_failures dropped_stat_flushes dynamic_unknown_fields envoy_bug_failures
      static_unknown_fields wip_protos`,
    gauges: `concurrency days_until_first_cert_expiring hot_restart_epoch hot_restart_generation live
      memory_allocated memory_heap_size memory_physical_size parent_connections
      seconds_until_first_ocsp_response_expiring state stats_recent_lookups total_connections uptime version`,
    milliseconds: 'initialization_time_ms',
  }),
  tree('load_reporter.', { counters: 'errors requests responses retries' }, 'load_stats_config'),
  ...['main_thread', 'workers', 'server.main_thread', 'server.worker_<id>'].map((thread) =>
    tree(`${thread}.`, { counters: 'watchdog_mega_miss watchdog_miss' }, 'threads'),
  ),
  tree('listener_manager.', {
    counters: `listener_added listener_create_failure listener_create_success listener_in_place_updated
      listener_modified listener_removed listener_stopped`,
    gauges: `total_filter_chains_draining total_listeners_active total_listeners_draining total_listeners_warming
      workers_started`,
  }),
  tree('listener.<address>.', {
    counters: `downstream_cx_destroy downstream_cx_overflow downstream_cx_overload_reject downstream_cx_total
      downstream_cx_transport_socket_connect_timeout downstream_global_cx_overflow
      downstream_listener_filter_error downstream_listener_filter_remote_close downstream_pre_cx_timeout
      extension_config_missing network_extension_config_missing no_filter_chain_match`,
    gauges: 'downstream_cx_active downstream_pre_cx_active',
    milliseconds: 'downstream_cx_length_ms',
    unspecified: 'connections_accepted_per_socket_event',
  }),
  tree('listener.<address>.http.<stat_prefix>.', {
    counters: `downstream_rq_1xx downstream_rq_2xx downstream_rq_3xx downstream_rq_4xx downstream_rq_5xx
      downstream_rq_completed`,
  }),
  tree('http.<stat_prefix>.', {
    counters: `downstream_cx_delayed_close_timeout downstream_cx_destroy downstream_cx_destroy_active_rq
      downstream_cx_destroy_local downstream_cx_destroy_local_active_rq downstream_cx_destroy_remote
      downstream_cx_destroy_remote_active_rq downstream_cx_drain_close downstream_cx_http1_total
      downstream_cx_http2_total downstream_cx_http3_total downstream_cx_idle_timeout
      downstream_cx_max_duration_reached downstream_cx_max_requests_reached
      downstream_cx_overload_disable_keepalive downstream_cx_protocol_error downstream_cx_rx_bytes_total
      downstream_cx_ssl_total downstream_cx_total downstream_cx_tx_bytes_total downstream_cx_upgrades_total
      downstream_flow_control_paused_reading_total downstream_flow_control_resumed_reading_total
      downstream_rq_1xx downstream_rq_2xx downstream_rq_3xx downstream_rq_4xx downstream_rq_5xx
      downstream_rq_completed downstream_rq_failed_path_normalization downstream_rq_header_timeout
      downstream_rq_http1_total downstream_rq_http2_total downstream_rq_http3_total downstream_rq_idle_timeout
      downstream_rq_max_duration_reached downstream_rq_non_relative_path downstream_rq_overload_close
      downstream_rq_redirected_with_normalized_path downstream_rq_rejected_via_ip_detection
      downstream_rq_response_before_rq_complete downstream_rq_rx_reset downstream_rq_timeout
      downstream_rq_too_large downstream_rq_too_many_premature_resets downstream_rq_total
      downstream_rq_tx_reset downstream_rq_ws_on_non_ws_route rs_too_large`,
    gauges: `downstream_cx_active downstream_cx_http1_active downstream_cx_http1_soft_drain
      downstream_cx_http2_active downstream_cx_http3_active downstream_cx_rx_bytes_buffered
      downstream_cx_ssl_active downstream_cx_tx_bytes_buffered downstream_cx_upgrades_active
      downstream_rq_active`,
    milliseconds: 'downstream_cx_length_ms downstream_rq_time',
  }),
  tree('http.<stat_prefix>.', {
    counters: `no_cluster no_route passthrough_internal_redirect_bad_location
      passthrough_internal_redirect_no_route passthrough_internal_redirect_predicate
      passthrough_internal_redirect_too_many_redirects passthrough_internal_redirect_unsafe_scheme
      rq_direct_response rq_overload_local_reply rq_redirect rq_reset_after_downstream_response_started
      rq_total`,
  }),
  tree('http.<stat_prefix>.tracing.', {
    counters: 'client_enabled health_check not_traceable random_sampling service_forced',
  }),
  tree(
    'http1.',
    {
      counters: `dropped_headers_with_underscores metadata_not_supported_error
        requests_rejected_with_underscores_in_headers response_flood`,
    },
    'traffic',
  ),
  tree('http2.', HTTP2),
  tree('listener.<address>.ssl.', SSL, 'tls'),
  tree(
    'listener.<address>.server_ssl_socket_factory.',
    { counters: 'downstream_context_secrets_not_ready ssl_context_update_by_sds ssl_context_update_failed' },
    'tls',
  ),
  tree('tcp.<stat_prefix>.', {
    counters: `downstream_cx_no_route downstream_cx_rx_bytes_total downstream_cx_total
      downstream_cx_tx_bytes_total downstream_flow_control_paused_reading_total
      downstream_flow_control_resumed_reading_total early_data_received_count_total idle_timeout
      max_downstream_connection_duration upstream_flush_total`,
    gauges: 'downstream_cx_rx_bytes_buffered downstream_cx_tx_bytes_buffered upstream_flush_active',
  }),
  tree('tls_inspector.', {
    counters: `alpn_found alpn_not_found client_hello_too_large sni_found sni_not_found tls_found tls_not_found`,
    bytes: 'bytes_processed',
  }),
  tree('http_inspector.', {
    counters: 'http10_found http11_found http2_found http_not_found read_error',
  }),
  tree('proxy_proto.', {
    counters: `not_found_allowed not_found_disallowed versions.v1.disallowed versions.v1.error versions.v1.found
      versions.v2.disallowed versions.v2.error versions.v2.found`,
  }),
  tree('cluster_manager.', {
    counters: `cluster_added cluster_modified cluster_removed cluster_updated cluster_updated_via_merge
      update_merge_cancelled update_out_of_merge_window`,
    gauges: 'active_clusters warming_clusters',
  }),
  tree('cluster.<name>.', {
    counters: `assignment_stale assignment_timeout_received assignment_use_cached bind_errors
      lb_healthy_panic lb_local_cluster_not_ok lb_recalculate_zone_structures lb_subsets_created
      lb_subsets_fallback lb_subsets_fallback_panic lb_subsets_removed lb_subsets_selected
      lb_zone_cluster_too_small lb_zone_no_capacity_left lb_zone_number_differs lb_zone_routing_all_directly
      lb_zone_routing_cross_zone lb_zone_routing_sampled membership_change original_dst_host_invalid
      retry_or_shadow_abandoned update_attempt update_empty update_failure update_no_rebuild update_success
      upstream_cx_close_notify upstream_cx_connect_attempts_exceeded upstream_cx_connect_fail
      upstream_cx_connect_timeout upstream_cx_connect_with_0_rtt upstream_cx_destroy
      upstream_cx_destroy_local upstream_cx_destroy_local_with_active_rq upstream_cx_destroy_remote
      upstream_cx_destroy_remote_with_active_rq upstream_cx_destroy_with_active_rq upstream_cx_http1_total
      upstream_cx_http2_total upstream_cx_http3_total upstream_cx_idle_timeout
      upstream_cx_max_duration_reached upstream_cx_max_requests upstream_cx_none_healthy upstream_cx_overflow
      upstream_cx_pool_overflow upstream_cx_protocol_error upstream_cx_rx_bytes_total upstream_cx_total
      upstream_cx_tx_bytes_total upstream_flow_control_backed_up_total upstream_flow_control_drained_total
      upstream_flow_control_paused_reading_total upstream_flow_control_resumed_reading_total
      upstream_http3_broken upstream_internal_redirect_failed_total
      upstream_internal_redirect_succeeded_total upstream_rq_0rtt upstream_rq_cancelled
      upstream_rq_maintenance_mode upstream_rq_max_duration_reached upstream_rq_pending_failure_eject
      upstream_rq_pending_overflow upstream_rq_pending_total upstream_rq_per_try_idle_timeout
      upstream_rq_per_try_timeout upstream_rq_retry upstream_rq_retry_backoff_exponential
      upstream_rq_retry_backoff_ratelimited upstream_rq_retry_limit_exceeded upstream_rq_retry_overflow
      upstream_rq_retry_success upstream_rq_rx_reset upstream_rq_timeout upstream_rq_total
      upstream_rq_tx_reset`,
    gauges: `lb_subsets_active max_host_weight membership_degraded membership_excluded membership_healthy
      membership_total upstream_cx_active upstream_cx_rx_bytes_buffered upstream_cx_tx_bytes_buffered
      upstream_rq_active upstream_rq_pending_active version warming_state`,
    milliseconds: 'upstream_cx_connect_ms upstream_cx_length_ms',
  }),
  tree(
    'cluster.<name>.',
    {
      bytes: 'upstream_rq_body_size upstream_rq_headers_size upstream_rs_body_size upstream_rs_headers_size',
      unspecified: `upstream_rq_headers_count upstream_rq_timeout_budget_per_try_percent_used
        upstream_rq_timeout_budget_percent_used upstream_rs_headers_count`,
    },
    'track_cluster_stats',
  ),
  tree('cluster.<name>.circuit_breakers.default.', {
    gauges: 'cx_open cx_pool_open rq_open rq_pending_open rq_retry_open',
  }),
  tree(
    'cluster.<name>.circuit_breakers.default.',
    { gauges: 'remaining_cx remaining_cx_pools remaining_pending remaining_retries remaining_rq' },
    'track_remaining',
  ),
  tree('cluster.<name>.circuit_breakers.high.', {
    gauges: 'cx_open cx_pool_open rq_open rq_pending_open rq_retry_open',
  }),
  tree(
    'cluster.<name>.circuit_breakers.high.',
    { gauges: 'remaining_cx remaining_cx_pools remaining_pending remaining_retries remaining_rq' },
    'track_remaining',
  ),
  tree('cluster.<name>.http2.', HTTP2, 'http2'),
  tree('cluster.<name>.ssl.', SSL, 'tls'),
  tree(
    'cluster.<name>.client_ssl_socket_factory.',
    { counters: 'ssl_context_update_by_sds ssl_context_update_failed upstream_context_secrets_not_ready' },
    'tls',
  ),
  tree('dns.cares.', {
    counters: 'get_addr_failure not_found resolve_total timeout',
    gauges: 'pending_resolutions',
  }),
  tree('filesystem.', {
    counters: 'flushed_by_timer reopen_failed write_buffered write_completed write_failed',
    gauges: 'write_total_buffered',
  }),
  tree('runtime.', {
    counters: `deprecated_feature_use load_error load_success override_dir_exists override_dir_not_exists`,
    gauges: 'admin_overrides_active deprecated_feature_seen_since_process_start num_keys num_layers',
  }),
  tree('vhost.<virtual_host>.vcluster.<name>.', { counters: REQUESTS }),
  tree('vhost.<virtual_host>.route.<stat_prefix>.', { counters: REQUESTS }),
];
