import type { CertificateGroup, HostListUpdate } from '@dragoman/core';
import type { DrainStart } from '../drain-manager.ts';
import type { ThreadCertificates } from '../secrets.ts';
import type { ClusterReport } from '../worker/cluster-report.ts';
import type { BindOrder, BoundAddresses, ClusterOrder, ListenerOrder } from '../worker/orders.ts';
import { Worker, type WorkerOptions } from '../worker/worker.ts';
import type { TakeLoads, WorkerHandle } from './worker-handle.ts';

/**
 * The worker of a proxy that has both roles on one thread: commands are calls. Runtime, dynamic resources, loggers and log files are main's own, so that
 * there is nobody to tell of their changes.
 */
export class InlineWorker implements WorkerHandle {
  readonly index = 0;
  private readonly options: Omit<WorkerOptions, 'index' | 'clusters' | 'listeners' | 'connections'> & {
    readonly certificates: ThreadCertificates;
  };
  private started: Worker | undefined = undefined;

  constructor(options: InlineWorker['options']) {
    this.options = options;
  }

  get activeConnections(): number {
    return this.started?.connections.total ?? 0;
  }

  async start(clusters: readonly ClusterOrder[], listeners: readonly ListenerOrder[]): Promise<void> {
    this.started = new Worker({ ...this.options, index: 0, clusters, listeners, connections: undefined });
  }

  async prepareListener(order: ListenerOrder): Promise<void> {
    this.worker.prepareListener(order);
  }

  listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]> {
    return this.worker.listen(orders);
  }

  async stopAccepting(ids: readonly number[]): Promise<void> {
    await this.started?.stopAccepting(ids);
  }

  drainListener(id: number, timeMs: number): void {
    this.worker.drainListener(id, timeMs);
  }

  removeListener(id: number): Promise<void> {
    return this.worker.removeListener(id);
  }

  startDrain(start: DrainStart): void {
    this.started?.startDrain(start);
  }

  failHealthCheck(failed: boolean): void {
    this.started?.failHealthCheck(failed);
  }

  async addOrUpdateCluster(order: ClusterOrder, hosts: HostListUpdate | undefined): Promise<void> {
    this.worker.addOrUpdateCluster(order, hosts);
  }

  removeCluster(name: string): void {
    this.worker.removeCluster(name);
  }

  updateHosts(clusterName: string, update: HostListUpdate): void {
    this.started?.updateHosts(clusterName, update);
  }

  async certificateGroups(): Promise<readonly CertificateGroup[]> {
    return this.options.certificates.read();
  }

  async clusterReports(): Promise<readonly ClusterReport[]> {
    return this.started?.clusterReports() ?? [];
  }

  async latchLoads(clusterNames: readonly string[], perEndpoint: boolean, take: TakeLoads): Promise<void> {
    if (this.started !== undefined) take(this.started.latchLoads(clusterNames, perEndpoint));
  }

  async prepareResource(): Promise<void> {}
  async checkResource(): Promise<void> {}
  commitResource(): void {}
  abortResource(): void {}
  forgetResource(): void {}
  setRuntime(): void {}
  setLogLevels(): void {}
  reopenLogs(): void {}

  overloadChanged(): void {
    this.started?.overloadChanged();
  }

  resetHighMemoryStreams(): void {
    this.started?.resetHighMemoryStreams();
  }

  async shrinkHeap(): Promise<void> {}

  async memory(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    await this.started?.close();
  }

  private get worker(): Worker {
    if (this.started === undefined) throw new Error('the worker was not started');
    return this.started;
  }
}
