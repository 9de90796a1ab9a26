import { type Cluster, ClusterSchema, ConsulClusterSchema } from '@dragoman/api';
import { HostReporter, warnOfToken } from '@dragoman/api-discovery';
import {
  defineDiscovery,
  type Discovery,
  type DiscoveryContext,
  type DiscoveryListener,
} from '@dragoman/core';
import { type ConsulOptions, readOptions } from './config.ts';
import { ServicePoller } from './service-poller.ts';

class ConsulDiscovery implements Discovery {
  private readonly options: ConsulOptions;
  private readonly context: DiscoveryContext;
  private poller: ServicePoller | undefined = undefined;

  constructor(cluster: Cluster, context: DiscoveryContext) {
    this.options = readOptions(cluster);
    this.context = context;
    warnOfToken(this.options.server, context);
  }

  start(listener: DiscoveryListener): void {
    this.poller = new ServicePoller(this.options, new HostReporter(this.context, listener), this.context);
    this.poller.start();
  }

  stop(): void {
    this.poller?.stop();
    this.poller = undefined;
  }
}

/** The instances of a service in Consul's catalog. */
export const consul = defineDiscovery({
  name: 'dragoman.clusters.consul',
  config: ConsulClusterSchema,
  cluster: ClusterSchema,
  create: (cluster, context) => new ConsulDiscovery(cluster, context),
});
