import {
  type AddressSchema,
  anyPack,
  type Bootstrap,
  BootstrapConfigDumpSchema,
  type Cluster,
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
import { Address, HealthFlag } from '@dragoman/core';
import type { RunningListener } from './listener/listener-manager.ts';
import type { ClusterReport, HostReport, LocalityReport } from './worker/cluster-report.ts';

type LocalityInit = MessageInitShape<typeof LocalityLbEndpointsSchema>;
type LbEndpointInit = MessageInitShape<typeof LbEndpointSchema>;

/**
 * The parts of `/config_dump`. What the program has put in place while running is listed with what stems from the bootstrap.
 * @param loadedAt wall time in ms
 */
export function configDumps(
  bootstrap: Bootstrap,
  loadedAt: number,
  clusters: readonly Cluster[],
  running: readonly RunningListener[],
): Message[] {
  const lastUpdated = timestampFromMs(Math.round(loadedAt));
  const listeners = running.map(({ message }) => message);
  const routes = listeners.flatMap(routeConfigsOf);
  return [
    create(BootstrapConfigDumpSchema, { bootstrap, lastUpdated }),
    create(ClustersConfigDumpSchema, {
      staticClusters: clusters.map((cluster) => ({ cluster: anyPack(ClusterSchema, cluster), lastUpdated })),
    }),
    create(ListenersConfigDumpSchema, {
      staticListeners: running.map(({ message, updatedAt }) => ({
        listener: anyPack(ListenerSchema, message),
        lastUpdated: timestampFromMs(Math.round(updatedAt)),
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
export function endpointsDump(clusters: readonly ClusterReport[]): EndpointsConfigDump {
  return create(EndpointsConfigDumpSchema, {
    staticEndpointConfigs: clusters.map(({ name, overprovisioningFactor, priorities }) => ({
      endpointConfig: anyPack(
        ClusterLoadAssignmentSchema,
        create(ClusterLoadAssignmentSchema, {
          clusterName: name,
          policy: { overprovisioningFactor },
          endpoints: priorities.flatMap(({ priority, localities }) => endpointsOf(priority, localities)),
        }),
      ),
    })),
  });
}

/** The hosts of one priority, by locality; localities without hosts are left out. */
function endpointsOf(priority: number, localities: readonly LocalityReport[]): LocalityInit[] {
  return localities.flatMap(({ weight, hosts }) => {
    const [first] = hosts;
    if (first === undefined) return [];
    return [
      {
        locality: first.locality,
        priority,
        ...(weight === undefined ? {} : { loadBalancingWeight: weight }),
        lbEndpoints: hosts.map(lbEndpointOf),
      },
    ];
  });
}

function lbEndpointOf({ address, hostname, healthFlags, metadata, weight }: HostReport): LbEndpointInit {
  return {
    hostIdentifier: { case: 'endpoint', value: { hostname, address: addressOf(address) } },
    healthStatus: healthStatusOf(healthFlags),
    metadata: { filterMetadata: metadata as Record<string, JsonObject> },
    loadBalancingWeight: weight,
  };
}

function addressOf(text: string): MessageInitShape<typeof AddressSchema> {
  const address = Address.parse(text) ?? Address.pipe(text);
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
