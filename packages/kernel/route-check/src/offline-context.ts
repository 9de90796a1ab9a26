import {
  type Extension,
  type FactoryContext,
  unknownResources,
  type Runtime,
  silentLogger,
  systemClock,
  systemRandom,
} from '@dragoman/core';
import { createFactoryContext } from '@dragoman/server';
import { StatsStore } from '@dragoman/stats';

/** What factories get where nothing runs: stats that nobody reads, logs and warnings that go nowhere. */
export function offlineContext(extensions: readonly Extension[], runtime: Runtime): FactoryContext {
  return createFactoryContext({
    clock: systemClock,
    random: systemRandom,
    loggers: { logger: () => silentLogger },
    runtime,
    localInfo: { cluster: '', node: '', zone: '', address: '127.0.0.1' },
    stats: new StatsStore().createThread(),
    processKey: new Uint8Array(48),
    dynamicResources: unknownResources,
    secrets: { find: () => undefined, names: [] },
    certificates: { register: () => () => undefined },
    warn: () => undefined,
    extensions,
    disabledExtensions: [],
  });
}
