import { type PickFirst, PickFirstSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  type Host,
  type HostPicker,
  type LoadBalancerContextForCluster,
  type LocalityRouting,
  type PickerPolicy,
} from '@dragoman/core';
import { HostOrder } from './host-order.ts';

/** The list counts as a whole: no zone comes before it. */
const NO_LOCALITIES: LocalityRouting = {
  kind: 'zone-aware',
  routingEnabled: 0,
  minClusterSize: Number.MAX_SAFE_INTEGER,
  failTrafficOnPanic: false,
  forceLocalZoneMinSize: undefined,
  basis: 'hosts',
};

/** One host, always. */
class SinglePicker implements HostPicker {
  readonly host: Host | undefined;

  constructor(host: Host | undefined) {
    this.host = host;
  }

  pick(): Host | undefined {
    return this.host;
  }
}

class PickFirstPolicy implements PickerPolicy {
  readonly locality = NO_LOCALITIES;
  private readonly order: HostOrder | undefined;

  constructor({ shuffleAddressList }: PickFirst, { random }: LoadBalancerContextForCluster) {
    this.order = shuffleAddressList ? new HostOrder(random) : undefined;
  }

  createPicker(hosts: readonly Host[], previous: HostPicker | undefined): HostPicker {
    const chosen = previous instanceof SinglePicker ? previous.host : undefined;
    if (chosen !== undefined && hosts.includes(chosen)) return new SinglePicker(chosen);
    return new SinglePicker(this.order === undefined ? hosts[0] : this.order.first(hosts));
  }
}

/** The first host that may be used, and the same one for as long as it may. */
export const pickFirst = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.pick_first',
  config: PickFirstSchema,
  create: (config, context) => new PickFirstPolicy(config, context),
});
