import { createFormatterFactory, createLogFiles, type LogFilesImpl } from '@dragoman/access-log';
import {
  type Bootstrap,
  CaresDnsResolverConfigSchema,
  checkBootstrap,
  create,
  type LoadedConfig,
  loadConfig,
  locate,
  resolveExtension,
  type Any,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type DnsResolver,
  type Extension,
  ExtensionRegistry,
  type FactoryContext,
  type FormatterExtension,
  ProblemCollector,
  type StatsScope,
} from '@dragoman/core';
import { StatsStore } from '@dragoman/stats';
import { type ClusterSources, createClusterSources } from '@dragoman/upstream';
import { adminAccessLoggers } from './admin-interface.ts';
import { checkBootstrapFields } from './bootstrap-fields.ts';
import { DrainManager } from './drain-manager.ts';
import { readLocalInfo } from './local-info.ts';
import type { ProxyOptions, ServerFlags, ServerLoggers } from './proxy.ts';
import { RuntimeLayers } from './runtime-layers.ts';
import { readStatsOptions } from './stats-config.ts';
import { Worker } from './worker.ts';

/** The parts of a proxy, compiled; nothing is bound and nothing runs yet. */
export interface Assembly {
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
  readonly log: ServerLoggers;
  readonly stats: StatsStore;
  readonly rootScope: StatsScope;
  readonly context: FactoryContext;
  readonly runtime: RuntimeLayers;
  readonly logFiles: LogFilesImpl;
  readonly drain: DrainManager;
  readonly dns: DnsResolver;
  readonly sources: ClusterSources;
  readonly worker: Worker;
}

/** Options with their defaults. */
export type FullOptions = Required<Omit<ProxyOptions, 'bootstrap' | 'flags' | 'onQuit'>> & {
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
};

/** A batch must fit well into what may wait for a file (64 MiB): else entries would be lost before it is full. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

const CARES = 'envoy.network.dns_resolver.cares';

/** Reads what was given as a bootstrap. @throws ConfigError */
export function readBootstrap(given: ProxyOptions['bootstrap']): {
  readonly bootstrap: Bootstrap;
  readonly loaded: LoadedConfig<Bootstrap> | undefined;
} {
  if (typeof given === 'string') {
    const loaded = loadConfig({ text: given }) as LoadedConfig<Bootstrap>;
    return { bootstrap: loaded.message, loaded };
  }
  if ('message' in given) return { bootstrap: given.message, loaded: given };
  return { bootstrap: given, loaded: undefined };
}

/** Runs `work`; problems it throws get file, line and column of the config they speak of. */
export async function located<T>(
  loaded: LoadedConfig<Bootstrap> | undefined,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ConfigError) || loaded === undefined) throw error;
    throw new ConfigError(
      error.problems.map((problem) => (problem.line === undefined ? locate(loaded, problem) : problem)),
    );
  }
}

/** Compiles everything. @throws ConfigError with every problem, paths from the bootstrap's root */
export function assemble(options: FullOptions): Assembly {
  const { bootstrap, flags, clock, random, log } = options;
  const problems = new ProblemCollector();
  problems.try('', () => checkBootstrapFields(bootstrap));
  problems.problems.push(...checkBootstrap(bootstrap).filter(({ severity }) => severity !== 'warning'));
  const extensions = new ExtensionRegistry(enabledExtensions(options.extensions, flags.disabledExtensions));
  const statsOptions =
    problems.try('stats_config', () => readStatsOptions(bootstrap.statsConfig, flags.statsTags)) ?? {};
  const stats = new StatsStore({ ...statsOptions, wallTime: () => clock.wallTime() });
  const rootScope = stats.createThread();
  const runtime =
    problems.try('layered_runtime', () => new RuntimeLayers(bootstrap.layeredRuntime, rootScope)) ??
    new RuntimeLayers(undefined, rootScope);
  const localInfo = readLocalInfo(bootstrap.node, flags);
  const context: FactoryContext = {
    clock,
    random,
    loggers: log,
    runtime,
    localInfo,
    stats: rootScope,
    extensions,
    formatters: createFormatterFactory({
      localInfo,
      clock,
      random,
      createCommand: (config) => createFormatterCommand(config, context),
    }),
    warn: warnOnce(log),
  };
  const logFiles = createLogFiles({
    clock,
    loggers: log,
    stats: rootScope,
    flushIntervalMs: flags.fileFlushIntervalMs,
    batchBytes: Math.min(flags.fileFlushMinBytes, MAX_BATCH_BYTES),
  });
  const drain = new DrainManager(clock, random, flags.drainStrategy);
  const worker = problems.try(
    '',
    () => new Worker({ name: 'worker_0', bootstrap, context, logFiles, drain }),
  );
  const dns = problems.try('', () => createDnsResolver(bootstrap, context)) ?? NO_DNS;
  const sources = problems.try('', () =>
    createClusterSources({
      clusters: bootstrap.staticResources?.clusters ?? [],
      registry: extensions,
      context: { ...context, dns },
      sinks: worker === undefined ? [] : [worker],
    }),
  );
  if (worker !== undefined) problems.try('', () => adminAccessLoggers(bootstrap, worker.context));
  if (problems.problems.length > 0) {
    sources?.stop();
    dns.close();
    logFiles.close();
    throw new ConfigError(withoutRepeats(problems.problems));
  }
  return {
    bootstrap,
    flags,
    log,
    stats,
    rootScope,
    context,
    runtime,
    logFiles,
    drain,
    dns,
    sources: sources as ClusterSources,
    worker: worker as Worker,
  };
}

/** A part that two readers look at (a cluster: its discovery and its pools) may be wrong for both. */
function withoutRepeats(problems: ConfigError['problems']): ConfigError['problems'] {
  const seen = new Set<string>();
  return problems.filter(({ path, message }) => {
    const key = `${path}\0${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function enabledExtensions(all: readonly Extension[], disabled: readonly string[]): readonly Extension[] {
  if (disabled.length === 0) return all;
  const off = new Set(disabled);
  return all.filter(({ name, category }) => !off.has(name) && !off.has(`${category}/${name}`));
}

function warnOnce(log: ServerLoggers): FactoryContext['warn'] {
  const seen = new Set<string>();
  const logger = log.logger('config');
  return (path, message) => {
    const text = `${path}: ${message}`;
    if (seen.has(text)) return;
    seen.add(text);
    logger.warn(text);
  };
}

function createFormatterCommand(
  config: { readonly name: string; readonly typedConfig?: Any | undefined },
  context: FactoryContext,
): ReturnType<FormatterExtension['create']> {
  const { extension, message } = resolveExtension(
    context.extensions,
    'formatters',
    config.name,
    config.typedConfig,
  );
  return atPath('typed_config', () => extension.create(message, context));
}

const NO_DNS: DnsResolver = {
  resolve: async () => ({ ok: false, reason: 'this proxy has no DNS resolver' }),
  close() {},
};

/** The resolver of clusters that name none of their own. */
function createDnsResolver(bootstrap: Bootstrap, context: FactoryContext): DnsResolver {
  const typed = bootstrap.typedDnsResolverConfig;
  if (typed !== undefined) {
    const path = 'typed_dns_resolver_config';
    const { extension, message } = resolveExtension(
      context.extensions,
      'dns-resolvers',
      typed.name,
      typed.typedConfig,
      path,
    );
    return atPath(`${path}.typed_config`, () => extension.create(message, context));
  }
  const extension = context.extensions.find('dns-resolvers', CARES);
  if (extension === undefined) return NO_DNS;
  const resolution = bootstrap.dnsResolutionConfig;
  const config =
    resolution === undefined
      ? undefined
      : create(CaresDnsResolverConfigSchema, {
          resolvers: resolution.resolvers,
          dnsResolverOptions: resolution.dnsResolverOptions,
        });
  return atPath('dns_resolution_config', () => extension.create(config as never, context));
}
