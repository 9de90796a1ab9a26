import { ClusterSchema, DynamicForwardProxyClusterConfigSchema } from '@dragoman/api';
import { atPath, defineProvidedCluster } from '@dragoman/core';
import { readDnsCache } from '@dragoman/dns-cache';
import { DynamicForwardProxyBalancer } from './balancer.ts';
import { CACHE_PATH, readCacheConfig, withServerNames } from './config.ts';

/** Hosts by the names that requests ask for. */
export const dynamicForwardProxyCluster = defineProvidedCluster({
  name: 'envoy.clusters.dynamic_forward_proxy',
  config: DynamicForwardProxyClusterConfigSchema,
  cluster: ClusterSchema,
  complete: withServerNames,
  check(cluster, context) {
    const cache = readCacheConfig(withServerNames(cluster));
    atPath(CACHE_PATH, () => readDnsCache(cache, context));
  },
  createBalancer: (cluster, context) => new DynamicForwardProxyBalancer(readCacheConfig(cluster), context),
});
