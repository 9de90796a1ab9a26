/**
 * What trying a field cannot tell: which accepted fields change nothing, and in what an accepted field falls short of
 * Envoy's. By `<message>.<field>` as `fieldKey` writes it. A note on a field that is refused is out of date, and an error.
 */

/** Accepted, and right to be accepted, although nothing reads them. */
export const WITHOUT_EFFECT = {
  'Cluster.cleanup_interval':
    'concerns clusters whose hosts are made by requests (ORIGINAL_DST), which are not there',
  'Cluster.ignore_health_on_host_removal':
    'without active health checks a host that is gone is always removed at once',
  'FilterChain.metadata': 'kept in `/config_dump`; nothing reads it yet',
  'FilterChain.transport_socket_connect_timeout': 'a plaintext connection has no handshake to wait for',
  'RouteAction.early_data_policy': 'nothing is sent as early data',
  'Listener.metadata': 'kept in `/config_dump`; nothing reads it yet',
  'RouteAction.include_vh_rate_limits': 'says which `rate_limits` count; no filter reads them yet',
  'Route.decorator': '`operation` names spans, and there is no tracing',
};

/** Accepted and acting, with a difference worth knowing. */
export const NOTES = {
  'CircuitBreakers.Thresholds.max_connection_pools': 'there is one pool for each host and priority',
  'Cluster.CommonLbConfig.zone_aware_lb_config':
    '`fail_traffic_on_panic` acts; routing by zone is refused, a field at a time',
  'Cluster.metadata': 'extensions can read it; none does yet',
  'Cluster.preconnect_policy': 'ratios of 1.0 only, which is what happens without it',
  'Cluster.upstream_connection_options': '`tcp_keepalive.keepalive_time` only',
  'FilterChainMatch.application_protocols': 'never matches: plaintext has no ALPN',
  'FilterChainMatch.server_names': 'never matches: plaintext has no SNI',
  'FilterChainMatch.transport_protocol': '`raw_buffer` matches, `tls` never',
  'HttpConnectionManager.codec_type': 'AUTO means HTTP/1.1',
  'HttpConnectionManager.drain_timeout':
    'of a connection over its `idle_timeout` or `max_connection_duration`; one that a drain ends goes with its response',
  'HttpConnectionManager.forward_client_cert_details':
    'without TLS, APPEND_FORWARD and SANITIZE_SET remove the header, as in Envoy',
  'Listener.enable_reuse_port':
    'false: all workers accept on one socket; an update cannot change it while the listener is there',
  'Listener.socket_options': 'SO_KEEPALIVE (1, 9) and TCP_KEEPIDLE (6, 4); others are refused by number',
  'Route.metadata': 'filters and logs can read it; nothing reads typed metadata',
  'RouteAction.hash_policy':
    'read by load balancers that pick by a hash, of which there is none yet, and by `use_hash_policy`',
  'RouteAction.inline_cluster_specifier_plugin': 'for extensions; there is none yet',
  'RouteConfiguration.cluster_specifier_plugins': 'for extensions; there is none yet',
  'RouteMatch.tls_context': '`presented: true` never matches plaintext',
  'UuidRequestIdConfig.use_request_id_for_trace_sampling': 'there is no tracing to sample',
};
