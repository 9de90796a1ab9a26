import type { CertificateGroup, HostListUpdate } from '@dragoman/core';
import type { ClusterLoad } from '@dragoman/upstream';
import type { DrainStart } from '../drain-manager.ts';
import type { ResourceOrder } from '../dynamic/resource-order.ts';
import type { ClusterReport } from '../worker/cluster-report.ts';
import type { BindOrder, BoundAddresses, ClusterOrder, ListenerOrder } from '../worker/orders.ts';

export type TakeLoads = (loads: readonly ClusterLoad[]) => void;

/** The memory of a thread, in bytes. */
export interface ThreadMemory {
  readonly heapUsed: number;
  readonly heapTotal: number;
  readonly external: number;
  /** Of {@link heapTotal}, what the system has given pages for. */
  readonly heapPhysical: number;
}

/**
 * A worker as main sees it, on this thread or on one of its own: `WorkerCommands`, answered later. Each answer rejects with the command's
 * error, with {@link WorkerGone} or {@link WorkerLate}.
 */
export interface WorkerHandle {
  readonly index: number;
  /** Compiles clusters and listeners; binds nothing. Once, before everything else. Rejects with ConfigError. */
  start(clusters: readonly ClusterOrder[], listeners: readonly ListenerOrder[]): Promise<void>;
  prepareListener(order: ListenerOrder): Promise<void>;
  listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]>;
  stopAccepting(ids: readonly number[]): Promise<void>;
  drainListener(id: number, timeMs: number): void;
  removeListener(id: number): Promise<void>;
  startDrain(start: DrainStart): void;
  failHealthCheck(failed: boolean): void;
  addOrUpdateCluster(order: ClusterOrder, hosts: HostListUpdate | undefined): Promise<void>;
  removeCluster(name: string): void;
  updateHosts(clusterName: string, update: HostListUpdate): void;
  /** Compiles a version of a resource for all that use it. Rejects with ConfigError. */
  prepareResource(order: ResourceOrder): Promise<void>;
  /** Compiles one, and forgets it. Rejects with ConfigError. */
  checkResource(order: ResourceOrder): Promise<void>;
  /** Puts it in place, also on a thread that has not prepared it. */
  commitResource(order: ResourceOrder): void;
  abortResource(key: string): void;
  forgetResource(key: string): void;
  /** What the TLS contexts of the worker hold. */
  certificateGroups(): Promise<readonly CertificateGroup[]>;
  clusterReports(): Promise<readonly ClusterReport[]>;
  /**
   * `take` gets the loads of these clusters since the last time (see `WorkerClusterManager.latchLoads`), perhaps after this has resolved,
   * or never. Does not reject.
   */
  latchLoads(clusterNames: readonly string[], perEndpoint: boolean, take: TakeLoads): Promise<void>;
  setRuntime(values: ReadonlyMap<string, string>): void;
  setLogLevels(): void;
  reopenLogs(): void;
  /** The value of some overload action is another. */
  overloadChanged(): void;
  /** `reset_high_memory_stream` is to act, once. */
  resetHighMemoryStreams(): void;
  /** Collects its garbage and gives pages back; nothing where it is main's own heap. Does not reject. */
  shrinkHeap(): Promise<void>;
  /** Undefined where it is main's own memory, or the thread does not answer. */
  memory(): Promise<ThreadMemory | undefined>;
  /** Ends everything on it; what was logged is written. Does not reject. */
  close(): Promise<void>;
}

/** The worker has not answered in time: it does what it was told when it turns again. */
export class WorkerLate extends Error {
  constructor(index: number) {
    super(`worker_${index} does not answer`);
    this.name = 'WorkerLate';
  }
}

/** The worker ended before it answered. */
export class WorkerGone extends Error {
  constructor(index: number) {
    super(`worker_${index} has ended`);
    this.name = 'WorkerGone';
  }
}
