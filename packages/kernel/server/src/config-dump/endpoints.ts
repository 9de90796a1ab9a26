import {
  addressMessage,
  anyPack,
  type Cluster,
  ClusterLoadAssignmentSchema,
  create,
  type EndpointsConfigDump,
  EndpointsConfigDump_DynamicEndpointConfigSchema as DYNAMIC,
  EndpointsConfigDump_StaticEndpointConfigSchema as STATIC,
  EndpointsConfigDumpSchema,
  HealthStatus,
  type JsonObject,
  type LbEndpointSchema,
  type LocalityLbEndpointsSchema,
  type MessageInitShape,
} from '@dragoman/api';
import { Address, HealthFlag } from '@dragoman/core';
import type { ClusterReport, HostReport, LocalityReport } from '../worker/cluster-report.ts';
import { entryState, type ServerStatus } from './parts.ts';

type LocalityInit = MessageInitShape<typeof LocalityLbEndpointsSchema>;
type LbEndpointInit = MessageInitShape<typeof LbEndpointSchema>;

/** A cluster in use, as far as its endpoints are concerned. */
export interface DumpedCluster {
  readonly message: Cluster;
  /** Undefined: it is of the bootstrap. */
  readonly addedAt: number | undefined;
}

/**
 * The hosts of every cluster as they are now. Dynamic are those of clusters that came while the proxy ran, as in Envoy, and those whose
 * endpoints come from a config source, which have a version.
 */
export function endpointsDump(
  reports: readonly ClusterReport[],
  cluster: (name: string) => DumpedCluster | undefined,
  server: ServerStatus,
): EndpointsConfigDump {
  const dump = create(EndpointsConfigDumpSchema, {});
  for (const { name, overprovisioningFactor, priorities } of reports) {
    const { message, addedAt } = cluster(name) ?? {};
    const eds = message?.edsClusterConfig;
    const clusterName = eds?.serviceName || name;
    const endpointConfig = anyPack(
      ClusterLoadAssignmentSchema,
      create(ClusterLoadAssignmentSchema, {
        clusterName,
        policy: { overprovisioningFactor },
        endpoints: priorities.flatMap(({ priority, localities }) => endpointsOf(priority, localities)),
      }),
    );
    const known = eds === undefined ? undefined : server.get(ClusterLoadAssignmentSchema, clusterName);
    if (eds === undefined && addedAt === undefined)
      dump.staticEndpointConfigs.push(create(STATIC, { endpointConfig }));
    else if (known === undefined) dump.dynamicEndpointConfigs.push(create(DYNAMIC, { endpointConfig }));
    else {
      const { version, lastUpdated, message: inUse, status } = known;
      const refusal = server.refusal(ClusterLoadAssignmentSchema, clusterName, undefined);
      const settled = status === 'DOES_NOT_EXIST' || status === 'TIMEOUT';
      dump.dynamicEndpointConfigs.push(
        create(DYNAMIC, {
          versionInfo: version,
          endpointConfig,
          ...entryState(lastUpdated, inUse !== undefined, refusal, settled),
        }),
      );
    }
  }
  return dump;
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
