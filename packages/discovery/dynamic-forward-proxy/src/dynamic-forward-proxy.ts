import { ClusterSchema, DynamicForwardProxyClusterConfigSchema } from '@dragoman/api';
import { atPath, defineProvidedCluster } from '@dragoman/core';
import { readDnsCache } from '@dragoman/dns-cache';
import { CachedHostBalancer } from './balancer.ts';
import { CACHE_PATH, readImplementation, withServerNames } from './config.ts';
import { readSubClusters, SubClusterBalancer } from './sub-clusters.ts';

/** Hosts by the names that requests ask for. */
export const dynamicForwardProxyCluster = defineProvidedCluster({
  name: 'envoy.clusters.dynamic_forward_proxy',
  config: DynamicForwardProxyClusterConfigSchema,
  cluster: ClusterSchema,
  complete: withServerNames,
  check(cluster, context) {
    const complete = withServerNames(cluster);
    const how = readImplementation(complete);
    if (how.case === 'dnsCacheConfig') atPath(CACHE_PATH, () => readDnsCache(how.value, context));
    else readSubClusters(complete, how.value);
  },
  subClusters(cluster) {
    const how = readImplementation(cluster);
    return how.case === 'subClustersConfig' ? readSubClusters(cluster, how.value) : undefined;
  },
  createBalancer(cluster, context) {
    const how = readImplementation(cluster);
    return how.case === 'dnsCacheConfig'
      ? new CachedHostBalancer(how.value, context)
      : new SubClusterBalancer(context);
  },
});
