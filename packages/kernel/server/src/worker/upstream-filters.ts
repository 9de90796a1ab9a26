import type { HttpFilter } from '@dragoman/api';
import type { CompileUpstreamFilters, WorkerContext } from '@dragoman/core';
import { compileUpstreamFilters } from '@dragoman/http';

const DEFAULT_BUFFER_LIMIT = 1024 * 1024;

/** Compiles upstream filters for a thread: they get what filters of listeners do, under the stats of whoever names them. */
export function upstreamFilterCompiler(context: () => WorkerContext): CompileUpstreamFilters {
  return (filters, { statPrefix, field, scope, stats }) =>
    compileUpstreamFilters(
      filters as readonly HttpFilter[],
      {
        ...context(),
        stats,
        statPrefix,
        listenerScope: scope,
        listenerName: '',
        trafficDirection: 'UNSPECIFIED',
        perConnectionBufferLimitBytes: DEFAULT_BUFFER_LIMIT,
        secure: false,
      },
      field,
    );
}
