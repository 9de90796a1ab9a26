import type {
  Cancellable,
  Cluster,
  Connector,
  ConnectOptions,
  FactoryContext,
  Host,
  HostListUpdate,
  HostSet,
  HttpPool,
  LoadBalancerContext,
  Logger,
  RoutingPriority,
  TcpPoolCallbacks,
} from '@dragoman/core';
import { UpstreamClusterInfo } from './cluster-info.ts';
import type { ClusterSettings } from './config/cluster-settings.ts';
import type { DrainablePool, UpstreamHost } from './hosts/host.ts';
import { applyHostList, EMPTY_SNAPSHOT, type HostSnapshot } from './hosts/host-sets.ts';
import { PriorityBalancer } from './hosts/priority-balancer.ts';
import { Http1Pool } from './pool/http1-pool.ts';
import type { CreateClientCodec, PoolContext } from './pool/pool-options.ts';
import { openTcpConnection } from './pool/tcp-connection.ts';
import type { CreateBudget } from './resources.ts';

/** What a cluster needs of its worker. */
export interface ClusterDependencies {
  readonly context: FactoryContext;
  readonly connector: Connector;
  readonly createCodec: CreateClientCodec;
  readonly createBudget: CreateBudget;
}

/** A cluster on one worker: its hosts, their pools, the load balancer. */
export class UpstreamCluster implements Cluster {
  readonly info: UpstreamClusterInfo;
  private readonly logger: Logger;
  private readonly balancer: PriorityBalancer;
  private readonly defaultContext: PoolContext;
  private readonly highContext: PoolContext;
  /** Pools that were taken from their hosts and have requests under way. */
  private readonly draining = new Set<DrainablePool>();
  private snapshot: HostSnapshot = EMPTY_SNAPSHOT;

  constructor(settings: ClusterSettings, dependencies: ClusterDependencies) {
    const { context } = dependencies;
    const info = new UpstreamClusterInfo(settings, context, dependencies.createBudget);
    this.info = info;
    this.logger = context.loggers.logger('upstream');
    this.balancer = new PriorityBalancer({
      policy: settings.createPolicy({
        clusterName: settings.name,
        stats: info.statsScope,
        random: context.random,
        clock: context.clock,
      }),
      random: context.random,
      panicThreshold: () =>
        Math.min(
          100,
          context.runtime.getInteger(
            'upstream.healthy_panic_threshold',
            settings.commonLb.healthyPanicThreshold,
          ),
        ),
      failTrafficOnPanic: settings.commonLb.failTrafficOnPanic,
      healthyPanic: info.stats.lbHealthyPanic,
    });
    this.defaultContext = poolContext(settings, info, dependencies, 'default');
    this.highContext = poolContext(settings, info, dependencies, 'high');
  }

  get hostSets(): readonly HostSet[] {
    return this.snapshot.sets;
  }

  chooseHost(context: LoadBalancerContext | undefined): Host | undefined {
    const host = this.balancer.choose(context);
    if (host === undefined) this.info.stats.upstreamCxNoneHealthy.inc();
    return host;
  }

  httpPool(host: Host, priority: RoutingPriority): HttpPool {
    const owner = host as UpstreamHost;
    return poolOf(owner, priority) ?? this.openPool(owner, priority);
  }

  newTcpConnection(
    host: Host,
    priority: RoutingPriority,
    callbacks: TcpPoolCallbacks,
  ): Cancellable | undefined {
    return openTcpConnection(host as UpstreamHost, this.contextOf(priority), callbacks);
  }

  /** Replaces the host list. Hosts that are gone finish what they have under way. */
  updateHosts(update: HostListUpdate): void {
    const { snapshot, removed } = applyHostList(this.info.name, this.snapshot, update, (address) =>
      this.logger.error(
        `cluster ${this.info.name}: left out an endpoint without a usable address: ${address}`,
      ),
    );
    this.snapshot = snapshot;
    this.balancer.update(snapshot.sets);
    for (const host of removed) this.release(host);
  }

  /** Lets idle connections go, and the others when their requests end. */
  drain(): void {
    for (const host of this.snapshot.byKey.values()) this.release(host);
  }

  /** Ends every connection of the pools now. */
  close(): void {
    this.drain();
    for (const pool of [...this.draining]) pool.closeAll();
  }

  /** Takes a host's pools away: they drain, and a request that still comes for it gets a new one. */
  private release(host: UpstreamHost): void {
    this.releasePool(host, 'default');
    this.releasePool(host, 'high');
  }

  private releasePool(host: UpstreamHost, priority: RoutingPriority): void {
    const pool = poolOf(host, priority);
    if (pool === undefined) return;
    setPool(host, priority, undefined);
    this.draining.add(pool);
    pool.drain(() => {
      this.draining.delete(pool);
      this.info.resources(priority).connectionPools.give();
    });
  }

  private openPool(host: UpstreamHost, priority: RoutingPriority): HttpPool {
    const pools = this.info.resources(priority).connectionPools;
    if (!pools.canTake()) this.freeUnusedPool(priority);
    if (!pools.canTake()) {
      this.info.stats.upstreamCxPoolOverflow.inc();
      return overflowingPool;
    }
    pools.take();
    const pool = new Http1Pool(host, this.contextOf(priority));
    setPool(host, priority, pool);
    return pool;
  }

  /** Makes room under `max_connection_pools`: a pool in which nothing happens, unlike the others, costs nothing to lose. */
  private freeUnusedPool(priority: RoutingPriority): void {
    for (const host of this.snapshot.byKey.values()) {
      if (poolOf(host, priority)?.unused !== true) continue;
      this.releasePool(host, priority);
      return;
    }
  }

  private contextOf(priority: RoutingPriority): PoolContext {
    return priority === 'default' ? this.defaultContext : this.highContext;
  }
}

function poolContext(
  settings: ClusterSettings,
  info: UpstreamClusterInfo,
  { context, connector, createCodec }: ClusterDependencies,
  priority: RoutingPriority,
): PoolContext {
  const { http } = settings;
  const bytes = { rxBytes: info.stats.upstreamCxRxBytesTotal, txBytes: info.stats.upstreamCxTxBytesTotal };
  return {
    clock: context.clock,
    connector,
    createCodec,
    stats: info.stats,
    resources: info.resources(priority),
    http,
    connectTimeoutMs: settings.connectTimeoutMs,
    connectOptions: (address): ConnectOptions => ({
      address,
      bindAddress: address.family === 'pipe' ? undefined : settings.bindAddress,
      transportSocket: settings.transportSocket,
      bufferLimitBytes: settings.bufferLimitBytes,
      keepAlive: address.family === 'pipe' ? undefined : settings.keepAlive,
      stats: bytes,
    }),
  };
}

function poolOf(host: UpstreamHost, priority: RoutingPriority): DrainablePool | undefined {
  return priority === 'default' ? host.defaultPool : host.highPool;
}

function setPool(host: UpstreamHost, priority: RoutingPriority, pool: DrainablePool | undefined): void {
  if (priority === 'default') host.defaultPool = pool;
  else host.highPool = pool;
}

/** Stands in for a pool that `max_connection_pools` forbids. */
const overflowingPool: HttpPool = {
  newStream(_decoder, callbacks) {
    callbacks.onPoolFailure('overflow', '', undefined);
    return undefined;
  },
};
