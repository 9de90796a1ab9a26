/** Tables of values to try fields with. `fieldKey` of values.mjs says how fields are named. */
import {
  ANY,
  CERTIFICATE,
  extension,
  local,
  NAMED_ENDPOINT,
  OPTIONAL_PLUGIN,
  PLAIN_SOCKET,
  UPSTREAM_HTTP,
  VALIDATION,
} from './baseline.mjs';
import { MATERIAL, PASSWORD, SERVICE } from './material.mjs';

/** By full name: what a field of a well-known type is tried with. */
export const WELL_KNOWN = {
  'google.protobuf.Duration': '1s',
  'google.protobuf.Timestamp': '2026-01-01T00:00:00Z',
  'google.protobuf.Any': { '@type': `${ANY}google.protobuf.Struct`, value: {} },
  'google.protobuf.Struct': { a: 'b' },
  'google.protobuf.Value': 'x',
  'google.protobuf.BoolValue': true,
  'google.protobuf.StringValue': 'x',
  'google.protobuf.BytesValue': 'eA==',
  'google.protobuf.UInt32Value': 1,
  'google.protobuf.Int32Value': 1,
  'google.protobuf.UInt64Value': '1',
  'google.protobuf.Int64Value': '1',
  'google.protobuf.DoubleValue': 1,
  'google.protobuf.FloatValue': 1,
};
/** By full name: what a field of such a message is tried with, where an empty one would not do. */
export const MESSAGES = {
  'envoy.config.core.v3.RuntimeFractionalPercent': { default_value: { numerator: 1 } },
  'envoy.config.core.v3.HeaderValueOption': { header: { key: 'x-a', value: 'b' } },
  'envoy.config.core.v3.Metadata': { filter_metadata: { 'envoy.lb': { a: 'b' } } },
  'envoy.config.core.v3.Address': local(8081),
  'envoy.config.core.v3.CidrRange': { address_prefix: '10.0.0.0', prefix_len: 8 },
  'envoy.type.matcher.v3.RegexMatcher': { regex: 'x' },
  'envoy.type.matcher.v3.RegexMatchAndSubstitute': { pattern: { regex: '/x' }, substitution: '/y' },
  'envoy.config.route.v3.HeaderMatcher': { name: 'x-a', present_match: true },
  'envoy.config.route.v3.QueryParameterMatcher': { name: 'a', present_match: true },
  'envoy.config.route.v3.RateLimit': { actions: [{ remote_address: {} }] },
  'envoy.config.route.v3.CookieMatcher': { name: 'a', string_match: { exact: 'b' } },
  'envoy.type.matcher.v3.FilterStateMatcher': { key: 'a', string_match: { exact: 'b' } },
  'envoy.config.accesslog.v3.AccessLog': extension(
    'envoy.access_loggers.stdout',
    'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
  ),
};

/** A file that is there. */
const EDS = { eds_config: { path_config_source: { path: '/dev/null' } } };
const endpoints = () => [{ lb_endpoints: [{ endpoint: { address: local(8080) } }] }];
const TEXT_FORMAT = { text_format_source: { inline_string: '%RESPONSE_CODE%\n' } };
const COMPARISON = { comparison: { op: 'GE', value: { default_value: 1, runtime_key: 'a' } } };
const TCP_FILTERS = [
  extension('envoy.filters.network.echo', 'envoy.extensions.filters.network.echo.v3.Echo'),
];
const CARES = extension(
  'envoy.network.dns_resolver.cares',
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
);

const ADS = { ads: {} };
const GRPC_SOURCE = {
  authorities: [{ name: 'a.example' }],
  api_config_source: {
    api_type: 'GRPC',
    transport_api_version: 'V3',
    grpc_services: [{ envoy_grpc: { cluster_name: 'web' } }],
  },
};
const RETRY_POLICY = { '@type': `${ANY}envoy.config.route.v3.RetryPolicy`, retry_on: '5xx' };
const MATCH_POLICY = extension(
  'envoy.path.match.uri_template.uri_template_matcher',
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
  { path_template: '/{a}' },
);
const action = (typeName, fields) => ({ on_no_match: { action: extension('a', typeName, fields) } });

const STRING_MATCHER = { exact: 'a.example' };
const SECRET = (name) => ({ name });
/** 80 bytes. */
const TICKET_KEY = { inline_string: 'k'.repeat(80) };
const SHA256_HEX = 'ab'.repeat(32);
const SHA256_BASE64 = Buffer.alloc(32).toString('base64');
const SPIFFE = extension(
  'envoy.tls.cert_validator.spiffe',
  'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig',
  { trust_domains: [{ name: 'a.example', trust_bundle: VALIDATION.trusted_ca }] },
);
const UPSTREAM_CODEC = extension(
  'envoy.filters.http.upstream_codec',
  'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec',
);

/** By `fieldKey`: for fields that need a value of their own. */
export const FIELDS = {
  'AccessLog.filter': { not_health_check_filter: {} },
  'AccessLog.typed_config': {
    '@type': `${ANY}envoy.extensions.access_loggers.file.v3.FileAccessLog`,
    path: '/dev/null',
  },
  'AccessLogFilter.and_filter': { filters: [{ not_health_check_filter: {} }, { traceable_filter: {} }] },
  'AccessLogFilter.duration_filter': COMPARISON,
  'AccessLogFilter.header_filter': { header: { name: 'x-a', present_match: true } },
  'AccessLogFilter.or_filter': { filters: [{ not_health_check_filter: {} }, { traceable_filter: {} }] },
  'AccessLogFilter.runtime_filter': { runtime_key: 'a' },
  'AccessLogFilter.status_code_filter': COMPARISON,
  'Bootstrap.config_sources': [GRPC_SOURCE],
  'Bootstrap.default_config_source': GRPC_SOURCE,
  'Bootstrap.static_resources': {},
  'Bootstrap.typed_dns_resolver_config': CARES,
  'Bootstrap.StaticResources.secrets': [{ name: 'certificate', tls_certificate: CERTIFICATE }],
  'CertificateValidationContext.crl': { inline_string: MATERIAL.crl },
  'CertificateValidationContext.custom_validator_config': SPIFFE,
  'CertificateValidationContext.match_subject_alt_names': [STRING_MATCHER],
  'CertificateValidationContext.match_typed_subject_alt_names': [
    { san_type: 'DNS', matcher: STRING_MATCHER },
  ],
  'CertificateValidationContext.trusted_ca': VALIDATION.trusted_ca,
  'CertificateValidationContext.verify_certificate_hash': [SHA256_HEX],
  'CertificateValidationContext.verify_certificate_spki': [SHA256_BASE64],
  'CertificateValidationContext.watched_directory': { path: '/dev' },
  'Cluster.cluster_type': { name: 'envoy.cluster.static' },
  'Cluster.connect_timeout': '1s',
  'Cluster.eds_cluster_config': EDS,
  'Cluster.health_checks': [
    { timeout: '1s', interval: '1s', unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {} },
  ],
  'Cluster.load_assignment': { cluster_name: 'web', endpoints: endpoints() },
  'Cluster.load_balancing_policy': {
    policies: [
      {
        typed_extension_config: extension(
          'envoy.load_balancing_policies.round_robin',
          'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
        ),
      },
    ],
  },
  'Cluster.lrs_report_endpoint_metrics': ['named_metrics.*'],
  'Cluster.name': 'plain',
  'Cluster.transport_socket': PLAIN_SOCKET,
  'Cluster.typed_dns_resolver_config': CARES,
  'Cluster.typed_extension_protocol_options': {
    [UPSTREAM_HTTP]: { '@type': ANY + UPSTREAM_HTTP, explicit_http_config: { http_protocol_options: {} } },
  },
  'ClusterLoadAssignment.endpoints': endpoints(),
  'ClusterLoadAssignment.named_endpoints': { a: { address: local(8080) } },
  'CommonTlsContext.alpn_protocols': ['h2', 'http/1.1'],
  'CommonTlsContext.combined_validation_context': {
    default_validation_context: VALIDATION,
    validation_context_sds_secret_config: SECRET('authority'),
  },
  'CommonTlsContext.key_log': { path: '/dev/null' },
  'CommonTlsContext.tls_certificate_sds_secret_configs': [SECRET('certificate')],
  'CommonTlsContext.tls_certificates': [CERTIFICATE],
  'CommonTlsContext.validation_context_sds_secret_config': SECRET('authority'),
  'Config.response': { inline_string: 'x' },
  'DirectResponseAction.body': { inline_string: 'x' },
  'DirectResponseAction.body_format': TEXT_FORMAT,
  'DirectResponseAction.status': 200,
  'DownstreamHttp2.max_consecutive_inbound_frames_with_empty_payload': 2,
  'DownstreamTlsContext.session_ticket_keys': { keys: [TICKET_KEY] },
  'DownstreamTlsContext.session_ticket_keys_sds_secret_config': SECRET('tickets'),
  'DownstreamTlsContext.common_tls_context': { tls_certificates: [CERTIFICATE] },
  'FileAccessLog.log_format': TEXT_FORMAT,
  'FileAccessLog.path': '/dev/null',
  'FilterChain.filters': TCP_FILTERS,
  'FilterChain.transport_socket': PLAIN_SOCKET,
  'GrpcJsonTranscoder.proto_descriptor': '/dev/null',
  'GrpcJsonTranscoder.proto_descriptor_bin': MATERIAL.descriptors,
  'GrpcJsonTranscoder.services': [SERVICE],
  'HttpConnectionManager.upgrade_configs': [{ upgrade_type: 'websocket' }],
  'HttpConnectionManager.add_proxy_protocol_connection_state': false,
  'Http1ProtocolOptions.ignore_http_11_upgrade': [{ exact: 'x' }],
  'HttpConnectionManager.early_header_mutation_extensions': [
    extension(
      'envoy.http.early_header_mutation.header_mutation',
      'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
      { mutations: [{ remove: 'x-a' }] },
    ),
  ],
  'HttpConnectionManager.original_ip_detection_extensions': [
    extension(
      'envoy.http.original_ip_detection.xff',
      'envoy.extensions.http.original_ip_detection.xff.v3.XffConfig',
    ),
  ],
  'HttpConnectionManager.rds': { config_source: ADS, route_config_name: 'r' },
  'HttpConnectionManager.scoped_routes': {
    name: 'scopes',
    scope_key_builder: { fragments: [{ header_value_extractor: { name: 'x-a', index: 0 } }] },
    scoped_route_configurations_list: {
      scoped_route_configurations: [
        {
          name: 'a',
          key: { fragments: [{ string_key: 'a' }] },
          route_configuration: { virtual_hosts: [{ name: 'all', domains: ['*'] }] },
        },
      ],
    },
  },
  'LbEndpoint.endpoint_name': NAMED_ENDPOINT,
  'LbEndpoint.endpoint': { address: local(8080) },
  'Listener.additional_addresses': [{ address: local() }],
  'Listener.default_filter_chain': { filters: TCP_FILTERS },
  'Listener.filter_chain_matcher': action('google.protobuf.StringValue', { value: 'a' }),
  'Listener.filter_chains': [{ filters: TCP_FILTERS }],
  'Listener.socket_options': [{ level: '1', name: '9', int_value: '1' }],
  'LocalityLbEndpoints.lb_endpoints': endpoints()[0].lb_endpoints,
  'Route.direct_response': { status: 200 },
  'Router.upstream_http_filters': [UPSTREAM_CODEC],
  'Router.strict_check_headers': ['x-envoy-max-retries'],
  'Route.route': { cluster: 'web' },
  'ProxyProtocolConfig.added_tlvs': [{ type: 224, value: 'eA==' }],
  'ProxyProtocolUpstreamTransport.config': { version: 'V2' },
  'ProxyProtocolUpstreamTransport.transport_socket': PLAIN_SOCKET,
  'RetryPolicy.rate_limited_retry_back_off': { reset_headers: [{ name: 'retry-after' }] },
  'RetryPolicy.retry_back_off': { base_interval: '0.1s' },
  'RetryPolicy.retry_host_predicate': [
    extension(
      'envoy.retry_host_predicates.previous_hosts',
      'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
    ),
  ],
  'RetryPolicy.retry_on': '5xx',
  'RetryPolicy.retry_priority': extension(
    'envoy.retry_priorities.previous_priorities',
    'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
    { update_frequency: 2 },
  ),
  'HedgePolicy.additional_request_chance': { numerator: 1 },
  'HedgePolicy.initial_requests': 2,
  'RouteAction.cluster': 'web',
  'RouteAction.cluster_specifier_plugin': OPTIONAL_PLUGIN.extension.name,
  'RouteAction.hash_policy': [{ connection_properties: { source_ip: true } }],
  'RouteAction.inline_cluster_specifier_plugin': OPTIONAL_PLUGIN,
  'RouteAction.early_data_policy': extension(
    'envoy.route.early_data_policy.default',
    'envoy.extensions.early_data.v3.DefaultEarlyDataPolicy',
  ),
  'RouteAction.internal_redirect_policy': { max_internal_redirects: 2 },
  'RouteAction.request_mirror_policies': [{ cluster: 'web' }],
  'RouteAction.upgrade_configs': [{ upgrade_type: 'websocket' }],
  'RouteAction.retry_policy_typed_config': RETRY_POLICY,
  'RouteAction.path_rewrite_policy': extension(
    'envoy.path.rewrite.uri_template.uri_template_rewriter',
    'envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig',
    { path_template_rewrite: '/x/{a}' },
  ),
  'RouteAction.weighted_clusters': { clusters: [{ name: 'web', weight: 1 }] },
  'RouteConfiguration.cluster_specifier_plugins': [OPTIONAL_PLUGIN],
  'RouteConfiguration.request_mirror_policies': [{ cluster: 'web' }],
  'RouteConfiguration.vhds': { config_source: ADS },
  'RouteConfiguration.virtual_hosts': [{ name: 'all', domains: ['*'] }],
  'Route.match': { prefix: '/' },
  'RouteMatch.path_match_policy': MATCH_POLICY,
  'RouteMatch.path_separated_prefix': '/x',
  'RouteMatch.dynamic_metadata': [{ filter: 'a', path: [{ key: 'b' }], value: { present_match: true } }],
  'Admin.access_log_path': '/dev/null',
  'Admin.profile_path': '/dev/null',
  'Bootstrap.StaticResources.clusters': [
    { name: 'web', load_assignment: { cluster_name: 'web', endpoints: endpoints() } },
  ],
  'Bootstrap.StaticResources.listeners': [{ address: local(), filter_chains: [{ filters: TCP_FILTERS }] }],
  'Secret.name': 'other',
  'Secret.session_ticket_keys': { keys: [TICKET_KEY] },
  'Secret.tls_certificate': CERTIFICATE,
  'Secret.validation_context': VALIDATION,
  'StartTlsConfig.tls_socket_config': { common_tls_context: { tls_certificates: [CERTIFICATE] } },
  'StderrAccessLog.log_format': TEXT_FORMAT,
  'SubstitutionFormatString.text_format_source': TEXT_FORMAT.text_format_source,
  'SubstitutionFormatString.formatters': [
    extension('envoy.formatter.metadata', 'envoy.extensions.formatter.metadata.v3.Metadata'),
  ],
  'StdoutAccessLog.log_format': TEXT_FORMAT,
  'TcpProxy.access_log': [MESSAGES['envoy.config.accesslog.v3.AccessLog']],
  'TcpProxy.cluster': 'web',
  'TcpProxy.hash_policy': [{ source_ip: {} }],
  'TcpProxy.weighted_clusters': { clusters: [{ name: 'web', weight: 1 }] },
  'TlsCertificate.certificate_chain': CERTIFICATE.certificate_chain,
  'TlsCertificate.ocsp_staple': { inline_bytes: MATERIAL.ocsp },
  'TlsCertificate.password': { inline_string: PASSWORD },
  'TlsCertificate.pkcs12': { inline_bytes: MATERIAL.pkcs12 },
  'TlsCertificate.private_key': CERTIFICATE.private_key,
  'TlsCertificate.watched_directory': { path: '/dev' },
  'TlsKeyLog.path': '/dev/null',
  'TlsParameters.cipher_suites': ['ECDHE-ECDSA-AES128-GCM-SHA256'],
  'TlsParameters.ecdh_curves': ['X25519'],
  'TlsParameters.signature_algorithms': ['ecdsa_secp256r1_sha256'],
  'Cluster.TransportSocketMatch.transport_socket': PLAIN_SOCKET,
  'UpstreamHttp2.max_consecutive_inbound_frames_with_empty_payload': 2,
  'UpstreamHttp.explicit_http_config': { http_protocol_options: {} },
  'UpstreamHttp.http_filters': [UPSTREAM_CODEC],
  'VirtualHost.domains': ['example.com'],
  'VirtualHost.request_mirror_policies': [{ cluster: 'web' }],
  'VirtualHost.retry_policy_typed_config': RETRY_POLICY,
  'VirtualHost.matcher': action('envoy.config.route.v3.Route', {
    match: { prefix: '/' },
    route: { cluster: 'web' },
  }),
  'VirtualHost.virtual_clusters': [{ name: 'a', headers: [{ name: ':path', present_match: true }] }],
  'VirtualHost.routes': [{ match: { prefix: '/' }, route: { cluster: 'web' } }],
  'WeightedCluster.ClusterWeight.cluster_header': 'x-a',
  'WeightedCluster.clusters': [{ name: 'web', weight: 1 }],
};
/** Fields that exclude each other without being a oneof: the others go when one is tried. */
export const EXCLUDES = {
  'CertificateValidationContext.custom_validator_config': ['trusted_ca'],
  'CommonTlsContext.tls_certificate_sds_secret_configs': ['tls_certificates'],
  'TlsCertificate.pkcs12': ['certificate_chain', 'private_key'],
  'Cluster.type=EDS': ['load_assignment'],
  'Cluster.eds_cluster_config': ['load_assignment'],
  'LocalityLbEndpoints.load_balancer_endpoints': ['lb_endpoints'],
  // Such a cluster chooses its hosts itself.
  'Cluster.type=ORIGINAL_DST': ['load_assignment', 'load_balancing_policy'],
  'Cluster.lb_policy=CLUSTER_PROVIDED': ['load_assignment', 'load_balancing_policy'],
  'Cluster.original_dst_lb_config': ['load_assignment', 'load_balancing_policy'],
  'VirtualHost.matcher': ['routes'],
  'WeightedCluster.ClusterWeight.cluster_header': ['name'],
};
/** What a field needs: values for others of its message, or of the message around it (`around`). */
export const NEEDS = {
  'DownstreamTlsContext.ocsp_staple_policy': {
    name: 'common_tls_context',
    value: { tls_certificates: [{ ...CERTIFICATE, ocsp_staple: { inline_bytes: MATERIAL.ocsp } }] },
  },
  'GrpcJsonTranscoder.proto_descriptor': { name: 'services', value: [] },
  'GrpcStats.replace_dots_in_grpc_service_name': { name: 'stats_for_all_methods', value: true },
  'Cluster.type=EDS': { name: 'eds_cluster_config', value: EDS },
  'Cluster.eds_cluster_config': { name: 'type', value: 'EDS' },
  'Cluster.type=ORIGINAL_DST': { name: 'lb_policy', value: 'CLUSTER_PROVIDED' },
  'Cluster.lb_policy=CLUSTER_PROVIDED': { name: 'type', value: 'ORIGINAL_DST' },
  'Cluster.original_dst_lb_config': [
    { name: 'type', value: 'ORIGINAL_DST' },
    { name: 'lb_policy', value: 'CLUSTER_PROVIDED' },
  ],
  'TlsCertificate.password': { name: 'private_key', value: { inline_string: MATERIAL.encryptedKey } },
  'TlsCertificate.pkcs12': { name: 'password', value: { inline_string: PASSWORD } },
  'TlsParameters.tls_maximum_protocol_version': {
    name: 'tls_minimum_protocol_version',
    value: 'TLSv1_0',
  },
  'Listener.filter_chain_matcher': { name: 'filter_chains', value: [{ name: 'a', filters: TCP_FILTERS }] },
  'RouteAction.path_rewrite_policy': {
    around: true,
    name: 'match',
    value: { path_match_policy: MATCH_POLICY },
  },
};
