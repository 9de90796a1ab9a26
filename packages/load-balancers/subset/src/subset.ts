import { type Subset, SubsetSchema } from '@dragoman/api';
import {
  type BalancerPolicy,
  defineLoadBalancer,
  type LoadBalancer,
  type LoadBalancerContextForCluster,
  type LoadBalancerPolicy,
} from '@dragoman/core';
import { readSubset, type SubsetOptions } from './config.ts';
import { SubsetBalancer } from './subset-balancer.ts';
import { createSubsetStats } from './subset-stats.ts';

class SubsetPolicy implements BalancerPolicy {
  private readonly options: SubsetOptions;
  private readonly context: LoadBalancerContextForCluster;
  private readonly createChild: () => LoadBalancerPolicy;
  /** Made to see whether it can be: the first subset gets it. */
  private firstChild: LoadBalancerPolicy | undefined;

  constructor(config: Subset, context: LoadBalancerContextForCluster) {
    this.options = readSubset(config);
    this.context = context;
    this.createChild = () => context.policy(config.subsetLbPolicy, 'subset_lb_policy');
    this.firstChild = this.createChild();
  }

  createBalancer(standard: (policy: LoadBalancerPolicy) => LoadBalancer): LoadBalancer {
    const stats = createSubsetStats(this.context.stats);
    return new SubsetBalancer(this.options, stats, () => standard(this.nextChild()));
  }

  /** Each subset has a policy of its own: what it keeps of its hosts ends with the subset. */
  private nextChild(): LoadBalancerPolicy {
    const child = this.firstChild ?? this.createChild();
    this.firstChild = undefined;
    return child;
  }
}

/** Divides the hosts by their metadata; each request goes to the part that its route asks for. */
export const subset = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.subset',
  config: SubsetSchema,
  create: (config, context) => new SubsetPolicy(config, context),
});
