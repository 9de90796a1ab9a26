import type { OverloadManager as OverloadManagerMessage } from '@dragoman/api';
import { type FactoryContext, OverloadActionName, type StatsScope } from '@dragoman/core';
import { trimMemory } from '@dragoman/posix';
import { allowCompaction, compactHeap } from '../threads/compact-heap.ts';
import { readOverloadManager } from './config.ts';
import { HeapShrinker } from './heap-shrinker.ts';
import { OverloadManager } from './overload-manager.ts';
import type { OverloadHandle } from './page.ts';

/** The workers, as far as the overload manager has something to tell them. */
export interface OverloadedWorkers {
  overloadChanged(): void;
  resetHighMemoryStreams(): void;
  shrinkHeaps(): Promise<void>;
}

export interface CreateOverloadOptions {
  readonly config: OverloadManagerMessage;
  readonly context: FactoryContext;
  readonly stats: StatsScope;
  /** Over all workers. */
  readonly downstreamConnections: () => number;
  /** Asked for when there is something to tell. */
  readonly workers: () => OverloadedWorkers;
}

/** Main's part of `overload_manager`. */
export interface Overload {
  /** For workers. */
  readonly handle: OverloadHandle;
  start(): void;
  stop(): void;
}

const CONNECTIONS_KEY = 'overload.global_downstream_max_connections';

/** @throws ConfigError with every problem, paths below `overload_manager` */
export function createOverload({
  config,
  context,
  stats,
  downstreamConnections,
  workers,
}: CreateOverloadOptions): Overload {
  const { clock, loggers, runtime } = context;
  const plan = readOverloadManager(config, { ...context, downstreamConnections });
  const manager = new OverloadManager({
    plan,
    clock,
    stats,
    logger: loggers.logger('main'),
    onChange: () => workers().overloadChanged(),
    resetStreams: () => workers().resetHighMemoryStreams(),
  });
  if (manager.handle.maxDownstreamConnections !== undefined && runtime.get(CONNECTIONS_KEY) !== undefined) {
    context.warn(
      'overload_manager.resource_monitors',
      `the limit of downstream connections is configured here and in the runtime key ${CONNECTIONS_KEY}, which has no effect then; remove the key`,
    );
  }
  if (config.bufferFactoryConfig !== undefined && plan.resetPower === undefined) {
    context.warn(
      'overload_manager.buffer_factory_config',
      `has no effect: it is for the action ${OverloadActionName.resetHighMemoryStream}, which is not in actions; add that, or remove this`,
    );
  }
  const shrinker = plan.shrinkIntervalMs === undefined ? undefined : createShrinker(plan.shrinkIntervalMs);
  return {
    handle: manager.handle,
    start() {
      manager.start();
      shrinker?.start();
    },
    stop() {
      manager.stop();
      shrinker?.stop();
    },
  };

  function createShrinker(intervalMs: number): HeapShrinker {
    allowCompaction();
    return new HeapShrinker({
      clock,
      intervalMs,
      count: stats.counter(`overload.${OverloadActionName.shrinkHeap}.shrink_count`),
      active: () => manager.heapShrinks,
      shrinkWorkers: () => workers().shrinkHeaps(),
      shrinkMain: () => {
        compactHeap();
        trimMemory();
      },
    });
  }
}
