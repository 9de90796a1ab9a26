import { type Cluster, ClusterSchema } from '@dragoman/api';
import {
  Address,
  ConfigError,
  defineDiscovery,
  type Discovery,
  type DiscoveryListener,
  type EndpointData,
  type HostListUpdate,
  ProblemCollector,
} from '@dragoman/core';
import { type ConfiguredEndpoint, endpointAt, readLoadAssignment } from '@dragoman/endpoints';

/** Publishes once, from `start`: the hosts never change. */
class StaticDiscovery implements Discovery {
  private readonly update: HostListUpdate;

  constructor(cluster: Cluster) {
    const { localities, overprovisioningFactor } = readLoadAssignment(cluster);
    const problems = new ProblemCollector();
    this.update = {
      localities: localities.map((group) => ({
        ...group,
        endpoints: group.endpoints.flatMap((endpoint) => problems.try('', () => resolve(endpoint)) ?? []),
      })),
      ...(overprovisioningFactor === undefined ? {} : { overprovisioningFactor }),
    };
    problems.throwIfAny();
  }

  start(listener: DiscoveryListener): void {
    listener.onHosts(this.update);
  }

  stop(): void {}
}

function resolve(endpoint: ConfiguredEndpoint): EndpointData {
  const { host, port, pipe, path } = endpoint;
  if (pipe !== '') return endpointAt(endpoint, Address.pipe(pipe));
  try {
    return endpointAt(endpoint, Address.ip(host, port));
  } catch {
    throw ConfigError.at(
      `${path}.socket_address.address`,
      `"${host}" is not an IP address; a STATIC cluster takes no names: use STRICT_DNS or LOGICAL_DNS`,
    );
  }
}

/** The hosts of `load_assignment`, by address. */
export const staticDiscovery = defineDiscovery({
  name: 'envoy.cluster.static',
  clusterType: 'STATIC',
  cluster: ClusterSchema,
  create: (cluster) => new StaticDiscovery(cluster),
});
