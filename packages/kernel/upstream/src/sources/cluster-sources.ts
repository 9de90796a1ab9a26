import { type Cluster, ClusterSchema, equals } from '@dragoman/api';
import {
  type Counter,
  type ExtensionRegistry,
  type Gauge,
  type HostListUpdate,
  type MainContext,
  ProblemCollector,
  type StatsScope,
} from '@dragoman/core';
import { ClusterSource } from './cluster-source.ts';

/** Gets host lists: a worker's cluster manager, or the way to one. */
export interface ClusterSink {
  /** Plain data, which may cross threads. */
  updateHosts(clusterName: string, update: HostListUpdate): void;
}

export interface ClusterSourcesOptions {
  readonly clusters: readonly Cluster[];
  readonly registry: ExtensionRegistry;
  readonly context: MainContext;
  readonly sinks: readonly ClusterSink[];
  /** Where {@link clusters} stands in the config, for errors. Default `static_resources.clusters`. */
  readonly path?: string;
}

/** The sources of all clusters' hosts, on main. */
export interface ClusterSources {
  /** Starts discovery. */
  start(): void;
  /**
   * Settles when each cluster has had its first answer or failure (`wait_for_warm_on_init: false` is not waited for).
   * A cluster whose first answer was a failure begins empty. Never rejects.
   */
  readonly warmed: Promise<void>;
  /** A further sink (a new worker): it gets what is known at once. The returned function takes it out. */
  addSink(sink: ClusterSink): () => void;
  /** Adds a cluster, or puts it in place of one of the same name. @throws ConfigError with paths relative to the cluster */
  addOrUpdateCluster(cluster: Cluster): void;
  /** @returns whether there was one */
  removeCluster(clusterName: string): boolean;
  /** Ends discovery; nothing is published any more. */
  stop(): void;
}

/** @throws ConfigError with every problem of every cluster; nothing has been started then */
export function createClusterSources(options: ClusterSourcesOptions): ClusterSources {
  const { path = 'static_resources.clusters' } = options;
  const problems = new ProblemCollector();
  const sources = new Sources(options);
  options.clusters.forEach((cluster, index) => {
    problems.try(`${path}[${index}]`, () => sources.addOrUpdateCluster(cluster));
  });
  if (problems.problems.length > 0) sources.stop();
  problems.throwIfAny();
  return sources;
}

/** Stats of `cluster_manager.`; those of merging windows are there, at 0, for whoever looks for them. */
class ManagerStats {
  readonly added: Counter;
  readonly modified: Counter;
  readonly removed: Counter;
  readonly updated: Counter;
  readonly active: Gauge;
  readonly warming: Gauge;

  constructor(scope: StatsScope) {
    this.added = scope.counter('cluster_added');
    this.modified = scope.counter('cluster_modified');
    this.removed = scope.counter('cluster_removed');
    this.updated = scope.counter('cluster_updated');
    for (const name of ['cluster_updated_via_merge', 'update_merge_cancelled', 'update_out_of_merge_window'])
      scope.counter(name);
    this.active = scope.gauge('active_clusters');
    this.warming = scope.gauge('warming_clusters');
  }
}

class Sources implements ClusterSources {
  readonly warmed: Promise<void>;
  private readonly registry: ExtensionRegistry;
  private readonly context: MainContext;
  private readonly stats: ManagerStats;
  private readonly sinks: Set<ClusterSink>;
  private readonly byName = new Map<string, ClusterSource>();
  private resolveWarmed!: () => void;
  private started = false;

  constructor(options: ClusterSourcesOptions) {
    this.registry = options.registry;
    this.context = options.context;
    this.stats = new ManagerStats(options.context.stats.scope('cluster_manager'));
    this.sinks = new Set(options.sinks);
    this.warmed = new Promise((resolve) => {
      this.resolveWarmed = resolve;
    });
  }

  start(): void {
    this.started = true;
    for (const source of this.byName.values()) this.begin(source);
    this.refresh();
  }

  addSink(sink: ClusterSink): () => void {
    this.sinks.add(sink);
    for (const [name, { last }] of this.byName) if (last !== undefined) sink.updateHosts(name, last);
    return () => this.sinks.delete(sink);
  }

  addOrUpdateCluster(message: Cluster): void {
    const { name } = message;
    const before = this.byName.get(name);
    if (before !== undefined && equals(ClusterSchema, before.message, message)) return;
    const source = new ClusterSource(message, this.registry, this.context);
    before?.stop();
    this.byName.set(name, source);
    (before === undefined ? this.stats.added : this.stats.modified).inc();
    if (this.started) this.begin(source);
    this.refresh();
  }

  removeCluster(clusterName: string): boolean {
    const source = this.byName.get(clusterName);
    if (source === undefined) return false;
    source.stop();
    this.byName.delete(clusterName);
    this.stats.removed.inc();
    this.refresh();
    return true;
  }

  stop(): void {
    for (const source of this.byName.values()) source.stop();
    this.byName.clear();
    this.refresh();
    // Whoever still waits for warming is not left hanging.
    this.resolveWarmed();
  }

  private begin(source: ClusterSource): void {
    const { name } = source.message;
    source.start({
      onHosts: (update) => {
        this.stats.updated.inc();
        for (const sink of this.sinks) sink.updateHosts(name, update);
      },
      onWarm: () => this.refresh(),
    });
  }

  /** Gauges, and the end of warming. */
  private refresh(): void {
    const sources = [...this.byName.values()];
    const cold = this.started ? sources.filter((source) => !source.warm) : [];
    this.stats.warming.set(cold.length);
    this.stats.active.set(sources.length - cold.length);
    if (this.started && cold.every((source) => source.message.waitForWarmOnInit === false))
      this.resolveWarmed();
  }
}
