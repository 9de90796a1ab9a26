import {
  addressMessage,
  anyPack,
  type Bootstrap,
  BootstrapConfigDumpSchema,
  ClusterSchema,
  ClustersConfigDumpSchema,
  create,
  EndpointsConfigDumpSchema,
  type EndpointsConfigDump,
  HealthStatus,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type JsonObject,
  type LbEndpointSchema,
  type Listener,
  ListenerSchema,
  type ListenersConfigDump_DynamicListener,
  ListenersConfigDump_DynamicListenerSchema,
  type ListenersConfigDump_DynamicListenerState,
  ListenersConfigDump_DynamicListenerStateSchema,
  ListenersConfigDumpSchema,
  type LocalityLbEndpointsSchema,
  type Message,
  type MessageInitShape,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RoutesConfigDumpSchema,
  type ScopedRouteConfiguration,
  ScopedRouteConfigurationSchema,
  ScopedRoutesConfigDumpSchema,
  SecretsConfigDumpSchema,
  timestampFromMs,
  unpackAnyAs,
  UpdateFailureStateSchema,
} from '@dragoman/api';
import { ClusterLoadAssignmentSchema } from '@dragoman/api';
import { Address, HealthFlag } from '@dragoman/core';
import type { ClusterDirectory, KnownCluster } from './cluster-directory.ts';
import type { ListenerManager, RunningListener } from './listener/listener-manager.ts';
import type { ClusterReport, HostReport, LocalityReport } from './worker/cluster-report.ts';

type LocalityInit = MessageInitShape<typeof LocalityLbEndpointsSchema>;
type LbEndpointInit = MessageInitShape<typeof LbEndpointSchema>;

/** What `/config_dump` shows. */
export interface DumpedParts {
  readonly bootstrap: Bootstrap;
  /** Wall time in ms. */
  readonly loadedAt: number;
  readonly clusters: Pick<ClusterDirectory, 'clusters' | 'warming'>;
  readonly listeners: Pick<ListenerManager, 'listeners' | 'warming' | 'draining' | 'failures'>;
}

/** The parts of `/config_dump`. What was put in place while the proxy ran is dynamic, also where it took the place of a static one. */
export function configDumps({ bootstrap, loadedAt, clusters, listeners }: DumpedParts): Message[] {
  const lastUpdated = timestamp(loadedAt);
  return [
    create(BootstrapConfigDumpSchema, { bootstrap, lastUpdated }),
    dumpClusters(clusters, loadedAt),
    dumpListeners(listeners),
    create(ScopedRoutesConfigDumpSchema, {
      inlineScopedRouteConfigs: listeners.listeners.flatMap(({ message, updatedAt }) =>
        scopedRoutesOf(message).map(({ name, scopes }) => ({
          name,
          scopedRouteConfigs: scopes.map((scope) => anyPack(ScopedRouteConfigurationSchema, scope)),
          lastUpdated: timestamp(updatedAt),
        })),
      ),
    }),
    create(RoutesConfigDumpSchema, {
      staticRouteConfigs: listeners.listeners.flatMap(({ message, updatedAt }) =>
        routeConfigsOf(message).map((route) => ({
          routeConfig: anyPack(RouteConfigurationSchema, route),
          lastUpdated: timestamp(updatedAt),
        })),
      ),
    }),
    // Secrets are not built: their part is there, empty, as in an Envoy that has none.
    create(SecretsConfigDumpSchema, {}),
  ];
}

function timestamp(wallTime: number): ReturnType<typeof timestampFromMs> {
  return timestampFromMs(Math.round(wallTime));
}

function dumpClusters({ clusters, warming }: DumpedParts['clusters'], loadedAt: number): Message {
  const state = ({ message, addedAt, version }: KnownCluster) => ({
    ...(addedAt === undefined ? {} : { versionInfo: version }),
    cluster: anyPack(ClusterSchema, message),
    lastUpdated: timestamp(addedAt ?? loadedAt),
  });
  return create(ClustersConfigDumpSchema, {
    staticClusters: clusters.filter(({ addedAt }) => addedAt === undefined).map(state),
    dynamicActiveClusters: clusters.filter(({ addedAt }) => addedAt !== undefined).map(state),
    dynamicWarmingClusters: warming.map(state),
  });
}

/** As in Envoy one entry holds every state of a name; of several versions that are draining it shows the last. */
function dumpListeners({ listeners, warming, draining, failures }: DumpedParts['listeners']): Message {
  const dynamic = new Map<string, ListenersConfigDump_DynamicListener>();
  const entry = (name: string): ListenersConfigDump_DynamicListener => {
    const found = dynamic.get(name) ?? create(ListenersConfigDump_DynamicListenerSchema, { name });
    dynamic.set(name, found);
    return found;
  };
  for (const one of listeners) if (one.dynamic) entry(one.name).activeState = listenerState(one);
  for (const one of warming) entry(one.name).warmingState = listenerState(one);
  for (const one of draining) entry(one.name).drainingState = listenerState(one);
  for (const { name, message, details, at } of failures) {
    entry(name).errorState = create(UpdateFailureStateSchema, {
      failedConfiguration: anyPack(ListenerSchema, message),
      details,
      lastUpdateAttempt: timestamp(at),
    });
  }
  return create(ListenersConfigDumpSchema, {
    staticListeners: listeners
      .filter((one) => !one.dynamic)
      .map(({ message, updatedAt }) => ({
        listener: anyPack(ListenerSchema, message),
        lastUpdated: timestamp(updatedAt),
      })),
    dynamicListeners: [...dynamic.values()],
  });
}

function listenerState({
  message,
  updatedAt,
  version,
}: RunningListener): ListenersConfigDump_DynamicListenerState {
  return create(ListenersConfigDump_DynamicListenerStateSchema, {
    versionInfo: version,
    listener: anyPack(ListenerSchema, message),
    lastUpdated: timestamp(updatedAt),
  });
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
    hostIdentifier: { case: 'endpoint', value: { hostname, address: addressMessage(Address.of(address)) } },
    healthStatus: healthStatusOf(healthFlags),
    metadata: { filterMetadata: metadata as Record<string, JsonObject> },
    loadBalancingWeight: weight,
  };
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
  return managersOf(listener).flatMap(({ routeSpecifier }) =>
    routeSpecifier.case === 'routeConfig' ? [routeSpecifier.value] : [],
  );
}

/** The inline scopes of each manager that has some. */
function scopedRoutesOf(listener: Listener): { name: string; scopes: ScopedRouteConfiguration[] }[] {
  return managersOf(listener).flatMap(({ routeSpecifier }) => {
    if (routeSpecifier.case !== 'scopedRoutes') return [];
    const { name, configSpecifier } = routeSpecifier.value;
    return configSpecifier.case === 'scopedRouteConfigurationsList'
      ? [{ name, scopes: configSpecifier.value.scopedRouteConfigurations }]
      : [];
  });
}

function managersOf(listener: Listener): HttpConnectionManager[] {
  const chains = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ];
  return chains
    .flatMap((chain) => chain.filters)
    .flatMap((filter) => {
      const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
      const manager = any === undefined ? undefined : unpackAnyAs(any, HttpConnectionManagerSchema);
      return manager === undefined ? [] : [manager];
    });
}
