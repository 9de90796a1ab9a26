import { createLogFiles, type LogFilesImpl, LogRelayServer } from '@dragoman/access-log';
import {
  type AccessLog,
  type Bootstrap,
  CaresDnsResolverConfigSchema,
  checkBootstrap,
  create,
  type LoadedConfig,
  loadConfig,
  locateError,
  resolveExtension,
} from '@dragoman/api';
import {
  atPath,
  type ClusterManager,
  ConfigError,
  type ConfigSubscriptions,
  type Connector,
  type DnsResolver,
  type FactoryContext,
  neverOverloaded,
  noSubscriptions,
  noSubClusters,
  ProblemCollector,
  type StatsScope,
  type WorkerContext,
} from '@dragoman/core';
import { createGrpcClientFactory } from '@dragoman/grpc';
import type { LoadReporter } from '@dragoman/load-reports';
import { Dispatcher, EventClock, ReadBuffers, SocketConnector } from '@dragoman/network';
import { StatsStore } from '@dragoman/stats';
import type { Xds } from '@dragoman/xds';
import {
  type ClusterSources,
  createClusterSources,
  createClusterManager,
  createUnseenBudget,
  type HealthDependencies,
  type OnHostEvent,
} from '@dragoman/upstream';
import { createAccessLoggers } from './access-loggers.ts';
import { adminAccessLoggers } from './admin-interface.ts';
import { checkBootstrapFields } from './bootstrap-fields.ts';
import { ClusterDirectory } from './cluster-directory.ts';
import { withoutRepeats } from './distinct-problems.ts';
import { DrainManager } from './drain-manager.ts';
import { DynamicConfig } from './dynamic/dynamic-config.ts';
import { ConfigHistory } from './history/config-history.ts';
import { RecordedSubscriptions } from './history/recorded-subscriptions.ts';
import { MainClusters } from './main-clusters.ts';
import { mainLoadReporter } from './main-load-reporter.ts';
import { ThreadResources } from './worker/thread-resources.ts';
import { ListenerManager } from './listener/listener-manager.ts';
import type { ListenSockets } from './listener/listen-sockets.ts';
import { readLocalInfo } from './local-info.ts';
import { createOverload, type Overload } from './overload/index.ts';
import type { ProxyOptions, ServerFlags, ServerLoggers } from './proxy.ts';
import { RuntimeLayers } from './runtime-layers.ts';
import { newProcessKey, secretsToWire, StaticSecrets, ThreadCertificates } from './secrets.ts';
import { createDynamicSources } from './dynamic/sources.ts';
import { createServerStats, type ServerStats } from './server-stats.ts';
import { readStatsOptions } from './stats-config.ts';
import { readWatchdogs, type WatchdogConfig } from './watchdog/index.ts';
import { clientCodecs } from './worker/client-codecs.ts';
import { createFactoryContext } from './worker/factory-context.ts';
import type { WorkerQuestions } from './worker/questions.ts';
import { upstreamFilterCompiler } from './worker/upstream-filters.ts';
import { InlineWorker } from './workers/inline-worker.ts';
import { Ledger } from './workers/ledger.ts';
import { MainSubClusters } from './sub-clusters.ts';
import { startThreads } from './threads/start-threads.ts';
import { Workers } from './workers/workers.ts';

/** The parts of a proxy. Nothing is bound; no worker has started, though its thread may be loading. */
export interface Assembly {
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
  readonly log: ServerLoggers;
  readonly stats: StatsStore;
  readonly rootScope: StatsScope;
  readonly serverStats: ServerStats;
  /** Main's; a worker on this thread has the same. */
  readonly context: FactoryContext;
  /** For what main itself logs. */
  readonly logContext: WorkerContext;
  readonly runtime: RuntimeLayers;
  readonly logFiles: LogFilesImpl;
  readonly dns: DnsResolver;
  readonly sources: ClusterSources;
  readonly clusters: ClusterDirectory;
  readonly subClusters: MainSubClusters;
  readonly mainClusters: MainClusters;
  readonly dynamic: DynamicConfig;
  readonly subscriptions: ConfigSubscriptions;
  readonly history: ConfigHistory;
  /** Undefined where the embedder brought {@link subscriptions}. */
  readonly xds: Xds | undefined;
  readonly listeners: ListenerManager;
  readonly workers: Workers;
  /** Undefined without `cluster_manager.load_stats_config`. */
  readonly loadReporter: LoadReporter | undefined;
  /** Undefined without an `overload_manager`. */
  readonly overload: Overload | undefined;
  /** Open connections, over all workers. */
  readonly activeConnections: () => number;
}

/** Options with their defaults. */
export type FullOptions = Required<
  Omit<ProxyOptions, 'bootstrap' | 'flags' | 'onQuit' | 'supervisor' | 'inheritedSockets' | 'subscriptions'>
> & {
  readonly subscriptions: ConfigSubscriptions | undefined;
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
  readonly sockets: ListenSockets;
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
    throw locateError(loaded, error);
  }
}

/**
 * Makes the parts and compiles everything: what main needs here, what workers need on each of them.
 * Rejects with ConfigError with every problem, paths from the bootstrap's root; nothing stays behind then.
 */
export async function assemble(options: FullOptions): Promise<Assembly> {
  const { bootstrap, flags, clock, random, log, threads } = options;
  const problems = new ProblemCollector();
  problems.try('', () => checkBootstrapFields(bootstrap));
  problems.problems.push(...checkBootstrap(bootstrap).filter(({ severity }) => severity !== 'warning'));
  const statsOptions =
    problems.try('stats_config', () => readStatsOptions(bootstrap.statsConfig, flags.statsTags)) ?? {};
  const stats = new StatsStore({ ...statsOptions, wallTime: () => clock.wallTime() });
  const rootScope = stats.createThread();
  const localInfo = readLocalInfo(bootstrap, flags);
  const runtimeOptions = { serviceCluster: localInfo.cluster, logger: log.logger('runtime') };
  const runtime =
    problems.try(
      'layered_runtime',
      () => new RuntimeLayers(bootstrap.layeredRuntime, rootScope, runtimeOptions),
    ) ?? new RuntimeLayers(undefined, rootScope);
  const watchdogs = problems.try('', () => readWatchdogs(bootstrap, random)) ?? NO_WATCHDOGS;
  const secrets = bootstrap.staticResources?.secrets ?? [];
  const certificates = new ThreadCertificates();
  let subClusters: MainSubClusters | undefined;
  let dynamicParts: DynamicConfig | undefined;
  const questions: WorkerQuestions = {
    subCluster: async (parent, name) => (await subClusters?.want(parent, name)) ?? 'gone',
    resource: async (wanted) => (await dynamicParts?.demand(wanted)) ?? false,
  };
  const resources = new ThreadResources(questions);
  const context = createFactoryContext({
    clock,
    random,
    loggers: log,
    runtime,
    localInfo,
    stats: rootScope,
    secrets: new StaticSecrets(secrets),
    dynamicResources: resources,
    processKey: newProcessKey(),
    certificates,
    extensions: options.extensions,
    disabledExtensions: flags.disabledExtensions,
    warn: warnOnce(log),
  });
  if (threads === 'inline' && (bootstrap.watchdogs ?? bootstrap.watchdog) !== undefined) {
    context.warn(
      bootstrap.watchdogs === undefined ? 'watchdog' : 'watchdogs',
      'has no effect: the worker runs on the main thread, and nobody is left to watch it',
    );
  }
  const logFiles = createLogFiles({
    clock,
    loggers: log,
    stats: rootScope,
    flushIntervalMs: flags.fileFlushIntervalMs,
    batchBytes: Math.min(flags.fileFlushMinBytes, MAX_BATCH_BYTES),
  });
  const workerCount = threads === 'inline' ? 1 : Math.max(1, flags.concurrency);
  const serverStats = createServerStats(rootScope, clock, workerCount);
  const drain = new DrainManager(clock, random, flags.drainStrategy);
  const ledger = threads === 'inline' ? undefined : new Ledger(workerCount, stats, runtime);
  // Workers are there before the sources of their hosts.
  let sources: ClusterSources | undefined;
  const onHostEvent: OnHostEvent = (...event) => sources?.onHostEvent(...event);
  const { overloadManager } = bootstrap;
  const activeConnections = (): number => ledger?.connections.total(0) ?? inline.activeConnections;
  const overload =
    overloadManager &&
    problems.try('overload_manager', () =>
      createOverload({
        config: overloadManager,
        context,
        stats: rootScope,
        downstreamConnections: activeConnections,
        workers: () => workers,
      }),
    );
  const inline = new InlineWorker({
    context,
    logFiles,
    drain,
    certificates,
    onHostEvent,
    questions,
    overload: overload?.handle,
  });
  const workers: Workers =
    threads === 'inline' || ledger === undefined
      ? new Workers([inline], () => clock.now())
      : startThreads({
          count: workerCount,
          threads,
          flags: { ...flags, fileFlushMinBytes: Math.min(flags.fileFlushMinBytes, MAX_BATCH_BYTES) },
          watchdogs,
          statsMatcher: statsOptions.matcher,
          context: { ...context, runtime },
          log,
          stats,
          serverStats,
          ledger,
          relay: new LogRelayServer({ files: logFiles }),
          secrets: secretsToWire(secrets),
          onHostEvent,
          questions,
          overload: overload?.handle,
        });
  const dns = problems.try('', () => createDnsResolver(bootstrap, context)) ?? NO_DNS;
  const own = ownNetwork(context);
  const mainClusters: MainClusters = new MainClusters({
    manager: createClusterManager({
      clusters: [],
      registry: context.extensions,
      context,
      connector: own.connector,
      ...clientCodecs,
      upstreamFilters: (filters, scene) => logContext.upstreamFilters(filters, scene),
      createBudget: createUnseenBudget,
      onHostEvent,
    }),
    message: (name) => clusters.get(name),
    hosts: (name) => sources?.hostsOf(name),
  });
  const logContext = mainLogContext(context, logFiles, drain, mainClusters);
  const xds =
    options.subscriptions === undefined
      ? problems.try('', () => createDynamicSources({ bootstrap, flags, context, calls: logContext }))
      : undefined;
  const history = new ConfigHistory({ wallTime: () => clock.wallTime(), versions: flags.configHistory });
  const subscriptions = new RecordedSubscriptions(
    options.subscriptions ?? xds?.subscriptions ?? UNKNOWN_SOURCES,
    history,
    log.logger('config'),
  );
  const dynamic = new DynamicConfig({
    bootstrap,
    subscriptions,
    resources,
    workers: () => workers,
    stats: rootScope,
    loggers: log,
    wallTime: () => clock.wallTime(),
    parts: () => ({ clusters, listeners, sources: sources as ClusterSources }),
  });
  dynamicParts = dynamic;
  problems.try('', () => dynamic.check());
  sources = problems.try('', () =>
    createClusterSources({
      clusters: bootstrap.staticResources?.clusters ?? [],
      registry: context.extensions,
      context: { ...context, dns, subscriptions },
      sinks: [workers, mainClusters],
      health: healthDependencies(own, stats, logFiles),
      ejectionLog: bootstrap.clusterManager?.outlierDetection?.eventLogPath,
    }),
  );
  problems.try('', () => adminAccessLoggers(bootstrap, logContext));
  const listeners = new ListenerManager(bootstrap.staticResources?.listeners ?? [], {
    workers,
    sockets: options.sockets,
    ledger,
    clock,
    random,
    stats: serverStats,
    logger: log.logger('config'),
    drainTimeMs: flags.drainTimeMs,
    serves: flags.mode !== 'init_only',
    hold: (listener) => dynamic.holdListener(listener),
  });
  const clusters: ClusterDirectory = new ClusterDirectory(bootstrap.staticResources?.clusters ?? [], {
    workers,
    ledger,
    check: (cluster) => mainClusters.check(cluster),
    hold: (cluster) => dynamic.holdCluster(cluster),
  });
  clusters.onChange((name) => mainClusters.follow(name));
  const loadReporter = problems.try('', () =>
    mainLoadReporter({ bootstrap, version: flags.version, logContext, clusters, workers, mainClusters }),
  );
  subClusters = new MainSubClusters({
    directory: clusters,
    sources: () => sources as ClusterSources,
    extensions: context.extensions,
    clock,
    logger: log.logger('upstream'),
  });
  try {
    await workers.start({
      clusters: clusters.orders,
      listeners: listeners.orders,
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) problems.add('', `a worker could not start: ${String(error)}`);
    else problems.problems.push(...error.problems);
  }
  const assembly = {
    bootstrap,
    flags,
    log,
    stats,
    rootScope,
    serverStats,
    context,
    logContext,
    runtime,
    logFiles,
    dns,
    sources: sources as ClusterSources,
    clusters,
    subClusters,
    mainClusters,
    dynamic,
    subscriptions,
    history,
    xds,
    listeners,
    workers,
    loadReporter,
    overload,
    activeConnections,
  };
  if (problems.problems.length > 0) {
    await dismantle(assembly);
    throw new ConfigError(withoutRepeats(problems.problems));
  }
  return assembly;
}

/** Ends what an assembly has opened or begun. */
export async function dismantle(assembly: Assembly): Promise<void> {
  const {
    sources,
    dns,
    listeners,
    workers,
    logFiles,
    overload,
    subClusters,
    mainClusters,
    dynamic,
    runtime,
    xds,
    loadReporter,
  } = assembly;
  loadReporter?.close();
  runtime.stop();
  dynamic.close();
  xds?.close();
  subClusters.close();
  overload?.stop();
  // Absent when the config was wrong.
  (sources as ClusterSources | undefined)?.stop();
  dns.close();
  mainClusters.close();
  await workers.close();
  listeners.close();
  await logFiles.flush();
  logFiles.close();
}

/** Opens connections on this thread: those of health checks, and those of calls that main makes. */
function ownNetwork({ clock, loggers }: FactoryContext): { readonly connector: Connector } {
  const dispatcher = new Dispatcher(clock);
  const network = {
    clock: new EventClock(clock, dispatcher),
    logger: loggers.logger('connection'),
    dispatcher,
    buffers: new ReadBuffers(),
  };
  return { connector: new SocketConnector(network) };
}

function healthDependencies(
  { connector }: { readonly connector: Connector },
  { counters }: StatsStore,
  logFiles: LogFilesImpl,
): HealthDependencies {
  return {
    connector,
    ...clientCodecs,
    hasTraffic: (statName) => (counters.get(`cluster.${statName}.upstream_cx_total`)?.total ?? 0) > 0,
    writeEvent: (path, line) => logFiles.open(path).write(line),
  };
}

/** For access loggers and calls of main's own. */
function mainLogContext(
  context: FactoryContext,
  logFiles: LogFilesImpl,
  drain: DrainManager,
  clusters: ClusterManager,
): WorkerContext {
  const logContext: WorkerContext = {
    ...context,
    clusters,
    subClusters: noSubClusters,
    grpc: createGrpcClientFactory({ context, clusters }),
    upstreamFilters: upstreamFilterCompiler(() => logContext),
    logFiles,
    drain,
    overload: neverOverloaded,
    accessLoggers: (configs) => createAccessLoggers(configs as readonly AccessLog[], logContext),
  };
  return logContext;
}

const OFF = { missMs: 0, megamissMs: 0, killMs: 0, multikillMs: 0, multikillThreshold: 0 };
const NO_WATCHDOGS: WatchdogConfig = { main: OFF, workers: OFF };

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

/** What is wrong with all sources was said; that is no news of each that names one. */
const UNKNOWN_SOURCES: ConfigSubscriptions = { ...noSubscriptions, check() {} };

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
