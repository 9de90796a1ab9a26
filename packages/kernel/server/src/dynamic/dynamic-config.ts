import {
  type Bootstrap,
  type Cluster,
  ClusterSchema,
  ConfigSourceSchema,
  type DescMessage,
  fromBinary,
  type Listener,
  ListenerSchema,
  type Message,
  registry,
  ServiceRuntimeSchema,
} from '@dragoman/api';
import {
  atPath,
  ProblemCollector,
  type ConfigSubscriptions,
  type LoggerFactory,
  type StatsScope,
} from '@dragoman/core';
import type { ClusterSources } from '@dragoman/upstream';
import type { ClusterDirectory } from '../cluster-directory.ts';
import type { ListenerManager } from '../listener/listener-manager.ts';
import type { WantedResource } from '../worker/questions.ts';
import type { ThreadResources } from '../worker/thread-resources.ts';
import type { Workers } from '../workers/workers.ts';
import { ClusterDiscovery } from './cds.ts';
import { ListenerDiscovery } from './lds.ts';
import { OnDemandClusters } from './on-demand-clusters.ts';
import { type Hold, ResourceBook, type ResourceThreads } from './resource-book.ts';
import { sourceKey } from './resource-order.ts';

export interface DynamicConfigOptions {
  readonly bootstrap: Bootstrap;
  readonly subscriptions: ConfigSubscriptions;
  /** Main's own, which are those of a worker on this thread as well. */
  readonly resources: ThreadResources;
  readonly workers: () => Workers;
  readonly stats: StatsScope;
  readonly loggers: LoggerFactory;
  readonly wallTime: () => number;
  readonly parts: () => DynamicParts;
}

/** What is put together later than this, and before it starts. */
export interface DynamicParts {
  readonly clusters: ClusterDirectory;
  readonly listeners: ListenerManager;
  readonly sources: ClusterSources;
}

/** Everything that config sources give this proxy: listeners and clusters, and what those name. */
export class DynamicConfig {
  readonly book: ResourceBook;
  private readonly options: DynamicConfigOptions;
  private cds: ClusterDiscovery | undefined = undefined;
  private lds: ListenerDiscovery | undefined = undefined;
  /** By config source. */
  private readonly onDemand = new Map<string, OnDemandClusters>();

  constructor(options: DynamicConfigOptions) {
    this.options = options;
    const { subscriptions, stats, loggers, wallTime } = options;
    this.book = new ResourceBook({
      subscriptions,
      threads: everyThread(options),
      stats,
      logger: loggers.logger('config'),
      wallTime,
    });
  }

  /** Versions of the last updates of CDS and LDS that were taken over. */
  get versions(): { readonly clusters: string; readonly listeners: string } {
    return { clusters: this.cds?.versionInfo ?? '', listeners: this.lds?.versionInfo ?? '' };
  }

  /** What was asked for and has never been answered, of CDS and LDS. */
  get unanswered(): readonly string[] {
    const { bootstrap } = this.options;
    const { cdsConfig, ldsConfig } = bootstrap.dynamicResources ?? {};
    return [
      ...(cdsConfig === undefined || this.cds?.answered === true ? [] : ['CDS']),
      ...(ldsConfig === undefined || this.lds?.answered === true ? [] : ['LDS']),
    ];
  }

  holdCluster(message: Cluster): Hold {
    return this.book.hold(message, ClusterSchema);
  }

  holdListener(message: Listener): Hold {
    return this.book.hold(message, ListenerSchema);
  }

  /**
   * Looks at every config source that the bootstrap names, without asking it for anything.
   * @throws ConfigError with every problem, paths from the bootstrap's root
   */
  check(): void {
    const { bootstrap, subscriptions } = this.options;
    const { dynamicResources = undefined, layeredRuntime, staticResources } = bootstrap;
    const problems = new ProblemCollector();
    const check = (path: string, source: unknown, type: DescMessage, name: string): void => {
      const names = name === '' ? undefined : [name];
      if (source !== undefined) problems.try(path, () => subscriptions.check(source, type, names));
    };
    const {
      cdsConfig,
      ldsConfig,
      cdsResourcesLocator = '',
      ldsResourcesLocator = '',
    } = dynamicResources ?? {};
    check('dynamic_resources.cds_config', cdsConfig, ClusterSchema, cdsResourcesLocator);
    check('dynamic_resources.lds_config', ldsConfig, ListenerSchema, ldsResourcesLocator);
    layeredRuntime?.layers.forEach(({ layerSpecifier: layer }, i) => {
      if (layer.case !== 'rtdsLayer') return;
      const { name, rtdsConfig } = layer.value;
      check(`layered_runtime.layers[${i}].rtds_layer.rtds_config`, rtdsConfig, ServiceRuntimeSchema, name);
    });
    staticResources?.clusters.forEach((cluster, i) => {
      problems.try(`static_resources.clusters[${i}]`, () => this.book.check(cluster, ClusterSchema));
    });
    staticResources?.listeners.forEach((listener, i) => {
      problems.try(`static_resources.listeners[${i}]`, () => this.book.check(listener, ListenerSchema));
    });
    problems.throwIfAny();
  }

  /**
   * Subscribes to clusters; resolves when they have come, and they and those of the bootstrap are warm. The first failure ends the wait for what it is
   * about. Rejects with ConfigError for config sources that cannot be had.
   */
  async startClusters(): Promise<void> {
    const { bootstrap, subscriptions, stats, loggers, wallTime, parts } = this.options;
    const { clusters, sources } = parts();
    const { cdsConfig, cdsResourcesLocator } = bootstrap.dynamicResources ?? {};
    const held = clusters.holdAll();
    if (cdsConfig !== undefined) {
      const cds = new ClusterDiscovery({
        subscriptions,
        stats,
        wallTime,
        directory: clusters,
        sources,
        source: cdsConfig,
        locator: cdsResourcesLocator || undefined,
        logger: loggers.logger('upstream'),
      });
      this.cds = cds;
      atPath('dynamic_resources.cds_config', () => cds.start());
    }
    await this.cds?.initial;
    await Promise.all([held, sources.warmed, clusters.settled()]);
  }

  /** The same for listeners, once the clusters are there. */
  async startListeners(): Promise<void> {
    const { bootstrap, subscriptions, stats, loggers, wallTime, parts } = this.options;
    const { listeners } = parts();
    const { ldsConfig, ldsResourcesLocator } = bootstrap.dynamicResources ?? {};
    const held = listeners.holdAll();
    if (ldsConfig !== undefined) {
      const lds = new ListenerDiscovery({
        subscriptions,
        stats,
        wallTime,
        listeners,
        source: ldsConfig,
        locator: ldsResourcesLocator || undefined,
        logger: loggers.logger('config'),
      });
      this.lds = lds;
      atPath('dynamic_resources.lds_config', () => lds.start());
    }
    await this.lds?.initial;
    await Promise.all([held, listeners.settled()]);
  }

  /** A request needs a resource that no config names. Never rejects. */
  async demand({ type, source, name }: WantedResource): Promise<boolean> {
    const schema = registry.getMessage(type);
    if (schema === undefined) return false;
    const from = fromBinary(ConfigSourceSchema, source);
    if (type === ClusterSchema.typeName) return this.clustersOf(from).demand(name);
    return this.book.demand({ type: schema, source: from, name });
  }

  private clustersOf(source: Message): OnDemandClusters {
    const key = sourceKey(ClusterSchema, source);
    let clusters = this.onDemand.get(key);
    if (clusters === undefined) {
      const { subscriptions, stats, loggers, wallTime, parts } = this.options;
      const { clusters: directory, sources } = parts();
      const logger = loggers.logger('upstream');
      clusters = new OnDemandClusters({ directory, sources, subscriptions, source, stats, logger, wallTime });
      this.onDemand.set(key, clusters);
    }
    return clusters;
  }

  close(): void {
    for (const clusters of this.onDemand.values()) clusters.stop();
    this.lds?.stop();
    this.cds?.stop();
    this.book.close();
  }
}

/** Main goes first: what it refuses, no worker is bothered with. */
function everyThread({ resources, workers }: DynamicConfigOptions): ResourceThreads {
  return {
    async prepareResource(order) {
      resources.prepare(order);
      await workers().prepareResource(order);
    },
    async checkResource(order) {
      resources.check(order);
      await workers().checkResource(order);
    },
    commitResource(order) {
      resources.commit(order.key);
      workers().commitResource(order);
    },
    abortResource(key) {
      resources.abort(key);
      workers().abortResource(key);
    },
    forgetResource(key) {
      resources.forget(key);
      workers().forgetResource(key);
    },
  };
}
