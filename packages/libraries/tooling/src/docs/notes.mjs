/**
 * What trying a field cannot tell: which accepted fields change nothing, and in what an accepted field falls short of
 * Envoy's. By `<message>.<field>` as `fieldKey` writes it. A note on a field that is refused is out of date, and an error.
 */

/** Accepted, and right to be accepted, although nothing reads them. */
export const WITHOUT_EFFECT = {
  'Cluster.ignore_health_on_host_removal':
    'without active health checks a host that is gone is always removed at once',
  'RouteAction.early_data_policy': 'nothing is sent as early data',
  'RouteAction.include_vh_rate_limits': 'says which `rate_limits` count; no filter reads them yet',
  'Route.decorator': '`operation` names spans, and there is no tracing',
  'Secret.generic_secret': 'no extension here asks for one yet',
  'UpstreamHttp1.allow_absolute_url': 'about requests that come in: set it on the connection manager',
  'UpstreamHttp1.use_balsa_parser': 'there is one parser',
};

const EDGE_DEFAULT = "as in Envoy's guide for edge proxies";
const ALWAYS_ITS_STREAM =
  '`true` only, which is what happens without it: a message that breaks HTTP/2 costs its stream';
const SECRETS =
  'secrets of `static_resources.secrets`, of files (`path_config_source`) or of a control plane';
const READ_BY_LOGS = (type) => `\`%METADATA(${type}:…)%\` reads it`;
const UPSTREAM_FILTERS =
  '`envoy.filters.http.upstream_codec` alone, which ends the list: no other filter here can run upstream yet';

/** Accepted and acting, with a difference worth knowing. */
export const NOTES = {
  'CertificateValidationContext.custom_validator_config':
    '`envoy.tls.cert_validator.spiffe`, and `envoy.tls.cert_validator.default`',
  'CertificateValidationContext.match_subject_alt_names':
    'counts where `match_typed_subject_alt_names` is empty, as in Envoy',
  'CertificateValidationContext.max_verify_depth':
    "of chains from both sides; Envoy's counts for those of clients only",
  'CertificateValidationContext.system_root_certs': 'without `trusted_ca`',
  'CircuitBreakers.Thresholds.max_connection_pools':
    'there is one pool for each host, priority and protocol, and for each set of what requests ask of TLS (`auto_sni`) and of the PROXY protocol',
  'Cluster.circuit_breakers':
    'thresholds follow their runtime keys; `per_host_thresholds` hold on each worker for itself',
  'Cluster.CommonLbConfig.zone_aware_lb_config':
    '`fail_traffic_on_panic` acts; routing by zone is refused, a field at a time',
  'Cluster.cleanup_interval': 'in a cluster of type `ORIGINAL_DST`; nothing reads it in others',
  'Cluster.metadata': READ_BY_LOGS('CLUSTER'),
  'Cluster.close_connections_on_host_health_failure':
    'TCP connections, as in Envoy; idle HTTP connections to a host that fails close without it too',
  'Cluster.preconnect_policy':
    'for HTTP; `predictive_preconnect_ratio` with round_robin, random and client_side_weighted_round_robin, of one worker and never above `max_connections`',
  'Cluster.lrs_report_endpoint_metrics': 'names that no load report can have are warned of',
  'Cluster.track_cluster_stats':
    '`timeout_budgets` and `request_response_sizes`, of requests that the router forwards; `per_endpoint_stats` is refused',
  'Cluster.upstream_connection_options': '`tcp_keepalive.keepalive_time` only',
  'CommonTlsContext.tls_certificate_sds_secret_configs': `${SECRETS}; one for a cluster`,
  'CommonTlsContext.tls_certificates': 'one for a cluster',
  'CommonTlsContext.validation_context_sds_secret_config': SECRETS,
  'DownstreamHttp2.custom_settings_parameters': 'ten, and none that has a field of its own',
  'DownstreamHttp2.initial_connection_window_size': `default 1 MiB, ${EDGE_DEFAULT}`,
  'DownstreamHttp2.initial_stream_window_size': `default 64 KiB, ${EDGE_DEFAULT}`,
  'DownstreamHttp2.max_concurrent_streams': `default 100, ${EDGE_DEFAULT}`,
  'DownstreamHttp2.override_stream_error_on_invalid_http_message': ALWAYS_ITS_STREAM,
  'DownstreamHttp2.stream_error_on_invalid_http_messaging': ALWAYS_ITS_STREAM,
  'DownstreamTlsContext.session_ticket_keys':
    'tickets are not those of Envoy; where clients show certificates, good on one worker',
  'DownstreamTlsContext.session_ticket_keys_sds_secret_config': SECRETS,
  'DownstreamTlsContext.session_timeout': 'whole seconds; 0 is the default, 2 hours',
  'HttpConnectionManager.stream_flush_timeout': 'on HTTP/2; HTTP/1.1 has no window to wait for',
  'FilterChain.metadata': READ_BY_LOGS('LISTENER_FILTER_CHAIN'),
  'FilterChain.transport_socket_connect_timeout':
    'a plaintext connection has no handshake to wait for, and that of STARTTLS comes too late for it',
  'FilterChainMatch.application_protocols':
    'as `tls_inspector` or `http_inspector` of `listener_filters` have seen them',
  'FilterChainMatch.server_names': 'as `tls_inspector` of `listener_filters` has seen them',
  'FilterChainMatch.transport_protocol':
    '`tls` where `tls_inspector` of `listener_filters` has seen TLS, else `raw_buffer`',
  'GrpcHttp1ReverseBridge.response_size_header': 'with `withhold_grpc_frames`',
  'GrpcJsonTranscoder.proto_descriptor': 'read when the config is loaded, and not watched',
  'GrpcStats.stats_for_all_methods':
    'up to 2,000 calls on each cluster; others count without service and method',
  'HttpConnectionManager.drain_timeout':
    'of a connection over its `idle_timeout` or `max_connection_duration`: then HTTP/2 sends its one GOAWAY; one that a drain ends goes with its response',
  'HttpConnectionManager.forward_client_cert_details':
    'without a client certificate all but ALWAYS_FORWARD_ONLY remove the header, as in Envoy',
  'HttpConnectionManager.request_headers_timeout': 'on HTTP/1.1 only',
  'HttpConnectionManager.stream_error_on_invalid_http_message':
    'on HTTP/1.1; on HTTP/2 a message that breaks the rules costs its stream, whatever is set',
  'Listener.enable_reuse_port':
    'false: all workers accept on one socket; an update cannot change it while the listener is there',
  'Listener.metadata': READ_BY_LOGS('LISTENER'),
  'Listener.socket_options': 'SO_KEEPALIVE (1, 9) and TCP_KEEPIDLE (6, 4); others are refused by number',
  'ProxyProtocolConfig.added_tlvs': 'version V2 only, else warned of; 65,496 bytes at most for each',
  'ProxyProtocolConfig.pass_through_tlvs': 'version V2 only, else warned of',
  'Route.metadata': 'filters and logs can read it; nothing reads typed metadata',
  'RouteAction.hash_policy':
    'read by load balancers that pick by a hash, of which there is none yet, and by `use_hash_policy`',
  'RouteAction.inline_cluster_specifier_plugin': 'for extensions; there is none yet',
  'RouteConfiguration.cluster_specifier_plugins': 'for extensions; there is none yet',
  'Router.upstream_http_filters': UPSTREAM_FILTERS,
  'TlsCertificate.certificate_chain':
    'RSA from 2,048 bits on, P-256, P-384, P-521, Ed25519; other keys are refused',
  'TlsParameters.cipher_suites':
    "of TLS 1.2 and older, in BoringSSL's language; what OpenSSL does not have is refused",
  'TlsParameters.ecdh_curves': 'P-256, P-384, P-521, X25519, X25519MLKEM768',
  'TlsParameters.tls_minimum_protocol_version': "below 1.2 with OpenSSL's security level 0",
  'UpstreamHttp.http_filters': UPSTREAM_FILTERS,
  'UpstreamHttp2.custom_settings_parameters': 'ten, and none that has a field of its own',
  'UpstreamHttp2.initial_connection_window_size': '4 MiB are granted at the beginning where it is less',
  'UpstreamTlsContext.max_session_keys': 'for each server name, of the 1,024 that were used last',
  'UpstreamTlsContext.sni': 'an address is refused; `auto_sni` and filters take its place',
  'UuidRequestIdConfig.use_request_id_for_trace_sampling': 'there is no tracing to sample',
};
