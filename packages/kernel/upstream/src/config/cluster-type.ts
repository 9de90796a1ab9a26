import { anyTypeName, type Cluster, Cluster_DiscoveryType } from '@dragoman/api';
import type { DiscoveryExtension, ExtensionRegistry, SubClusterPlan } from '@dragoman/core';

/** The extension of a cluster's type. @throws ConfigError when the assembly does not have it */
export function findDiscovery(cluster: Cluster, registry: ExtensionRegistry): DiscoveryExtension {
  const kind = cluster.clusterDiscoveryType;
  if (kind.case === 'clusterType') {
    const any = kind.value.typedConfig;
    return registry.resolve(
      'discovery',
      kind.value.name,
      any === undefined ? undefined : anyTypeName(any),
      'cluster_type',
    );
  }
  const type = Cluster_DiscoveryType[kind.case === 'type' ? kind.value : Cluster_DiscoveryType.STATIC];
  const found = registry.ofCategory('discovery').find((extension) => extension.clusterType === type);
  return found ?? registry.resolve('discovery', `envoy.cluster.${type?.toLowerCase()}`, undefined, 'type');
}

/** What a cluster says of clusters that are made beside it. @throws ConfigError with paths relative to the cluster */
export function subClusterPlan(cluster: Cluster, registry: ExtensionRegistry): SubClusterPlan | undefined {
  const type = discoveryOf(cluster, registry);
  const complete = type?.complete?.(cluster as never) ?? cluster;
  return type?.subClusters?.(complete as never);
}

/** As {@link findDiscovery}, on a worker, which leaves it to main to say that there is none. */
export function discoveryOf(cluster: Cluster, registry: ExtensionRegistry): DiscoveryExtension | undefined {
  try {
    return findDiscovery(cluster, registry);
  } catch {
    return undefined;
  }
}
