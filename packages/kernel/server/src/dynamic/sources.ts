import type { Bootstrap } from '@dragoman/api';
import type { FactoryContext, WorkerContext } from '@dragoman/core';
import { createXds, type Xds } from '@dragoman/xds';
import { createOtherSources } from '@dragoman/xds-sources';
import type { ServerFlags } from '../proxy.ts';
import { nodeOf } from './node.ts';

export interface DynamicSourcesOptions {
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
  /** Of main. */
  readonly context: FactoryContext;
  /** What main calls control planes by. */
  readonly calls: Pick<WorkerContext, 'grpc' | 'clusters'>;
}

/** Management servers, files and REST services, as the bootstrap names them. @throws ConfigError with paths from its root */
export function createDynamicSources({ bootstrap, flags, context, calls }: DynamicSourcesOptions): Xds {
  const { dynamicResources, configSources, defaultConfigSource } = bootstrap;
  const node = nodeOf(bootstrap, flags.version, context);
  const { clock, loggers, random, localInfo, stats, warn } = context;
  return createXds({
    context: { clock, loggers, stats, warn },
    grpc: calls.grpc,
    node,
    adsConfig: dynamicResources?.adsConfig,
    configSources,
    defaultConfigSource,
    unknownFields: flags.unknownDynamicFields,
    otherSources: createOtherSources({
      clock,
      loggers,
      random,
      localInfo,
      stats,
      node,
      clusters: calls.clusters,
      unknownFields: flags.unknownDynamicFields,
    }),
  });
}
