/** A small valid bootstrap, and the places in it where each message of the API is tried. */

export const ANY = 'type.googleapis.com/';
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const LISTENERS = 'static_resources.listeners';
const MANAGER = `${LISTENERS}[0].filter_chains[0].filters[0].typed_config`;
const TCP_PROXY = `${LISTENERS}[1].filter_chains[0].filters[0].typed_config`;
const ROUTES = `${MANAGER}.route_config`;
const HOST = `${ROUTES}.virtual_hosts[0]`;
const CLUSTER = 'static_resources.clusters[0]';
export const UPSTREAM_HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** An extension as configs name it. */
export function extension(name, typeName, fields = {}) {
  return { name, typed_config: { '@type': ANY + typeName, ...fields } };
}

export const local = (port = 0) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** A cluster specifier that no assembly has, and need not have. */
export const OPTIONAL_PLUGIN = {
  extension: extension('none', 'google.protobuf.Empty'),
  is_optional: true,
};

const endpoint = () => ({ endpoint: { address: local(8080) } });

/** In proto3 JSON; a new one each time, to be changed at will. */
export function baseline() {
  return {
    admin: { address: local() },
    static_resources: {
      listeners: [
        {
          name: 'http',
          address: local(),
          filter_chains: [
            {
              filter_chain_match: {},
              filters: [
                extension('envoy.filters.network.http_connection_manager', HCM, {
                  stat_prefix: 'ingress',
                  common_http_protocol_options: {},
                  http_protocol_options: {},
                  access_log: [
                    extension(
                      'envoy.access_loggers.file',
                      'envoy.extensions.access_loggers.file.v3.FileAccessLog',
                      { path: '/dev/null' },
                    ),
                    extension(
                      'envoy.access_loggers.stdout',
                      'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
                    ),
                    extension(
                      'envoy.access_loggers.stderr',
                      'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
                    ),
                    extension(
                      'envoy.access_loggers.stdout',
                      'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
                      { log_format: { text_format_source: { inline_string: 'x' } } },
                    ),
                  ],
                  http_filters: [
                    extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router'),
                  ],
                  request_id_extension: {
                    typed_config: {
                      '@type': `${ANY}envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig`,
                    },
                  },
                  route_config: {
                    name: 'local',
                    cluster_specifier_plugins: [OPTIONAL_PLUGIN],
                    virtual_hosts: [
                      {
                        name: 'all',
                        domains: ['*'],
                        routes: [
                          {
                            match: { prefix: '/' },
                            route: { cluster: 'web', retry_policy: {}, hedge_policy: {} },
                          },
                          { match: { prefix: '/r' }, redirect: { host_redirect: 'example.com' } },
                          { match: { prefix: '/d' }, direct_response: { status: 200 } },
                          {
                            match: { prefix: '/w' },
                            route: { weighted_clusters: { clusters: [{ name: 'web', weight: 1 }] } },
                          },
                        ],
                      },
                    ],
                  },
                }),
              ],
            },
          ],
        },
        {
          name: 'tcp',
          address: local(),
          filter_chains: [
            {
              filters: [
                extension(
                  'envoy.filters.network.tcp_proxy',
                  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                  { stat_prefix: 'tcp', cluster: 'web' },
                ),
              ],
            },
          ],
        },
        {
          name: 'fixed',
          address: local(),
          filter_chains: [
            {
              filters: [
                extension(
                  'envoy.filters.network.direct_response',
                  'envoy.extensions.filters.network.direct_response.v3.Config',
                ),
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'web',
          load_assignment: { cluster_name: 'web', endpoints: [{ lb_endpoints: [endpoint()] }] },
          circuit_breakers: { thresholds: [{}] },
          common_lb_config: {},
          typed_extension_protocol_options: {
            [UPSTREAM_HTTP]: {
              '@type': ANY + UPSTREAM_HTTP,
              explicit_http_config: { http_protocol_options: {} },
            },
          },
        },
        // Fields of a cluster that typed_extension_protocol_options excludes are tried here.
        {
          name: 'plain',
          load_assignment: { cluster_name: 'plain', endpoints: [{ lb_endpoints: [endpoint()] }] },
          load_balancing_policy: {
            policies: [
              {
                typed_extension_config: extension(
                  'envoy.load_balancing_policies.round_robin',
                  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
                ),
              },
            ],
          },
        },
        {
          name: 'resolved',
          type: 'STRICT_DNS',
          load_assignment: { cluster_name: 'resolved', endpoints: [{ lb_endpoints: [endpoint()] }] },
          typed_dns_resolver_config: extension(
            'envoy.network.dns_resolver.cares',
            'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
          ),
        },
      ],
    },
  };
}

/** The messages whose fields the document lists, in its order: full name, and where the baseline has one. */
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
    path: `${CLUSTER}.typed_extension_protocol_options["${UPSTREAM_HTTP}"]`,
    note: 'in `typed_extension_protocol_options` of a cluster',
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
