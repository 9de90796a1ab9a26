import { type RoundRobin, RoundRobinSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  type Host,
  type HostPicker,
  type LoadBalancerContextForCluster,
  type LocalityRouting,
  type PickerPolicy,
} from '@dragoman/core';
import { readLocalityRouting, SlowStart, turnPicker } from '@dragoman/load-balancing';

class RoundRobinPolicy implements PickerPolicy {
  readonly foreseeable = true;
  readonly locality: LocalityRouting;
  private readonly seed: number;
  private readonly slowStart: SlowStart | undefined;

  constructor(config: RoundRobin, { random, clock, runtime }: LoadBalancerContextForCluster) {
    this.seed = random.next();
    this.locality = readLocalityRouting(config.localityLbConfig);
    this.slowStart = SlowStart.of(config.slowStartConfig, clock, runtime);
  }

  createPicker(hosts: readonly Host[], previous: HostPicker | undefined): HostPicker {
    return turnPicker(hosts, this.seed, this.slowStart, previous);
  }
}

/** Each host in turn, in proportion to its weight. */
export const roundRobin = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.round_robin',
  config: RoundRobinSchema,
  lbPolicy: 'ROUND_ROBIN',
  create: (config, context) => new RoundRobinPolicy(config, context),
});
