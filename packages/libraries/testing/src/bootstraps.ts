/** Proto3 JSON, as a config file has it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Parts of an {@link httpBootstrap}; all have defaults. */
export interface HttpBootstrapOptions {
  /** Clusters by name: a port on 127.0.0.1, several, or the fields of a `Cluster`. Default: none. */
  readonly clusters?: Readonly<Record<string, number | readonly number[] | JsonObject>>;
  /** Of the one virtual host `*`. Default: everything to the first cluster, or 404 without one. */
  readonly routes?: readonly JsonObject[];
  /** Instead of {@link routes}. */
  readonly virtualHosts?: readonly JsonObject[];
  /** Further fields of the route configuration. */
  readonly routeConfig?: JsonObject;
  /** Before the router. Default: none. */
  readonly httpFilters?: readonly JsonObject[];
  /** Fields of the router's config. */
  readonly router?: JsonObject;
  /** Further fields of the connection manager (`stat_prefix` is `ingress`). */
  readonly manager?: JsonObject;
  /** Further fields of the listener `http`, which is on 127.0.0.1 and port 0. */
  readonly listener?: JsonObject;
  /** Further listeners. */
  readonly listeners?: readonly JsonObject[];
  /** Whether there is an admin interface on 127.0.0.1 and port 0. Default true. */
  readonly admin?: boolean;
  /** Further fields of the bootstrap. */
  readonly bootstrap?: JsonObject;
}

const HCM =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

/** A bootstrap with one HTTP listener, as small as its parts allow. */
export function httpBootstrap(options: HttpBootstrapOptions = {}): JsonObject {
  const clusters = options.clusters ?? {};
  const listener: JsonObject = {
    name: 'http',
    address: localAddress(),
    filter_chains: [{ filters: [httpManager(options)] }],
    ...options.listener,
  };
  return {
    ...(options.admin === false ? {} : { admin: { address: localAddress() } }),
    static_resources: {
      listeners: [listener, ...(options.listeners ?? [])],
      clusters: Object.entries(clusters).map(([name, what]) => clusterConfig(name, what)),
    },
    ...options.bootstrap,
  };
}

/** The connection manager of an {@link httpBootstrap}, as an entry of `filters`. */
export function httpManager(options: HttpBootstrapOptions = {}): JsonObject {
  const first = Object.keys(options.clusters ?? {})[0];
  const routes = options.routes ?? (first === undefined ? [] : [clusterRoute('/', first)]);
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': HCM,
      stat_prefix: 'ingress',
      route_config: {
        name: 'local',
        virtual_hosts: options.virtualHosts ?? [{ name: 'all', domains: ['*'], routes }],
        ...options.routeConfig,
      },
      http_filters: [
        ...(options.httpFilters ?? []),
        { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER, ...options.router } },
      ],
      ...options.manager,
    },
  };
}

/** A route to a cluster by path prefix; `action` adds to its `route`. */
export function clusterRoute(prefix: string, cluster: string, action: JsonObject = {}): JsonObject {
  return { match: { prefix }, route: { cluster, ...action } };
}

/** A static cluster on ports of 127.0.0.1, or whatever `what` says. */
export function clusterConfig(name: string, what: number | readonly number[] | JsonObject): JsonObject {
  if (typeof what === 'object' && !Array.isArray(what)) return { name, ...(what as JsonObject) };
  const ports = (typeof what === 'number' ? [what] : what) as readonly number[];
  return { name, load_assignment: loadAssignment(name, ports) };
}

/** `load_assignment` of endpoints on ports of 127.0.0.1. */
export function loadAssignment(clusterName: string, ports: readonly number[]): JsonObject {
  return {
    cluster_name: clusterName,
    endpoints: [{ lb_endpoints: ports.map((port) => lbEndpoint('127.0.0.1', port)) }],
  };
}

/** An entry of `lb_endpoints`. */
export function lbEndpoint(address: string, port = 80): { readonly endpoint: JsonObject } {
  return { endpoint: { address: localAddress(port, address) } };
}

/** An address on 127.0.0.1; port 0 (the default) lets the system choose. */
export function localAddress(port = 0, address = '127.0.0.1'): JsonObject {
  return { socket_address: { address, port_value: port } };
}
