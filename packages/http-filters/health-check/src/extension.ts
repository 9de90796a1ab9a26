import { HttpHealthCheckSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { AnswerCache } from './cache.ts';
import { parseConfig } from './config.ts';
import { HealthCheckFilter, type Shared } from './filter.ts';
import { HealthCheckStats } from './stats.ts';

/** `envoy.filters.http.health_check`: answers health checks of this proxy, or lets them through and remembers what came back. */
export const healthCheck: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.health_check',
  config: HttpHealthCheckSchema,
  create(config, context) {
    const options = parseConfig(config, context.warn);
    const shared: Shared = {
      options,
      cache: options.cacheMs > 0 ? new AnswerCache(context.clock, options.cacheMs) : undefined,
      stats: new HealthCheckStats(context.stats.scope(`${context.statPrefix}health_check`)),
      drain: context.drain,
      clusters: context.clusters,
      clusterName: utf8Bytes(context.localInfo.cluster),
    };
    return (stream) => new HealthCheckFilter(shared, stream);
  },
});
