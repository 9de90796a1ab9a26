import { type Cluster, ClusterSchema } from '@dragoman/api';
import {
  defineDiscovery,
  type Discovery,
  type DiscoveryListener,
  type HostListUpdate,
  ProblemCollector,
} from '@dragoman/core';
import { endpointByAddress, readLoadAssignment } from '@dragoman/endpoints';

/** Publishes once, from `start`: the hosts never change. */
class StaticDiscovery implements Discovery {
  private readonly update: HostListUpdate;

  constructor(cluster: Cluster) {
    const { localities, policy } = readLoadAssignment(cluster);
    const problems = new ProblemCollector();
    this.update = {
      ...policy,
      localities: localities.map(({ locality, weight, priority, endpoints }) => ({
        locality,
        weight,
        priority,
        endpoints: endpoints.flatMap(
          (endpoint) => problems.try('', () => endpointByAddress(endpoint, 'STATIC')) ?? [],
        ),
      })),
    };
    problems.throwIfAny();
  }

  start(listener: DiscoveryListener): void {
    listener.onHosts(this.update);
  }

  stop(): void {}
}

/** The hosts of `load_assignment`, by address. */
export const staticDiscovery = defineDiscovery({
  name: 'envoy.cluster.static',
  clusterType: 'STATIC',
  cluster: ClusterSchema,
  create: (cluster) => new StaticDiscovery(cluster),
});
