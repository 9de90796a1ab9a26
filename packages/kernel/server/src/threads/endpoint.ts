import { createLogFiles, type LogFilesImpl, LogRelayClient } from '@dragoman/access-log';
import {
  type CertificateGroup,
  ConfigError,
  type Extension,
  type FactoryContext,
  type HostListUpdate,
  systemClock,
  systemRandom,
} from '@dragoman/core';
import { compileStatsMatcher, type StatsAnnouncement, ThreadStats } from '@dragoman/stats';
import { type ClusterLoad, type HostListMessage, HostListReceiver } from '@dragoman/upstream';
import { DrainManager, type DrainStart } from '../drain-manager.ts';
import { writeOnExit } from '../exit-files.ts';
import { describeThrown } from '../log/describe-thrown.ts';
import { StaticSecrets, ThreadCertificates } from '../secrets.ts';
import { RuntimeValues } from '../runtime-values.ts';
import { GuardDog, Heart, HeartbeatPage } from '../watchdog/index.ts';
import type { ClusterReport } from '../worker/cluster-report.ts';
import { createFactoryContext } from '../worker/factory-context.ts';
import {
  type BindOrder,
  type BoundAddresses,
  type ClusterOrder,
  type ListenerOrder,
  readCluster,
  readListener,
  type Wire,
} from '../worker/orders.ts';
import type { ResourceOrder } from '../dynamic/resource-order.ts';
import { ThreadResources } from '../worker/thread-resources.ts';
import type { QuestionName, WorkerQuestions } from '../worker/questions.ts';
import { Worker } from '../worker/worker.ts';
import { compactHeap } from './compact-heap.ts';
import type { LogLevels, ThreadCommands, ThreadData, ThreadOrder, ThreadReport } from './protocol.ts';
import { RelayedLoggers } from './relayed-loggers.ts';

/** A worker on a thread of its own: carries out what main posts. */
export class ThreadEndpoint implements ThreadCommands {
  private readonly data: ThreadData;
  private readonly post: (report: ThreadReport) => void;
  private readonly context: FactoryContext;
  private readonly loggers: RelayedLoggers;
  private readonly runtime: RuntimeValues;
  private readonly drain: DrainManager;
  private readonly relay: LogRelayClient;
  private readonly logFiles: LogFilesImpl;
  private readonly heart: Heart;
  private readonly guard: GuardDog | undefined;
  private readonly hosts = new Map<string, HostListReceiver>();
  private readonly certificates: ThreadCertificates = new ThreadCertificates();
  private readonly questions: WorkerQuestions = {
    subCluster: (...args) => this.ask('subCluster', args),
    resource: (...args) => this.ask('resource', args),
  };
  private readonly resources = new ThreadResources(this.questions);
  /** Questions that main has not answered yet. */
  private readonly asked = new Map<number, (value: unknown) => void>();
  private lastQuestion = 0;
  private worker: Worker | undefined = undefined;

  private constructor(
    data: ThreadData,
    extensions: readonly Extension[],
    post: (report: ThreadReport) => void,
  ) {
    this.data = data;
    this.post = post;
    this.loggers = new RelayedLoggers(data.logLevels, post);
    this.runtime = new RuntimeValues(data.runtime);
    this.drain = new DrainManager(systemClock, systemRandom, data.drainStrategy);
    const stats = new ThreadStats({
      announce: batchAnnouncements(post),
      accepts: compileStatsMatcher(data.statsMatcher),
    });
    this.context = createFactoryContext({
      clock: systemClock,
      random: systemRandom,
      loggers: this.loggers,
      runtime: this.runtime,
      localInfo: data.localInfo,
      stats,
      secrets: StaticSecrets.fromWire(data.secrets),
      dynamicResources: this.resources,
      processKey: data.processKey,
      certificates: this.certificates,
      extensions,
      disabledExtensions: data.disabledExtensions,
      warn: (path, message) => post({ kind: 'warn', path, message }),
    });
    this.relay = new LogRelayClient({ post: (message) => post({ kind: 'log-relay', message }) });
    this.logFiles = createLogFiles({
      clock: systemClock,
      loggers: this.loggers,
      stats,
      flushIntervalMs: data.fileFlushIntervalMs,
      batchBytes: data.fileFlushMinBytes,
      relay: this.relay,
    });
    writeOnExit(this.logFiles);
    const { buffer, intervalMs, main } = data.heartbeats;
    const page = HeartbeatPage.of(buffer);
    this.heart = new Heart({ page, index: data.index, intervalMs, clock: systemClock });
    this.guard =
      main &&
      new GuardDog({
        name: 'main_thread',
        watched: [{ name: 'main_thread', index: main.index }],
        timeouts: main.timeouts,
        page,
        clock: systemClock,
        stats,
        logger: this.loggers.logger('main'),
        // Nothing runs on the main thread any more that could end the process in good order. As Envoy, leave a core behind.
        onKill: () => process.kill(process.pid, 'SIGABRT'),
      });
  }

  /** Loads the extensions. @throws Error when their module cannot be loaded or exports none */
  static async create(data: ThreadData, post: (report: ThreadReport) => void): Promise<ThreadEndpoint> {
    const module = (await import(data.extensions)) as { readonly extensions?: readonly Extension[] };
    if (!Array.isArray(module.extensions)) {
      throw new Error(`${data.extensions} exports no "extensions": a list of what the config may name`);
    }
    return new ThreadEndpoint(data, module.extensions, post);
  }

  receive(order: ThreadOrder): void {
    if (order.kind === 'log-relay') this.relay.receive(order.answer);
    else void this.carryOut(order);
  }

  private async carryOut({ id, name, args }: Extract<ThreadOrder, { kind: 'command' }>): Promise<void> {
    try {
      const command = this[name] as (...args: readonly unknown[]) => unknown;
      const value = await command.apply(this, args as unknown[]);
      if (id !== undefined) this.post({ kind: 'answer', id, value });
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : undefined;
      if (id !== undefined) {
        const failure = problems === undefined ? { problems, text: describeThrown(error) } : { problems };
        this.post({ kind: 'failure', id, failure });
      } else {
        this.post({ kind: 'fault', fatal: false, what: `command ${name}`, stack: describeThrown(error) });
      }
    }
  }

  // --- ThreadCommands --------------------------------------------------------------------------------------------------

  start(clusters: readonly Wire<ClusterOrder>[], listeners: readonly Wire<ListenerOrder>[]): void {
    this.worker = new Worker({
      index: this.data.index,
      context: this.context,
      logFiles: this.logFiles,
      drain: this.drain,
      overload: this.data.overload,
      clusters: clusters.map(readCluster),
      listeners: listeners.map(readListener),
      connections: this.data.connections,
      questions: this.questions,
      onHostEvent: (cluster, identity, event) => this.post({ kind: 'host-event', cluster, identity, event }),
    });
    compactHeap();
    this.heart.start();
    this.guard?.start();
  }

  prepareListener(order: Wire<ListenerOrder>): void {
    this.running.prepareListener(readListener(order));
  }

  listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]> {
    return this.running.listen(orders);
  }

  stopAccepting(ids: readonly number[]): Promise<void> {
    return this.running.stopAccepting(ids);
  }

  drainListener(id: number, timeMs: number): void {
    this.running.drainListener(id, timeMs);
  }

  removeListener(id: number): Promise<void> {
    return this.running.removeListener(id);
  }

  startDrain(start: DrainStart): void {
    this.running.startDrain(start);
  }

  failHealthCheck(failed: boolean): void {
    this.running.failHealthCheck(failed);
  }

  addOrUpdateCluster(order: Wire<ClusterOrder>, hosts: HostListMessage | undefined): void {
    const cluster = readCluster(order);
    const { name } = cluster.message;
    const receiver = new HostListReceiver();
    const list = hosts === undefined ? undefined : receiver.receive(hosts);
    this.running.addOrUpdateCluster(cluster, list);
    this.hosts.set(name, receiver);
  }

  removeCluster(name: string): void {
    this.running.removeCluster(name);
    this.hosts.delete(name);
  }

  updateHosts(clusterName: string, message: HostListMessage): void {
    let receiver = this.hosts.get(clusterName);
    if (receiver === undefined) {
      receiver = new HostListReceiver();
      this.hosts.set(clusterName, receiver);
    }
    let list: HostListUpdate;
    try {
      list = receiver.receive(message);
    } catch (error) {
      if (message.base === undefined) throw error;
      // A change of a list that this worker does not have: it began, or failed to follow, in between.
      this.post({ kind: 'hosts-wanted', cluster: clusterName });
      return;
    }
    this.running.updateHosts(clusterName, list);
  }

  prepareResource(order: ResourceOrder): void {
    this.resources.prepare(order);
  }

  checkResource(order: ResourceOrder): void {
    this.resources.check(order);
  }

  commitResource(key: string): void {
    this.resources.commit(key);
  }

  abortResource(key: string): void {
    this.resources.abort(key);
  }

  forgetResource(key: string): void {
    this.resources.forget(key);
  }

  answer(id: number, value: unknown): void {
    this.asked.get(id)?.(value);
    this.asked.delete(id);
  }

  certificateGroups(): readonly CertificateGroup[] {
    return this.certificates.read();
  }

  clusterReports(): readonly ClusterReport[] {
    return this.running.clusterReports();
  }

  latchLoads(clusterNames: readonly string[], perEndpoint: boolean): readonly ClusterLoad[] {
    return this.running.latchLoads(clusterNames, perEndpoint);
  }

  setRuntime(values: ReadonlyMap<string, string>): void {
    this.runtime.replace(values);
  }

  setLogLevels(levels: LogLevels): void {
    this.loggers.setLevels(levels);
  }

  reopenLogs(): void {
    this.logFiles.reopen();
  }

  /** One that has not started yet reads the page when it does. */
  overloadChanged(): void {
    this.worker?.overloadChanged();
  }

  resetHighMemoryStreams(): void {
    this.worker?.resetHighMemoryStreams();
  }

  shrinkHeap(): void {
    compactHeap();
  }

  async close(): Promise<void> {
    await this.worker?.close();
    await this.logFiles.flush();
    this.logFiles.close();
    this.guard?.stop();
    this.heart.stop();
  }

  /** The thread ends now. Does not throw. */
  abandon(): void {
    this.worker?.abandon();
  }

  private ask<K extends QuestionName>(
    name: K,
    args: Parameters<WorkerQuestions[K]>,
  ): ReturnType<WorkerQuestions[K]> {
    const id = ++this.lastQuestion;
    const answer = new Promise<unknown>((resolve) => this.asked.set(id, resolve));
    this.post({ kind: 'question', id, name, args });
    return answer as ReturnType<WorkerQuestions[K]>;
  }

  private get running(): Worker {
    if (this.worker === undefined) throw new Error('this worker was not started');
    return this.worker;
  }
}

/** Names come by the hundred when a config is compiled: those of one turn go in one message. */
function batchAnnouncements(post: (report: ThreadReport) => void): (announcement: StatsAnnouncement) => void {
  let batch: StatsAnnouncement[] = [];
  return (announcement) => {
    batch.push(announcement);
    if (batch.length > 1) return;
    queueMicrotask(() => {
      const announcements = batch;
      batch = [];
      post({ kind: 'stats', announcements });
    });
  };
}
