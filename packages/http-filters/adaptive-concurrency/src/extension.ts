import { AdaptiveConcurrencySchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension } from '@dragoman/core';
import { parseConfig } from './config.ts';
import { AdaptiveConcurrencyFilter, type Shared } from './filter.ts';
import { GradientController } from './gradient-controller.ts';
import { gradientStats } from './gradient-stats.ts';

/** `envoy.filters.http.adaptive_concurrency`: limits outstanding requests by how their latency compares with the least one. */
export const adaptiveConcurrency: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.adaptive_concurrency',
  config: AdaptiveConcurrencySchema,
  create(config, context) {
    const { settings, status, enabled } = parseConfig(config, context.runtime, context.warn);
    const scope = context.stats.scope(context.statPrefix).scope('adaptive_concurrency.gradient_controller');
    const shared: Shared = {
      controller: new GradientController(settings, context, gradientStats(scope)),
      clock: context.clock,
      refusal: { status, body: 'reached concurrency limit', details: 'reached_concurrency_limit' },
      enabled,
    };
    return (stream) => new AdaptiveConcurrencyFilter(shared, stream);
  },
});
