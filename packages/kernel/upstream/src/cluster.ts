import type {
  Cancellable,
  Clock,
  Cluster,
  FactoryContext,
  Host,
  HostListUpdate,
  HostSet,
  HttpPool,
  LoadBalancer,
  LoadBalancerContext,
  Logger,
  PoolWishes,
  RoutingPriority,
  TcpPoolCallbacks,
  TransportOptions,
} from '@dragoman/core';
import type { ClusterDependencies } from './cluster-dependencies.ts';
import { ClusterDrops } from './cluster-drops.ts';
import { UpstreamClusterInfo } from './cluster-info.ts';
import type { ClusterSettings } from './config/cluster-settings.ts';
import { closeSockets } from './config/transport-sockets.ts';
import { FailedHosts } from './failed-hosts.ts';
import { createBalancer, createPredictive } from './hosts/create-balancer.ts';
import { type DrainablePool, isHealthy, type UpstreamHost } from './hosts/host.ts';
import { applyHostList, EMPTY_SNAPSHOT, type HostSnapshot } from './hosts/host-sets.ts';
import { OwnHostList } from './hosts/own-host-list.ts';
import { SocketChooser } from './hosts/socket-chooser.ts';
import type { ClusterLoad } from './loads/cluster-load.ts';
import { LoadMeter } from './loads/load-meter.ts';
import { MetricSums } from './loads/metric-sums.ts';
import { HostMonitors } from './outliers/host-monitors.ts';
import { MOST_AT_ONCE, type PredictiveConnect } from './pool/connect-ahead.ts';
import { createPool, type PoolProtocol, protocolFor } from './pool/create-pool.ts';
import { OpenTcp } from './pool/open-tcp.ts';
import { poolContext } from './pool/pool-context.ts';
import type { PoolContext } from './pool/pool-options.ts';
import { openTcpConnection } from './pool/tcp-connection.ts';
import { UseCount } from './pool/use-count.ts';

const USE_HTTP2_KEY = 'upstream.use_http2';
const ALWAYS = { numerator: 100, denominator: 100 } as const;

/** How a cluster begins and ends among others. */
export interface ClusterLife {
  /** Runs once: it was retired, and its last connection has ended. */
  readonly onEnd?: (() => void) | undefined;
  /** Of the cluster that this one replaces. */
  readonly loads?: LoadMeter | undefined;
}

/** A cluster on one worker: its hosts, their pools, the load balancer. */
export class UpstreamCluster implements Cluster {
  readonly info: UpstreamClusterInfo;
  readonly loads: LoadMeter;
  drops: ClusterDrops | undefined = undefined;
  private readonly context: FactoryContext;
  private readonly logger: Logger;
  private readonly balancer: LoadBalancer;
  private readonly clock: Clock;
  private readonly defaultContext: PoolContext;
  private readonly highContext: PoolContext;
  /** Pools that were taken from their hosts and have requests under way. */
  private readonly draining = new Set<DrainablePool>();
  private readonly settings: ClusterSettings;
  private readonly sockets: SocketChooser | undefined;
  /** Undefined for a cluster whose hosts are all discovered. */
  private readonly own: OwnHostList | undefined;
  private readonly monitors: HostMonitors | undefined;
  private readonly failedHosts = new FailedHosts();
  private readonly openTcp: OpenTcp | undefined;
  /** Undefined: no connection is opened to hosts that come next. */
  private readonly predictive: PredictiveConnect | undefined;
  private snapshot: HostSnapshot = EMPTY_SNAPSHOT;
  private readonly tcpUse = new UseCount(() => this.noteEnd());
  /** Undefined once it was told. */
  private onEnd: (() => void) | undefined;
  private retired = false;

  constructor(
    settings: ClusterSettings,
    dependencies: ClusterDependencies,
    { onEnd, loads = new LoadMeter() }: ClusterLife = {},
  ) {
    this.onEnd = onEnd;
    const { context } = dependencies;
    this.settings = settings;
    this.context = context;
    this.loads = loads;
    const info = new UpstreamClusterInfo(settings, context, dependencies, loads.dropped);
    this.info = info;
    this.logger = context.loggers.logger('upstream');
    this.clock = context.clock;
    this.monitors = HostMonitors.of(settings, context.runtime, dependencies.onHostEvent);
    this.sockets = SocketChooser.of(settings.transport, info.statsScope);
    this.openTcp = settings.closeTcpOnHealthFailure ? new OpenTcp() : undefined;
    this.own = settings.provided && this.createOwnHosts(dependencies);
    this.balancer = createBalancer(settings, info, dependencies, this.own);
    this.predictive = createPredictive(settings, this.balancer, context);
    const { openTcp, predictive, tcpUse } = this;
    const needs = { ...dependencies, openTcp, predictive, tcpUse };
    this.defaultContext = poolContext(settings, info, needs, 'default');
    this.highContext = poolContext(settings, info, needs, 'high');
  }

  private createOwnHosts({ onOwnHosts }: ClusterDependencies): OwnHostList {
    const { name: clusterName, statsScope: stats } = this.info;
    return new OwnHostList({
      clusterName,
      stats,
      owner: this,
      now: () => this.clock.now(),
      onListed: (host) => {
        this.sockets?.choose(host);
        this.sumMetrics(host);
        onOwnHosts(clusterName);
      },
      onRemoved: (host) => {
        this.release(host);
        this.loads.leave(host);
        onOwnHosts(clusterName);
      },
    });
  }

  get hostSets(): readonly HostSet[] {
    const { own, snapshot } = this;
    return own === undefined ? snapshot.sets : own.addTo(snapshot.sets);
  }

  get ownHosts(): ReadonlySet<Host> | undefined {
    return this.own?.hosts;
  }

  chooseHost(context: LoadBalancerContext | undefined): Host | undefined {
    const host = this.balancer.choose(context);
    if (host === undefined) this.info.stats.upstreamCxNoneHealthy.inc();
    return host;
  }

  /** {@link chooseHost} for another cluster, which does the counting. */
  chooseForOther(context: LoadBalancerContext | undefined): Host | undefined {
    return this.balancer.choose(context);
  }

  httpPool(host: Host, priority: RoutingPriority, wishes?: PoolWishes): HttpPool {
    const known = host as UpstreamHost;
    const { owner } = known;
    if (owner !== this && owner !== undefined) return owner.httpPool(host, priority, wishes);
    const pool = this.poolFor(known, priority, wishes, true);
    if (pool === undefined) return overflowingPool(this.contextOf(priority));
    if (this.predictive?.wanted === true) this.connectAhead(this.predictive, pool, priority, wishes);
    return pool;
  }

  /**
   * @param mayReplace a pool in which nothing happens may go for it
   * @returns undefined when there may be no further pool
   */
  private poolFor(
    host: UpstreamHost,
    priority: RoutingPriority,
    wishes: PoolWishes | undefined,
    mayReplace: boolean,
  ): DrainablePool | undefined {
    if (wishes !== undefined && this.heeds(wishes))
      return this.wishedPool(host, priority, wishes, mayReplace);
    return poolOf(host, priority) ?? this.openPool(host, priority, mayReplace);
  }

  /**
   * Connects to the hosts that the streams after this one are likely to go to, in the way this one is connected. Another host may do where one
   * will not; but as in Envoy that is left to the next stream.
   *
   * @param current where a stream is about to come
   */
  private connectAhead(
    predictive: PredictiveConnect,
    current: DrainablePool,
    priority: RoutingPriority,
    wishes: PoolWishes | undefined,
  ): void {
    for (let opened = 0; opened < MOST_AT_ONCE && predictive.wanted; opened++) {
      const host = this.balancer.peek?.() as UpstreamHost | undefined;
      if (host === undefined || !isHealthy(host.healthFlags)) return;
      const pool = this.poolFor(host, priority, wishes, false);
      if (pool === undefined) return;
      if (pool.preconnect()) continue;
      if (pool !== current && pool.unused) pool.onUnused?.();
      return;
    }
  }

  /** Who asks for another cluster tells the protocol downstream whether or not it counts here. */
  private heeds({ transport }: PoolWishes): boolean {
    return transport !== undefined || this.info.usesDownstreamProtocol;
  }

  newTcpConnection(
    host: Host,
    priority: RoutingPriority,
    callbacks: TcpPoolCallbacks,
    transport?: TransportOptions,
  ): Cancellable | undefined {
    const known = host as UpstreamHost;
    const { owner } = known;
    if (owner !== this && owner !== undefined)
      return owner.newTcpConnection(host, priority, callbacks, transport);
    return openTcpConnection(known, this.contextOf(priority), callbacks, transport);
  }

  /** Replaces the host list. Hosts that are gone finish what they have under way. */
  updateHosts(update: HostListUpdate): void {
    const before = this.snapshot;
    const { snapshot, removed } = applyHostList(
      this.info.name,
      before,
      update,
      this.clock.now(),
      (address) =>
        this.logger.error(
          `cluster ${this.info.name}: left out an endpoint without a usable address: ${address}`,
        ),
      this,
    );
    this.snapshot = snapshot;
    const { dropOverload } = update;
    this.drops =
      dropOverload && new ClusterDrops(dropOverload, this.info.statsScope, this.context.runtime, this.loads);
    this.monitors?.watch(snapshot.hosts, update.outcomes);
    if (this.sockets !== undefined) for (const host of snapshot.hosts) this.sockets.choose(host);
    if (this.settings.reportedMetrics !== undefined) for (const host of snapshot.hosts) this.sumMetrics(host);
    this.balancer.update(snapshot.sets);
    for (const host of removed) {
      this.release(host);
      this.loads.leave(host);
    }
    this.endConnections(removed.length, snapshot.hosts.length - (before.hosts.length - removed.length));
  }

  /** What load reports are told, since the last time. @param perEndpoint with the numbers of each host */
  latchLoad(perEndpoint: boolean): ClusterLoad {
    return this.loads.latch(this.info.name, this.everyHost(), perEndpoint);
  }

  private sumMetrics(host: UpstreamHost): void {
    const { reportedMetrics } = this.settings;
    if (reportedMetrics !== undefined && host.metrics === undefined)
      host.sumMetrics(new MetricSums(reportedMetrics));
  }

  /** After an update, of those hosts that are still there. */
  private endConnections(removed: number, added: number): void {
    for (const host of this.failedHosts.update(this.snapshot.hosts)) {
      // Were it the path and not the host that failed, new connections may do better (as in Envoy).
      this.release(host);
      this.openTcp?.close(host);
    }
    if (this.settings.commonLb.closeOnHostSetChange && removed + added > 0) this.drain();
  }

  /** Lets idle connections go, and the others when their requests end. */
  drain(): void {
    for (const host of this.everyHost()) this.release(host);
  }

  /** {@link drain} for a cluster that nobody will find any more. */
  retire(): void {
    for (const host of this.everyHost()) this.loads.leave(host);
    this.drain();
    this.balancer.close?.();
    this.own?.clear();
    closeSockets(this.settings.transport);
    this.retired = true;
    this.noteEnd();
  }

  private noteEnd(): void {
    if (!this.retired || this.draining.size > 0 || !this.tcpUse.unused) return;
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.();
  }

  /** Ends every connection of the pools now. */
  close(): void {
    this.retire();
    for (const pool of [...this.draining]) pool.closeAll();
  }

  /** Takes a host's pools away: they drain, and a request that still comes for it gets a new one. */
  private release(host: UpstreamHost): void {
    this.releasePool(host, 'default');
    this.releasePool(host, 'high');
    const { wishedPools } = host;
    host.wishedPools = undefined;
    if (wishedPools === undefined) return;
    for (const { pool, priority } of wishedPools.values()) this.drainPool(pool, priority);
  }

  private releasePool(host: UpstreamHost, priority: RoutingPriority): void {
    const pool = poolOf(host, priority);
    if (pool === undefined) return;
    setPool(host, priority, undefined);
    this.drainPool(pool, priority);
  }

  private drainPool(pool: DrainablePool, priority: RoutingPriority): void {
    pool.onUnused = undefined;
    this.draining.add(pool);
    pool.drain(() => {
      this.draining.delete(pool);
      this.info.resources(priority).connectionPools.give();
      this.noteEnd();
    });
  }

  private openPool(
    host: UpstreamHost,
    priority: RoutingPriority,
    mayReplace: boolean,
  ): DrainablePool | undefined {
    const pool = this.makePool(
      host,
      priority,
      protocolFor(this.settings.http.protocol, undefined),
      undefined,
      mayReplace,
    );
    if (pool !== undefined) setPool(host, priority, pool);
    return pool;
  }

  /** Streams share connections only with those that ask for the same; a pool that nobody uses any more goes. */
  private wishedPool(
    host: UpstreamHost,
    priority: RoutingPriority,
    wishes: PoolWishes,
    mayReplace: boolean,
  ): DrainablePool | undefined {
    const { transport } = wishes;
    const protocol = protocolFor(this.settings.http.protocol, wishes.downstreamProtocol);
    const key = `${priority} ${protocol} ${transport?.key ?? ''}`;
    const known = host.wishedPools?.get(key);
    if (known !== undefined) return known.pool;
    const pool = this.makePool(host, priority, protocol, transport, mayReplace);
    if (pool === undefined) return undefined;
    host.wishedPools ??= new Map();
    host.wishedPools.set(key, { pool, priority });
    pool.onUnused = () => {
      if (host.wishedPools?.get(key)?.pool !== pool) return;
      host.wishedPools.delete(key);
      this.drainPool(pool, priority);
    };
    return pool;
  }

  private makePool(
    host: UpstreamHost,
    priority: RoutingPriority,
    protocol: PoolProtocol,
    transport: TransportOptions | undefined,
    mayReplace: boolean,
  ): DrainablePool | undefined {
    const pools = this.info.resources(priority).connectionPools;
    if (mayReplace && !pools.canTake()) this.freeUnusedPool(priority);
    if (!pools.canTake()) {
      this.info.stats.upstreamCxPoolOverflow.inc();
      return undefined;
    }
    pools.take();
    const pool = createPool(this.allowed(protocol), host, this.contextOf(priority), transport);
    if (this.retired) this.drainSoon(pool, priority);
    return pool;
  }

  /** Nobody else will come to it: it ends with the request that it is made for, which comes first. */
  private drainSoon(pool: DrainablePool, priority: RoutingPriority): void {
    this.draining.add(pool);
    queueMicrotask(() => {
      if (this.draining.has(pool)) this.drainPool(pool, priority);
    });
  }

  /** Runtime can do without HTTP/2 where the config asks for it; pools that there are stay as they are. */
  private allowed(protocol: PoolProtocol): PoolProtocol {
    const { runtime, random } = this.context;
    if (protocol !== 'http2' || runtime.get(USE_HTTP2_KEY) === undefined) return protocol;
    return runtime.featureEnabled(USE_HTTP2_KEY, ALWAYS, random.next()) ? 'http2' : 'http1';
  }

  /** Makes room under `max_connection_pools`: a pool in which nothing happens, unlike the others, costs nothing to lose. */
  private freeUnusedPool(priority: RoutingPriority): void {
    for (const host of this.everyHost()) {
      if (poolOf(host, priority)?.unused !== true) continue;
      this.releasePool(host, priority);
      return;
    }
  }

  private everyHost(): Iterable<UpstreamHost> {
    const { own, snapshot } = this;
    return own === undefined ? snapshot.hosts : [...snapshot.hosts, ...own.hosts];
  }

  private contextOf(priority: RoutingPriority): PoolContext {
    return priority === 'default' ? this.defaultContext : this.highContext;
  }
}

function poolOf(host: UpstreamHost, priority: RoutingPriority): DrainablePool | undefined {
  return priority === 'default' ? host.defaultPool : host.highPool;
}

function setPool(host: UpstreamHost, priority: RoutingPriority, pool: DrainablePool | undefined): void {
  if (priority === 'default') host.defaultPool = pool;
  else host.highPool = pool;
}

/** Stands in for a pool that `max_connection_pools` forbids. */
function overflowingPool({ overflow }: PoolContext): HttpPool {
  return {
    newStream(_decoder, callbacks) {
      callbacks.onPoolFailure('overflow', overflow.refused('connectionPools'), undefined);
      return undefined;
    },
  };
}
