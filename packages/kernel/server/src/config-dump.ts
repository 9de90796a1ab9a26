import {
  anyPack,
  type Bootstrap,
  BootstrapConfigDumpSchema,
  ClusterSchema,
  ClustersConfigDumpSchema,
  create,
  EndpointsConfigDumpSchema,
  type EndpointsConfigDump,
  HttpConnectionManagerSchema,
  type Listener,
  ListenerSchema,
  ListenersConfigDumpSchema,
  type Message,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RoutesConfigDumpSchema,
  timestampFromMs,
  unpackAnyAs,
} from '@dragoman/api';
import { ClusterLoadAssignmentSchema } from '@dragoman/api';
import type { Cluster } from '@dragoman/core';

/**
 * The parts of `/config_dump`. Everything here is static, so all of it stems from the bootstrap.
 * @param loadedAt wall time in ms
 */
export function configDumps(bootstrap: Bootstrap, loadedAt: number): Message[] {
  const lastUpdated = timestampFromMs(Math.round(loadedAt));
  const { clusters = [], listeners = [] } = bootstrap.staticResources ?? {};
  const routes = listeners.flatMap(routeConfigsOf);
  return [
    create(BootstrapConfigDumpSchema, { bootstrap, lastUpdated }),
    create(ClustersConfigDumpSchema, {
      staticClusters: clusters.map((cluster) => ({ cluster: anyPack(ClusterSchema, cluster), lastUpdated })),
    }),
    create(ListenersConfigDumpSchema, {
      staticListeners: listeners.map((listener) => ({
        listener: anyPack(ListenerSchema, listener),
        lastUpdated,
      })),
    }),
    create(RoutesConfigDumpSchema, {
      staticRouteConfigs: routes.map((route) => ({
        routeConfig: anyPack(RouteConfigurationSchema, route),
        lastUpdated,
      })),
    }),
  ];
}

/** The hosts of every cluster as they are now. */
export function endpointsDump(clusters: Iterable<Cluster>): EndpointsConfigDump {
  return create(EndpointsConfigDumpSchema, {
    staticEndpointConfigs: [...clusters].map((cluster) => ({
      endpointConfig: anyPack(
        ClusterLoadAssignmentSchema,
        create(ClusterLoadAssignmentSchema, {
          clusterName: cluster.info.name,
          endpoints: cluster.hostSets.map((set) => ({
            priority: set.priority,
            lbEndpoints: set.hosts.map((host) => ({
              loadBalancingWeight: host.weight,
              hostIdentifier: {
                case: 'endpoint' as const,
                value: {
                  hostname: host.hostname,
                  address:
                    host.address.family === 'pipe'
                      ? { address: { case: 'pipe' as const, value: { path: host.address.path } } }
                      : {
                          address: {
                            case: 'socketAddress' as const,
                            value: {
                              address: host.address.ip,
                              portSpecifier: { case: 'portValue' as const, value: host.address.port },
                            },
                          },
                        },
                },
              },
            })),
          })),
        }),
      ),
    })),
  });
}

function routeConfigsOf(listener: Listener): RouteConfiguration[] {
  const chains = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ];
  return chains
    .flatMap((chain) => chain.filters)
    .flatMap((filter) => {
      const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
      const manager = any === undefined ? undefined : unpackAnyAs(any, HttpConnectionManagerSchema);
      return manager?.routeSpecifier.case === 'routeConfig' ? [manager.routeSpecifier.value] : [];
    });
}
