import {
  DynamicForwardProxyFilterConfigSchema,
  DynamicForwardProxyPerRouteConfigSchema,
} from '@dragoman/api';
import { atPath, defineHttpFilter } from '@dragoman/core';
import { dnsCacheOf } from '@dragoman/dns-cache';
import { CACHE_PATH, readConfig, readHostRewrite } from './config.ts';
import { DynamicForwardProxyFilter, type Shared } from './filter.ts';

/** `envoy.filters.http.dynamic_forward_proxy`: a request waits until the host that it names is resolved. */
export const dynamicForwardProxy = defineHttpFilter({
  name: 'envoy.filters.http.dynamic_forward_proxy',
  config: DynamicForwardProxyFilterConfigSchema,
  perRoute: DynamicForwardProxyPerRouteConfigSchema,
  createPerRoute: (config) => readHostRewrite(config),
  create(config, context) {
    const { clusters, subClusters, clock, random } = context;
    const { cache, subClusterTimeoutMs, savesAddress } = readConfig(config);
    const shared: Shared = {
      cache: cache && atPath(CACHE_PATH, () => dnsCacheOf(cache, context)),
      subClusterTimeoutMs,
      savesAddress,
      clusters,
      subClusters,
      clock,
      random,
    };
    return (stream) => new DynamicForwardProxyFilter(shared, stream);
  },
});
