import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterLoadAssignmentSchema,
  create,
  durationMs,
  type SocketAddress,
  type SubClustersConfig,
} from '@dragoman/api';
import {
  type ClusterBalancerContext,
  ConfigError,
  type Host,
  type LoadBalancer,
  type LoadBalancerContext,
  type MemberClusters,
  type SubClusterPlan,
} from '@dragoman/core';
import { authorityKey, subClusterHost, subClusterName } from '@dragoman/dns-cache';
import { SUB_CLUSTERS_PATH } from './config.ts';
import { namedHost } from './named-host.ts';

const DEFAULT_MAX = 1024;
const DEFAULT_TTL_MS = 300_000;

/** The clusters for each host that requests name. @throws ConfigError, paths relative to the cluster */
export function readSubClusters(parent: Cluster, config: SubClustersConfig): SubClusterPlan {
  const { lbPolicy, maxSubClusters, subClusterTtl, preresolveClusters } = config;
  if (lbPolicy === Cluster_LbPolicy.CLUSTER_PROVIDED)
    throw ConfigError.at(
      `${SUB_CLUSTERS_PATH}.lb_policy`,
      'must not be CLUSTER_PROVIDED: the hosts come from DNS',
    );
  return {
    max: maxSubClusters ?? DEFAULT_MAX,
    ttlMs: durationMs(subClusterTtl) ?? DEFAULT_TTL_MS,
    first: preresolveClusters.map((address, i) =>
      nameOf(address, `${SUB_CLUSTERS_PATH}.preresolve_clusters[${i}]`),
    ),
    create: (name) => subCluster(parent, lbPolicy, name),
  };
}

function nameOf({ address, portSpecifier: port }: SocketAddress, path: string): string {
  if (port.case !== 'portValue' || port.value === 0)
    throw ConfigError.at(`${path}.port_value`, 'is missing: it is a part of the name of the cluster');
  const host = address.includes(':') ? `[${address}]` : address;
  return subClusterName(authorityKey(`${host}:${port.value}`, port.value));
}

/** The parent's config, with what DNS says of one host. */
function subCluster(parent: Cluster, lbPolicy: Cluster_LbPolicy, name: string): Cluster {
  const named = subClusterHost(name);
  if (named === undefined) throw ConfigError.at('name', `${JSON.stringify(name)} names no host and port`);
  const socketAddress = {
    address: named.host,
    portSpecifier: { case: 'portValue', value: named.port },
  } as const;
  const address = { address: { case: 'socketAddress', value: socketAddress } } as const;
  return {
    ...parent,
    name,
    lbPolicy,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STRICT_DNS },
    loadAssignment: create(ClusterLoadAssignmentSchema, {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address } } }] }],
    }),
  };
}

/** Leaves the choice to the cluster of the host that a request names; there is none yet: nothing is chosen. */
export class SubClusterBalancer implements LoadBalancer {
  private readonly clusters: MemberClusters;
  private readonly secure: boolean;

  constructor({ clusters, info }: ClusterBalancerContext) {
    this.clusters = clusters;
    this.secure = info.secure;
  }

  /** It has no hosts of its own. */
  update(): void {}

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    const key = namedHost(context, this.secure);
    return key === undefined ? undefined : this.clusters.chooseHost(subClusterName(key), context);
  }
}
