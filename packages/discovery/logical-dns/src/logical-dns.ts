import { type Cluster, ClusterSchema } from '@dragoman/api';
import {
  Address,
  ConfigError,
  defineDiscovery,
  type Discovery,
  type DiscoveryContext,
  type DiscoveryListener,
  type HostListPolicy,
} from '@dragoman/core';
import {
  endpointAt,
  type ConfiguredEndpoint,
  type ConfiguredLocality,
  type DnsOptions,
  NameWatcher,
  readDnsOptions,
  readLoadAssignment,
} from '@dragoman/endpoints';

/**
 * One host, whose address is the first one of the name's last answer: new connections go there. It stays the same host, so that
 * open connections go on being used, also when a server rotates its answers.
 */
class LogicalDnsDiscovery implements Discovery {
  private readonly group: ConfiguredLocality;
  private readonly endpoint: ConfiguredEndpoint;
  private readonly policy: HostListPolicy;
  private readonly options: DnsOptions;
  private readonly context: DiscoveryContext;
  private watcher: NameWatcher | undefined = undefined;
  private address = '';

  constructor(cluster: Cluster, context: DiscoveryContext) {
    const assignment = readLoadAssignment(cluster);
    const [group] = assignment.localities;
    if (assignment.localities.length !== 1 || group.endpoints.length !== 1)
      throw ConfigError.at(
        'load_assignment',
        'a LOGICAL_DNS cluster has one locality with one endpoint; use STRICT_DNS for several names',
      );
    const [endpoint] = group.endpoints;
    if (endpoint.pipe !== '')
      throw ConfigError.at(
        `${endpoint.path}.pipe`,
        'a LOGICAL_DNS cluster takes a name and a port, no socket',
      );
    this.group = group;
    this.endpoint = endpoint;
    this.policy = assignment.policy;
    this.options = readDnsOptions(cluster);
    this.context = context;
  }

  start(listener: DiscoveryListener): void {
    const { clusterScope } = this.context;
    const attempt = clusterScope.counter('update_attempt');
    const success = clusterScope.counter('update_success');
    const failure = clusterScope.counter('update_failure');
    const noRebuild = clusterScope.counter('update_no_rebuild');
    const fail = (reason: string): void => {
      failure.inc();
      listener.onFailure(`${this.endpoint.host}: ${reason}`);
    };
    this.watcher = new NameWatcher(this.endpoint.host, this.options, this.context, {
      onAttempt: () => attempt.inc(),
      onAddresses: (addresses) => {
        if (addresses.length === 0) {
          // Unlike STRICT_DNS: the last good address is better than none.
          fail('the name has no addresses');
          return false;
        }
        success.inc();
        const address = Address.ip(addresses[0].ip, this.endpoint.port);
        if (address.text === this.address) noRebuild.inc();
        else this.publish(address, listener);
        return true;
      },
      onFailure: fail,
    });
    this.watcher.start();
  }

  stop(): void {
    this.watcher?.stop();
    this.watcher = undefined;
  }

  private publish(address: Address, listener: DiscoveryListener): void {
    const { host, port } = this.endpoint;
    const { locality, weight, priority } = this.group;
    this.address = address.text;
    listener.onHosts({
      ...this.policy,
      localities: [
        {
          locality,
          weight,
          priority,
          endpoints: [{ ...endpointAt(this.endpoint, address, host), id: `${host}:${port}` }],
        },
      ],
    });
  }
}

/** The name in `load_assignment` as one host. */
export const logicalDns = defineDiscovery({
  name: 'envoy.cluster.logical_dns',
  clusterType: 'LOGICAL_DNS',
  cluster: ClusterSchema,
  create: (cluster, context) => new LogicalDnsDiscovery(cluster, context),
});
