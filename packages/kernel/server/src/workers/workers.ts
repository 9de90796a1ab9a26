import type { CertificateGroup, HostListUpdate } from '@dragoman/core';
import type { ClusterLoad, ClusterSink } from '@dragoman/upstream';
import type { DrainStart } from '../drain-manager.ts';
import type { ResourceThreads } from '../dynamic/resource-book.ts';
import type { ResourceOrder } from '../dynamic/resource-order.ts';
import { type ClusterReport, mergeReports } from '../worker/cluster-report.ts';
import type { BoundAddresses, ClusterOrder, ListenerOrder } from '../worker/orders.ts';
import type { OrdersOf } from './told.ts';
import { type ThreadMemory, WorkerGone, type WorkerHandle, WorkerLate } from './worker-handle.ts';

/** What workers begin with. */
export interface WorkerState {
  readonly clusters: readonly ClusterOrder[];
  readonly listeners: readonly ListenerOrder[];
}

/** The memory of one worker's thread. */
export interface WorkerMemory {
  readonly name: string;
  readonly memory: ThreadMemory;
}

/**
 * All workers of a proxy, as main sees them: what one is told all are told. A worker that ends in the middle of something counts as told,
 * and so does one that does not answer in time when others have.
 */
export class Workers implements ClusterSink, ResourceThreads {
  protected readonly handles: WorkerHandle[];
  protected healthCheckFailed = false;
  /** The drains of the whole server that have begun, for workers that begin later. */
  protected readonly drains: { readonly start: DrainStart; readonly endsAt: number }[] = [];
  private readonly now: () => number;

  constructor(handles: readonly WorkerHandle[], now: () => number) {
    this.handles = [...handles];
    this.now = now;
  }

  get count(): number {
    return this.handles.length;
  }

  /** Rejects with the first worker's ConfigError: all of them compile the same. */
  async start(state: WorkerState): Promise<void> {
    const { clusters, listeners } = state;
    await this.all((worker) => worker.start(clusters, listeners));
  }

  async prepareListener(order: ListenerOrder): Promise<void> {
    await this.all((worker) => worker.prepareListener(order));
  }

  /** @returns for each order where it is bound, as the first worker has it. Rejects with ConfigError: some may be bound then */
  async listen(orders: OrdersOf): Promise<readonly BoundAddresses[]> {
    const answers = await this.all((worker) => worker.listen(orders(worker.index)));
    return answers.find((answer) => answer !== undefined) ?? [];
  }

  async stopAccepting(ids: readonly number[]): Promise<void> {
    await this.all((worker) => worker.stopAccepting(ids));
  }

  drainListener(id: number, timeMs: number): void {
    for (const worker of this.handles) worker.drainListener(id, timeMs);
  }

  async removeListener(id: number): Promise<void> {
    await this.all((worker) => worker.removeListener(id));
  }

  startDrain(start: DrainStart): void {
    this.drains.push({ start, endsAt: this.now() + start.timeMs });
    for (const worker of this.handles) worker.startDrain(start);
  }

  failHealthCheck(failed: boolean): void {
    this.healthCheckFailed = failed;
    for (const worker of this.handles) worker.failHealthCheck(failed);
  }

  /** Rejects with ConfigError; some workers may have it then. */
  async addOrUpdateCluster(order: ClusterOrder, hosts: HostListUpdate | undefined): Promise<void> {
    await this.all((worker) => worker.addOrUpdateCluster(order, hosts));
  }

  removeCluster(name: string): void {
    for (const worker of this.handles) worker.removeCluster(name);
  }

  updateHosts(clusterName: string, update: HostListUpdate): void {
    for (const worker of this.handles) worker.updateHosts(clusterName, update);
  }

  async prepareResource(order: ResourceOrder): Promise<void> {
    await this.all((worker) => worker.prepareResource(order));
  }

  async checkResource(order: ResourceOrder): Promise<void> {
    await this.all((worker) => worker.checkResource(order));
  }

  commitResource(order: ResourceOrder): void {
    for (const worker of this.handles) worker.commitResource(order);
  }

  abortResource(key: string): void {
    for (const worker of this.handles) worker.abortResource(key);
  }

  forgetResource(key: string): void {
    for (const worker of this.handles) worker.forgetResource(key);
  }

  /** Every worker holds the same: those of the first that answers. */
  async certificateGroups(): Promise<readonly CertificateGroup[]> {
    const groups = await Promise.all(this.handles.map((worker) => worker.certificateGroups()));
    return groups.find((group) => group.length > 0) ?? [];
  }

  /** All workers together. */
  async clusterReports(): Promise<readonly ClusterReport[]> {
    const reports = await Promise.all(this.handles.map((worker) => worker.clusterReports()));
    return mergeReports(reports.filter((report) => report.length > 0));
  }

  /**
   * The loads of these clusters since the last time, by worker. Resolves when all have answered, or been waited for long enough: `take` may be
   * called later too.
   */
  async latchLoads(
    clusterNames: readonly string[],
    perEndpoint: boolean,
    take: (worker: number, loads: readonly ClusterLoad[]) => void,
  ): Promise<void> {
    await Promise.all(
      this.handles.map((worker) =>
        worker.latchLoads(clusterNames, perEndpoint, (loads) => take(worker.index, loads)),
      ),
    );
  }

  setRuntime(values: ReadonlyMap<string, string>): void {
    for (const worker of this.handles) worker.setRuntime(values);
  }

  setLogLevels(): void {
    for (const worker of this.handles) worker.setLogLevels();
  }

  reopenLogs(): void {
    for (const worker of this.handles) worker.reopenLogs();
  }

  overloadChanged(): void {
    for (const worker of this.handles) worker.overloadChanged();
  }

  resetHighMemoryStreams(): void {
    for (const worker of this.handles) worker.resetHighMemoryStreams();
  }

  /** One after the other: a heap that is collected holds its thread up. */
  async shrinkHeaps(): Promise<void> {
    for (const worker of [...this.handles]) await worker.shrinkHeap();
  }

  /** Of the workers that have memory of their own. */
  async memory(): Promise<readonly WorkerMemory[]> {
    const all = await Promise.all(
      this.handles.map(async (worker) => ({ name: `worker_${worker.index}`, memory: await worker.memory() })),
    );
    return all.flatMap(({ name, memory }) => (memory === undefined ? [] : [{ name, memory }]));
  }

  async close(): Promise<void> {
    await Promise.all(this.handles.map((worker) => worker.close()));
  }

  /** What a worker has missed that begins while the proxy runs. */
  protected catchUp(worker: WorkerHandle): void {
    if (this.healthCheckFailed) worker.failHealthCheck(true);
    for (const { start, endsAt } of this.drains)
      worker.startDrain({ ...start, timeMs: Math.max(0, endsAt - this.now()) });
  }

  /** Every worker's answer; undefined of one that has ended meanwhile. Rejects with the first other failure, once all have answered. */
  protected async all<T>(command: (worker: WorkerHandle) => Promise<T>): Promise<(T | undefined)[]> {
    const results = await Promise.allSettled(this.handles.map(command));
    const someInTime = results.some(
      (result) => result.status === 'fulfilled' || !(result.reason instanceof WorkerLate),
    );
    return results.map((result) => {
      if (result.status === 'fulfilled') return result.value;
      const { reason } = result;
      if (reason instanceof WorkerGone || (reason instanceof WorkerLate && someInTime)) return undefined;
      throw reason;
    });
  }
}
