import type { JsonObject } from '@dragoman/testing';

export const NAME = 'envoy.filters.http.dynamic_forward_proxy';
export const TYPES = 'type.googleapis.com/envoy.extensions';

/** The filter, with a cache named `main`. */
export function filter(cache: JsonObject = {}): JsonObject {
  return {
    name: NAME,
    typed_config: {
      '@type': `${TYPES}.filters.http.dynamic_forward_proxy.v3.FilterConfig`,
      dns_cache_config: { name: 'main', ...cache },
    },
  };
}

/** The cluster to go with it. */
export function cluster(cache: JsonObject = {}): JsonObject {
  return {
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typed_config: {
        '@type': `${TYPES}.clusters.dynamic_forward_proxy.v3.ClusterConfig`,
        dns_cache_config: { name: 'main', ...cache },
      },
    },
  };
}
