import type { Listener } from '@dragoman/api';
import {
  type FactoryContext,
  type ListenerFactoryContext,
  neverOverloaded,
  noSubClusters,
  silentLogger,
} from '@dragoman/core';
import { createGrpcClientFactory } from '@dragoman/grpc';
import { StatsStore } from '@dragoman/stats';
import { upstreamFilterCompiler } from '../worker/upstream-filters.ts';

/** A context to compile with for looking only: it counts for itself, writes nothing, and reaches no cluster. */
export function explainContext(context: FactoryContext, listener: Listener): ListenerFactoryContext {
  const stats = new StatsStore().createThread();
  const clusters = { get: () => undefined, clusterNames: [] };
  const explained: ListenerFactoryContext = {
    ...context,
    stats,
    loggers: { logger: () => silentLogger },
    warn: () => undefined,
    clusters,
    subClusters: noSubClusters,
    grpc: createGrpcClientFactory({ context: { ...context, stats }, clusters }),
    upstreamFilters: upstreamFilterCompiler(() => explained),
    logFiles: { open: () => ({ write() {} }) },
    accessLoggers: () => [],
    overload: neverOverloaded,
    drain: {
      drainClose: () => false,
      draining: false,
      healthCheckFailed: false,
      onDrain: () => () => undefined,
    },
    listenerScope: stats.scope('listener'),
    perConnectionBufferLimitBytes: listener.perConnectionBufferLimitBytes ?? 1024 * 1024,
    listenerName: listener.name,
    trafficDirection: 'UNSPECIFIED',
    secure: false,
  };
  return explained;
}
