import type { Cluster } from '@dragoman/api';
import {
  type Counter,
  type ExtensionRegistry,
  type Gauge,
  type HostEvent,
  type HostListUpdate,
  type MainContext,
  ProblemCollector,
  type StatsScope,
} from '@dragoman/core';
import type { HealthDependencies } from '../health/host-pipeline.ts';
import type { MergeStats } from '../health/update-merger.ts';
import { ClusterSource, type SourceDependencies } from './cluster-source.ts';

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
  /** Opens the connections of health checks. Undefined: clusters with checks are taken, and not checked. */
  readonly health?: HealthDependencies | undefined;
  /** `cluster_manager.outlier_detection.event_log_path`. Default: ejections are not logged. */
  readonly ejectionLog?: string | undefined;
  /** Where {@link clusters} stands in the config, for errors. Default `static_resources.clusters`. */
  readonly path?: string;
}

/** A cluster that nobody uses yet: new, or a new version of one that goes on meanwhile. */
export interface WarmingCluster {
  /** Settles with the first answer or failure, or when it is not wanted any more. Never rejects. */
  readonly warmed: Promise<void>;
  /**
   * Its hosts by now, for workers to begin with; undefined: there were none to be had. From now on sinks hear nothing of the
   * version before: {@link activate} or {@link discard} has to follow.
   */
  take(): HostListUpdate | undefined;
  /** Takes the place of the one of its name: sinks hear of its hosts from now on, and of those found since {@link take}. */
  activate(): void;
  /** It is not wanted any more. The version before goes on; what it found meanwhile is passed on. */
  discard(): void;
}

/** The sources of all clusters' hosts, on main. */
export interface ClusterSources {
  /** Starts discovery, but for hosts that come from config sources. @throws ConfigError with every problem */
  start(): void;
  /** Starts discovery by config sources: those may be reached by the clusters that are warm by then. @throws ConfigError with every problem */
  startSecondary(): void;
  /**
   * Settles when each cluster has had its first answer or failure (`wait_for_warm_on_init: false` is not waited for).
   * A cluster whose first answer was a failure begins empty. Never rejects.
   */
  readonly warmed: Promise<void>;
  /** The same for those whose hosts do not come from a config source: what config sources are reached by is among them. */
  readonly primaryWarmed: Promise<void>;
  /** Clusters, and new versions of them, that have not had their first answer or failure. */
  readonly cold: readonly Cluster[];
  /** The hosts of a cluster as last published. */
  hostsOf(clusterName: string): HostListUpdate | undefined;
  /** A further sink (a new worker): it gets what is known at once. The returned function takes it out. */
  addSink(sink: ClusterSink): () => void;
  /**
   * Begins to look for the hosts of a cluster that is new, or a new version, while the old one goes on.
   * @throws ConfigError with paths relative to the cluster; Error after {@link stop}
   */
  warmCluster(cluster: Cluster): WarmingCluster;
  /** Makes the discovery of a cluster and throws it away. @throws ConfigError with paths relative to the cluster */
  checkCluster(cluster: Cluster): void;
  /** @returns whether there was one */
  removeCluster(clusterName: string): boolean;
  /** A worker saw something of a host. */
  onHostEvent(clusterName: string, identity: string, event: HostEvent): void;
  /** Ends discovery; nothing is published any more. */
  stop(): void;
}

/** @throws ConfigError with every problem of every cluster; nothing has been started then */
export function createClusterSources(options: ClusterSourcesOptions): ClusterSources {
  const { path = 'static_resources.clusters' } = options;
  const problems = new ProblemCollector();
  const sources = new Sources(options);
  options.clusters.forEach((cluster, index) => {
    const where = `${path}[${index}]`;
    problems.try(where, () => sources.add(cluster, where));
  });
  if (problems.problems.length > 0) sources.stop();
  problems.throwIfAny();
  return sources;
}

/** Stats of `cluster_manager.` */
class ManagerStats {
  readonly added: Counter;
  readonly modified: Counter;
  readonly removed: Counter;
  readonly updated: Counter;
  readonly merge: MergeStats;
  readonly active: Gauge;
  readonly warming: Gauge;

  constructor(scope: StatsScope) {
    this.added = scope.counter('cluster_added');
    this.modified = scope.counter('cluster_modified');
    this.removed = scope.counter('cluster_removed');
    this.updated = scope.counter('cluster_updated');
    this.merge = {
      viaMerge: scope.counter('cluster_updated_via_merge'),
      cancelled: scope.counter('update_merge_cancelled'),
      outOfWindow: scope.counter('update_out_of_merge_window'),
    };
    this.active = scope.gauge('active_clusters', 'never-import');
    this.warming = scope.gauge('warming_clusters', 'never-import');
  }
}

class Sources implements ClusterSources {
  readonly warmed: Promise<void>;
  readonly primaryWarmed: Promise<void>;
  private readonly dependencies: SourceDependencies;
  private readonly stats: ManagerStats;
  private readonly sinks: Set<ClusterSink>;
  private readonly byName = new Map<string, ClusterSource>();
  /** Where those of the bootstrap stand in it. */
  private readonly paths = new Map<ClusterSource, string>();
  /** New ones and new versions whose hosts are not known yet, with what ends the wait for each. */
  private readonly warming = new Map<ClusterSource, () => void>();
  /** Names whose new version is being put in place: the old one's lists would be taken for the new one's. */
  private readonly held = new Map<string, HostListUpdate | undefined>();
  private readonly resolveWarmed: () => void;
  private readonly resolvePrimary: () => void;
  private started = false;
  /** Those of the bootstrap are warm, and later ones are before they are put here. */
  private settled = false;
  private stopped = false;

  constructor(options: ClusterSourcesOptions) {
    const { registry, context, health, ejectionLog = '' } = options;
    this.stats = new ManagerStats(context.stats.scope('cluster_manager'));
    this.dependencies = { registry, context, health, mergeStats: this.stats.merge, ejectionLog };
    this.sinks = new Set(options.sinks);
    const warmed = Promise.withResolvers<void>();
    this.warmed = warmed.promise;
    this.resolveWarmed = warmed.resolve;
    const primary = Promise.withResolvers<void>();
    this.primaryWarmed = primary.promise;
    this.resolvePrimary = primary.resolve;
  }

  get cold(): readonly Cluster[] {
    const sources = this.started ? [...this.byName.values(), ...this.warming.keys()] : [];
    return sources.filter(({ warm }) => !warm).map(({ message }) => message);
  }

  start(): void {
    this.started = true;
    this.beginAll((source) => !source.secondary);
  }

  startSecondary(): void {
    this.beginAll((source) => source.secondary);
    this.paths.clear();
  }

  private beginAll(wanted: (source: ClusterSource) => boolean): void {
    const problems = new ProblemCollector();
    for (const source of this.byName.values())
      if (wanted(source)) problems.try(this.paths.get(source) ?? '', () => this.begin(source));
    this.refresh();
    problems.throwIfAny();
  }

  addSink(sink: ClusterSink): () => void {
    this.sinks.add(sink);
    for (const [name, { last }] of this.byName) if (last !== undefined) sink.updateHosts(name, last);
    return () => this.sinks.delete(sink);
  }

  /** Of the bootstrap. A second one of a name is passed over: the workers say that it is there. */
  add(message: Cluster, path: string): void {
    if (this.byName.has(message.name)) return;
    const source = new ClusterSource(message, this.dependencies);
    this.byName.set(message.name, source);
    this.paths.set(source, path);
    this.stats.added.inc();
    this.refresh();
  }

  checkCluster(message: Cluster): void {
    new ClusterSource(message, this.dependencies).stop();
  }

  warmCluster(message: Cluster): WarmingCluster {
    if (this.stopped) throw new Error('discovery has ended');
    const { name } = message;
    const source = new ClusterSource(message, this.dependencies);
    const warm = Promise.withResolvers<void>();
    let taken: HostListUpdate | undefined;
    let active = false;
    this.warming.set(source, warm.resolve);
    this.refresh();
    try {
      source.start(
        {
          onHosts: (update) => {
            if (active) this.publishUnlessHeld(name, update);
          },
          onWarm: () => warm.resolve(),
        },
        false,
      );
    } catch (error) {
      this.warming.delete(source);
      source.end();
      this.refresh();
      throw error;
    }
    return {
      warmed: warm.promise,
      take: () => {
        this.held.set(name, this.byName.get(name)?.last);
        taken = source.last;
        return taken;
      },
      activate: () => {
        if (!this.warming.delete(source)) return;
        active = true;
        this.held.delete(name);
        this.put(name, source);
        if (source.last !== undefined && source.last !== taken) this.publish(name, source.last);
      },
      discard: () => {
        if (!this.warming.delete(source)) return;
        source.end();
        warm.resolve();
        this.release(name);
        this.refresh();
      },
    };
  }

  /** The old version goes on. */
  private release(name: string): void {
    if (!this.held.has(name)) return;
    const known = this.held.get(name);
    this.held.delete(name);
    const last = this.byName.get(name)?.last;
    if (last !== undefined && last !== known) this.publish(name, last);
  }

  private put(name: string, source: ClusterSource): void {
    const before = this.byName.get(name);
    before?.end();
    source.count();
    this.byName.set(name, source);
    (before === undefined ? this.stats.added : this.stats.modified).inc();
    this.refresh();
  }

  removeCluster(clusterName: string): boolean {
    const source = this.byName.get(clusterName);
    if (source === undefined) return false;
    source.end();
    this.byName.delete(clusterName);
    this.stats.removed.inc();
    this.refresh();
    return true;
  }

  hostsOf(clusterName: string): HostListUpdate | undefined {
    return this.byName.get(clusterName)?.last;
  }

  onHostEvent(clusterName: string, identity: string, event: HostEvent): void {
    this.byName.get(clusterName)?.onEvent(identity, event);
  }

  stop(): void {
    this.stopped = true;
    for (const source of this.byName.values()) source.stop();
    this.byName.clear();
    for (const [source, resolve] of this.warming) {
      source.stop();
      resolve();
    }
    this.warming.clear();
    this.refresh();
    // Whoever still waits for warming is not left hanging.
    this.resolveWarmed();
    this.resolvePrimary();
  }

  private begin(source: ClusterSource): void {
    const { name } = source.message;
    source.start({
      onHosts: (update) => this.publishUnlessHeld(name, update),
      onWarm: () => this.refresh(),
    });
  }

  private publish(name: string, update: HostListUpdate): void {
    this.stats.updated.inc();
    for (const sink of this.sinks) sink.updateHosts(name, update);
  }

  private publishUnlessHeld(name: string, update: HostListUpdate): void {
    if (!this.held.has(name)) this.publish(name, update);
  }

  /** Gauges, and the end of warming. */
  private refresh(): void {
    if (this.settled) {
      this.stats.warming.set(this.warming.size);
      this.stats.active.set(this.byName.size);
      return;
    }
    const sources = [...this.byName.values()];
    const cold = this.started ? sources.filter((source) => !source.warm) : [];
    this.stats.warming.set(cold.length + this.warming.size);
    this.stats.active.set(sources.length - cold.length);
    if (!this.started) return;
    this.settled = cold.length === 0;
    const awaited = cold.filter((source) => source.message.waitForWarmOnInit !== false);
    if (awaited.length === 0) this.resolveWarmed();
    if (awaited.every((source) => source.secondary)) this.resolvePrimary();
  }
}
