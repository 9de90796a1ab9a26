import { ClusterProvidedSchema } from '@dragoman/api';
import { type BalancerPolicy, ConfigError, defineLoadBalancer } from '@dragoman/core';

/** The choice of hosts that the cluster's type brings along. */
export const clusterProvided = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.cluster_provided',
  config: ClusterProvidedSchema,
  lbPolicy: 'CLUSTER_PROVIDED',
  create(_config, { clusterName, provided }): BalancerPolicy {
    if (provided === undefined)
      throw ConfigError.at(
        '',
        `the type of cluster "${clusterName}" brings no load balancer of its own; name another policy, such as round_robin`,
      );
    return { createBalancer: provided };
  },
});
