/** The messages whose fields `docs/compatibility.md` lists, and where the baseline has one of each. */
import {
  CONNECT_BRIDGE,
  DOWNSTREAM_TLS,
  GRPC_BRIDGE,
  GRPC_STATS,
  GRPC_WEB,
  HCM,
  PROXIED,
  REVERSE_BRIDGE,
  START_TLS,
  TRANSCODER,
  UPSTREAM_HTTP,
  UPSTREAM_START_TLS,
  UPSTREAM_TLS,
} from './baseline.mjs';

const LISTENERS = 'static_resources.listeners';
const MANAGER = `${LISTENERS}[0].filter_chains[0].filters[0].typed_config`;
const TCP_PROXY = `${LISTENERS}[1].filter_chains[0].filters[0].typed_config`;
const ROUTES = `${MANAGER}.route_config`;
const HOST = `${ROUTES}.virtual_hosts[0]`;
const CLUSTERS = 'static_resources.clusters';
const CLUSTER = `${CLUSTERS}[0]`;
const upstreamHttp = (index) => `${CLUSTERS}[${index}].typed_extension_protocol_options["${UPSTREAM_HTTP}"]`;
const TLS = `${LISTENERS}[3].filter_chains[0].transport_socket.typed_config`;
const TLS_PACKAGE = 'envoy.extensions.transport_sockets.tls.v3';
const GRPC = `${LISTENERS}[5].filter_chains[0].filters[0].typed_config`;
const grpcFilter = (index) => `${GRPC}.http_filters[${index}].typed_config`;

/**
 * In the order of the document: full name, and where the baseline has one. `as`: how tables name it where the short name would be that
 * of several, or where fields fare differently in several places.
 */
export const SITES = [
  { group: 'Bootstrap and listeners' },
  { type: 'envoy.config.bootstrap.v3.Bootstrap', path: '' },
  { type: 'envoy.config.bootstrap.v3.Bootstrap.StaticResources', path: 'static_resources' },
  { type: 'envoy.config.bootstrap.v3.Admin', path: 'admin' },
  { type: 'envoy.config.listener.v3.Listener', path: `${LISTENERS}[0]` },
  { type: 'envoy.config.listener.v3.FilterChain', path: `${LISTENERS}[0].filter_chains[0]` },
  {
    type: 'envoy.config.listener.v3.FilterChainMatch',
    path: `${LISTENERS}[0].filter_chains[0].filter_chain_match`,
  },
  { group: 'HTTP connection manager and router' },
  { type: HCM, path: MANAGER },
  {
    type: 'envoy.config.core.v3.HttpProtocolOptions',
    path: `${MANAGER}.common_http_protocol_options`,
    note: 'as `common_http_protocol_options` of the connection manager',
  },
  {
    type: 'envoy.config.core.v3.Http1ProtocolOptions',
    path: `${MANAGER}.http_protocol_options`,
    note: 'as `http_protocol_options` of the connection manager',
  },
  {
    type: 'envoy.config.core.v3.Http2ProtocolOptions',
    path: `${MANAGER}.http2_protocol_options`,
    note: 'as `http2_protocol_options` of the connection manager',
    as: 'DownstreamHttp2',
  },
  { type: `${HCM}.SetCurrentClientCertDetails`, path: `${MANAGER}.set_current_client_cert_details` },
  {
    type: 'envoy.extensions.filters.http.router.v3.Router',
    path: `${MANAGER}.http_filters[0].typed_config`,
  },
  {
    type: 'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig',
    path: `${MANAGER}.request_id_extension.typed_config`,
  },
  { group: 'Routes' },
  { type: 'envoy.config.route.v3.RouteConfiguration', path: ROUTES },
  { type: 'envoy.config.route.v3.VirtualHost', path: HOST },
  { type: 'envoy.config.route.v3.Route', path: `${HOST}.routes[0]` },
  { type: 'envoy.config.route.v3.RouteMatch', path: `${HOST}.routes[0].match` },
  { type: 'envoy.config.route.v3.RouteAction', path: `${HOST}.routes[0].route` },
  { type: 'envoy.config.route.v3.RetryPolicy', path: `${HOST}.routes[0].route.retry_policy` },
  { type: 'envoy.config.route.v3.HedgePolicy', path: `${HOST}.routes[0].route.hedge_policy` },
  { type: 'envoy.config.route.v3.WeightedCluster', path: `${HOST}.routes[3].route.weighted_clusters` },
  {
    type: 'envoy.config.route.v3.WeightedCluster.ClusterWeight',
    path: `${HOST}.routes[3].route.weighted_clusters.clusters[0]`,
  },
  { type: 'envoy.config.route.v3.RedirectAction', path: `${HOST}.routes[1].redirect` },
  { type: 'envoy.config.route.v3.DirectResponseAction', path: `${HOST}.routes[2].direct_response` },
  { group: 'Clusters' },
  {
    type: 'envoy.config.cluster.v3.Cluster',
    path: 'static_resources.clusters[1]',
  },
  { type: 'envoy.config.cluster.v3.Cluster.CommonLbConfig', path: `${CLUSTER}.common_lb_config` },
  {
    type: 'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
    path: `${CLUSTER}.circuit_breakers.thresholds[0]`,
  },
  {
    type: 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    path: upstreamHttp(4),
    note: 'in `typed_extension_protocol_options` of a cluster',
    as: 'UpstreamHttp',
  },
  { type: `${UPSTREAM_HTTP}.ExplicitHttpConfig`, path: `${upstreamHttp(3)}.explicit_http_config` },
  {
    type: `${UPSTREAM_HTTP}.AutoHttpConfig`,
    path: `${upstreamHttp(4)}.auto_config`,
    note: 'TLS and ALPN are needed: every transport socket of the cluster has to be one of TLS',
  },
  {
    type: `${UPSTREAM_HTTP}.UseDownstreamHttpConfig`,
    path: `${upstreamHttp(5)}.use_downstream_protocol_config`,
  },
  {
    type: 'envoy.config.core.v3.HttpProtocolOptions',
    path: `${upstreamHttp(0)}.common_http_protocol_options`,
    note: 'as `common_http_protocol_options` of a cluster',
    as: 'UpstreamCommon',
  },
  {
    type: 'envoy.config.core.v3.Http1ProtocolOptions',
    path: `${upstreamHttp(0)}.explicit_http_config.http_protocol_options`,
    note: 'as `http_protocol_options` of a cluster',
    as: 'UpstreamHttp1',
  },
  {
    type: 'envoy.config.core.v3.Http2ProtocolOptions',
    path: `${upstreamHttp(3)}.explicit_http_config.http2_protocol_options`,
    note: 'as `http2_protocol_options` of a cluster',
    as: 'UpstreamHttp2',
  },
  {
    type: 'envoy.config.core.v3.KeepaliveSettings',
    path: `${upstreamHttp(3)}.explicit_http_config.http2_protocol_options.connection_keepalive`,
    note: 'as `connection_keepalive` of `http2_protocol_options`, on both sides',
  },
  {
    type: 'envoy.config.core.v3.UpstreamHttpProtocolOptions',
    path: `${upstreamHttp(4)}.upstream_http_protocol_options`,
  },
  {
    type: 'envoy.config.cluster.v3.Cluster.TransportSocketMatch',
    path: `${CLUSTERS}[6].transport_socket_matches[0]`,
  },
  { type: 'envoy.config.endpoint.v3.ClusterLoadAssignment', path: `${CLUSTER}.load_assignment` },
  {
    type: 'envoy.config.endpoint.v3.LocalityLbEndpoints',
    path: `${CLUSTER}.load_assignment.endpoints[0]`,
  },
  {
    type: 'envoy.config.endpoint.v3.LbEndpoint',
    path: `${CLUSTER}.load_assignment.endpoints[0].lb_endpoints[0]`,
  },
  {
    type: 'envoy.config.endpoint.v3.Endpoint',
    path: `${CLUSTER}.load_assignment.endpoints[0].lb_endpoints[0].endpoint`,
  },
  {
    type: 'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
    path: 'static_resources.clusters[1].load_balancing_policy.policies[0].typed_extension_config.typed_config',
  },
  {
    type: 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
    path: 'static_resources.clusters[2].typed_dns_resolver_config.typed_config',
  },
  { group: 'Transport sockets' },
  { type: DOWNSTREAM_TLS, path: TLS },
  {
    type: UPSTREAM_TLS,
    path: `${CLUSTERS}[4].transport_socket.typed_config`,
  },
  {
    type: `${TLS_PACKAGE}.CommonTlsContext`,
    path: `${TLS}.common_tls_context`,
    note: 'as `common_tls_context` of both',
  },
  { type: `${TLS_PACKAGE}.TlsParameters`, path: `${TLS}.common_tls_context.tls_params` },
  { type: `${TLS_PACKAGE}.TlsCertificate`, path: `${TLS}.common_tls_context.tls_certificates[0]` },
  {
    type: `${TLS_PACKAGE}.CertificateValidationContext`,
    path: `${TLS}.common_tls_context.validation_context`,
  },
  { type: `${TLS_PACKAGE}.TlsKeyLog`, path: `${TLS}.common_tls_context.key_log` },
  {
    type: `${TLS_PACKAGE}.Secret`,
    path: 'static_resources.secrets[2]',
    note: 'in `static_resources.secrets`, in the files of `sds_config.path_config_source`, and from control planes; looked at when something names it',
  },
  {
    type: PROXIED,
    path: `${CLUSTERS}[7].transport_socket.typed_config`,
  },
  {
    type: 'envoy.config.core.v3.ProxyProtocolConfig',
    path: `${CLUSTERS}[7].transport_socket.typed_config.config`,
    note: 'as `config` of a ProxyProtocolUpstreamTransport',
  },
  {
    type: START_TLS,
    path: `${LISTENERS}[4].filter_chains[0].transport_socket.typed_config`,
    note: 'plain until a network filter says when to turn; none here does yet',
  },
  { type: UPSTREAM_START_TLS, path: `${CLUSTERS}[8].transport_socket.typed_config` },
  { group: 'Listener filters' },
  {
    type: 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
    path: `${LISTENERS}[0].listener_filters[0].typed_config`,
  },
  {
    type: 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
    path: `${LISTENERS}[0].listener_filters[1].typed_config`,
  },
  {
    type: 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
    path: `${LISTENERS}[0].listener_filters[2].typed_config`,
  },
  { group: 'HTTP filters' },
  { type: GRPC_STATS, path: grpcFilter(1), as: 'GrpcStats' },
  { type: GRPC_BRIDGE, path: grpcFilter(2), as: 'GrpcHttp1Bridge' },
  { type: REVERSE_BRIDGE, path: grpcFilter(3), as: 'GrpcHttp1ReverseBridge' },
  {
    type: `${REVERSE_BRIDGE}PerRoute`,
    path: `${GRPC}.route_config.typed_per_filter_config["envoy.filters.http.grpc_http1_reverse_bridge"]`,
  },
  { type: GRPC_WEB, path: grpcFilter(0) },
  { type: CONNECT_BRIDGE, path: grpcFilter(4) },
  { type: TRANSCODER, path: grpcFilter(5), note: 'per route too, under `typed_per_filter_config`' },
  { type: `${TRANSCODER}.PrintOptions`, path: `${grpcFilter(5)}.print_options` },
  {
    type: `${TRANSCODER}.RequestValidationOptions`,
    path: `${grpcFilter(5)}.request_validation_options`,
  },
  { group: 'Network filters' },
  { type: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', path: TCP_PROXY },
  {
    type: 'envoy.extensions.filters.network.direct_response.v3.Config',
    path: `${LISTENERS}[2].filter_chains[0].filters[0].typed_config`,
  },
  { group: 'Access logs' },
  { type: 'envoy.config.accesslog.v3.AccessLog', path: `${MANAGER}.access_log[0]` },
  {
    type: 'envoy.config.accesslog.v3.AccessLogFilter',
    path: `${MANAGER}.access_log[0].filter`,
  },
  {
    type: 'envoy.config.core.v3.SubstitutionFormatString',
    path: `${MANAGER}.access_log[3].typed_config.log_format`,
    note: 'as `log_format` of an access logger',
  },
  {
    type: 'envoy.extensions.access_loggers.file.v3.FileAccessLog',
    path: `${MANAGER}.access_log[0].typed_config`,
  },
  {
    type: 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
    path: `${MANAGER}.access_log[1].typed_config`,
  },
  {
    type: 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
    path: `${MANAGER}.access_log[2].typed_config`,
  },
];
