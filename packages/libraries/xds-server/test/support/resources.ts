import {
  type Cluster,
  ClusterSchema,
  type Node,
  NodeSchema,
  create,
  readLoose,
  ClusterLoadAssignmentSchema,
} from '@dragoman/api';

/** A cluster whose `alt_stat_name` tells one state of it from another. */
export function cluster(name: string, mark = ''): Cluster {
  return create(ClusterSchema, { name, altStatName: mark });
}

export function edsCluster(name: string, serviceName = ''): Cluster {
  return readLoose(ClusterSchema, {
    name,
    type: 'EDS',
    eds_cluster_config: { service_name: serviceName, eds_config: { ads: {}, resource_api_version: 'V3' } },
  });
}

export function endpoints(name: string, port = 80) {
  return readLoose(ClusterLoadAssignmentSchema, {
    cluster_name: name,
    endpoints: [
      {
        locality: { region: 'here' },
        load_balancing_weight: 1,
        lb_endpoints: [
          { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
        ],
      },
    ],
  });
}

export function listener(name: string, routes: string): Record<string, never> {
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    rds: { route_config_name: routes, config_source: { ads: {}, resource_api_version: 'V3' } },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  return { name, api_listener: { api_listener: manager } } as never;
}

export function routes(name: string, clusterName: string): Record<string, never> {
  return {
    name,
    virtual_hosts: [
      { name: 'all', domains: ['*'], routes: [{ match: { prefix: '' }, route: { cluster: clusterName } }] },
    ],
  } as never;
}

export function node(id: string, clientFeatures: string[] = []): Node {
  return create(NodeSchema, { id, clientFeatures });
}

/** What clients say that take TTLs. */
export const TTL_FEATURES = ['xds.config.supports-resource-ttl', 'xds.config.supports-resource-in-sotw'];
