import { availableParallelism } from 'node:os';
import type { AdminServer } from '@dragoman/admin';
import { durationMs } from '@dragoman/api';
import {
  type Address,
  ConfigError,
  type LogLevel,
  silentLogger,
  systemClock,
  systemRandom,
  type Timer,
} from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';
import { startAdmin } from './admin-interface.ts';
import { ServerAdminState } from './admin-state.ts';
import { type Assembly, assemble, type FullOptions, located, readBootstrap } from './assemble.ts';
import { forgetOnExit, writeOnExit } from './exit-files.ts';
import type { ProxyOptions, Proxy as ServedProxy, ServerFlags, ServerLoggers } from './proxy.ts';
import { createServerStats, ServerState, type ServerStats } from './server-stats.ts';

/** How long {@link ServedProxy.drain} waits when it is not told: what a supervisor usually grants before it kills. */
const DEFAULT_DRAIN_MS = 25_000;
/** Envoy's `stats_flush_interval`. */
const DEFAULT_FLUSH_MS = 5000;

const DEFAULT_FLAGS: ServerFlags = {
  serviceCluster: '',
  serviceNode: '',
  serviceZone: '',
  localAddressIpVersion: 'v4',
  concurrency: availableParallelism(),
  drainTimeMs: 600_000,
  drainStrategy: 'gradual',
  parentShutdownTimeMs: 900_000,
  mode: 'serve',
  fileFlushIntervalMs: 10_000,
  fileFlushMinBytes: 64 * 1024,
  disabledExtensions: [],
  statsTags: [],
  version: 'dragoman',
  commandLine: {},
};

const SILENT: ServerLoggers = {
  logger: () => silentLogger,
  loggers: () => [],
  setLevel(_name: string | undefined, _level: LogLevel) {},
};

/** An embedded proxy has no command line: `/server_info` then shows what its flags amount to. */
function withCommandLine(flags: ServerFlags): ServerFlags {
  if (Object.keys(flags.commandLine).length > 0) return flags;
  const { concurrency, serviceCluster, serviceNode, serviceZone, drainTimeMs, parentShutdownTimeMs } = flags;
  const seconds = (ms: number): string => `${ms / 1000}s`;
  return {
    ...flags,
    commandLine: {
      concurrency,
      serviceCluster,
      serviceNode,
      serviceZone,
      drainTime: seconds(drainTimeMs),
      parentShutdownTime: seconds(parentShutdownTimeMs),
      fileFlushInterval: seconds(flags.fileFlushIntervalMs),
      localAddressIpVersion: flags.localAddressIpVersion,
      disabledExtensions: flags.disabledExtensions,
    },
  };
}

function withDefaults(options: ProxyOptions, bootstrap: FullOptions['bootstrap']): FullOptions {
  return {
    extensions: options.extensions,
    log: options.log ?? SILENT,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    bootstrap,
    flags: withCommandLine({ ...DEFAULT_FLAGS, ...options.flags }),
  };
}

/**
 * Starts a proxy: compiles the config, waits for the clusters' first hosts, binds the listeners. Nothing stays behind
 * when it fails.
 *
 * @throws ConfigError with every problem found
 */
export async function createProxy(options: ProxyOptions): Promise<ServedProxy> {
  const { bootstrap, loaded } = readBootstrap(options.bootstrap);
  return located(loaded, async () => {
    const proxy = new RunningProxy(assemble(withDefaults(options, bootstrap)), options.onQuit);
    proxy.countUnknownFields(loaded?.messagesWithUnknownFields ?? 0);
    try {
      await proxy.start();
    } catch (error) {
      await proxy.close();
      throw error;
    }
    return proxy;
  });
}

/**
 * Compiles everything and binds nothing.
 * @throws ConfigError with every problem found
 */
export async function validateBootstrap(options: ProxyOptions): Promise<void> {
  const { bootstrap, loaded } = readBootstrap(options.bootstrap);
  await located(loaded, () => {
    const assembly = assemble(withDefaults(options, bootstrap));
    assembly.sources.stop();
    assembly.dns.close();
    assembly.worker.clusters.close();
    assembly.logFiles.close();
  });
}

class RunningProxy implements ServedProxy {
  private readonly parts: Assembly;
  private readonly serverStats: ServerStats;
  private readonly onQuit: () => void;
  private admin: AdminServer | undefined = undefined;
  private flushTimer: NodeJS.Timeout | undefined = undefined;
  private state: ServerState = ServerState.preInitializing;
  private healthCheckFailed = false;
  private closed: Promise<void> | undefined = undefined;
  /** The end of `/drain_listeners?graceful`. */
  private gracefulStop: Timer | undefined = undefined;

  constructor(parts: Assembly, onQuit: (() => void) | undefined) {
    this.parts = parts;
    const { context, flags } = parts;
    this.serverStats = createServerStats(parts.rootScope, context.clock, Math.max(1, flags.concurrency));
    this.onQuit = onQuit ?? (() => void this.close());
    writeOnExit(parts.logFiles);
  }

  get stats(): StatsStore {
    return this.parts.stats;
  }

  get listeners(): ServedProxy['listeners'] {
    return this.parts.worker.listeners.map((listener) => ({
      name: listener.compiled.name,
      addresses: listener.addresses,
    }));
  }

  get adminAddress(): Address | undefined {
    return this.admin?.address;
  }

  address(listenerName?: string): Address {
    const { listeners } = this;
    const found =
      listenerName === undefined ? listeners[0] : listeners.find(({ name }) => name === listenerName);
    if (found === undefined) {
      throw new Error(
        listenerName === undefined
          ? 'this proxy has no listener'
          : `there is no listener "${listenerName}"; there are ${listeners.map(({ name }) => `"${name}"`).join(', ')}`,
      );
    }
    return found.addresses[0] as Address;
  }

  /** Messages of the config with fields that it was allowed to have all the same. */
  countUnknownFields(messages: number): void {
    this.parts.rootScope.counter('server.static_unknown_fields').add(messages);
  }

  async start(): Promise<void> {
    const { parts, serverStats } = this;
    const { clock, loggers } = parts.context;
    const log = loggers.logger('main');
    const begun = clock.now();
    this.setState(ServerState.preInitializing);
    // The admin interface comes first, so that it can be asked why the rest is not there yet.
    this.admin = await startAdmin({
      bootstrap: parts.bootstrap,
      state: this.adminState(),
      context: parts.worker.context,
    });
    if (this.admin !== undefined) log.info(`admin address: ${this.admin.address.text}`);
    this.setState(ServerState.initializing);
    parts.sources.start();
    await parts.sources.warmed;
    this.throwIfClosed();
    log.info('all clusters initialized. initializing init manager');
    if (parts.flags.mode !== 'init_only') await this.listen();
    // Closed while it was binding: what has been bound since goes too.
    if (this.closed !== undefined) await parts.worker.close();
    this.throwIfClosed();
    serverStats.workersStarted.set(1);
    serverStats.initializationTimeMs.record(Math.round(clock.now() - begun));
    this.setState(ServerState.live);
    this.startFlushing();
    log.info('all dependencies initialized. starting workers');
  }

  async drain({ timeMs = DEFAULT_DRAIN_MS }: { readonly timeMs?: number } = {}): Promise<void> {
    const { worker, context } = this.parts;
    this.setState(ServerState.draining);
    await this.stopListeners();
    worker.startDrain({ timeMs: 0, closeIdle: true });
    if (worker.activeConnections === 0) return;
    const deadline = context.clock.now() + timeMs;
    // A timer of Node's, which keeps the process; connections tell of their end by a count.
    await new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        if (worker.activeConnections > 0 && context.clock.now() < deadline) return;
        clearInterval(interval);
        resolve();
      }, DRAIN_POLL_MS);
    });
  }

  close(): Promise<void> {
    this.closed ??= this.closeNow();
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  reopenLogs(): void {
    this.parts.logFiles.reopen();
  }

  private throwIfClosed(): void {
    if (this.closed !== undefined) throw ConfigError.at('', 'the proxy was closed while it started');
  }

  private async listen(): Promise<void> {
    const { worker, context } = this.parts;
    const log = context.loggers.logger('config');
    try {
      await worker.listen();
    } catch (error) {
      this.serverStats.listenerCreateFailure.inc();
      throw error;
    }
    for (const { name, addresses } of this.listeners) {
      this.serverStats.listenerAdded.inc();
      this.serverStats.listenerCreateSuccess.inc();
      this.serverStats.listenersActive.inc();
      log.info(`listener '${name}' serves on ${addresses.map(({ text }) => text).join(', ')}`);
    }
  }

  private async closeNow(): Promise<void> {
    const { sources, dns, worker, logFiles } = this.parts;
    clearInterval(this.flushTimer);
    this.gracefulStop?.disable();
    sources.stop();
    dns.close();
    await worker.close();
    await this.admin?.close();
    await logFiles.flush();
    logFiles.close();
    forgetOnExit(logFiles);
  }

  private startFlushing(): void {
    const { statsFlush, statsFlushInterval } = this.parts.bootstrap;
    this.flushStats();
    if (statsFlush.case === 'statsFlushOnAdmin') return;
    const ms = statsFlushInterval === undefined ? DEFAULT_FLUSH_MS : durationMs(statsFlushInterval);
    this.flushTimer = setInterval(() => this.flushStats(), ms);
    this.flushTimer.unref();
  }

  private flushStats(): void {
    this.serverStats.refresh(this.parts.worker.activeConnections);
    this.parts.stats.flush();
  }

  private setState(state: ServerState): void {
    this.state = state;
    this.serverStats.state.set(this.shownState());
    this.serverStats.live.set(state === ServerState.live && !this.healthCheckFailed ? 1 : 0);
  }

  /** A failed health check makes a live server a draining one. */
  private shownState(): ServerState {
    return this.healthCheckFailed && this.state === ServerState.live ? ServerState.draining : this.state;
  }

  /** Stops listeners that still accept, and counts them. */
  private async stopListeners(inboundOnly = false): Promise<void> {
    const stopped = await this.parts.worker.stopAccepting(inboundOnly);
    this.serverStats.listenerStopped.add(stopped);
    this.serverStats.listenersActive.sub(stopped);
  }

  private adminState(): ServerAdminState {
    const { parts } = this;
    return new ServerAdminState({
      bootstrap: parts.bootstrap,
      flags: parts.flags,
      clock: parts.context.clock,
      stats: parts.stats,
      runtime: parts.runtime,
      log: parts.log,
      logFiles: parts.logFiles,
      worker: parts.worker,
      state: () => this.shownState(),
      flushStats: () => this.flushStats(),
      failHealthCheck: (failed) => {
        this.healthCheckFailed = failed;
        parts.drain.failHealthCheck(failed);
        this.setState(this.state);
      },
      drainListeners: ({ graceful, inboundOnly, skipExit }) =>
        this.drainListeners(graceful, inboundOnly, skipExit),
      quit: () => this.onQuit(),
    });
  }

  /** `/drain_listeners`: at once, or after connections were drained over the drain time. */
  private drainListeners(graceful: boolean, inboundOnly: boolean, skipExit: boolean): void {
    const { worker, flags, context } = this.parts;
    if (!graceful) {
      void this.stopListeners(inboundOnly);
      return;
    }
    worker.startDrain({ timeMs: flags.drainTimeMs, inboundOnly });
    if (skipExit) return;
    this.gracefulStop?.disable();
    this.gracefulStop = context.clock.timer(() => void this.stopListeners(inboundOnly));
    this.gracefulStop.enable(flags.drainTimeMs);
  }
}

const DRAIN_POLL_MS = 20;
