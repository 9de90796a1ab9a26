import { type RoundRobin, RoundRobinSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  type Host,
  type HostPicker,
  type LoadBalancerContextForCluster,
  type LocalityRouting,
  type PickerPolicy,
  type RandomSource,
} from '@dragoman/core';
import { EdfPicker, NO_HOST, readLocalityRouting, sameWeights, SlowStart } from '@dragoman/load-balancing';
import { CursorPicker } from './cursor-picker.ts';

class RoundRobinPolicy implements PickerPolicy {
  readonly locality: LocalityRouting;
  private readonly random: RandomSource;
  private readonly slowStart: SlowStart | undefined;

  constructor(config: RoundRobin, { random, clock, runtime }: LoadBalancerContextForCluster) {
    this.random = random;
    this.locality = readLocalityRouting(config.localityLbConfig);
    this.slowStart = SlowStart.of(config.slowStartConfig, clock, runtime);
  }

  createPicker(hosts: readonly Host[], previous: HostPicker | undefined): HostPicker {
    if (hosts.length === 0) return NO_HOST;
    const { slowStart } = this;
    if (slowStart?.concerns(hosts))
      return new EdfPicker(hosts, this.skip(hosts), (host) => slowStart.scaled(host.weight, host));
    if (!sameWeights(hosts)) return new EdfPicker(hosts, this.skip(hosts));
    const start = previous instanceof CursorPicker ? previous.position : this.random.next();
    return new CursorPicker(hosts, start);
  }

  private skip(hosts: readonly Host[]): number {
    return this.random.next() % hosts.length;
  }
}

/** Each host in turn, in proportion to its weight. */
export const roundRobin = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.round_robin',
  config: RoundRobinSchema,
  lbPolicy: 'ROUND_ROBIN',
  create: (config, context) => new RoundRobinPolicy(config, context),
});
