import { getHeapStatistics } from 'node:v8';
import type { LogRelayServer } from '@dragoman/access-log';
import {
  type Clock,
  ConfigError,
  type Counter,
  type HostListUpdate,
  type Logger,
  type LoggerFactory,
  type LogLevel,
  type Timer,
} from '@dragoman/core';
import { trimMemory } from '@dragoman/posix';
import type { StatsSource } from '@dragoman/stats';
import { HostListPublisher, type OnHostEvent } from '@dragoman/upstream';
import { describeThrown } from '../log/describe-thrown.ts';
import type { Faults } from '../log/faults.ts';
import { joinOrders, type ResourceOrder } from '../dynamic/resource-order.ts';
import type { WorkerQuestions } from '../worker/questions.ts';
import type { ClusterOrder, ListenerOrder } from '../worker/orders.ts';
import type { Ledger } from '../workers/ledger.ts';
import { type OrdersOf, Told } from '../workers/told.ts';
import { type WorkerState, Workers } from '../workers/workers.ts';
import { compactHeap } from './compact-heap.ts';
import type { LogLevels, ThreadData, ThreadReport } from './protocol.ts';
import { type ThreadEvents, ThreadWorker } from './thread-worker.ts';

export interface ThreadWorkersOptions {
  /** ≥ 1. */
  readonly count: number;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly relay: LogRelayServer;
  readonly logger: Logger;
  /** The log that a thread writes its lines to; a thread's number as the log prints it. */
  readonly loggersOf: (threadId: number) => LoggerFactory;
  readonly logLevels: () => LogLevels;
  readonly runtime: () => ReadonlyMap<string, string>;
  readonly warn: (path: string, message: string) => void;
  readonly attachStats: () => StatsSource;
  readonly deaths: Counter;
  /** A worker saw something of a host. */
  readonly onHostEvent: OnHostEvent;
  readonly questions: WorkerQuestions;
  /** What nobody caught on a worker. */
  readonly faults: Faults;
  /** What the thread of a number is born with; made anew for each. */
  readonly dataOf: (index: number) => ThreadData;
  /** A thread has ended and another will take its place. */
  readonly onReplace: (index: number) => void;
  /** The one that takes its place has been told everything. */
  readonly onReplaced: () => void;
  /** The proxy ends. */
  readonly onClose: () => void;
}

/** A worker that lived for less has its successor wait, longer each time, ms. */
const HEALTHY_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;

/** After the start, ms: when whoever waited for it has been told. */
const TIDY_DELAY_MS = 1000;
/** A larger heap is that of a program with a proxy in it: to collect it would hold that up for longer than it is worth. */
const TIDY_HEAP_BYTES = 64 * 1024 * 1024;

/** One worker's place, whoever holds it. */
interface Place {
  readonly worker: ThreadWorker;
  readonly source: StatsSource;
  readonly startedAt: number;
  /** Workers that ended soon after they began, one after the other. */
  readonly earlyEnds: number;
  retry: Timer | undefined;
}

/**
 * Workers on threads. One that ends is replaced; the others do not notice. Whoever takes its place is told nothing while it loads its code, and
 * then, in one go, all that the others have been told.
 */
export class ThreadWorkers extends Workers {
  private readonly options: ThreadWorkersOptions;
  private readonly places: Place[] = [];
  private readonly publishers = new Map<string, HostListPublisher>();
  private readonly told = new Told();
  /** All have started: from now on an end is mended, and not a failure to start. */
  private settled = false;
  private readonly tidy: Timer;
  private alive: NodeJS.Timeout | undefined = undefined;
  private startFailure: ConfigError | undefined = undefined;
  private closing = false;

  /** Starts the threads: they load their code while main reads the config. */
  constructor(options: ThreadWorkersOptions) {
    super([], () => options.clock.now());
    this.options = options;
    this.tidy = options.clock.timer(() => {
      // Main's own heap, and what all threads have left behind in the C library.
      if (getHeapStatistics().used_heap_size <= TIDY_HEAP_BYTES) compactHeap();
      trimMemory();
    });
    try {
      for (let index = 0; index < options.count; index++) this.handles[index] = this.spawn(index, 0);
    } catch (error) {
      this.closing = true;
      for (const { worker } of this.places) worker.kill('another worker could not start');
      throw ConfigError.at('', `a worker could not start: ${String(error)}`);
    }
  }

  /** Rejects with ConfigError also when a worker ends before all have started. */
  override async start(state: WorkerState): Promise<void> {
    const { clusters, listeners } = state;
    for (const order of clusters) this.told.cluster(order);
    for (const order of listeners) this.told.listener(order);
    try {
      await super.start({ clusters, listeners });
    } catch (error) {
      throw error instanceof ConfigError ? error : (this.startFailure ?? error);
    }
    if (this.startFailure !== undefined) throw this.startFailure;
    this.settled = true;
    this.tidy.enable(TIDY_DELAY_MS);
    // Sockets keep a process; those of the workers keep it only as long as there are workers.
    this.alive = setInterval(() => {}, 2 ** 30);
  }

  override async prepareListener(order: ListenerOrder): Promise<void> {
    this.told.listener(order);
    try {
      await super.prepareListener(order);
    } catch (error) {
      this.told.listenerRemoved(order.id);
      throw error;
    }
  }

  override async listen(orders: OrdersOf): ReturnType<Workers['listen']> {
    const undo = this.told.listening(orders);
    try {
      return await super.listen(orders);
    } catch (error) {
      undo();
      throw error;
    }
  }

  override stopAccepting(ids: readonly number[]): Promise<void> {
    this.told.stopped(ids);
    return super.stopAccepting(ids);
  }

  /** One that only drains has no connections on a worker that begins. */
  override drainListener(id: number, timeMs: number): void {
    this.told.listenerRemoved(id);
    super.drainListener(id, timeMs);
  }

  override removeListener(id: number): Promise<void> {
    this.told.listenerRemoved(id);
    return super.removeListener(id);
  }

  /** The same message goes to every thread. */
  override updateHosts(clusterName: string, update: HostListUpdate): void {
    let publisher = this.publishers.get(clusterName);
    if (publisher === undefined) {
      publisher = new HostListPublisher();
      this.publishers.set(clusterName, publisher);
    }
    const message = publisher.publish(update);
    if (message === undefined) return;
    for (const worker of this.handles as ThreadWorker[]) worker.sendHosts(clusterName, message);
  }

  override async addOrUpdateCluster(order: ClusterOrder, hosts: HostListUpdate | undefined): Promise<void> {
    const { name } = order.message;
    const before = this.publishers.get(name);
    const publisher = new HostListPublisher();
    if (hosts !== undefined) publisher.publish(hosts);
    this.publishers.set(name, publisher);
    const undo = this.told.cluster(order);
    try {
      await super.addOrUpdateCluster(order, hosts);
    } catch (error) {
      const old = undo();
      if (before === undefined) this.publishers.delete(name);
      else this.publishers.set(name, before);
      // Some have it already: all are told what was, and what hosts it had.
      if (old === undefined) super.removeCluster(name);
      else await super.addOrUpdateCluster(old, hosts).catch(() => {});
      throw error;
    }
  }

  override prepareResource(order: ResourceOrder): Promise<void> {
    this.told.pendingResources.set(order.key, order);
    return super.prepareResource(order);
  }

  override commitResource(order: ResourceOrder): void {
    const { resources, pendingResources } = this.told;
    pendingResources.delete(order.key);
    resources.set(order.key, joinOrders(resources.get(order.key), order));
    super.commitResource(order);
  }

  override abortResource(key: string): void {
    this.told.pendingResources.delete(key);
    super.abortResource(key);
  }

  override forgetResource(key: string): void {
    this.told.resources.delete(key);
    super.forgetResource(key);
  }

  override removeCluster(name: string): void {
    this.publishers.delete(name);
    this.told.clusterRemoved(name);
    super.removeCluster(name);
  }

  override async close(): Promise<void> {
    this.closing = true;
    this.tidy.disable();
    clearInterval(this.alive);
    this.options.onClose();
    for (const { retry } of this.places) retry?.disable();
    await Promise.all(this.places.map(({ worker }) => worker.close()));
  }

  /** Ends a thread that does not answer; it is replaced. @param reason for the log */
  kill(index: number, reason: string): void {
    this.places[index]?.worker.kill(reason);
  }

  private spawn(index: number, earlyEnds: number): ThreadWorker {
    const { options } = this;
    const place: Place = {
      worker: new ThreadWorker({
        data: options.dataOf(index),
        clock: options.clock,
        logLevels: options.logLevels,
        hostLists: { message: (cluster) => this.publishers.get(cluster)?.full() },
        events: this.eventsOf(index, () => place),
      }),
      source: options.attachStats(),
      startedAt: options.clock.now(),
      earlyEnds,
      retry: undefined,
    };
    this.places[index] = place;
    return place.worker;
  }

  private eventsOf(index: number, placeOf: () => Place): ThreadEvents {
    const { options } = this;
    const workerOf = (): ThreadWorker => placeOf().worker;
    let loggers: LoggerFactory | undefined;
    const logger = (name: string): Logger => {
      loggers ??= options.loggersOf(workerOf().threadId);
      return loggers.logger(name);
    };
    return {
      onReport: (report) => {
        switch (report.kind) {
          case 'stats':
            for (const announcement of report.announcements) placeOf().source.receive(announcement);
            return;
          case 'log':
            write(logger(report.logger), report.level, report.message);
            return;
          case 'logger':
            logger(report.name);
            return;
          case 'warn':
            options.warn(report.path, report.message);
            return;
          case 'log-relay':
            options.relay.receive(index, report.message, (answer) =>
              workerOf().post({ kind: 'log-relay', answer }),
            );
            return;
          case 'hosts-wanted': {
            const message = this.publishers.get(report.cluster)?.full();
            if (message !== undefined) workerOf().sendHosts(report.cluster, message);
            return;
          }
          case 'host-event':
            options.onHostEvent(report.cluster, report.identity, report.event);
            return;
          case 'question':
            void this.answer(report, workerOf());
            return;
          case 'fault':
            // What a thread ends for is counted and logged with its end.
            if (report.fatal) return;
            options.faults.record(`worker_${index}: ${report.what}`, report.stack);
            return;
        }
      },
      onExit: (reason) => this.onExit(index, placeOf(), reason),
    };
  }

  private async answer(
    { id, name, args }: Extract<ThreadReport, { kind: 'question' }>,
    worker: ThreadWorker,
  ): Promise<void> {
    const ask = this.options.questions[name] as (...args: readonly unknown[]) => Promise<unknown>;
    worker.answer(id, await ask(...args));
  }

  private onExit(index: number, place: Place, reason: string): void {
    const { options } = this;
    place.source.detach();
    options.relay.detach(index);
    options.ledger.retire(index);
    if (this.closing) return;
    if (!this.settled) {
      options.logger.critical(`worker_${index} could not start: ${reason}`);
      // Without its stack, which is for the log.
      this.startFailure ??= ConfigError.at(
        '',
        `worker_${index} could not start: ${reason.split('\n', 1)[0]}`,
      );
      return;
    }
    options.deaths.inc();
    options.faults.note();
    options.onReplace(index);
    const lived = options.clock.now() - place.startedAt;
    const earlyEnds = lived < HEALTHY_MS ? place.earlyEnds + 1 : 0;
    // The first one at once: whoever connects now is waited for by fewer workers.
    const delay =
      earlyEnds <= 1 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(earlyEnds - 2, 10));
    options.logger.critical(
      `worker_${index} has ended after ${Math.round(lived)} ms, with its connections; another takes its place${delay === 0 ? '' : ` in ${delay} ms`}: ${reason}`,
    );
    this.replaceIn(delay, place, index, earlyEnds);
  }

  private replaceIn(delayMs: number, place: Place, index: number, earlyEnds: number): void {
    place.retry = this.options.clock.timer(() => void this.replace(index, earlyEnds));
    place.retry.enable(delayMs);
  }

  private async replace(index: number, earlyEnds: number): Promise<void> {
    if (this.closing) return;
    const place = this.places[index] as Place;
    let worker: ThreadWorker;
    try {
      worker = this.spawn(index, earlyEnds);
    } catch (error) {
      // The system has no thread to give.
      this.options.logger.critical(`worker_${index} could not start: ${describeThrown(error)}`);
      this.replaceIn(LONGEST_DELAY_MS, place, index, earlyEnds);
      return;
    }
    try {
      await worker.ready;
      if (this.closing) return;
      await this.join(worker);
      this.options.onReplaced();
      this.options.logger.info(`worker_${index} is there again`);
    } catch (error) {
      if (this.closing) return;
      // It cannot serve: its end comes here again, and waits longer before the next.
      worker.kill(`it could not begin: ${describeThrown(error)}`);
    }
  }

  /** Tells a worker in one go what the others have been told; whatever is told next finds it among them. */
  private async join(worker: ThreadWorker): Promise<void> {
    const { index } = worker;
    const { clusters, listeners } = this.told;
    this.handles[index] = worker;
    for (const order of this.told.resources.values()) {
      worker.prepareResource(order).catch(() => {});
      worker.commitResource(order);
    }
    for (const order of this.told.pendingResources.values()) worker.prepareResource(order).catch(() => {});
    const started = worker.start(clusters, listeners);
    worker.setLogLevels();
    worker.setRuntime(this.options.runtime());
    this.catchUp(worker);
    for (const [name, publisher] of this.publishers) {
      const message = publisher.full();
      if (message !== undefined) worker.sendHosts(name, message);
    }
    await Promise.all([started, worker.listen(this.told.bindOrders(index))]);
  }
}

/** The method of a logger that writes a level. */
const METHODS = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'critical',
  off: undefined,
} as const satisfies Record<LogLevel, keyof Logger | undefined>;

function write(logger: Logger, level: LogLevel, message: string): void {
  const method = METHODS[level];
  if (method !== undefined) logger[method](message);
}
