import { WrrLocalitySchema } from '@dragoman/api';
import {
  type BalancerPolicy,
  defineLoadBalancer,
  type LoadBalancerPolicy,
  type PickerPolicy,
} from '@dragoman/core';

/** `policy` with localities that share the traffic by their weights, whatever it says of them itself. */
function weighted(policy: LoadBalancerPolicy): LoadBalancerPolicy {
  return 'createBalancer' in policy ? weightedBalancer(policy) : weightedPickers(policy);
}

function weightedPickers(policy: PickerPolicy): PickerPolicy {
  return {
    usesHash: policy.usesHash,
    foreseeable: policy.foreseeable,
    locality: { kind: 'weighted' },
    createPicker: (hosts, previous, localities) => policy.createPicker(hosts, previous, localities),
    close: () => policy.close?.(),
  };
}

/** What it decides for itself stays its own; the policies that it hands on to be balanced are weighted. */
function weightedBalancer(policy: BalancerPolicy): BalancerPolicy {
  return {
    createBalancer: (standard) => policy.createBalancer((inner) => standard(weighted(inner))),
  };
}

/** Localities by their weights; another policy picks the host. */
export const wrrLocality = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.wrr_locality',
  config: WrrLocalitySchema,
  create: (config, context) =>
    weighted(context.policy(config.endpointPickingPolicy, 'endpoint_picking_policy')),
});
