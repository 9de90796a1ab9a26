import type { LogRelayServer } from '@dragoman/access-log';
import type { Clock, Counter, HostListUpdate, Logger, LoggerFactory, LogLevel, Timer } from '@dragoman/core';
import { trimMemory } from '@dragoman/posix';
import type { StatsSource } from '@dragoman/stats';
import { HostListPublisher } from '@dragoman/upstream';
import { describeThrown } from '../log/describe-thrown.ts';
import type { Ledger } from '../workers/ledger.ts';
import { type WorkerState, Workers } from '../workers/workers.ts';
import type { LogLevels, ThreadData } from './protocol.ts';
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
  readonly warn: (path: string, message: string) => void;
  readonly attachStats: () => StatsSource;
  readonly deaths: Counter;
  readonly faults: Counter;
  /** What the thread of a number is born with; made anew for each. */
  readonly dataOf: (index: number) => ThreadData;
  /** A thread has ended and another will take its place. */
  readonly onReplace: (index: number) => void;
  /** The proxy ends. */
  readonly onClose: () => void;
}

/** A worker that lived for less has its successor wait, longer each time, ms. */
const HEALTHY_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;

/** One worker's place, whoever holds it. */
interface Place {
  source: StatsSource;
  startedAt: number;
  /** Workers that ended soon after they began, one after the other. */
  earlyEnds: number;
  retry: Timer | undefined;
}

/** Workers on threads. One that ends is replaced; the others do not notice. */
export class ThreadWorkers extends Workers {
  private readonly options: ThreadWorkersOptions;
  private readonly places: Place[] = [];
  private readonly publishers = new Map<string, HostListPublisher>();
  private state: WorkerState | undefined = undefined;
  /** All have started: from now on an end is mended, and not a failure to start. */
  private settled = false;
  private closing = false;

  /** Starts the threads: they load their code while main reads the config. */
  constructor(options: ThreadWorkersOptions) {
    super([], () => options.clock.now());
    this.options = options;
    for (let index = 0; index < options.count; index++) this.handles[index] = this.spawn(index, 0);
  }

  override async start(state: WorkerState): Promise<void> {
    this.state = state;
    await super.start(state);
    this.settled = true;
    // What loading has left behind in the C library: see compactHeap for what it has left in V8.
    trimMemory();
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

  override async addOrUpdateCluster(
    ...[order, hosts]: Parameters<Workers['addOrUpdateCluster']>
  ): Promise<void> {
    const publisher = new HostListPublisher();
    if (hosts !== undefined) publisher.publish(hosts);
    this.publishers.set(order.message.name, publisher);
    await super.addOrUpdateCluster(order, hosts);
  }

  override removeCluster(name: string): void {
    this.publishers.delete(name);
    super.removeCluster(name);
  }

  override async close(): Promise<void> {
    this.closing = true;
    this.options.onClose();
    for (const { retry } of this.places) retry?.disable();
    await super.close();
  }

  /** Ends a thread that does not answer; it is replaced. */
  kill(index: number): void {
    (this.handles[index] as ThreadWorker | undefined)?.kill();
  }

  private spawn(index: number, earlyEnds: number): ThreadWorker {
    const { options } = this;
    const place: Place = {
      source: options.attachStats(),
      startedAt: options.clock.now(),
      earlyEnds,
      retry: undefined,
    };
    this.places[index] = place;
    const worker: ThreadWorker = new ThreadWorker({
      data: options.dataOf(index),
      clock: options.clock,
      logLevels: options.logLevels,
      hostLists: { message: (cluster) => this.publishers.get(cluster)?.full() },
      events: this.eventsOf(index, place, () => worker),
    });
    return worker;
  }

  private eventsOf(index: number, place: Place, workerOf: () => ThreadWorker): ThreadEvents {
    const { options } = this;
    let loggers: LoggerFactory | undefined;
    const logger = (name: string): Logger => {
      loggers ??= options.loggersOf(workerOf().threadId);
      return loggers.logger(name);
    };
    return {
      onReport: (report) => {
        switch (report.kind) {
          case 'stats':
            for (const announcement of report.announcements) place.source.receive(announcement);
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
          case 'fault':
            options.faults.inc();
            if (!report.fatal) logger('main').critical(`worker_${index}: ${report.what}: ${report.stack}`);
            return;
        }
      },
      onExit: (reason) => this.onExit(index, place, reason),
    };
  }

  private onExit(index: number, place: Place, reason: string): void {
    const { options } = this;
    place.source.detach();
    options.relay.detach(index);
    options.ledger.retire(index);
    if (this.closing || !this.settled) return;
    options.deaths.inc();
    options.onReplace(index);
    const lived = options.clock.now() - place.startedAt;
    const earlyEnds = lived < HEALTHY_MS ? place.earlyEnds + 1 : 0;
    // The first one at once: whoever connects now is waited for by fewer workers.
    const delay =
      earlyEnds <= 1 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(earlyEnds - 2, 10));
    options.logger.critical(
      `worker_${index} has ended after ${Math.round(lived)} ms, with its connections; another takes its place${delay === 0 ? '' : ` in ${delay} ms`}: ${reason}`,
    );
    place.retry = options.clock.timer(() => void this.replace(index, earlyEnds));
    place.retry.enable(delay);
  }

  private async replace(index: number, earlyEnds: number): Promise<void> {
    const { state } = this;
    if (this.closing || state === undefined) return;
    const worker = this.spawn(index, earlyEnds);
    this.handles[index] = worker;
    try {
      const { clusters, listeners } = state;
      await worker.start(clusters, listeners);
      this.catchUp(worker);
      for (const [name, publisher] of this.publishers) {
        const message = publisher.full();
        if (message !== undefined) worker.sendHosts(name, message);
      }
      await worker.listen(state.bindOrders(index));
      this.options.logger.info(`worker_${index} is there again`);
    } catch (error) {
      if (this.closing) return;
      // It cannot serve: its end comes here again, and waits longer before the next.
      this.options.logger.error(`worker_${index} could not begin: ${describeThrown(error)}`);
      worker.kill();
    }
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
