import { ConfigError, type Cluster, type ClusterManager, type HostListUpdate } from '@dragoman/core';
import type { Cluster as ClusterMessage } from '@dragoman/api';
import type { ClusterLoad, ClusterSink, WorkerClusterManager } from '@dragoman/upstream';

export interface MainClustersOptions {
  readonly manager: WorkerClusterManager;
  /** The config of a cluster by now. */
  message(name: string): ClusterMessage | undefined;
  /** Its hosts by now. */
  hosts(name: string): HostListUpdate | undefined;
}

/**
 * The clusters that main itself calls: control planes, and whoever its loggers write to. One is made when it is first asked for, since
 * most are of no use here.
 */
export class MainClusters implements ClusterManager, ClusterSink {
  private readonly options: MainClustersOptions;
  private readonly used = new Set<string>();

  constructor(options: MainClustersOptions) {
    this.options = options;
  }

  get(name: string): Cluster | undefined {
    const { manager } = this.options;
    if (!this.used.has(name)) this.make(name);
    return manager.get(name);
  }

  get clusterNames(): Iterable<string> {
    return this.used;
  }

  updateHosts(name: string, update: HostListUpdate): void {
    if (this.used.has(name)) this.options.manager.updateHosts(name, update);
  }

  /** A cluster was put in place or removed. */
  follow(name: string): void {
    if (!this.used.has(name)) return;
    if (this.options.message(name) === undefined) {
      this.options.manager.removeCluster(name);
      this.used.delete(name);
    } else this.make(name);
  }

  /** Compiles a cluster and throws it away. @throws ConfigError with paths relative to the cluster */
  check(message: ClusterMessage): void {
    this.options.manager.checkCluster(message);
  }

  /** Of what main itself has called. */
  latchLoads(names: readonly string[], perEndpoint: boolean): readonly ClusterLoad[] {
    return this.options.manager.latchLoads(names, perEndpoint);
  }

  close(): void {
    this.options.manager.close();
  }

  private make(name: string): void {
    const { manager, message, hosts } = this.options;
    const found = message(name);
    if (found === undefined) return;
    try {
      manager.addOrUpdateCluster(found, hosts(name));
      this.used.add(name);
    } catch (error) {
      // The workers say so, too, and with a place.
      if (!(error instanceof ConfigError)) throw error;
    }
  }
}
