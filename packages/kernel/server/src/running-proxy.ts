import type { AdminServer } from '@dragoman/admin';
import { type Cluster, durationMs, type Listener } from '@dragoman/api';
import { type Address, ConfigError, type LogLevel, type Timer } from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';
import { startAdmin } from './admin-interface.ts';
import { ServerAdminState } from './admin-state.ts';
import { type Assembly, dismantle } from './assemble.ts';
import { explainEndpoint, explainedProxy } from './explain/admin-endpoint.ts';
import { historyEndpoint } from './history/history-endpoint.ts';
import { forgetOnExit, writeOnExit } from './exit-files.ts';
import { HOT_RESTART_DISABLED, type HotRestart } from './hot-restart/hot-restart.ts';
import type { Proxy as ServedProxy } from './proxy.ts';
import { ServerState } from './server-stats.ts';
import { validateUpdateEndpoint } from './validate-update/endpoint.ts';

/** How long {@link ServedProxy.drain} waits when it is not told: what a supervisor usually grants before it kills. */
const DEFAULT_DRAIN_MS = 25_000;
/** Envoy's `stats_flush_interval`. */
const DEFAULT_FLUSH_MS = 5000;
/** How often the address of the admin interface is tried that another process has, ms. */
const ADMIN_RETRY_MS = 500;
/** How often a drain looks whether the last connection has gone, ms. */
const DRAIN_POLL_MS = 20;

/** A proxy from its start to its end: main's role. What serves traffic are its workers. */
export class RunningProxy implements ServedProxy {
  private readonly parts: Assembly;
  private readonly hotRestart: HotRestart | undefined;
  private readonly onQuit: () => void;
  private admin: AdminServer | undefined = undefined;
  /** Whoever knows it finds it again after a restart that has failed. */
  private lastAdminAddress: Address | undefined = undefined;
  private readonly adminState: ServerAdminState;
  private adminRetry: NodeJS.Timeout | undefined = undefined;
  private flushTimer: NodeJS.Timeout | undefined = undefined;
  private state: ServerState = ServerState.preInitializing;
  private healthCheckFailed = false;
  private closed: Promise<void> | undefined = undefined;
  /** What `/drain_listeners?graceful` drains, once it has begun. */
  private gracefully: 'none' | 'inbound' | 'all' = 'none';
  /** The ends of such drains. */
  private readonly gracefulStops: Timer[] = [];

  constructor(parts: Assembly, onQuit: (() => void) | undefined, hotRestart: HotRestart | undefined) {
    this.parts = parts;
    this.onQuit = onQuit ?? (() => void this.close());
    this.hotRestart = hotRestart;
    this.adminState = this.createAdminState();
    hotRestart?.serve({
      closeAdmin: () => this.closeAdmin(),
      openAdmin: () => this.openAdmin(),
      drain: () => void this.handOver(),
      quit: () => this.onQuit(),
    });
    writeOnExit(parts.logFiles);
  }

  get stats(): StatsStore {
    return this.parts.stats;
  }

  get listeners(): ServedProxy['listeners'] {
    return this.parts.listeners.listeners.map(({ name, addresses }) => ({ name, addresses }));
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

  async start(): Promise<void> {
    const { parts, hotRestart } = this;
    const { serverStats } = parts;
    const { clock, loggers } = parts.context;
    const log = loggers.logger('main');
    const begun = clock.now();
    this.setState(ServerState.preInitializing);
    // The admin interface comes first, so that it can be asked why the rest is not there yet. Where another process has it,
    // that one keeps it until this one is sure to serve.
    const takesOver = hotRestart?.hasParent === true;
    if (!takesOver) await this.openAdmin();
    this.setState(ServerState.initializing);
    parts.sources.start();
    parts.subClusters.start();
    await parts.sources.primaryWarmed;
    this.throwIfClosed();
    parts.loadReporter?.start();
    await parts.runtime.start({
      clock,
      subscriptions: parts.subscriptions,
      onChange: (values) => parts.workers.setRuntime(values),
    });
    this.throwIfClosed();
    parts.sources.startSecondary();
    await parts.dynamic.startClusters();
    this.throwIfClosed();
    log.info('all clusters initialized. initializing init manager');
    await parts.dynamic.startListeners();
    this.throwIfClosed();
    if (takesOver) {
      await hotRestart.takeOver();
      await this.openAdminOrRetry();
    }
    parts.overload?.start();
    if (parts.flags.mode !== 'init_only') await parts.listeners.listen();
    // Closed while it was binding: what has been bound since goes too.
    if (this.closed !== undefined) await parts.workers.close();
    this.throwIfClosed();
    serverStats.workersStarted.set(1);
    serverStats.initializationTimeMs.record(Math.round(clock.now() - begun));
    this.setState(ServerState.live);
    this.startFlushing();
    hotRestart?.live();
    log.info('all dependencies initialized. starting workers');
  }

  async drain({ timeMs = DEFAULT_DRAIN_MS }: { readonly timeMs?: number } = {}): Promise<void> {
    await this.drainServer(0, timeMs);
  }

  close(): Promise<void> {
    this.closed ??= this.closeNow();
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  reopenLogs(): void {
    // Main first: it writes for the workers what is no regular file.
    this.parts.logFiles.reopen();
    this.parts.workers.reopenLogs();
  }

  addOrUpdateListener(listener: Listener): Promise<boolean> {
    return this.parts.listeners.addOrUpdate(listener);
  }

  removeListener(name: string): Promise<boolean> {
    return this.parts.listeners.remove(name);
  }

  addOrUpdateCluster(cluster: Cluster): Promise<boolean> {
    const { clusters, sources, context } = this.parts;
    return clusters.addOrUpdate(cluster, sources, context.clock.wallTime());
  }

  removeCluster(name: string): Promise<boolean> {
    return this.parts.clusters.remove(name, this.parts.sources);
  }

  private async openAdmin(): Promise<void> {
    const { bootstrap, logContext, log } = this.parts;
    const at = this.lastAdminAddress;
    const admin = await startAdmin({
      bootstrap,
      state: this.adminState,
      context: logContext,
      endpoints: [
        explainEndpoint(explainedProxy(this.parts)),
        historyEndpoint(this.parts.history, logContext.clock),
        validateUpdateEndpoint(this.parts),
      ],
      at,
    });
    if (admin === undefined) return;
    if (this.closed !== undefined) {
      await admin.close();
      return;
    }
    this.admin = admin;
    this.lastAdminAddress = admin.address;
    log.logger('main').info(`admin address: ${admin.address.text}`);
  }

  /**
   * A process that hangs keeps its admin interface: it is replaced all the same, and its address is had when it has ended. Rejects for what no
   * waiting would help against.
   */
  private async openAdminOrRetry(): Promise<void> {
    try {
      await this.openAdmin();
    } catch (error) {
      const { cause } = error as { readonly cause?: NodeJS.ErrnoException };
      if (!(error instanceof ConfigError) || cause?.code !== 'EADDRINUSE') throw error;
      this.parts.log
        .logger('admin')
        .warn(`the admin interface waits for its address: ${error.message.split('\n', 1)[0]}`);
      this.adminRetry = setInterval(() => {
        this.openAdmin().then(
          () => clearInterval(this.adminRetry),
          () => {},
        );
      }, ADMIN_RETRY_MS);
      this.adminRetry.unref();
    }
  }

  private async closeAdmin(): Promise<void> {
    clearInterval(this.adminRetry);
    const { admin } = this;
    this.admin = undefined;
    await admin?.close();
  }

  /** Another process has taken over: connections are given the drain time, and this one ends with the last of them. */
  private async handOver(): Promise<void> {
    const { flags, context } = this.parts;
    context.loggers.logger('main').info('another process has taken over: draining');
    // The supervisor says when the time is over, too; this is for when it is gone.
    await this.drainServer(flags.drainTimeMs, flags.parentShutdownTimeMs);
    this.onQuit();
  }

  /**
   * Stops accepting and asks connections to end. Resolves when the last one has gone, the time is over, or the proxy was closed.
   * @param overMs over which they are asked
   * @param boundMs how long they have
   */
  private async drainServer(overMs: number, boundMs: number): Promise<void> {
    const { activeConnections, workers, context } = this.parts;
    const { clock } = context;
    const deadline = clock.now() + boundMs;
    this.setState(ServerState.draining);
    // A worker that does not answer keeps the others waiting for the bound, and not from their drain.
    let stopped = false;
    void this.stopListeners().then(() => {
      stopped = true;
    });
    workers.startDrain({ timeMs: overMs, closeIdle: true });
    const over = (): boolean =>
      (stopped && activeConnections() === 0) || clock.now() >= deadline || this.closed !== undefined;
    if (over()) return;
    // A timer of Node's, which keeps the process; connections tell of their end by a count.
    await new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        if (!over()) return;
        clearInterval(interval);
        resolve();
      }, DRAIN_POLL_MS);
    });
  }

  private throwIfClosed(): void {
    if (this.closed !== undefined) throw ConfigError.at('', 'the proxy was closed while it started');
  }

  private async closeNow(): Promise<void> {
    const { logFiles, clusters, listeners } = this.parts;
    clearInterval(this.flushTimer);
    for (const timer of this.gracefulStops) timer.disable();
    // No change begins any more; one under way ends when workers have answered, or are gone.
    clusters.close();
    const settled = listeners.close();
    await dismantle(this.parts);
    await settled;
    await this.closeAdmin();
    await this.hotRestart?.exiting();
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
    const { serverStats, activeConnections, stats, workers } = this.parts;
    serverStats.refresh(activeConnections(), this.hotRestart?.parentConnections ?? 0);
    stats.flush();
    this.hotRestart?.refresh();
    // For the next time: threads answer when they can.
    workers.memory().then(
      (rows) => serverStats.noteWorkers(rows),
      () => {},
    );
    workers.certificateGroups().then(
      (groups) => serverStats.noteCertificates(groups),
      () => {},
    );
  }

  private setState(state: ServerState): void {
    const { serverStats } = this.parts;
    this.state = state;
    serverStats.state.set(this.shownState());
    serverStats.live.set(state === ServerState.live && !this.healthCheckFailed ? 1 : 0);
  }

  /** A failed health check makes a live server a draining one. */
  private shownState(): ServerState {
    return this.healthCheckFailed && this.state === ServerState.live ? ServerState.draining : this.state;
  }

  /** Does not reject. */
  private async stopListeners(inboundOnly = false): Promise<void> {
    try {
      await this.parts.listeners.stop(inboundOnly);
    } catch (error) {
      this.parts.log.logger('main').error(`listeners could not be stopped: ${String(error)}`);
    }
  }

  private createAdminState(): ServerAdminState {
    const { parts, hotRestart } = this;
    return new ServerAdminState({
      bootstrap: parts.bootstrap,
      flags: parts.flags,
      clock: parts.context.clock,
      stats: parts.stats,
      runtime: parts.runtime,
      log: parts.log,
      clusters: parts.clusters,
      sources: parts.sources,
      listeners: parts.listeners,
      dynamic: parts.dynamic,
      xds: parts.xds,
      workers: parts.workers,
      hotRestart: hotRestart ?? HOT_RESTART_DISABLED,
      state: () => this.shownState(),
      flushStats: () => this.flushStats(),
      failHealthCheck: (failed) => {
        this.healthCheckFailed = failed;
        parts.workers.failHealthCheck(failed);
        this.setState(this.state);
      },
      drainListeners: ({ graceful, inboundOnly, skipExit }) =>
        this.drainListeners(graceful, inboundOnly, skipExit),
      setLogLevel: (name, level) => this.setLogLevel(name, level),
      reopenLogs: () => {
        parts.log.reopen?.();
        this.reopenLogs();
      },
      quit: () => this.onQuit(),
    });
  }

  private setLogLevel(name: string | undefined, level: LogLevel): void {
    this.parts.log.setLevel(name, level);
    this.parts.workers.setLogLevels();
  }

  /**
   * `/drain_listeners`: at once, or after connections were drained over the drain time, while new ones are still accepted. As in
   * Envoy a graceful drain that has begun goes on as it is, whatever comes after it.
   */
  private drainListeners(graceful: boolean, inboundOnly: boolean, skipExit: boolean): void {
    const { workers, flags, context } = this.parts;
    if (!graceful) {
      void this.stopListeners(inboundOnly);
      return;
    }
    if (this.gracefully === 'all' || (inboundOnly && this.gracefully === 'inbound')) return;
    this.gracefully = inboundOnly ? 'inbound' : 'all';
    workers.startDrain({ timeMs: flags.drainTimeMs, inboundOnly, closeIdle: true });
    if (skipExit) return;
    const timer = context.clock.timer(() => void this.stopListeners(inboundOnly));
    this.gracefulStops.push(timer);
    timer.enable(flags.drainTimeMs);
  }
}
