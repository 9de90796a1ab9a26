import { ClusterSchema, readLoose, RouteConfigurationSchema, RouterSchema } from '@dragoman/api';
import {
  type Cluster,
  type Clock,
  type Connector,
  type CreateTerminalHttpFilter,
  type Extension,
  ExtensionRegistry,
  emptyRuntime,
  type HostListUpdate,
  type HttpFilterContext,
  type RandomSource,
  type RequestHeaders,
  type Route,
  type Runtime,
  silentLogger,
  type StreamInfo,
} from '@dragoman/core';
import { type CompiledRouteTable, compileRouteTable } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { StatsStore } from '@dragoman/stats';
import { connectionInfo, requestHeaders, testContext } from '@dragoman/testing';
import type { JsonObject } from '@dragoman/testing';
import { createClusterManager, type WorkerClusterManager } from '@dragoman/upstream';
import { SimCodec } from './codec.ts';
import { type Outcome, SimStream } from './stream.ts';
import { Watch } from './watch.ts';

/** What a proxy is configured with. JSON is as in Envoy's config. */
export interface ProxyOptions {
  /** Without `type`: hosts are told by {@link SimProxy.updateHosts}. */
  readonly clusters: readonly JsonObject[];
  /** Load-balancing policies, health checkers, retry predicates and whatever else the config names. */
  readonly extensions: readonly Extension[];
  /** The action of its one route: timeouts, retries, hash policies. Default: to the first cluster. */
  readonly route?: JsonObject;
  /** Where it is. Default empty. */
  readonly zone?: string;
  /** The cluster of its fellows, for zone-aware routing. Default: none. */
  readonly localCluster?: string;
  /** Default: no values. */
  readonly runtime?: Runtime;
}

/** A worker of a proxy: real clusters, pools, breakers, balancers, health checks, outlier detection, routes and the real router, between simulated clients and hosts. */
export class SimProxy {
  readonly clusters: WorkerClusterManager;
  private readonly store = new StatsStore();
  private readonly watch: Watch | undefined = undefined;
  private readonly context: HttpFilterContext;
  private readonly clock: Clock;
  private readonly random: RandomSource;
  private readonly routes: CompiledRouteTable;
  private readonly createFilter: CreateTerminalHttpFilter;
  private readonly connection = connectionInfo();

  /** @throws ConfigError for a config that is wrong */
  constructor(options: ProxyOptions, clock: Clock, random: RandomSource, connector: Connector) {
    const { zone = '', localCluster, runtime = emptyRuntime } = options;
    const registry = new ExtensionRegistry([...options.extensions]);
    this.clock = clock;
    this.random = random;
    const context = {
      ...testContext(),
      clock,
      random,
      runtime,
      extensions: registry,
      loggers: { logger: () => silentLogger },
      stats: this.store.createThread(),
      localInfo: { cluster: '', node: '', zone, localClusterName: localCluster, address: '127.0.0.1' },
    };
    const clusters = options.clusters.map((json) => readLoose(ClusterSchema, { type: 'STATIC', ...json }));
    this.clusters = createClusterManager({
      clusters,
      registry,
      context,
      connector,
      createCodec: (connection, handler) => new SimCodec(connection, handler),
      onHostEvent: (...event) => this.watch?.onHostEvent(...event),
    });
    const watched = clusters.filter(Watch.concerns);
    if (watched.length > 0)
      this.watch = new Watch({
        clusters: watched,
        extensions: options.extensions,
        context,
        connector,
        sink: this.clusters,
      });
    this.context = { ...context, clusters: this.clusters };
    this.routes = compileRouteTable(readLoose(RouteConfigurationSchema, routesOf(options)), {
      context: this.context,
      perFilterConfig: () => undefined,
    });
    const config = readLoose(RouterSchema, {});
    this.createFilter = router.create(config as never, this.context) as CreateTerminalHttpFilter;
  }

  /** @throws Error when there is none */
  cluster(name: string): Cluster {
    const cluster = this.clusters.get(name);
    if (cluster === undefined) throw new Error(`there is no cluster ${name}`);
    return cluster;
  }

  /**
   * Replaces the hosts of a cluster. One with `health_checks` or `outlier_detection` gets them through these, as from a discovery source:
   * they decide on the flags of its hosts, and flags of the list do not count. For one without, the list's flags say what they would.
   */
  updateHosts(cluster: string, update: HostListUpdate): void {
    if (this.watch?.updateHosts(cluster, update) !== true) this.clusters.updateHosts(cluster, update);
  }

  /** A counter or gauge by its complete name; 0 when nobody has made it. */
  stat(name: string): number {
    return (this.store.counters.get(name) ?? this.store.gauges.get(name))?.value ?? 0;
  }

  /** Sends a request without a body. @param headers beside `GET / http://test` */
  send(headers: Readonly<Record<string, string>>, onEnd: (outcome: Outcome) => void): void {
    const request = requestHeaders(headers);
    const stream = new SimStream(this.connection, request, this.findRoute, this.clock, onEnd);
    const filter = this.createFilter(stream);
    stream.filter = filter;
    filter.onRequestHeaders(request, true);
  }

  private readonly findRoute = (headers: RequestHeaders, info: StreamInfo): Route | undefined =>
    this.routes.match(headers, info, this.random.next());
}

function routesOf({ clusters, route }: ProxyOptions): JsonObject {
  const action = { cluster: clusters[0]?.name, ...route } as JsonObject;
  return {
    virtual_hosts: [
      { name: 'simulation', domains: ['*'], routes: [{ match: { prefix: '/' }, route: action }] },
    ],
  };
}
