import type { Cluster } from '@dragoman/api';
import { emptyRuntime, type Runtime } from '@dragoman/core';
import { SharedCounts, type SharedCountsHandle, type StatsStore } from '@dragoman/stats';
import { BUDGETS, type BudgetUse, budgetIndex, clusterBreakerGauges } from '@dragoman/upstream';

/**
 * The memory that the workers share on main's side: circuit-breaker budgets, connections. It knows every page, so that what a
 * worker held comes back when it is gone.
 */
export class Ledger {
  /** Open connections. */
  readonly connections: SharedCounts;
  private readonly workers: number;
  private readonly stats: StatsStore;
  private readonly runtime: Runtime;
  /** The pages of clusters, by their config: another version has another page. */
  private readonly budgets = new WeakMap<Cluster, SharedCounts>();
  /** What ends the gauges of a cluster's circuit breakers, by its name. */
  private readonly shown = new Map<string, () => void>();
  /** Every page that main may still look at. Listeners and clusters hold theirs: a page goes when they do. */
  private readonly pages = new Set<WeakRef<SharedCountsHandle>>();
  private readonly forgotten = new FinalizationRegistry<WeakRef<SharedCountsHandle>>((page) => {
    this.pages.delete(page);
  });

  /** @param runtime of main: the gauges show limits by it */
  constructor(workers: number, stats: StatsStore, runtime: Runtime = emptyRuntime) {
    this.workers = workers;
    this.stats = stats;
    this.runtime = runtime;
    this.connections = this.page(1);
  }

  /** A page for the connections of a listener. */
  listenerConnections(): SharedCountsHandle {
    return this.page(1).handle;
  }

  /** A page for the budgets of a cluster, or of a new version of one. */
  clusterBudgets(cluster: Cluster): SharedCountsHandle {
    const counts = this.page(BUDGETS.length);
    this.budgets.set(cluster, counts);
    return counts.handle;
  }

  /** The gauges of the circuit breakers of its name show this cluster from now on. */
  showCluster(cluster: Cluster): void {
    this.hideCluster(cluster.name);
    const counts = this.budgets.get(cluster);
    if (counts === undefined) return;
    const use: BudgetUse = (priority, resource) => counts.total(budgetIndex(priority, resource));
    const ends = clusterBreakerGauges(cluster, this.runtime).map(({ name, value }) =>
      this.stats.deriveGauge(name, () => value(use)),
    );
    this.shown.set(cluster.name, () => {
      for (const end of ends) end();
    });
  }

  /** What its last connections hold is still counted. */
  hideCluster(name: string): void {
    this.shown.get(name)?.();
    this.shown.delete(name);
  }

  /** Takes back what a worker held whose thread has ended. */
  retire(workerIndex: number): void {
    for (const page of this.pages) {
      const handle = page.deref();
      if (handle !== undefined) SharedCounts.of(handle).retire(workerIndex);
    }
  }

  private page(counts: number): SharedCounts {
    const page = SharedCounts.create(counts, this.workers);
    const weak = new WeakRef(page.handle);
    this.pages.add(weak);
    this.forgotten.register(page.handle, weak);
    return page;
  }
}
