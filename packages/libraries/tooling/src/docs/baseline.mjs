/** A small valid bootstrap, which has one of each message whose fields are tried. */
import { MATERIAL, SERVICE } from './material.mjs';

export const ANY = 'type.googleapis.com/';
export const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
export const UPSTREAM_HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
export const GRPC_WEB = 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb';
export const GRPC_STATS = 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig';
export const GRPC_BRIDGE = 'envoy.extensions.filters.http.grpc_http1_bridge.v3.Config';
export const REVERSE_BRIDGE = 'envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig';
export const CONNECT_BRIDGE = 'envoy.extensions.filters.http.connect_grpc_bridge.v3.FilterConfig';
export const TRANSCODER = 'envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder';
export const DOWNSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
export const UPSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
export const START_TLS = 'envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig';
export const UPSTREAM_START_TLS = 'envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig';
export const PROXIED = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';

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

/** A transport socket that leaves everything as it is. */
export const PLAIN_SOCKET = extension(
  'envoy.transport_sockets.raw_buffer',
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
);
export const CERTIFICATE = {
  certificate_chain: { inline_string: MATERIAL.chain },
  private_key: { inline_string: MATERIAL.key },
};
export const VALIDATION = { trusted_ca: { inline_string: MATERIAL.authority } };

const endpoint = () => ({ endpoint: { address: local(8080) } });

/** Of JSON; unlike `structuredClone` it leaves no part standing in two places. */
const copy = (json) => JSON.parse(JSON.stringify(json));

/** In proto3 JSON, with `MATERIAL` in it; a new one each time, to be changed at will. */
export function baseline() {
  return copy({
    node: { id: 'proxy', cluster: 'proxies' },
    admin: { address: local() },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'web' } }],
      },
    },
    static_resources: {
      listeners: [HTTP, TCP, FIXED, TLS, STARTTLS, GRPC],
      clusters: CLUSTERS,
      secrets: [
        { name: 'certificate', tls_certificate: CERTIFICATE },
        { name: 'authority', validation_context: VALIDATION },
        { name: 'spare' },
        { name: 'tickets', session_ticket_keys: { keys: [{ inline_string: 'k'.repeat(80) }] } },
      ],
    },
  });
}

const ROUTER = extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router');
const PATHS = [
  { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'web' } }] },
];

function manager(fields) {
  return extension('envoy.filters.network.http_connection_manager', HCM, {
    stat_prefix: 'ingress',
    http_filters: [ROUTER],
    route_config: { name: 'local', virtual_hosts: PATHS },
    ...fields,
  });
}

function listener(name, chain, fields) {
  return { name, address: local(), filter_chains: [chain], ...fields };
}

const logger = (name, typeName, fields) =>
  extension(`envoy.access_loggers.${name}`, `envoy.extensions.access_loggers.${typeName}`, fields);

const HTTP = listener(
  'http',
  {
    filter_chain_match: {},
    filters: [
      manager({
        common_http_protocol_options: {},
        http_protocol_options: {},
        http2_protocol_options: { connection_keepalive: { timeout: '1s' } },
        forward_client_cert_details: 'SANITIZE_SET',
        set_current_client_cert_details: {},
        access_log: [
          logger('file', 'file.v3.FileAccessLog', { path: '/dev/null' }),
          logger('stdout', 'stream.v3.StdoutAccessLog'),
          logger('stderr', 'stream.v3.StderrAccessLog'),
          logger('stdout', 'stream.v3.StdoutAccessLog', {
            log_format: { text_format_source: { inline_string: 'x' } },
          }),
        ],
        request_id_extension: {
          typed_config: { '@type': `${ANY}envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig` },
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
  {
    listener_filters: [
      extension(
        'envoy.filters.listener.tls_inspector',
        'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
      ),
      extension(
        'envoy.filters.listener.http_inspector',
        'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
      ),
      extension(
        'envoy.filters.listener.proxy_protocol',
        'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
      ),
    ],
  },
);

const TCP = listener('tcp', {
  filters: [
    extension('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
      stat_prefix: 'tcp',
      cluster: 'web',
    }),
  ],
});

const FIXED = listener('fixed', {
  filters: [
    extension(
      'envoy.filters.network.direct_response',
      'envoy.extensions.filters.network.direct_response.v3.Config',
    ),
  ],
});

const TLS = listener('tls', {
  filters: [manager({})],
  transport_socket: extension('envoy.transport_sockets.tls', DOWNSTREAM_TLS, {
    common_tls_context: {
      tls_params: {},
      tls_certificates: [CERTIFICATE],
      validation_context: VALIDATION,
      key_log: { path: '/dev/null' },
    },
  }),
});

const STARTTLS = listener('starttls', {
  filters: [extension('envoy.filters.network.echo', 'envoy.extensions.filters.network.echo.v3.Echo')],
  transport_socket: extension('envoy.transport_sockets.starttls', START_TLS, {
    tls_socket_config: { common_tls_context: { tls_certificates: [CERTIFICATE] } },
  }),
});

const GRPC = listener('grpc', {
  filters: [
    manager({
      http_filters: [
        extension('envoy.filters.http.grpc_web', GRPC_WEB),
        extension('envoy.filters.http.grpc_stats', GRPC_STATS, { stats_for_all_methods: true }),
        extension('envoy.filters.http.grpc_http1_bridge', GRPC_BRIDGE),
        extension('envoy.filters.http.grpc_http1_reverse_bridge', REVERSE_BRIDGE, {
          content_type: 'application/x-protobuf',
          withhold_grpc_frames: true,
        }),
        extension('envoy.filters.http.connect_grpc_bridge', CONNECT_BRIDGE),
        extension('envoy.filters.http.grpc_json_transcoder', TRANSCODER, {
          proto_descriptor_bin: MATERIAL.descriptors,
          services: [SERVICE],
          print_options: {},
          request_validation_options: {},
        }),
        ROUTER,
      ],
      route_config: {
        name: 'local',
        virtual_hosts: PATHS,
        typed_per_filter_config: {
          'envoy.filters.http.grpc_http1_reverse_bridge': { '@type': `${ANY}${REVERSE_BRIDGE}PerRoute` },
        },
      },
    }),
  ],
});

/** A name for an endpoint in each cluster. */
export const NAMED_ENDPOINT = 'named';

function cluster(name, fields) {
  return {
    name,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [endpoint()] }],
      named_endpoints: { [NAMED_ENDPOINT]: endpoint().endpoint },
    },
    ...fields,
  };
}

/** With its HTTP options. */
const speaks = (options) => ({
  typed_extension_protocol_options: { [UPSTREAM_HTTP]: { '@type': ANY + UPSTREAM_HTTP, ...options } },
});
const TLS_SOCKET = extension('envoy.transport_sockets.tls', UPSTREAM_TLS, {
  common_tls_context: { validation_context: VALIDATION },
  sni: 'a.example',
});

const CLUSTERS = [
  cluster('web', {
    circuit_breakers: { thresholds: [{}] },
    common_lb_config: {},
    ...speaks({
      explicit_http_config: { http_protocol_options: {} },
    }),
  }),
  // Fields of a cluster that typed_extension_protocol_options excludes are tried here.
  cluster('plain', {
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
  }),
  cluster('resolved', {
    type: 'STRICT_DNS',
    typed_dns_resolver_config: extension(
      'envoy.network.dns_resolver.cares',
      'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
    ),
  }),
  cluster(
    'http2',
    speaks({
      explicit_http_config: { http2_protocol_options: { connection_keepalive: { timeout: '1s' } } },
    }),
  ),
  cluster('auto', {
    transport_socket: TLS_SOCKET,
    ...speaks({
      upstream_http_protocol_options: {},
      auto_config: { http_protocol_options: {}, http2_protocol_options: {} },
    }),
  }),
  cluster(
    'downstream',
    speaks({
      use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
    }),
  ),
  cluster('matched', {
    transport_socket_matches: [{ name: 'tls', match: { tls: true }, transport_socket: TLS_SOCKET }],
  }),
  cluster('proxied', {
    transport_socket: extension('envoy.transport_sockets.upstream_proxy_protocol', PROXIED, {
      config: { version: 'V2' },
      transport_socket: PLAIN_SOCKET,
    }),
  }),
  cluster('starttls', {
    transport_socket: extension('envoy.transport_sockets.starttls', UPSTREAM_START_TLS, {
      tls_socket_config: { sni: 'a.example' },
    }),
  }),
];
