import type { Cluster } from '@dragoman/api';
import type {
  Clock,
  ExtensionRegistry,
  Logger,
  SubClusterOutcome,
  SubClusterPlan,
  Timer,
} from '@dragoman/core';
import { type ClusterSources, subClusterPlan } from '@dragoman/upstream';
import type { ClusterDirectory } from './cluster-directory.ts';

export interface MainSubClustersOptions {
  readonly directory: ClusterDirectory;
  readonly sources: () => ClusterSources;
  readonly extensions: ExtensionRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface SubCluster {
  lastUsed: number;
  readonly outcome: Promise<SubClusterOutcome>;
}

/** A cluster and those that were made for it. */
interface Parent {
  readonly message: Cluster;
  readonly plan: SubClusterPlan;
  readonly byName: Map<string, SubCluster>;
  readonly idle: Timer;
  /** The log has a warning of one that cannot be made. Clients make up the names: of others it has no more than debug messages. */
  warned: boolean;
}

/** Makes clusters beside others when a worker asks for them, and takes away those that nobody uses. */
export class MainSubClusters {
  private readonly options: MainSubClustersOptions;
  private readonly parents = new Map<string, Parent>();
  private readonly stopWatching: () => void;
  private closed = false;

  constructor(options: MainSubClustersOptions) {
    this.options = options;
    this.stopWatching = options.directory.onChange((name) => this.follow(name));
  }

  /** Makes those that the clusters of the bootstrap want at once. Discovery has begun. */
  start(): void {
    for (const { message } of this.options.directory.clusters) this.follow(message.name);
  }

  /** The cluster is there, or is made; in either case it is used. Never rejects. */
  async want(parentName: string, name: string): Promise<SubClusterOutcome> {
    const parent = this.parents.get(parentName);
    if (parent === undefined) return 'gone';
    const now = this.options.clock.now();
    const known = parent.byName.get(name);
    if (known !== undefined) {
      known.lastUsed = now;
      return known.outcome;
    }
    if (parent.byName.size >= parent.plan.max) return 'overflow';
    const made: SubCluster = { lastUsed: now, outcome: this.make(parent, name) };
    parent.byName.set(name, made);
    const outcome = await made.outcome;
    if (outcome !== 'ready' && parent.byName.get(name) === made) parent.byName.delete(name);
    return outcome;
  }

  close(): void {
    this.closed = true;
    this.stopWatching();
    for (const { idle } of this.parents.values()) idle.disable();
  }

  private async make(parent: Parent, name: string): Promise<SubClusterOutcome> {
    const { directory, sources, clock } = this.options;
    try {
      if (directory.has(name)) throw new Error('there is another cluster of that name');
      const message = parent.plan.create(name) as Cluster;
      const added = await directory.addOrUpdate(message, sources(), clock.wallTime());
      // Whoever takes the parent away, or what is idle, takes this away with it, made or not. By now the name may be another parent's.
      return added && this.parents.get(parent.message.name) === parent ? 'ready' : 'gone';
    } catch (error) {
      if (this.closed) return 'gone';
      this.tellRefused(parent, name, (error as Error).message.replaceAll('\n', '; '));
      return 'refused';
    }
  }

  private tellRefused(parent: Parent, name: string, why: string): void {
    const { logger } = this.options;
    const text = `cluster ${parent.message.name}: its sub-cluster ${JSON.stringify(name)} cannot be made: ${why}`;
    if (parent.warned) logger.debug(text);
    else logger.warn(text);
    parent.warned = true;
  }

  /** A cluster was added, replaced or removed: those of its version before go with it. */
  private follow(name: string): void {
    if (this.closed) return;
    const message = this.options.directory.get(name);
    const before = this.parents.get(name);
    if (before !== undefined && before.message === message) return;
    if (before !== undefined) this.drop(name, before);
    const plan = message && subClusterPlan(message, this.options.extensions);
    if (message === undefined || plan === undefined) return;
    const idle = this.options.clock.timer(() => {
      this.removeIdle(parent);
      idle.enable(plan.ttlMs);
    });
    const parent: Parent = { message, plan, byName: new Map(), idle, warned: false };
    this.parents.set(name, parent);
    idle.enable(plan.ttlMs);
    for (const first of plan.first) void this.want(name, first);
  }

  private drop(name: string, parent: Parent): void {
    this.parents.delete(name);
    parent.idle.disable();
    for (const own of parent.byName.keys()) this.remove(own);
  }

  private removeIdle({ plan, byName }: Parent): void {
    const now = this.options.clock.now();
    for (const [name, { lastUsed }] of byName) {
      if (now - lastUsed <= plan.ttlMs) continue;
      byName.delete(name);
      this.remove(name);
    }
  }

  private remove(name: string): void {
    const { directory, sources } = this.options;
    // Rejects only when the proxy was closed meanwhile.
    directory.remove(name, sources()).catch(() => {});
  }
}
