import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import type { LogRelayServer } from '@dragoman/access-log';
import { type FactoryContext, levelRank, type LogLevel } from '@dragoman/core';
import type { StatsMatcher, StatsStore } from '@dragoman/stats';
import type { OnHostEvent } from '@dragoman/upstream';
import type { ServerFlags, ServerLoggers, ThreadsOption } from '../proxy.ts';
import type { OverloadHandle } from '../overload/index.ts';
import type { RuntimeLayers } from '../runtime-layers.ts';
import type { ServerStats } from '../server-stats.ts';
import { beatIntervalMs, GuardDog, Heart, HeartbeatPage, type WatchdogConfig } from '../watchdog/index.ts';
import type { Ledger } from '../workers/ledger.ts';
import type { LogLevels } from './protocol.ts';
import type { WorkerQuestions } from '../worker/questions.ts';
import { Faults } from '../log/faults.ts';
import { ThreadWorkers } from './thread-workers.ts';

export interface StartThreadsOptions {
  readonly count: number;
  readonly threads: Exclude<ThreadsOption, 'inline'>;
  readonly flags: ServerFlags;
  readonly watchdogs: WatchdogConfig;
  readonly statsMatcher: StatsMatcher | undefined;
  readonly context: FactoryContext & { readonly runtime: RuntimeLayers };
  readonly log: ServerLoggers;
  readonly stats: StatsStore;
  readonly serverStats: ServerStats;
  readonly ledger: Ledger;
  readonly relay: LogRelayServer;
  /** `static_resources.secrets`, serialised. */
  readonly secrets: readonly Uint8Array[];
  /** A worker saw something of a host. */
  readonly onHostEvent: OnHostEvent;
  readonly questions: WorkerQuestions;
  readonly overload: OverloadHandle | undefined;
}

/** The workers of a proxy on threads, watched by a guard on main; main is watched by the first of them. */
export function startThreads(options: StartThreadsOptions): ThreadWorkers {
  const { count, threads, flags, watchdogs, context, log, stats, serverStats, ledger } = options;
  const { clock } = context;
  const logger = log.logger('main');
  const cacheFolder = getCompileCacheDir();
  // Node appends its version to the folder that it is given.
  const compileCache = cacheFolder === undefined ? undefined : dirname(cacheFolder);
  const faults = new Faults(clock, logger);
  faults.countIn(serverStats.bugFailures);
  // The last slot is main's.
  const page = HeartbeatPage.create(count + 1);
  const guard = new GuardDog({
    name: 'workers',
    watched: Array.from({ length: count }, (_, index) => ({ name: `worker_${index}`, index })),
    timeouts: watchdogs.workers,
    page,
    clock,
    stats: context.stats,
    logger,
    onKill: (_thread, index, reason) => workers.kill(index, `ended by the watchdog (${reason}_timeout)`),
  });
  const heart = new Heart({ page, index: count, intervalMs: beatIntervalMs(watchdogs.main), clock });
  const workers: ThreadWorkers = new ThreadWorkers({
    count,
    clock,
    ledger,
    relay: options.relay,
    onHostEvent: options.onHostEvent,
    questions: options.questions,
    logger,
    loggersOf: (threadId) => log.ofThread?.(threadId) ?? log,
    logLevels: () => logLevels(log),
    runtime: () => context.runtime.values,
    warn: context.warn,
    attachStats: () => stats.attach(),
    deaths: serverStats.workerDeaths,
    faults,
    dataOf: (index) => ({
      index,
      compileCache,
      extensions: String(threads.extensions),
      disabledExtensions: flags.disabledExtensions,
      localInfo: context.localInfo,
      runtime: context.runtime.values,
      secrets: options.secrets,
      processKey: context.processKey,
      logLevels: logLevels(log),
      statsMatcher: options.statsMatcher,
      fileFlushIntervalMs: flags.fileFlushIntervalMs,
      fileFlushMinBytes: flags.fileFlushMinBytes,
      drainStrategy: flags.drainStrategy,
      connections: ledger.connections.handle,
      overload: options.overload,
      heartbeats: {
        buffer: page.buffer,
        intervalMs: beatIntervalMs(watchdogs.workers),
        main: index === 0 ? { index: count, timeouts: watchdogs.main } : undefined,
      },
    }),
    onReplace: (index) => guard.restarted(index),
    onReplaced: () => stats.forgetLost(),
    onClose: () => {
      guard.stop();
      heart.stop();
    },
  });
  guard.start();
  heart.start();
  return workers;
}

/** What a worker may leave unsaid. One that it makes itself passes on whatever any of the others would. */
function logLevels(log: ServerLoggers): LogLevels {
  const byName = log.loggers().map(({ name, level }) => [name, level] as const);
  const others = byName.reduce<LogLevel>(
    (lowest, [, level]) => (levelRank(level) < levelRank(lowest) ? level : lowest),
    'off',
  );
  return { byName, others };
}
