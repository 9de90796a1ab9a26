import type { ApiConfigSource, Node } from '@dragoman/api';
import type { FactoryContext, GrpcClientFactory } from '@dragoman/core';
import type { ClusterLoad } from '@dragoman/upstream';

/**
 * Takes the loads of one thread.
 * @param from which thread; the same name each time, also for one that replaces another
 */
export type TakeLoads = (from: string, loads: readonly ClusterLoad[]) => void;

/** Where the numbers come from. */
export interface LoadSource {
  /**
   * Asks every thread for the loads of these clusters since it was last asked. Resolves when all have answered, or been waited for long enough;
   * `take` is called for late answers too, since what a thread has told it does not tell again. Does not reject.
   * @param perEndpoint with the numbers of each host
   */
  latch(clusters: readonly string[], perEndpoint: boolean, take: TakeLoads): Promise<void>;
}

/** The clusters of the proxy as they are now. */
export interface KnownClusters {
  readonly names: Iterable<string>;
  has(name: string): boolean;
  /** `eds_cluster_config.service_name`; empty where there is none. */
  serviceName(name: string): string;
}

export interface LoadReporterOptions {
  /** Of main. `stats` is the root scope: `load_reporter.*` is counted there. */
  readonly context: Pick<FactoryContext, 'clock' | 'loggers' | 'stats' | 'warn'>;
  /** Of main, through its clusters. */
  readonly grpc: GrpcClientFactory;
  /** Who reports. The client feature of this protocol is added to it. */
  readonly node: Node;
  /** `cluster_manager.load_stats_config` of the bootstrap. */
  readonly config: ApiConfigSource;
  readonly clusters: KnownClusters;
  readonly loads: LoadSource;
}
