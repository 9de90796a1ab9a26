import { type ClientSideWeightedRoundRobin, ClientSideWeightedRoundRobinSchema } from '@dragoman/api';
import {
  type BalancerPolicy,
  defineLoadBalancer,
  type LoadBalancer,
  type LoadBalancerContextForCluster,
  type LoadBalancerPolicy,
  type PickerPolicy,
} from '@dragoman/core';
import { SlowStart, turnPicker } from '@dragoman/load-balancing';
import { ReportedWeightsBalancer } from './balancer.ts';
import { readSettings, type Settings } from './config.ts';
import { HostLoads } from './host-loads.ts';

class ReportedWeightsPolicy implements BalancerPolicy {
  private readonly settings: Settings;
  private readonly context: LoadBalancerContextForCluster;
  private readonly loads: HostLoads;
  private readonly turns: PickerPolicy;

  constructor(config: ClientSideWeightedRoundRobin, context: LoadBalancerContextForCluster) {
    const { random, clock, runtime } = context;
    this.settings = readSettings(config);
    this.context = context;
    this.loads = new HostLoads(this.settings, context);
    const seed = random.next();
    const slowStart = SlowStart.of(config.slowStartConfig, clock, runtime);
    this.turns = {
      foreseeable: true,
      createPicker: (hosts, previous) => turnPicker(hosts, seed, slowStart, previous),
    };
  }

  createBalancer(standard: (policy: LoadBalancerPolicy) => LoadBalancer): LoadBalancer {
    const { turns, loads, context, settings } = this;
    return new ReportedWeightsBalancer(standard(turns), loads, context.clock, settings.updateMs);
  }
}

/** Round robin by weights that come of what hosts report of their load. */
export const clientSideWeightedRoundRobin = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.client_side_weighted_round_robin',
  config: ClientSideWeightedRoundRobinSchema,
  create: (config, context) => new ReportedWeightsPolicy(config, context),
});
