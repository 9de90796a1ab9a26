import { type Cluster, ClusterSchema } from '@dragoman/api';
import {
  Address,
  ConfigError,
  defineDiscovery,
  type Discovery,
  type DiscoveryContext,
  type DiscoveryListener,
  type DnsAddress,
  type EndpointData,
} from '@dragoman/core';
import {
  endpointAt,
  type ConfiguredEndpoint,
  type DnsOptions,
  type LoadAssignment,
  NameWatcher,
  readDnsOptions,
  readLoadAssignment,
} from '@dragoman/endpoints';

/** An entry of `lb_endpoints` and what its name stands for now. */
interface Target {
  readonly endpoint: ConfiguredEndpoint;
  hosts: readonly EndpointData[];
}

/** Every address of every name is a host. Publishes a whole list whenever one name has changed. */
class StrictDnsDiscovery implements Discovery {
  private readonly assignment: LoadAssignment;
  private readonly options: DnsOptions;
  private readonly context: DiscoveryContext;
  private readonly groups: readonly (readonly Target[])[];
  private readonly watchers: NameWatcher[] = [];
  private published = false;

  constructor(cluster: Cluster, context: DiscoveryContext) {
    this.assignment = readLoadAssignment(cluster);
    this.options = readDnsOptions(cluster);
    this.context = context;
    this.groups = this.assignment.localities.map((group) =>
      group.endpoints.map((endpoint) => {
        if (endpoint.pipe !== '')
          throw ConfigError.at(
            `${endpoint.path}.pipe`,
            'a STRICT_DNS cluster takes names and ports, no sockets',
          );
        return { endpoint, hosts: [] };
      }),
    );
  }

  start(listener: DiscoveryListener): void {
    const targets = this.groups.flat();
    // Without a name to wait for the cluster is ready, and empty.
    if (targets.length === 0) this.publish(listener);
    for (const target of targets) this.watchers.push(this.watch(target, listener));
    for (const watcher of this.watchers) watcher.start();
  }

  stop(): void {
    for (const watcher of this.watchers) watcher.stop();
    this.watchers.length = 0;
  }

  private watch(target: Target, listener: DiscoveryListener): NameWatcher {
    const { clusterScope } = this.context;
    const attempt = clusterScope.counter('update_attempt');
    const success = clusterScope.counter('update_success');
    const failure = clusterScope.counter('update_failure');
    const noRebuild = clusterScope.counter('update_no_rebuild');
    return new NameWatcher(target.endpoint.host, this.options, this.context, {
      onAttempt: () => attempt.inc(),
      onAddresses: (addresses) => {
        success.inc();
        const hosts = hostsOf(target.endpoint, addresses);
        if (this.published && sameHosts(hosts, target.hosts)) {
          noRebuild.inc();
        } else {
          target.hosts = hosts;
          this.publish(listener);
        }
        return true;
      },
      onFailure: (reason) => {
        failure.inc();
        listener.onFailure(`${target.endpoint.host}: ${reason}`);
      },
    });
  }

  private publish(listener: DiscoveryListener): void {
    const { localities, policy } = this.assignment;
    this.published = true;
    listener.onHosts({
      ...policy,
      localities: localities.map(({ locality, weight, priority }, index) => ({
        locality,
        weight,
        priority,
        endpoints: this.groups[index].flatMap((target) => target.hosts),
      })),
    });
  }
}

/** Sorted, so that a server that rotates its answers does not look like a change. */
function hostsOf(endpoint: ConfiguredEndpoint, addresses: readonly DnsAddress[]): EndpointData[] {
  const { host, port } = endpoint;
  const byText = new Map(addresses.map(({ ip }) => Address.ip(ip, port)).map((one) => [one.text, one]));
  return [...byText.keys()].sort().map((text) => endpointAt(endpoint, byText.get(text) as Address, host));
}

function sameHosts(one: readonly EndpointData[], other: readonly EndpointData[]): boolean {
  return one.length === other.length && one.every((host, index) => host.address === other[index].address);
}

/** The addresses of the names in `load_assignment`. */
export const strictDns = defineDiscovery({
  name: 'envoy.cluster.strict_dns',
  clusterType: 'STRICT_DNS',
  cluster: ClusterSchema,
  create: (cluster, context) => new StrictDnsDiscovery(cluster, context),
});
