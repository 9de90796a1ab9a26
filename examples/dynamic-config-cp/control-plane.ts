import { createXdsServer, SnapshotCache, snapshot, type XdsServer } from '@dragoman/xds-server';

const ads = { ads: {}, resource_api_version: 'V3' };
const socket = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.${name}`;

/** What the proxy of `envoy.yaml` is to be: a listener that sends everything to one service. */
export function world(listenerPort: number, servicePort: number) {
  return {
    clusters: [
      { name: 'service', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: ads } },
    ],
    endpoints: [
      {
        cluster_name: 'service',
        endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(servicePort) } }] }],
      },
    ],
    listeners: [
      {
        name: 'ingress',
        address: socket(listenerPort),
        filter_chains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.http_connection_manager',
                typed_config: {
                  '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
                  stat_prefix: 'ingress',
                  rds: { route_config_name: 'local', config_source: ads },
                  http_filters: [
                    {
                      name: 'envoy.filters.http.router',
                      typed_config: { '@type': type('http.router.v3.Router') },
                    },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
    routes: [
      {
        name: 'local',
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster: 'service' } }],
          },
        ],
      },
    ],
  };
}

/** A control plane for the node `example`; `cache.setSnapshot('example', …)` changes what it says. */
export function controlPlane(): { readonly cache: SnapshotCache; readonly server: XdsServer } {
  const cache = new SnapshotCache();
  const server = createXdsServer({
    cache,
    callbacks: {
      onNack: (_stream, { typeUrl, error }) => console.error(`refused: ${typeUrl}: ${error.message}`),
    },
  });
  return { cache, server };
}

if (import.meta.main) {
  const { cache, server } = controlPlane();
  cache.setSnapshot('example', snapshot(undefined, world(10_000, 8080)));
  console.log(`xDS on 127.0.0.1:${await server.listen({ port: 18_000 })}`);
}
