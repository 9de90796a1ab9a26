import {
  choosePriority,
  type ClusterBalancerContext,
  DEGRADED_BIT,
  type Host,
  type LoadBalancer,
  type LoadBalancerContext,
  type PriorityShares,
} from '@dragoman/core';
import { Levels } from './levels.ts';
import { MemberContext } from './member-context.ts';

const NOTHING: PriorityShares = { healthy: [], degraded: [] };

/** Chooses a member and its priority, and leaves the host to the member's own balancer. */
export class AggregateBalancer implements LoadBalancer {
  private readonly members: readonly string[];
  private readonly context: ClusterBalancerContext;
  private readonly forMember = new MemberContext();
  private readonly stopWatching: () => void;
  private levels: Levels;
  private shares: PriorityShares = NOTHING;

  constructor(members: readonly string[], context: ClusterBalancerContext) {
    this.members = members;
    this.context = context;
    this.levels = new Levels([], context.clusters);
    this.stopWatching = context.clusters.onChange((name) => {
      if (members.includes(name)) this.renew();
    });
    this.renew();
  }

  /** It has no hosts of its own. */
  update(): void {}

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    const { levels, shares, forMember } = this;
    if (levels.list.length === 0) return undefined;
    const wanted = context?.priorityShares?.(levels.sets, shares, levels.numberOf);
    // What a retry has kept of an earlier list is of no use for another one.
    const fits = wanted !== undefined && wanted.healthy.length === levels.list.length;
    const choice = choosePriority(fits ? wanted : shares, this.context.random.next());
    const level = levels.list[choice & ~DEGRADED_BIT];
    forMember.set(context, (choice & DEGRADED_BIT) === 0 ? level.healthy : level.degraded);
    const host = this.context.clusters.chooseHost(level.clusterName, forMember);
    forMember.clear();
    return host;
  }

  close(): void {
    this.stopWatching();
  }

  private renew(): void {
    this.levels = new Levels(this.members, this.context.clusters);
    this.shares = this.levels.sets.length === 0 ? NOTHING : this.context.priorityShares(this.levels.sets);
  }
}
