import { Worker as Thread } from 'node:worker_threads';
import { type CertificateGroup, type Clock, ConfigError, type HostListUpdate } from '@dragoman/core';
import type { HostListMessage } from '@dragoman/upstream';
import type { DrainStart } from '../drain-manager.ts';
import type { ResourceOrder } from '../dynamic/resource-order.ts';
import { describeThrown } from '../log/describe-thrown.ts';
import type { ClusterReport } from '../worker/cluster-report.ts';
import {
  type BindOrder,
  type BoundAddresses,
  type ClusterOrder,
  type ListenerOrder,
  writeCluster,
  writeListener,
} from '../worker/orders.ts';
import {
  type TakeLoads,
  type ThreadMemory,
  WorkerGone,
  type WorkerHandle,
  WorkerLate,
} from '../workers/worker-handle.ts';
import { allowCompaction } from './compact-heap.ts';
import { siblingModule } from './sibling-module.ts';
import type {
  CommandName,
  LogLevels,
  ThreadCommands,
  ThreadData,
  ThreadOrder,
  ThreadReport,
} from './protocol.ts';

/** What a thread tells without being asked. */
export interface ThreadEvents {
  onReport(report: Exclude<ThreadReport, { kind: 'ready' | 'answer' | 'failure' }>): void;
  /** It has ended; all that it had posted has come before. `reason` is for a log. */
  onExit(reason: string): void;
}

/** The host lists of all clusters, as messages that every thread can be sent. */
export interface HostLists {
  message(cluster: string): HostListMessage | undefined;
}

export interface ThreadWorkerOptions {
  readonly data: ThreadData;
  readonly clock: Clock;
  readonly events: ThreadEvents;
  readonly hostLists: HostLists;
  readonly logLevels: () => LogLevels;
}

/** How long a thread may take over an answer that there is a way to do without, ms. */
const REPORT_PATIENCE_MS = 1000;
/** How long it may take to close, ms: it has nothing to wait for but files. Less than what the sidecar gives the whole proxy. */
const CLOSE_PATIENCE_MS = 3000;
/** How long a change waits for a worker, ms. One that is blocked carries it out when it turns again. */
const CHANGE_PATIENCE_MS = 5000;
/** How long it may take to load its code, ms: a module that waits for something at its top level would hang the start. */
const LOAD_PATIENCE_MS = 60_000;

const ENTRY = siblingModule(new URL('./entry.ts', import.meta.url), import.meta.url);

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A worker on a thread of its own. */
export class ThreadWorker implements WorkerHandle {
  readonly index: number;
  private readonly options: ThreadWorkerOptions;
  private readonly thread: Thread;
  private readonly loaded = Promise.withResolvers<void>();
  private readonly ended = Promise.withResolvers<void>();
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  private isReady = false;
  private useless = false;
  private gone = false;
  private failure: string | undefined = undefined;

  /** Starts the thread. */
  constructor(options: ThreadWorkerOptions) {
    const { index } = options.data;
    this.index = index;
    this.options = options;
    allowCompaction();
    // By itself Node would join the streams at once, which makes a pipe that they are not blocking for the whole process.
    this.thread = new Thread(ENTRY, {
      workerData: options.data,
      name: `worker_${index}`,
      stdout: true,
      stderr: true,
    });
    this.thread.stdout.on('data', (chunk: Buffer) => process.stdout.write(chunk));
    this.thread.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    this.thread.on('message', (report: ThreadReport) => this.receive(report));
    // Out of memory, or an error before the first line of ours.
    this.thread.on('error', (error) => {
      this.failure = describeThrown(error);
    });
    this.thread.on('exit', (code) => this.onExit(code));
    const patience = options.clock.timer(() =>
      this.kill(`it has not loaded its code in ${LOAD_PATIENCE_MS / 1000} s`),
    );
    patience.enable(LOAD_PATIENCE_MS);
    // Whoever waits for readiness hears of it; nobody has to.
    this.loaded.promise.finally(() => patience.disable()).catch(() => {});
  }

  /** Settles when it has loaded its code: it takes orders then. Rejects when it has ended instead. */
  get ready(): Promise<void> {
    return this.loaded.promise;
  }

  /** As Node numbers threads. */
  get threadId(): number {
    return this.thread.threadId;
  }

  async start(clusters: readonly ClusterOrder[], listeners: readonly ListenerOrder[]): Promise<void> {
    // At once where that is possible: orders are carried out as they come, and those that follow need this one.
    if (!this.isReady) await this.loaded.promise;
    try {
      await this.ask('start', clusters.map(writeCluster), listeners.map(writeListener));
    } catch (error) {
      // It will not serve: what it has been told since is answered for nobody.
      this.useless = true;
      throw error;
    }
  }

  async prepareListener(order: ListenerOrder): Promise<void> {
    await this.inTime(this.ask('prepareListener', writeListener(order)));
  }

  listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]> {
    return this.inTime(this.ask('listen', orders));
  }

  /** One that is blocked does not accept either, until it turns again and sees the order: it is not waited for. */
  async stopAccepting(ids: readonly number[]): Promise<void> {
    await this.patiently(this.ask('stopAccepting', ids));
  }

  drainListener(id: number, timeMs: number): void {
    this.tell('drainListener', id, timeMs);
  }

  async removeListener(id: number): Promise<void> {
    await this.inTime(this.ask('removeListener', id));
  }

  startDrain(start: DrainStart): void {
    this.tell('startDrain', start);
  }

  failHealthCheck(failed: boolean): void {
    this.tell('failHealthCheck', failed);
  }

  async addOrUpdateCluster(order: ClusterOrder): Promise<void> {
    const hosts = this.options.hostLists.message(order.message.name);
    await this.inTime(this.ask('addOrUpdateCluster', writeCluster(order), hosts));
  }

  removeCluster(name: string): void {
    this.tell('removeCluster', name);
  }

  prepareResource(order: ResourceOrder): Promise<void> {
    return this.inTime(this.ask('prepareResource', order));
  }

  checkResource(order: ResourceOrder): Promise<void> {
    return this.inTime(this.ask('checkResource', order));
  }

  commitResource({ key }: ResourceOrder): void {
    this.tell('commitResource', key);
  }

  abortResource(key: string): void {
    this.tell('abortResource', key);
  }

  forgetResource(key: string): void {
    this.tell('forgetResource', key);
  }

  /** To a question of its own. */
  answer(id: number, value: unknown): void {
    this.tell('answer', id, value);
  }

  /** The list goes as a message that is the same for every thread: see {@link sendHosts}. */
  updateHosts(clusterName: string, _update: HostListUpdate): void {
    const message = this.options.hostLists.message(clusterName);
    if (message !== undefined) this.sendHosts(clusterName, message);
  }

  sendHosts(clusterName: string, message: HostListMessage): void {
    this.tell('updateHosts', clusterName, message);
  }

  async certificateGroups(): Promise<readonly CertificateGroup[]> {
    return (await this.patiently(this.ask('certificateGroups'))) ?? [];
  }

  async clusterReports(): Promise<readonly ClusterReport[]> {
    return (await this.patiently(this.ask('clusterReports'))) ?? [];
  }

  /** What it answers late counts all the same: it has forgotten it by then. */
  async latchLoads(clusterNames: readonly string[], perEndpoint: boolean, take: TakeLoads): Promise<void> {
    await this.patiently(this.ask('latchLoads', clusterNames, perEndpoint).then(take));
  }

  setRuntime(values: ReadonlyMap<string, string>): void {
    this.tell('setRuntime', values);
  }

  setLogLevels(): void {
    this.tell('setLogLevels', this.options.logLevels());
  }

  reopenLogs(): void {
    this.tell('reopenLogs');
  }

  overloadChanged(): void {
    this.tell('overloadChanged');
  }

  resetHighMemoryStreams(): void {
    this.tell('resetHighMemoryStreams');
  }

  async shrinkHeap(): Promise<void> {
    await this.patiently(this.ask('shrinkHeap'));
  }

  async memory(): Promise<ThreadMemory | undefined> {
    if (this.gone) return undefined;
    const heap = await this.patiently(this.thread.getHeapStatistics());
    if (heap === undefined) return undefined;
    return {
      heapUsed: heap.used_heap_size,
      heapTotal: heap.total_heap_size,
      external: heap.external_memory ?? 0,
      heapPhysical: heap.total_physical_size,
    };
  }

  async close(): Promise<void> {
    if (!this.gone) {
      await this.within(
        CLOSE_PATIENCE_MS,
        this.ask('close').catch(() => {}),
      );
      await this.thread.terminate();
    }
    await this.ended.promise;
  }

  /** Ends the thread whatever it is doing. */
  kill(reason: string): void {
    this.failure ??= reason;
    void this.thread.terminate();
  }

  // --- Messages --------------------------------------------------------------------------------------------------------

  post(order: ThreadOrder): void {
    this.thread.postMessage(order);
  }

  private tell<N extends CommandName>(name: N, ...args: Parameters<ThreadCommands[N]>): void {
    if (!this.gone) this.post({ kind: 'command', id: undefined, name, args });
  }

  private ask<N extends CommandName>(
    name: N,
    ...args: Parameters<ThreadCommands[N]>
  ): Promise<Awaited<ReturnType<ThreadCommands[N]>>> {
    if (this.gone) return Promise.reject(new WorkerGone(this.index));
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.post({ kind: 'command', id, name, args });
    });
  }

  private receive(report: ThreadReport): void {
    switch (report.kind) {
      case 'ready':
        this.isReady = true;
        this.loaded.resolve();
        return;
      case 'answer':
        this.take(report.id)?.resolve(report.value);
        return;
      case 'failure': {
        const { problems } = report.failure;
        const error = problems === undefined ? new Error(report.failure.text) : new ConfigError(problems);
        this.take(report.id)?.reject(this.useless ? new WorkerGone(this.index) : error);
        return;
      }
      case 'fault':
        if (report.fatal) this.failure = `${report.what}: ${report.stack}`;
        this.options.events.onReport(report);
        return;
      default:
        this.options.events.onReport(report);
    }
  }

  private take(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  private onExit(code: number): void {
    this.gone = true;
    const reason = this.failure ?? `its thread ended with exit code ${code}`;
    this.loaded.reject(new Error(reason));
    for (const { reject } of this.waiting.values()) reject(new WorkerGone(this.index));
    this.waiting.clear();
    this.ended.resolve();
    this.options.events.onExit(reason);
  }

  /** Rejects with WorkerLate when the answer does not come in time. What it fails with afterwards is a fault of the worker. */
  private async inTime<T>(answer: Promise<T>): Promise<T> {
    let late = false;
    const told = answer.then(
      (value) => ({ value }),
      (error: unknown) => {
        if (!late) throw error;
        if (!(error instanceof WorkerGone))
          this.options.events.onReport({
            kind: 'fault',
            fatal: false,
            what: 'a change that came late',
            stack: describeThrown(error),
          });
        return undefined;
      },
    );
    const first = await this.within(CHANGE_PATIENCE_MS, told);
    if (first !== undefined) return first.value;
    late = true;
    throw new WorkerLate(this.index);
  }

  /** Undefined when the answer does not come in time, or not at all. */
  private patiently<T>(answer: Promise<T>): Promise<T | undefined> {
    return this.within(
      REPORT_PATIENCE_MS,
      answer.catch(() => undefined),
    );
  }

  private async within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = this.options.clock.timer(() => late.resolve(undefined));
    timer.enable(ms);
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      timer.disable();
    }
  }
}
