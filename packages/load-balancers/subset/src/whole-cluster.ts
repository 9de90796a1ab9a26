import type { Host, HostSet, LoadBalancer, LoadBalancerContext } from '@dragoman/core';

/** All hosts of the cluster, for fallbacks. Its localities are weighted only if subsets' are. */
export class WholeCluster {
  private readonly balancer: LoadBalancer;
  private readonly weightAware: boolean;
  private readonly unweighted = new WeakMap<HostSet, HostSet>();

  constructor(balancer: LoadBalancer, weightAware: boolean) {
    this.balancer = balancer;
    this.weightAware = weightAware;
  }

  update(sets: readonly HostSet[]): void {
    this.balancer.update(this.weightAware ? sets : sets.map((set) => this.withoutWeights(set)));
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    return this.balancer.choose(context);
  }

  close(): void {
    this.balancer.close?.();
  }

  /** The same object for the same set. */
  private withoutWeights(set: HostSet): HostSet {
    if (set.localityWeights === undefined) return set;
    let copy = this.unweighted.get(set);
    if (copy === undefined) {
      copy = { ...set, localityWeights: undefined };
      this.unweighted.set(set, copy);
    }
    return copy;
  }
}
