import {
  type AddressSchema,
  anyPack,
  type Bootstrap,
  BootstrapConfigDumpSchema,
  ClusterSchema,
  ClustersConfigDumpSchema,
  create,
  EndpointsConfigDumpSchema,
  type EndpointsConfigDump,
  HealthStatus,
  HttpConnectionManagerSchema,
  type JsonObject,
  type LbEndpointSchema,
  type Listener,
  ListenerSchema,
  ListenersConfigDumpSchema,
  type LocalityLbEndpointsSchema,
  type Message,
  type MessageInitShape,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RoutesConfigDumpSchema,
  ScopedRoutesConfigDumpSchema,
  SecretsConfigDumpSchema,
  timestampFromMs,
  unpackAnyAs,
} from '@dragoman/api';
import { ClusterLoadAssignmentSchema } from '@dragoman/api';
import { type Address, type Cluster, type Host, HealthFlag, type HostSet } from '@dragoman/core';

type LocalityInit = MessageInitShape<typeof LocalityLbEndpointsSchema>;
type LbEndpointInit = MessageInitShape<typeof LbEndpointSchema>;

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
    // Scoped routes and secrets are not built: their parts are there, empty, as in an Envoy that has none.
    create(ScopedRoutesConfigDumpSchema, {}),
    create(RoutesConfigDumpSchema, {
      staticRouteConfigs: routes.map((route) => ({
        routeConfig: anyPack(RouteConfigurationSchema, route),
        lastUpdated,
      })),
    }),
    create(SecretsConfigDumpSchema, {}),
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
          policy: { overprovisioningFactor: cluster.hostSets[0]?.overprovisioningFactor },
          endpoints: cluster.hostSets.flatMap(endpointsOf),
        }),
      ),
    })),
  });
}

/** The hosts of one priority, by locality; localities without hosts are left out. */
function endpointsOf({ priority, hostsByLocality, localityWeights }: HostSet): LocalityInit[] {
  return hostsByLocality.flatMap((hosts, i) => {
    const [first] = hosts;
    if (first === undefined) return [];
    const loadBalancingWeight = localityWeights?.[i];
    return [
      {
        locality: first.locality,
        priority,
        ...(loadBalancingWeight === undefined ? {} : { loadBalancingWeight }),
        lbEndpoints: hosts.map(lbEndpointOf),
      },
    ];
  });
}

function lbEndpointOf({ address, hostname, healthFlags, metadata, weight }: Host): LbEndpointInit {
  return {
    hostIdentifier: { case: 'endpoint', value: { hostname, address: addressOf(address) } },
    healthStatus: healthStatusOf(healthFlags),
    metadata: { filterMetadata: Object.fromEntries(metadata) as Record<string, JsonObject> },
    loadBalancingWeight: weight,
  };
}

function addressOf(address: Address): MessageInitShape<typeof AddressSchema> {
  if (address.family === 'pipe') return { address: { case: 'pipe', value: { path: address.path } } };
  const portSpecifier = { case: 'portValue', value: address.port } as const;
  return { address: { case: 'socketAddress', value: { address: address.ip, portSpecifier } } };
}

/** As coarse as Envoy prints it: a draining host is not healthy. */
function healthStatusOf(flags: number): HealthStatus {
  const degraded = HealthFlag.degraded_active_hc | HealthFlag.degraded_eds_health;
  const failed =
    HealthFlag.failed_active_hc |
    HealthFlag.failed_outlier_check |
    HealthFlag.failed_eds_health |
    HealthFlag.active_hc_timeout |
    HealthFlag.eds_status_draining;
  if ((flags & failed) !== 0) return HealthStatus.UNHEALTHY;
  return (flags & degraded) !== 0 ? HealthStatus.DEGRADED : HealthStatus.HEALTHY;
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
