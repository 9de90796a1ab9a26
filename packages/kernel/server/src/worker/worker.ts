import type { LogFilesImpl } from '@dragoman/access-log';
import {
  type AccessLog,
  type Bootstrap,
  type Listener,
  Listener_DrainType,
  TrafficDirection,
} from '@dragoman/api';
import {
  ConfigError,
  type FactoryContext,
  type HostListUpdate,
  ProblemCollector,
  type WorkerContext,
} from '@dragoman/core';
import { createClientCodec } from '@dragoman/http1';
import {
  Dispatcher,
  describeSocketError,
  EventClock,
  type NetworkContext,
  ReadBuffers,
  SocketConnector,
} from '@dragoman/network';
import { createClusterManager, type WorkerClusterManager } from '@dragoman/upstream';
import { createAccessLoggers } from './access-loggers.ts';
import type { DrainManager, DrainStart } from './drain-manager.ts';
import { ActiveListener, type ConnectionCount } from './listener/active-listener.ts';
import { compileListener } from './listener/listener-config.ts';

export interface WorkerOptions {
  /** `worker_0`, `worker_1`, … */
  readonly name: string;
  readonly bootstrap: Bootstrap;
  readonly context: FactoryContext;
  readonly logFiles: LogFilesImpl;
  readonly drain: DrainManager;
}

/**
 * What serves traffic: clusters, listeners, connections. It learns of hosts from main by {@link updateHosts} and asks
 * main for nothing, so that it can run on a thread of its own.
 */
export class Worker {
  readonly clusters: WorkerClusterManager;
  readonly listeners: readonly ActiveListener[];
  readonly count: ConnectionCount = { active: 0, total: 0 };
  readonly context: WorkerContext;
  private readonly drainManager: DrainManager;

  /** Compiles clusters and listeners; binds nothing. @throws ConfigError with every problem, paths from the bootstrap's root */
  constructor(options: WorkerOptions) {
    const { bootstrap } = options;
    const dispatcher = new Dispatcher(options.context.clock);
    const context: FactoryContext = {
      ...options.context,
      clock: new EventClock(options.context.clock, dispatcher),
    };
    const network: NetworkContext = {
      clock: context.clock,
      logger: context.loggers.logger('connection'),
      dispatcher,
      buffers: new ReadBuffers(),
    };
    const problems = new ProblemCollector();
    const clusters = problems.try('', () =>
      createClusterManager({
        clusters: bootstrap.staticResources?.clusters ?? [],
        registry: context.extensions,
        context,
        connector: new SocketConnector(network),
        createCodec: createClientCodec,
      }),
    );
    // Listeners are compiled even when a cluster is wrong, so that every problem is reported at once.
    this.clusters = clusters as WorkerClusterManager;
    this.drainManager = options.drain;
    this.context = workerContext(context, options, this.clusters);
    this.listeners = this.compileListeners(bootstrap, network, options.name, problems);
    problems.throwIfAny();
  }

  updateHosts(clusterName: string, update: HostListUpdate): void {
    this.clusters.updateHosts(clusterName, update);
  }

  /**
   * Binds every listener.
   * @throws ConfigError that says which address could not be had, and why; nothing is bound then
   */
  async listen(): Promise<void> {
    const results = await Promise.allSettled(this.listeners.map((listener) => listener.listen()));
    const problems = new ProblemCollector();
    results.forEach((result, i) => {
      if (result.status === 'fulfilled') return;
      problems.add(
        `static_resources.listeners[${i}].address`,
        bindFailure(this.listeners[i] as ActiveListener, result.reason),
      );
    });
    if (problems.problems.length > 0) await this.stopAccepting();
    problems.throwIfAny();
  }

  /**
   * @param inboundOnly only listeners whose `traffic_direction` is INBOUND
   * @returns how many listeners accepted until now
   */
  async stopAccepting(inboundOnly = false): Promise<number> {
    const chosen = this.listeners.filter(
      ({ accepting, compiled }) => accepting && (!inboundOnly || compiled.trafficDirection === 'INBOUND'),
    );
    await Promise.all(chosen.map((listener) => listener.stopAccepting()));
    return chosen.length;
  }

  get activeConnections(): number {
    return this.count.active;
  }

  startDrain(start: DrainStart): void {
    this.drainManager.start(start);
  }

  async close(): Promise<void> {
    await this.stopAccepting();
    const ended = Promise.all(this.listeners.map((listener) => listener.closeConnections()));
    this.clusters.close();
    await ended;
  }

  private compileListeners(
    bootstrap: Bootstrap,
    network: NetworkContext,
    name: string,
    problems: ProblemCollector,
  ): ActiveListener[] {
    const listeners: ActiveListener[] = [];
    (bootstrap.staticResources?.listeners ?? []).forEach((config, i) => {
      const compiled = problems.try(`static_resources.listeners[${i}]`, () =>
        compileListener(config, this.contextFor(config)),
      );
      if (compiled !== undefined) listeners.push(new ActiveListener(compiled, network, name, this.count));
    });
    return listeners;
  }

  private contextFor(config: Listener): WorkerContext {
    const drain = this.drainManager.of({
      inbound: config.trafficDirection === TrafficDirection.INBOUND,
      modifyOnly: config.drainType === Listener_DrainType.MODIFY_ONLY,
    });
    return drain === this.context.drain ? this.context : { ...this.context, drain };
  }
}

function workerContext(
  base: FactoryContext,
  options: WorkerOptions,
  clusters: WorkerClusterManager,
): WorkerContext {
  const context: WorkerContext = {
    ...base,
    clusters,
    logFiles: options.logFiles,
    drain: options.drain,
    accessLoggers: (configs) => createAccessLoggers(configs as readonly AccessLog[], context),
  };
  return context;
}

/** What to tell a person whose listener could not be bound. */
export function bindFailureText(address: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const reason = error instanceof Error ? describeSocketError(error as NodeJS.ErrnoException) : String(error);
  const hint =
    code === 'EADDRINUSE'
      ? ' (another process has it: `ss -ltnp` shows which)'
      : code === 'EACCES'
        ? address.startsWith('/')
          ? ' (its folder must exist and be writable)'
          : ' (ports below 1024 need CAP_NET_BIND_SERVICE)'
        : code === 'EADDRNOTAVAIL'
          ? ' (this machine does not have that address)'
          : '';
  return `cannot listen on ${address}: ${reason}${hint}`;
}

function bindFailure(listener: ActiveListener, error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const { address, port } = error as { address?: string; port?: number };
  const text =
    address === undefined
      ? listener.compiled.targets.map((target) => target.address.text).join(', ')
      : port === undefined || port < 0
        ? address
        : address.includes(':')
          ? `[${address}]:${port}`
          : `${address}:${port}`;
  return bindFailureText(text, error);
}
