import { type Cluster as ClusterMessage, ClusterSchema, equals } from '@dragoman/api';
import {
  atPath,
  type Cluster,
  type ClusterManager,
  type CompileUpstreamFilters,
  type Connector,
  type ExtensionRegistry,
  type FactoryContext,
  type Host,
  type HostListUpdate,
  type LoadBalancerContext,
  type LoadShedPoint,
  type MemberClusters,
  ProblemCollector,
} from '@dragoman/core';
import { type ClusterLife, UpstreamCluster } from './cluster.ts';
import type { ClusterDependencies } from './cluster-dependencies.ts';
import { LocalZone } from './hosts/local-zone.ts';
import { readCluster } from './config/cluster-settings.ts';
import { closeSockets } from './config/transport-sockets.ts';
import type { ClusterLoad } from './loads/cluster-load.ts';
import type { OnHostEvent } from './outliers/host-monitors.ts';
import type { CreateClientCodec, Http2Codecs } from './pool/pool-options.ts';
import { ThrowawayStats } from './stats/throwaway-stats.ts';
import { type CreateBudget, createLocalBudget } from './resources.ts';

export interface ClusterManagerOptions {
  readonly clusters: readonly ClusterMessage[];
  readonly registry: ExtensionRegistry;
  readonly context: FactoryContext;
  readonly connector: Connector;
  readonly createCodec: CreateClientCodec;
  /** Undefined: the assembly has no HTTP/2, and clusters that want it are refused. */
  readonly http2?: Http2Codecs | undefined;
  /** Compiles `http_filters` of clusters. Undefined: they are refused. */
  readonly upstreamFilters?: CompileUpstreamFilters | undefined;
  /** Makes circuit-breaker budgets. Default: of this thread alone. */
  readonly createBudget?: CreateBudget;
  /** Tells main what was seen of a host. Default: nobody hears of it. */
  readonly onHostEvent?: OnHostEvent | undefined;
  /** Asked before a pool opens a connection; undefined: there is no such load shed point. */
  readonly newConnection?: LoadShedPoint | undefined;
  /** Where {@link clusters} stands in the config, for errors. Default `static_resources.clusters`. */
  readonly path?: string;
}

/** The clusters of one worker, and what main tells it about them. */
export interface WorkerClusterManager extends ClusterManager {
  /** Replaces a cluster's hosts. A cluster that is not (or no longer) there is passed over. */
  updateHosts(clusterName: string, update: HostListUpdate): void;
  /**
   * Puts a cluster in place of one of the same name, or adds it. `hosts` are its first. An unchanged config keeps
   * connections and stats; a changed one lets the old connections finish.
   *
   * @throws ConfigError with paths relative to the cluster; nothing has changed then
   */
  addOrUpdateCluster(cluster: ClusterMessage, hosts?: HostListUpdate): void;
  /** Compiles a cluster and throws it away. @throws ConfigError with paths relative to the cluster */
  checkCluster(cluster: ClusterMessage): void;
  /** Takes a cluster away; requests under way finish. @returns whether there was one */
  removeCluster(clusterName: string): boolean;
  /**
   * The loads of these clusters since they were last asked for, or made. Of the others nobody wants to know any more: what their hosts have
   * done when they leave is forgotten. Clusters that are not there are passed over.
   * @param perEndpoint with the numbers of each host
   */
  latchLoads(clusterNames: readonly string[], perEndpoint: boolean): readonly ClusterLoad[];
  /** Idle connections close, the others when their requests end. */
  drain(): void;
  /** Ends every connection of the pools now. */
  close(): void;
}

/**
 * Makes the clusters of a worker. They have no hosts until {@link WorkerClusterManager.updateHosts}.
 *
 * @throws ConfigError with every problem of every cluster
 */
export function createClusterManager(options: ClusterManagerOptions): WorkerClusterManager {
  const { registry, path = 'static_resources.clusters' } = options;
  const problems = new ProblemCollector();
  const manager = new Clusters(registry, {
    localZone: new LocalZone(options.context.localInfo),
    onHostEvent: options.onHostEvent ?? (() => {}),
    context: options.context,
    connector: options.connector,
    createCodec: options.createCodec,
    http2: options.http2,
    upstreamFilters: options.upstreamFilters,
    createBudget: options.createBudget ?? createLocalBudget,
    newConnection: options.newConnection,
  });
  options.clusters.forEach((cluster, index) => {
    problems.try(`${path}[${index}]`, () => {
      if (manager.get(cluster.name) !== undefined)
        problems.add(`${path}[${index}].name`, `another cluster is named "${cluster.name}" too`);
      else manager.addOrUpdateCluster(cluster);
    });
  });
  problems.throwIfAny();
  return manager;
}

interface Entry {
  readonly message: ClusterMessage;
  readonly cluster: UpstreamCluster;
}

class Clusters implements WorkerClusterManager, MemberClusters {
  private readonly registry: ExtensionRegistry;
  private readonly dependencies: ClusterDependencies;
  private readonly localClusterName: string | undefined;
  private readonly entries = new Map<string, Entry>();
  /** What requests look up: no indirection through {@link entries}. */
  private readonly byName = new Map<string, UpstreamCluster>();
  private readonly watchers = new Set<(clusterName: string) => void>();
  /** The whole worker ends: what was counted can still be asked for. */
  private closing = false;

  constructor(
    registry: ExtensionRegistry,
    dependencies: Omit<ClusterDependencies, 'clusters' | 'onOwnHosts'>,
  ) {
    this.registry = registry;
    this.localClusterName = dependencies.context.localInfo.localClusterName;
    this.dependencies = {
      ...dependencies,
      clusters: this,
      onOwnHosts: (clusterName) => this.noteChange(clusterName),
    };
  }

  get(name: string): Cluster | undefined {
    return this.byName.get(name);
  }

  get clusterNames(): Iterable<string> {
    return this.byName.keys();
  }

  chooseHost(clusterName: string, context: LoadBalancerContext | undefined): Host | undefined {
    return this.byName.get(clusterName)?.chooseForOther(context);
  }

  onChange(callback: (clusterName: string) => void): () => void {
    this.watchers.add(callback);
    return () => this.watchers.delete(callback);
  }

  updateHosts(clusterName: string, update: HostListUpdate): void {
    this.byName.get(clusterName)?.updateHosts(update);
    this.noteChange(clusterName);
  }

  addOrUpdateCluster(message: ClusterMessage, hosts?: HostListUpdate): void {
    const { name } = message;
    const before = this.entries.get(name);
    if (before !== undefined && equals(ClusterSchema, before.message, message)) {
      if (hosts !== undefined) this.updateHosts(name, hosts);
      return;
    }
    const cluster = this.build(message, before?.cluster);
    if (hosts !== undefined) cluster.updateHosts(hosts);
    this.entries.set(name, { message, cluster });
    this.byName.set(name, cluster);
    this.noteChange(name);
    before?.cluster.retire();
  }

  checkCluster(message: ClusterMessage): void {
    this.create(message, { ...this.dependencies.context, stats: new ThrowawayStats() }).close();
  }

  /**
   * Its stats are forgotten with it, unless another of its name has taken them over.
   * @param before the version that it takes the place of
   */
  private build(message: ClusterMessage, before?: UpstreamCluster): UpstreamCluster {
    const lease = this.dependencies.context.stats.lease();
    const onEnd = (): void => {
      if (!this.closing) lease.release();
    };
    try {
      const context = { ...this.dependencies.context, stats: lease.stats };
      return this.create(message, context, { onEnd, loads: before?.loads });
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  private create(message: ClusterMessage, context: FactoryContext, life?: ClusterLife): UpstreamCluster {
    const settings = readCluster(message, this.registry, context);
    try {
      return atPath('', () => new UpstreamCluster(settings, { ...this.dependencies, context }, life));
    } catch (error) {
      closeSockets(settings.transport);
      throw error;
    }
  }

  removeCluster(clusterName: string): boolean {
    const entry = this.entries.get(clusterName);
    if (entry === undefined) return false;
    this.entries.delete(clusterName);
    this.byName.delete(clusterName);
    this.noteChange(clusterName);
    entry.cluster.retire();
    return true;
  }

  latchLoads(clusterNames: readonly string[], perEndpoint: boolean): readonly ClusterLoad[] {
    const wanted = new Set(clusterNames);
    const loads: ClusterLoad[] = [];
    for (const [name, cluster] of this.byName) {
      if (wanted.has(name)) loads.push(cluster.latchLoad(perEndpoint));
      else cluster.loads.stop();
    }
    return loads;
  }

  /** Balancing by zone looks at the hosts of the proxy's own cluster, and clusters that are made of others at those of these. */
  private noteChange(clusterName: string): void {
    if (clusterName === this.localClusterName)
      this.dependencies.localZone.update(this.byName.get(clusterName)?.hostSets);
    for (const watcher of this.watchers) watcher(clusterName);
  }

  drain(): void {
    for (const { cluster } of this.entries.values()) cluster.drain();
  }

  close(): void {
    this.closing = true;
    for (const { cluster } of this.entries.values()) cluster.close();
  }
}
