import { type Cluster, ClusterSchema, KubernetesClusterSchema } from '@dragoman/api';
import { HostReporter, warnOfToken } from '@dragoman/api-discovery';
import {
  defineDiscovery,
  type Discovery,
  type DiscoveryContext,
  type DiscoveryListener,
} from '@dragoman/core';
import { type KubernetesOptions, readOptions } from './config.ts';
import { SliceWatcher } from './slice-watcher.ts';

class KubernetesDiscovery implements Discovery {
  private readonly options: KubernetesOptions;
  private readonly context: DiscoveryContext;
  private watcher: SliceWatcher | undefined = undefined;

  constructor(cluster: Cluster, context: DiscoveryContext) {
    this.options = readOptions(cluster);
    this.context = context;
    warnOfToken(this.options.server, context);
  }

  start(listener: DiscoveryListener): void {
    const { clock, random, loggers } = this.context;
    const reporter = new HostReporter(this.context, listener);
    this.watcher = new SliceWatcher(this.options, reporter, {
      clock,
      random,
      logger: loggers.logger('upstream'),
    });
    this.watcher.start();
  }

  stop(): void {
    this.watcher?.stop();
    this.watcher = undefined;
  }
}

/** The endpoints of a Kubernetes service, by its EndpointSlices. */
export const kubernetes = defineDiscovery({
  name: 'dragoman.clusters.kubernetes',
  config: KubernetesClusterSchema,
  cluster: ClusterSchema,
  create: (cluster, context) => new KubernetesDiscovery(cluster, context),
});
