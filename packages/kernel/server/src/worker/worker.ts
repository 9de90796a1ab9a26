import { type AccessLog, Listener_DrainType, TrafficDirection } from '@dragoman/api';
import {
  ConfigError,
  type FactoryContext,
  type HostEvent,
  type HostListUpdate,
  LoadShedPointName,
  joinPath,
  type LogFiles,
  neverOverloaded,
  type OverloadState,
  ProblemCollector,
  type WorkerContext,
} from '@dragoman/core';
import { createGrpcClientFactory } from '@dragoman/grpc';
import { Dispatcher, EventClock, type NetworkContext, ReadBuffers, SocketConnector } from '@dragoman/network';
import { SharedCounts, type SharedCountsHandle } from '@dragoman/stats';
import { type ClusterLoad, createClusterManager, type WorkerClusterManager } from '@dragoman/upstream';
import { createAccessLoggers } from '../access-loggers.ts';
import type { DrainManager, DrainStart, ListenerDrain } from '../drain-manager.ts';
import { ActiveListener } from '../listener/active-listener.ts';
import { type OverloadHandle, WorkerOverload } from '../overload/index.ts';
import { bindFailure } from '../listener/bind-failure.ts';
import { ListenersByAddress } from '../listener/listeners-by-address.ts';
import { compileListener } from '../listener/listener-config.ts';
import { clientCodecs } from './client-codecs.ts';
import { type ClusterReport, reportClusters } from './cluster-report.ts';
import { connectionCount, type ConnectionCount } from './connection-count.ts';
import type { BindOrder, BoundAddresses, ClusterOrder, ListenerOrder } from './orders.ts';
import { sharedBudgets } from './shared-budgets.ts';
import type { WorkerQuestions } from './questions.ts';
import { WorkerSubClusters } from './worker-sub-clusters.ts';
import { upstreamFilterCompiler } from './upstream-filters.ts';

export interface WorkerOptions {
  /** From 0; `worker_0`, `worker_1`, … in stats. */
  readonly index: number;
  readonly context: FactoryContext;
  readonly logFiles: LogFiles;
  readonly drain: DrainManager;
  readonly clusters: readonly ClusterOrder[];
  readonly listeners: readonly ListenerOrder[];
  /** The connections of all workers; undefined: this one is the only one. */
  readonly connections: SharedCountsHandle | undefined;
  /** Tells main what was seen of a host. */
  onHostEvent(clusterName: string, identity: string, event: HostEvent): void;
  readonly questions: WorkerQuestions;
  /** Undefined without an overload manager. */
  readonly overload: OverloadHandle | undefined;
}

/** A listener on this worker, with the drain that is its own. */
interface Entry {
  readonly listener: ActiveListener;
  readonly drain: ListenerDrain;
  readonly path: string;
}

/** Everything that a worker is told and asked. All of it is plain data, but for the messages in orders. */
export interface WorkerCommands {
  /** Compiles a listener; binds nothing. @throws ConfigError with paths that begin with the order's */
  prepareListener(order: ListenerOrder): void;
  /**
   * Accepts on the sockets of listeners that are prepared; answers where, in the order of `orders`.
   * @throws ConfigError that names what could not be had; none of them is bound then
   */
  listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]>;
  /** Open connections go on. */
  stopAccepting(ids: readonly number[]): Promise<void>;
  /** Asks the connections of one listener to end over some time. */
  drainListener(id: number, timeMs: number): void;
  /** Ends what is left of a listener, now, and forgets it. */
  removeListener(id: number): Promise<void>;
  startDrain(start: DrainStart): void;
  failHealthCheck(failed: boolean): void;
  /** The value of some overload action is another. */
  overloadChanged(): void;
  /** The action of that name is to act, once. */
  resetHighMemoryStreams(): void;
  /** @throws ConfigError with paths that begin with the order's */
  addOrUpdateCluster(order: ClusterOrder, hosts: HostListUpdate | undefined): void;
  removeCluster(name: string): void;
  updateHosts(clusterName: string, update: HostListUpdate): void;
  clusterReports(): readonly ClusterReport[];
  latchLoads(clusterNames: readonly string[], perEndpoint: boolean): readonly ClusterLoad[];
  /** Ends every connection and stops. */
  close(): Promise<void>;
}

/**
 * What serves traffic: clusters, listeners, connections. It is told everything by main and asks main for nothing, so that it
 * can run on a thread of its own.
 */
export class Worker implements WorkerCommands {
  readonly clusters: WorkerClusterManager;
  readonly context: WorkerContext;
  /** Open connections of the whole proxy. */
  readonly connections: ConnectionCount;
  private readonly index: number;
  private readonly network: NetworkContext;
  private readonly drainManager: DrainManager;
  private readonly overload: WorkerOverload | undefined;
  private readonly entries = new Map<number, Entry>();
  private readonly serving = new ListenersByAddress<ActiveListener>();
  private readonly budgets = new Map<string, SharedCounts>();
  /** Sockets that are being bound: who stops accepting waits for them. */
  private binding: Promise<unknown> = Promise.resolve();

  /** Compiles clusters and listeners; binds nothing. @throws ConfigError with every problem */
  constructor(options: WorkerOptions) {
    const dispatcher = new Dispatcher(options.context.clock);
    const context: FactoryContext = {
      ...options.context,
      clock: new EventClock(options.context.clock, dispatcher),
    };
    this.index = options.index;
    this.drainManager = options.drain;
    this.overload = options.overload && new WorkerOverload(options.overload, context.random, context.stats);
    this.connections = connectionCount(options.connections, options.index);
    this.network = {
      clock: context.clock,
      logger: context.loggers.logger('connection'),
      dispatcher,
      buffers: new ReadBuffers(),
    };
    const problems = new ProblemCollector();
    this.clusters = createClusterManager({
      clusters: [],
      registry: context.extensions,
      context,
      connector: new SocketConnector(this.network),
      ...clientCodecs,
      onHostEvent: (...event) => options.onHostEvent(...event),
      // Clusters come when the context is there.
      upstreamFilters: (filters, scene) => this.context.upstreamFilters(filters, scene),
      createBudget: sharedBudgets(this.budgets, options.index),
      newConnection: this.overload?.loadShedPoint(LoadShedPointName.connectionPoolNewConnection),
    });
    this.context = workerContext(context, options, this.clusters, this.overload);
    // Listeners are compiled even when a cluster is wrong, so that every problem is reported at once.
    for (const order of options.clusters) {
      const { path, message } = order;
      if (this.clusters.get(message.name) !== undefined)
        problems.add(`${path}.name`, `another cluster is named "${message.name}" too`);
      else problems.try('', () => this.addOrUpdateCluster(order, undefined));
    }
    for (const order of options.listeners) problems.try('', () => this.prepareListener(order));
    problems.throwIfAny();
  }

  prepareListener({ id, name, message, path, connections }: ListenerOrder): void {
    const problems = new ProblemCollector();
    const drain = this.drainManager.of({
      inbound: message.trafficDirection === TrafficDirection.INBOUND,
      modifyOnly: message.drainType === Listener_DrainType.MODIFY_ONLY,
    });
    const compiled = problems.try(path, () => compileListener(message, name, { ...this.context, drain }));
    problems.throwIfAny();
    if (compiled === undefined) return;
    const counts = { listener: connectionCount(connections, this.index), proxy: this.connections };
    const workerName = `worker_${this.index}`;
    const listener = new ActiveListener(compiled, this.network, workerName, counts, this.serving);
    this.entries.set(id, { listener, drain, path });
  }

  async listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]> {
    const binding = Promise.allSettled(orders.map((order) => this.listenOne(order)));
    this.binding = Promise.all([this.binding, binding]).then(() => undefined);
    const results = await binding;
    const problems = new ProblemCollector();
    results.forEach((result, i) => {
      if (result.status === 'fulfilled') return;
      const { listener, path } = this.entry((orders[i] as BindOrder).id);
      problems.add(joinPath(path, 'address'), bindFailure(listener.compiled.targets, result.reason));
    });
    if (problems.problems.length > 0) await this.stopAccepting(orders.map(({ id }) => id));
    problems.throwIfAny();
    return orders.map(({ id }) => this.entry(id).listener.addresses.map(({ text }) => text));
  }

  private async listenOne({ id, sockets, takeOver }: BindOrder): Promise<void> {
    const { listener } = this.entry(id);
    if (takeOver === undefined) await listener.listen(sockets);
    else await listener.takeOver(this.entry(takeOver).listener);
  }

  async stopAccepting(ids: readonly number[]): Promise<void> {
    await this.binding;
    await Promise.all(ids.map((id) => this.entries.get(id)?.listener.stopAccepting()));
  }

  drainListener(id: number, timeMs: number): void {
    this.entries.get(id)?.drain.start({ timeMs, closeIdle: true });
  }

  async removeListener(id: number): Promise<void> {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    await this.binding;
    await entry.listener.stopAccepting();
    await entry.listener.closeConnections();
    const { compiled } = entry.listener;
    compiled.close();
    compiled.forget();
    this.entries.delete(id);
  }

  startDrain(start: DrainStart): void {
    this.drainManager.start(start);
  }

  failHealthCheck(failed: boolean): void {
    this.drainManager.failHealthCheck(failed);
  }

  overloadChanged(): void {
    this.overload?.changed();
  }

  resetHighMemoryStreams(): void {
    const resets = this.overload?.resetHighMemoryStreams();
    if (resets === undefined || resets.streams === 0) return;
    this.context.loggers
      .logger('main')
      .warn(
        `worker_${this.index} is short of memory: it has reset ${resets.streams} downstream streams that held ${resets.bytes} bytes`,
      );
  }

  addOrUpdateCluster({ message, path, budgets }: ClusterOrder, hosts: HostListUpdate | undefined): void {
    const before = this.budgets.get(message.name);
    if (budgets !== undefined) this.budgets.set(message.name, SharedCounts.of(budgets));
    try {
      this.clusters.addOrUpdateCluster(message, hosts);
    } catch (error) {
      if (before === undefined) this.budgets.delete(message.name);
      else this.budgets.set(message.name, before);
      throw error instanceof ConfigError ? error.within(path) : error;
    }
  }

  removeCluster(name: string): void {
    this.clusters.removeCluster(name);
    this.budgets.delete(name);
  }

  updateHosts(clusterName: string, update: HostListUpdate): void {
    this.clusters.updateHosts(clusterName, update);
  }

  clusterReports(): readonly ClusterReport[] {
    return reportClusters(this.clusters);
  }

  latchLoads(clusterNames: readonly string[], perEndpoint: boolean): readonly ClusterLoad[] {
    return this.clusters.latchLoads(clusterNames, perEndpoint);
  }

  async close(): Promise<void> {
    await this.binding;
    const entries = [...this.entries.values()];
    await Promise.all(entries.map(({ listener }) => listener.stopAccepting()));
    const ended = Promise.all(entries.map(({ listener }) => listener.closeConnections()));
    this.clusters.close();
    await ended;
    for (const { listener } of entries) listener.compiled.close();
  }

  /** The thread ends now: its sockets are left to whoever takes its place. Does not throw. */
  abandon(): void {
    for (const { listener } of this.entries.values()) listener.abandon();
  }

  private entry(id: number): Entry {
    const entry = this.entries.get(id);
    if (entry === undefined) throw new Error(`worker ${this.index} has no listener ${id}`);
    return entry;
  }
}

function workerContext(
  base: FactoryContext,
  options: WorkerOptions,
  clusters: WorkerClusterManager,
  overload: OverloadState = neverOverloaded,
): WorkerContext {
  const context: WorkerContext = {
    ...base,
    clusters,
    subClusters: new WorkerSubClusters(clusters, base.clock, options.questions),
    grpc: createGrpcClientFactory({ context: base, clusters }),
    upstreamFilters: upstreamFilterCompiler(() => context),
    logFiles: options.logFiles,
    drain: options.drain,
    overload,
    accessLoggers: (configs) => createAccessLoggers(configs as readonly AccessLog[], context),
  };
  return context;
}
