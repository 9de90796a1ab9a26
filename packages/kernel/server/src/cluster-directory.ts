import { type Cluster, ClusterSchema, equals } from '@dragoman/api';
import type { ClusterSources } from '@dragoman/upstream';
import type { ClusterOrder } from './worker/orders.ts';
import type { Ledger } from './workers/ledger.ts';
import type { Workers } from './workers/workers.ts';

export interface ClusterDirectoryOptions {
  readonly workers: Workers;
  /** Undefined with a worker on this thread. */
  readonly ledger: Ledger | undefined;
}

/** The clusters of a proxy, on main: what workers are told of them, and what one that begins later has to be told. */
export class ClusterDirectory {
  private readonly options: ClusterDirectoryOptions;
  private readonly byName = new Map<string, ClusterOrder>();
  /** Of the bootstrap, where a name may stand twice: the workers say that it does. */
  private readonly repeated: ClusterOrder[] = [];
  /** Changes come one after the other. */
  private turn: Promise<unknown> = Promise.resolve();

  /** @param clusters of the bootstrap; what is wrong with them is found by who builds them */
  constructor(clusters: readonly Cluster[], options: ClusterDirectoryOptions) {
    this.options = options;
    clusters.forEach((message, i) => {
      const order = this.order(message, `static_resources.clusters[${i}]`);
      if (this.byName.has(message.name)) this.repeated.push(order);
      else this.byName.set(message.name, order);
    });
    for (const { message } of this.byName.values()) options.ledger?.showCluster(message);
  }

  get orders(): readonly ClusterOrder[] {
    return [...this.byName.values(), ...this.repeated];
  }

  get messages(): readonly Cluster[] {
    return Array.from(this.byName.values(), ({ message }) => message);
  }

  /**
   * Adds a cluster, or puts it in place of one of the same name once its hosts are known.
   * @returns false when it is the same already. Rejects with ConfigError; nothing has changed then
   */
  addOrUpdate(message: Cluster, sources: ClusterSources): Promise<boolean> {
    return this.inTurn(async () => {
      const before = this.byName.get(message.name);
      if (before !== undefined && equals(ClusterSchema, before.message, message)) return false;
      const { workers, ledger } = this.options;
      const warm = await sources.warmCluster(message);
      const order = this.order(message, '');
      try {
        await workers.addOrUpdateCluster(order, warm.hosts);
      } catch (error) {
        warm.discard();
        throw error;
      }
      this.byName.set(message.name, order);
      ledger?.showCluster(message);
      warm.activate();
      return true;
    });
  }

  /** @returns whether there was one */
  remove(name: string, sources: ClusterSources): Promise<boolean> {
    return this.inTurn(async () => {
      if (!this.byName.delete(name)) return false;
      sources.removeCluster(name);
      this.options.workers.removeCluster(name);
      this.options.ledger?.hideCluster(name);
      return true;
    });
  }

  private order(message: Cluster, path: string): ClusterOrder {
    return { message, path, budgets: this.options.ledger?.clusterBudgets(message) };
  }

  private inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.turn.then(change);
    this.turn = result.catch(() => {});
    return result;
  }
}
