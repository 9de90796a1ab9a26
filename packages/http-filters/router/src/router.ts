import { RouterSchema } from '@dragoman/api';
import { defineTerminalHttpFilter } from '@dragoman/core';
import { compileRouter, ownRequests } from './config.ts';
import { RouterFilter } from './router-filter.ts';
import type { RunRouter } from './shadow.ts';

/** `envoy.filters.http.router`: the last filter of nearly every chain; forwards the request to its route's cluster. */
export const router = defineTerminalHttpFilter({
  name: 'envoy.filters.http.router',
  config: RouterSchema,
  create(config, context) {
    const compiled = compileRouter(config, context);
    const own = ownRequests(compiled, context.stats);
    const runOwn: RunRouter = (stream) => new RouterFilter(own, stream, runOwn);
    return (stream) => new RouterFilter(compiled, stream, runOwn);
  },
});
