import { LocalityLbConfigSchema, type RoundRobin, RoundRobinSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  type Host,
  type HostPicker,
  type LoadBalancerPolicy,
  refuseUnsupported,
} from '@dragoman/core';
import { CursorPicker, WeightedPicker } from './pickers.ts';

const FIELDS: ReadonlySet<string> = new Set(['locality_lb_config']);
const NONE: ReadonlySet<string> = new Set();

class RoundRobinPolicy implements LoadBalancerPolicy {
  private readonly random: { next(): number };

  constructor(random: { next(): number }) {
    this.random = random;
  }

  createPicker(hosts: readonly Host[], previous: HostPicker | undefined): HostPicker {
    if (hosts.length === 0) return NO_HOST;
    if (sameWeights(hosts)) {
      const start = previous instanceof CursorPicker ? previous.position : this.random.next();
      return new CursorPicker(hosts, start);
    }
    return new WeightedPicker(hosts, this.random.next() % hosts.length);
  }
}

const NO_HOST: HostPicker = { pick: () => undefined };

function sameWeights(hosts: readonly Host[]): boolean {
  const { weight } = hosts[0];
  for (let i = 1; i < hosts.length; i++) if (hosts[i].weight !== weight) return false;
  return true;
}

function checkConfig(config: RoundRobin): void {
  refuseUnsupported(config, RoundRobinSchema, FIELDS, '', {
    slow_start_config: 'slow start is not built yet',
  });
  if (config.localityLbConfig !== undefined)
    refuseUnsupported(config.localityLbConfig, LocalityLbConfigSchema, NONE, 'locality_lb_config', {
      zone_aware_lb_config: 'routing by zone is not built yet',
      locality_weighted_lb_config: 'load balancing weighted by locality is not built yet',
    });
}

/** Each host in turn, in proportion to its weight. */
export const roundRobin = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.round_robin',
  config: RoundRobinSchema,
  lbPolicy: 'ROUND_ROBIN',
  create(config, context) {
    if (config !== undefined) checkConfig(config);
    return new RoundRobinPolicy(context.random);
  },
});
