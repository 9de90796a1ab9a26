import { type Cluster, ClusterSchema } from '@dragoman/api';
import {
  type Connector,
  defineDiscovery,
  type DiscoveryListener,
  type Extension,
  ExtensionRegistry,
  type FactoryContext,
  type HostEvent,
  type HostListUpdate,
  noSubscriptions,
} from '@dragoman/core';
import { type ClusterSink, type ClusterSources, createClusterSources } from '@dragoman/upstream';
import { SimCodec } from './codec.ts';

/** What {@link Watch} is made with. */
export interface WatchOptions {
  readonly clusters: readonly Cluster[];
  /** Health checkers, and what else the clusters name. */
  readonly extensions: readonly Extension[];
  readonly context: FactoryContext;
  readonly connector: Connector;
  /** Gets the lists with what was found out. */
  readonly sink: ClusterSink;
}

/** What a proxy's main thread does for its clusters: real active health checks and outlier detection between what a simulation lists and what the worker gets. */
export class Watch {
  private readonly sources: ClusterSources;
  private readonly listeners = new Map<string, DiscoveryListener>();

  /** The clusters that are to be watched; of the others nothing stands between list and worker. */
  static concerns({ healthChecks, outlierDetection }: Cluster): boolean {
    return healthChecks.length > 0 || outlierDetection !== undefined;
  }

  /** @throws ConfigError for a config that is wrong */
  constructor({ clusters, extensions, context, connector, sink }: WatchOptions) {
    const listed = defineDiscovery({
      name: 'envoy.cluster.static',
      clusterType: 'STATIC',
      cluster: ClusterSchema,
      create: ({ name }) => ({
        start: (listener) => void this.listeners.set(name, listener),
        stop: () => void this.listeners.delete(name),
      }),
    });
    const others = extensions.filter(({ category }) => category !== 'discovery');
    this.sources = createClusterSources({
      clusters,
      registry: new ExtensionRegistry([...others, listed]),
      context: Object.assign(Object.create(context) as FactoryContext, {
        dns: NO_DNS,
        subscriptions: noSubscriptions,
      }),
      sinks: [sink],
      health: {
        connector,
        createCodec: (connection, handler) => new SimCodec(connection, handler),
        http2: undefined,
        hasTraffic: () => true,
        writeEvent: () => {},
      },
    });
    this.sources.start();
  }

  /** @returns whether the cluster is one that is watched */
  updateHosts(cluster: string, update: HostListUpdate): boolean {
    const listener = this.listeners.get(cluster);
    listener?.onHosts(update);
    return listener !== undefined;
  }

  onHostEvent(cluster: string, identity: string, event: HostEvent): void {
    this.sources.onHostEvent(cluster, identity, event);
  }
}

const NO_DNS = {
  resolve: async () => ({ ok: false as const, reason: 'a simulation has no DNS' }),
  close() {},
};
