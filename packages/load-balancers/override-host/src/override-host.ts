import { type OverrideHost, OverrideHostSchema } from '@dragoman/api';
import {
  type BalancerPolicy,
  defineLoadBalancer,
  type LoadBalancer,
  type LoadBalancerContextForCluster,
  type LoadBalancerPolicy,
} from '@dragoman/core';
import { type OverrideOptions, readOverrideHost } from './config.ts';
import { OverrideBalancer } from './override-balancer.ts';

class OverrideHostPolicy implements BalancerPolicy {
  private readonly options: OverrideOptions;
  private readonly fallback: LoadBalancerPolicy;

  constructor(config: OverrideHost, context: LoadBalancerContextForCluster) {
    this.options = readOverrideHost(config);
    this.fallback = context.policy(config.fallbackPolicy, 'fallback_policy');
  }

  createBalancer(standard: (policy: LoadBalancerPolicy) => LoadBalancer): LoadBalancer {
    return new OverrideBalancer(this.options, standard(this.fallback));
  }
}

/** Sends a request to the hosts that its headers or its metadata name; to those of another policy when they name none. */
export const overrideHost = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.override_host',
  config: OverrideHostSchema,
  create: (config, context) => new OverrideHostPolicy(config, context),
});
