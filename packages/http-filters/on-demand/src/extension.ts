import { OnDemandSchema, OnDemandPerRouteConfigSchema } from '@dragoman/api';
import { defineHttpFilter } from '@dragoman/core';
import { readConfig, readRouteConfig } from './config.ts';
import { OnDemandFilter, type Shared } from './filter.ts';

/** `envoy.filters.http.on_demand`: a request waits for its virtual host (VHDS) and its cluster, which are asked for when it needs them. */
export const onDemand = defineHttpFilter({
  name: 'envoy.filters.http.on_demand',
  config: OnDemandSchema,
  perRoute: OnDemandPerRouteConfigSchema,
  createPerRoute: (config) => readRouteConfig(config),
  create(config, { clock, random, clusters, dynamicResources }) {
    const shared: Shared = {
      options: readConfig(config),
      clock,
      random,
      clusters,
      resources: dynamicResources,
    };
    return (stream) => new OnDemandFilter(shared, stream);
  },
});
