import { hostName, ROUTES_PER_HOST, routePrefix } from '../cases.ts';
import type { Workbench } from '../workbench.ts';
import type { Target } from './peer.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

/**
 * What Dragoman is told to do the target with, in proto3 JSON.
 * @param hosts how the cluster finds its hosts. Default: the upstream is listed
 */
export function bootstrap(
  bench: Workbench,
  target: Target,
  adminPort: number,
  hosts: object = listed(target),
): unknown {
  const network = target.case.kind === 'tcp' ? tcpProxy(bench) : connectionManager(bench, target);
  return {
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: [{ name: 'bench', address: address(target.port), filter_chains: [{ filters: [network] }] }],
      clusters: [{ name: 'upstream', connect_timeout: '1s', ...protocol(target), ...hosts }],
    },
  };
}

function protocol({ case: wanted }: Target): object {
  if (wanted.upstream === 'http1') return {};
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

function listed({ upstreamPort }: Target): object {
  return {
    type: 'STATIC',
    load_assignment: {
      cluster_name: 'upstream',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }],
    },
  };
}

function address(port: number) {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function accessLog(bench: Workbench) {
  return [
    {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': `${TYPE}.access_loggers.file.v3.FileAccessLog`,
        path: bench.path('access.log'),
      },
    },
  ];
}

function tcpProxy(bench: Workbench) {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'bench',
      cluster: 'upstream',
      access_log: accessLog(bench),
    },
  };
}

function connectionManager(bench: Workbench, target: Target) {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'bench',
      access_log: accessLog(bench),
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` },
        },
      ],
      route_config: { name: 'bench', virtual_hosts: virtualHosts(target.case.virtualHosts) },
    },
  };
}

function virtualHosts(count: number) {
  const route = { cluster: 'upstream' };
  if (count === 0) return [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }];
  return Array.from({ length: count }, (_, host) => ({
    name: `host${host}`,
    domains: [hostName(host)],
    routes: Array.from({ length: ROUTES_PER_HOST }, (_, index) => ({
      match: { prefix: routePrefix(index) },
      route,
    })),
  }));
}
