import type { Address } from './address.ts';
import type { Clock, RandomSource } from './clock.ts';
import type { HashValue } from './hash.ts';
import type { RequestEncoder, ResponseDecoder } from './http-codec.ts';
import type { RequestHeaders } from './header-map.ts';
import type { Connection, ConnectionHandler } from './network.ts';
import type { PriorityShares } from './retry.ts';
import type { Route, RoutingPriority } from './route.ts';
import type { Runtime } from './runtime.ts';
import type { Counter, Gauge, Histogram, StatsScope } from './stats.ts';
import type { MetadataValue, Protocol, StreamInfo, TlsInfo } from './stream-info.ts';
import type { TransportOptions, UpstreamTransportSocket } from './transport.ts';

/** Region, zone and sub-zone of an endpoint. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

/** Plain data about one endpoint, as a discovery source publishes it. Crosses threads. */
export interface EndpointData {
  /** Text of an {@link Address}. */
  readonly address: string;
  /** What makes it the same host in the next update. Default: the address. With it new connections go to a new address while the host, its stats and its open connections stay. */
  readonly id?: string;
  /** The name DNS or the config gave it; empty when there is none. */
  readonly hostname: string;
  /** 1 … 2³²−1, default 1. */
  readonly weight: number;
  readonly metadata?: { readonly [namespace: string]: { readonly [key: string]: MetadataValue } };
  /** As configured or told by a control plane; active health checks come on top. */
  readonly health?: 'healthy' | 'unhealthy' | 'degraded' | 'draining' | 'timeout';
  /** Where active health checks go, when not to {@link address}. */
  readonly healthCheckAddress?: string;
  /** The host of active checks of its own (`health_check_config.hostname`). */
  readonly healthCheckHostname?: string;
  /** It is not checked, and counts as one that has passed (`disable_active_health_check`). Default false. */
  readonly noHealthCheck?: boolean;
  /** Not for sources: bits of {@link HealthFlag} that active health checks and outlier detection came to. Default 0. */
  readonly checked?: number;
  /** Not for sources: where in {@link HostListUpdate.outcomes} its tries are counted. */
  readonly outcomeRow?: number;
}

export interface LocalityEndpoints {
  readonly locality: Locality;
  /** 0: not weighted. */
  readonly weight: number;
  /** 0 is the highest; up to 127. */
  readonly priority: number;
  readonly endpoints: readonly EndpointData[];
}

/** Requests that are turned away before a host is chosen, as whoever assigns the hosts wants it. */
export interface DropOverload {
  readonly category: string;
  /** How many of all, 0 … 1. */
  readonly ratio: number;
}

/** What is said of the hosts of a cluster as a whole (`ClusterLoadAssignment.policy`). */
export interface HostListPolicy {
  /** Percent, default 140. */
  readonly overprovisioningFactor?: number;
  /** Hosts count by their weights when the health of a priority is judged. Default false: each counts once. */
  readonly weightedPriorityHealth?: boolean;
  /** Default: nothing is turned away. */
  readonly dropOverload?: DropOverload;
}

/** A whole host list of a cluster: replaces the one before. */
export interface HostListUpdate extends HostListPolicy {
  readonly localities: readonly LocalityEndpoints[];
  /** Not for sources: the outcomes of tries at the hosts, in memory that all threads share. */
  readonly outcomes?: SharedArrayBuffer;
}

/** Counters of one host (`/clusters` prints them). */
export interface HostStats {
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxConnectFail: Counter;
  readonly rqTotal: Counter;
  readonly rqActive: Gauge;
  readonly rqSuccess: Counter;
  readonly rqError: Counter;
  readonly rqTimeout: Counter;
}

/** An upstream host as logs and filters see it. */
export interface HostDescription {
  readonly address: Address;
  readonly hostname: string;
  readonly clusterName: string;
  readonly locality: Locality;
  readonly priority: number;
  readonly canary: boolean;
  readonly metadata: ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;
}

/** Bits of why a host is not healthy; 0 is healthy. Names are those of `/clusters`. */
export const HealthFlag = {
  failed_active_hc: 1 << 0,
  failed_outlier_check: 1 << 1,
  failed_eds_health: 1 << 2,
  degraded_active_hc: 1 << 3,
  degraded_eds_health: 1 << 4,
  pending_dynamic_removal: 1 << 5,
  pending_active_hc: 1 << 6,
  excluded_via_immediate_hc_fail: 1 << 7,
  active_hc_timeout: 1 << 8,
  eds_status_draining: 1 << 9,
} as const;

/** What a host says of its load in a response (ORCA: `xds.data.orca.v3.OrcaLoadReport`). Utilisations: 1 is what the host is made for. */
export interface LoadReport {
  readonly cpuUtilization: number;
  readonly memUtilization: number;
  /** 0: not reported. */
  readonly applicationUtilization: number;
  /** Requests a second. */
  readonly rpsFractional: number;
  /** Errors a second. */
  readonly eps: number;
  readonly requestCost: ReadonlyMap<string, number>;
  readonly utilization: ReadonlyMap<string, number>;
  readonly namedMetrics: ReadonlyMap<string, number>;
}

/**
 * How a try at a host went, apart from the status of an answer. `connected` is for protocols that say more later, `connected-final` for
 * those that do not (TCP); `failed` and `succeeded` are for answers that have no status.
 */
export type HostResult =
  | 'connected'
  | 'connected-final'
  | 'connect-failed'
  | 'timeout'
  | 'failed'
  | 'succeeded';

/** What a worker tells main of a host. */
export type HostEvent =
  | 'consecutive-5xx'
  | 'consecutive-gateway-failure'
  | 'consecutive-local-origin-failure'
  | 'immediate-fail';

/** Hears how tries at a host went (Envoy: outlier detector and health check monitor of a host). */
export interface HostMonitor {
  /** An answer; that of a gRPC call by the HTTP status its own stands for. */
  onStatus(status: number): void;
  /** @param status counts in place of the one that stands for `result`, where local errors are not told apart */
  onResult(result: HostResult, status?: number): void;
  /** An answer had `x-envoy-immediate-health-check-fail`. */
  onImmediateFail(): void;
}

/** An upstream host on one worker. */
export interface Host extends HostDescription {
  readonly stats: HostStats;
  /** {@link Clock.now} when it was listed first, or passed its first active health check: slow start counts from here. */
  readonly healthySince: number;
  /** Set by a load-balancing policy that wants the reports which come with responses; nobody reads them otherwise. */
  onLoadReport?: ((report: LoadReport) => void) | undefined;
  /** Its connections are encrypted. Absent: as {@link ClusterInfo.secure} says. */
  readonly secure?: boolean | undefined;
  /** Undefined where nobody wants to know: no outlier detection, no health checks. */
  readonly monitor?: HostMonitor | undefined;
  weight: number;
  /** Bits of {@link HealthFlag}. */
  healthFlags: number;
  /** Open requests on this worker: what least-request balancing compares. */
  activeRequests: number;
}

/** The hosts of one priority: a snapshot, replaced whole. Lists by locality are all in the order of {@link localities}. */
export interface HostSet {
  readonly priority: number;
  readonly hosts: readonly Host[];
  readonly healthyHosts: readonly Host[];
  readonly degradedHosts: readonly Host[];
  readonly localities: readonly Locality[];
  readonly hostsByLocality: readonly (readonly Host[])[];
  readonly healthyHostsByLocality: readonly (readonly Host[])[];
  readonly degradedHostsByLocality: readonly (readonly Host[])[];
  /** One weight for each locality, or undefined when none is weighted. */
  readonly localityWeights: readonly number[] | undefined;
  /** How many hosts of each locality are left out when its health is judged (Envoy: excluded hosts). They are in {@link hosts}. */
  readonly excludedByLocality: readonly number[];
  /** The sum of {@link excludedByLocality}. */
  readonly excluded: number;
  /** Present: hosts count by their weights when the health of the priority is judged; these are the weights of all but the excluded ones. */
  readonly countedWeight?: number | undefined;
  readonly overprovisioningFactor: number;
}

/** Which priority a host is in; undefined: in none (any more). */
export type PriorityOf = (host: HostDescription) => number | undefined;

/** What a pick may depend on. */
export interface LoadBalancerContext {
  /** The hash of the request, or undefined. Worked out when it is read: only for policies that pick by it. */
  readonly hash: HashValue | undefined;
  readonly requestHeaders: RequestHeaders | undefined;
  readonly info: StreamInfo | undefined;
  readonly metadataMatch: Readonly<Record<string, MetadataValue>> | undefined;
  /** True when a host may not be used again (a retry's other host). */
  shouldSkip?(host: Host): boolean;
  /** How often another host is drawn in place of one that should be skipped; then the last one is taken all the same. Default 1. */
  readonly hostSelectionAttempts?: number;
  /**
   * Spreads this pick over the priorities in its own way.
   * @param priorityOf by the numbering of `sets`. Absent: {@link HostDescription.priority} says it
   */
  priorityShares?(
    sets: readonly HostSet[],
    original: PriorityShares,
    priorityOf?: PriorityOf,
  ): PriorityShares;
}

/**
 * Picks a host out of the hosts of one priority. A snapshot: made anew when the hosts change; `pick` only reads
 * (and moves its own cursor) and does not allocate.
 */
export interface HostPicker {
  /**
   * Undefined when there is none.
   *
   * @param attempt how often this pick was repeated, because its host is to be skipped ({@link LoadBalancerContext.shouldSkip}). A policy that
   *   picks by hash must answer with another host as a rule; others need not look at it. Default 0
   */
  pick(context: LoadBalancerContext | undefined, attempt?: number): Host | undefined;
}

/** Chooses a host for each request of a cluster: priorities, localities, panic and all. */
export interface LoadBalancer {
  /** Takes new host sets, by priority. Called before the first {@link choose}. */
  update(sets: readonly HostSet[]): void;
  /** Undefined when there is none. Does not allocate. */
  choose(context: LoadBalancerContext | undefined): Host | undefined;
  /**
   * The host of a pick that is to come, after those that were told of before: the next calls of {@link choose} take these hosts in their order,
   * unless an update has taken one away. For those who connect ahead (`predictive_preconnect_ratio`). Undefined when there is none, and when
   * as many are told of as hosts are healthy. Absent: it cannot tell.
   */
  readonly peek?: (() => Host | undefined) | undefined;
  /** Ends timers. */
  close?(): void;
}

/** How the localities of a priority share its traffic (Envoy: `LocalityLbConfig`). */
export type LocalityRouting =
  | { readonly kind: 'weighted' }
  | {
      readonly kind: 'zone-aware';
      /** Percent of the requests. Default 100. Runtime `upstream.zone_routing.enabled`. */
      readonly routingEnabled: number;
      /** Below this number of hosts localities play no part. Default 6. Runtime `upstream.zone_routing.min_cluster_size`. */
      readonly minClusterSize: number;
      /** A priority in panic has no host at all. Default false. */
      readonly failTrafficOnPanic: boolean;
      /** From this many healthy hosts in its own zone on a proxy uses only those. Default: the zones' shares are evened out. Runtime `upstream.zone_routing.force_local_zone.min_size`. */
      readonly forceLocalZoneMinSize: number | undefined;
      /** What makes a zone's share. Default `hosts`. */
      readonly basis: 'hosts' | 'weights';
    };

/** Where pickers see which locality a host is in. */
export interface PickerLocalities {
  /** One list for each locality; together they are the picker's hosts. */
  readonly hosts: readonly (readonly Host[])[];
  /** One for each locality; all of the hosts together, when they are weighted. 0: takes no traffic. */
  readonly weights: readonly number[];
}

/** What a load-balancing policy is built from. */
export interface LoadBalancerContextForCluster {
  readonly clusterName: string;
  /** `cluster.<name>.` */
  readonly stats: StatsScope;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly runtime: Runtime;
  /**
   * A policy inside a policy: of a message `envoy.config.cluster.v3.LoadBalancingPolicy` the first that the assembly knows.
   * @throws ConfigError with paths that begin with `path`
   */
  policy(config: unknown, path: string): LoadBalancerPolicy;
  /** Makes the balancer that the cluster's type brings along. Absent: it brings none. */
  readonly provided?: (() => LoadBalancer) | undefined;
}

/** One policy of one cluster on one worker. */
export type LoadBalancerPolicy = PickerPolicy | BalancerPolicy;

/** Picks among hosts; priorities, localities, degraded hosts and panic are the caller's business. */
export interface PickerPolicy {
  /**
   * Whether hosts are picked by the request's hash. Their priority is then chosen by it too, and localities are weighted, if at all, by
   * the picker, over all hosts of the priority. Default false.
   */
  readonly usesHash?: boolean | undefined;
  /**
   * Whether a pick may be made before its request is there: it would come out the same. Then connections can be opened ahead
   * (`predictive_preconnect_ratio`). Default false.
   */
  readonly foreseeable?: boolean | undefined;
  /** Default: zone-aware with Envoy's defaults, which does nothing where the proxy does not know its own zone and cluster. */
  readonly locality?: LocalityRouting | undefined;
  /**
   * A picker over `hosts` (healthy, degraded or all; at least one). `previous` is the picker it replaces, for cursors that should go on. Made
   * anew at each change of the hosts, their health or their weights.
   *
   * @param localities only with {@link usesHash} and localities that are weighted
   */
  createPicker(
    hosts: readonly Host[],
    previous: HostPicker | undefined,
    localities?: PickerLocalities,
  ): HostPicker;
  /** Ends timers. */
  close?(): void;
}

/** Decides for itself, usually with other policies in its hand. */
export interface BalancerPolicy {
  /** @param standard makes the balancer that decides on priorities, localities and panic around a policy */
  createBalancer(standard: (policy: LoadBalancerPolicy) => LoadBalancer): LoadBalancer;
}

/**
 * Hosts that a cluster's own balancer makes on its worker while requests come. They are listed in priority 0, without a locality, behind those
 * that were discovered, and other workers do not have them.
 */
export interface OwnHosts {
  /** @throws RangeError when its address is not the text of an {@link Address} */
  add(endpoint: EndpointData): Host;
  /** The same host as before, with what is new of it: new connections go to its new address. @throws RangeError as {@link add} */
  update(host: Host, endpoint: EndpointData): void;
  /** Its idle connections close now, the others with their requests. One that is not there is passed over. */
  remove(host: Host): void;
}

/** The clusters of a worker for one that is made of others. */
export interface MemberClusters extends ClusterManager {
  /** As {@link Cluster.chooseHost}, but that there is none is not counted: who asks counts it. */
  chooseHost(clusterName: string, context: LoadBalancerContext | undefined): Host | undefined;
  /** `callback` runs after a cluster was added, replaced or removed, or its hosts have changed. The returned function takes it back. */
  onChange(callback: (clusterName: string) => void): () => void;
}

/** Finds the hosts of a cluster, on main. Each update replaces the list. */
export interface Discovery {
  /** Begins; the first `onHosts` or `onFailure` ends the cluster's warming. */
  start(listener: DiscoveryListener): void;
  /** Ends; nothing is called any more. */
  stop(): void;
}

export interface DiscoveryListener {
  onHosts(update: HostListUpdate): void;
  /** The source failed; what was known before stays. Only the first one matters for warming. */
  onFailure(reason: string): void;
}

/** One budget of a circuit breaker. Holds across workers. */
export interface ResourceBudget {
  /** Whether one more fits. */
  canTake(): boolean;
  take(): void;
  give(): void;
  readonly max: number;
  readonly used: number;
}

export interface ResourceManager {
  readonly connections: ResourceBudget;
  readonly pendingRequests: ResourceBudget;
  readonly requests: ResourceBudget;
  readonly retries: ResourceBudget;
  readonly connectionPools: ResourceBudget;
}

/** What of a cluster a terminal filter uses. */
export interface ClusterInfo {
  readonly name: string;
  /** Name of the extension of its type, e.g. `envoy.cluster.static`. Absent: the assembly has none of that type. */
  readonly type?: string | undefined;
  /** Each host that is asked for gets a cluster of its own beside this one (see `SubClusters`), which goes when it is not used for so long, ms. Absent: none does. */
  readonly subClusterTtlMs?: number | undefined;
  /** `alt_stat_name`, or the name. */
  readonly statName: string;
  readonly observabilityName: string;
  /** Milliseconds, default 5,000. */
  readonly connectTimeoutMs: number;
  /** Bytes, default 1 MiB. */
  readonly perConnectionBufferLimitBytes: number;
  readonly maxResponseHeadersBytes: number;
  readonly metadata: ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;
  /** `common_http_protocol_options.max_stream_duration`; 0: none. */
  readonly maxStreamDurationMs: number;
  readonly stats: ClusterTrafficStats;
  /** `track_cluster_stats.timeout_budgets`. Absent: nobody wants to know. */
  readonly timeoutBudgets?: TimeoutBudgetStats | undefined;
  /** `track_cluster_stats.request_response_sizes`. Absent: nobody wants to know. */
  readonly messageSizes?: MessageSizeStats | undefined;
  /**
   * Requests turned away for the cluster's sake: maintenance mode, overload, circuit breakers. Load reports are made of it; `/stats` does not show it.
   * Absent: nobody wants to know.
   */
  readonly requestsDropped?: Counter | undefined;
  readonly statsScope: StatsScope;
  resources(priority: RoutingPriority): ResourceManager;
  /**
   * Counts a final response status: `upstream_rq_<code>`, `upstream_rq_<n>xx`, `upstream_rq_completed`, and the same under `canary.`, `internal.` or `external.`.
   *
   * @param status 0: counts as completed, whatever it was
   * @param host the one that answered: counts under `zone.<from>.<to>.` too when its zone and this proxy's are both known
   * @param altStatName `x-envoy-upstream-alt-stat-name`: everything is counted under `<altStatName>.` too
   */
  chargeResponse(
    status: number,
    internal: boolean,
    canary: boolean,
    host?: HostDescription,
    altStatName?: string,
  ): void;
  /** Records `upstream_rq_time` and its kin, milliseconds, under the same prefixes as {@link chargeResponse}. */
  chargeResponseTime(
    ms: number,
    internal: boolean,
    canary: boolean,
    host?: HostDescription,
    altStatName?: string,
  ): void;
  /** Counts an answer that is not passed on, because the request is tried again: under `retry.`, as {@link chargeResponse} does. */
  chargeRetriedResponse(status: number): void;
  /** Its connections are encrypted: its transport socket says so. */
  readonly secure: boolean;
  /** `http_filters` of `HttpProtocolOptions`; they count before the router's. */
  readonly httpFilters?: UpstreamHttpFilters | undefined;
  /** The protocol upstream follows that of the request (`use_downstream_protocol_config`). */
  readonly usesDownstreamProtocol: boolean;
  /**
   * What a stream asks of its connection's transport: SNI from its host (`auto_sni`), the client's addresses (PROXY protocol). Absent where no
   * stream of this cluster asks for anything.
   * @param headers of the request as it goes upstream; undefined for TCP
   */
  readonly transportOptions?:
    | ((headers: RequestHeaders | undefined, info: StreamInfo) => TransportOptions | undefined)
    | undefined;
  /** True for a maintenance-mode cluster (runtime `upstream.maintenance_mode.<name>`). */
  readonly maintenanceMode: boolean;
}

/** How much of their time requests use, in percent; 0 without a timeout. */
export interface TimeoutBudgetStats {
  /** `upstream_rq_timeout_budget_percent_used` */
  readonly global: Histogram;
  /** `upstream_rq_timeout_budget_per_try_percent_used` */
  readonly perTry: Histogram;
}

/** How large requests and their answers are, try by try: `upstream_rq_headers_size` and its kin, bytes or header lines. */
export interface MessageSizeStats {
  readonly rqHeadersSize: Histogram;
  readonly rqHeadersCount: Histogram;
  readonly rqBodySize: Histogram;
  readonly rsHeadersSize: Histogram;
  readonly rsHeadersCount: Histogram;
  readonly rsBodySize: Histogram;
}

/** The traffic stats of a cluster that filters outside `kernel/upstream` count. */
export interface ClusterTrafficStats {
  readonly upstreamRqTotal: Counter;
  readonly upstreamRqActive: Gauge;
  readonly upstreamRqTimeout: Counter;
  readonly upstreamRqPerTryTimeout: Counter;
  readonly upstreamRqPerTryIdleTimeout: Counter;
  readonly upstreamRqMaxDurationReached: Counter;
  readonly upstreamRqRxReset: Counter;
  readonly upstreamRqTxReset: Counter;
  readonly upstreamRqCancelled: Counter;
  readonly upstreamRqMaintenanceMode: Counter;
  readonly upstreamInternalRedirectSucceededTotal: Counter;
  readonly upstreamInternalRedirectFailedTotal: Counter;
  /** `retry_or_shadow_abandoned`: a body too large to be kept. */
  readonly retryOrShadowAbandoned: Counter;
  readonly upstreamRqRetry: Counter;
  readonly upstreamRqRetrySuccess: Counter;
  readonly upstreamRqRetryOverflow: Counter;
  readonly upstreamRqRetryLimitExceeded: Counter;
  readonly upstreamRqRetryBackoffExponential: Counter;
  readonly upstreamRqRetryBackoffRatelimited: Counter;
  readonly upstreamCxNoneHealthy: Counter;
  readonly upstreamCxTotal: Counter;
  readonly upstreamCxActive: Gauge;
  readonly upstreamCxRxBytesTotal: Counter;
  readonly upstreamCxTxBytesTotal: Counter;
  readonly upstreamFlowControlPausedReadingTotal: Counter;
  readonly upstreamFlowControlResumedReadingTotal: Counter;
  readonly upstreamFlowControlBackedUpTotal: Counter;
  readonly upstreamFlowControlDrainedTotal: Counter;
  readonly upstreamRqTime: Histogram;
}

/** Why a pool could not give a stream or connection. */
export type PoolFailureReason =
  | 'overflow'
  | 'local-connection-failure'
  | 'remote-connection-failure'
  | 'timeout';

/** Gets a stream of a pool. Exactly one of the two is called, perhaps before `newStream` returns. */
export interface HttpPoolCallbacks {
  /** A connection is there: send the request on `encoder`. */
  onPoolReady(encoder: RequestEncoder, host: Host, connection: UpstreamConnectionInfo): void;
  /** `host` is the one that could not be reached; undefined for `overflow`, with which no host has to do. */
  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void;
}

/** What is logged of the upstream connection that carries a stream. */
export interface UpstreamConnectionInfo {
  readonly id: number;
  readonly protocol: Protocol | undefined;
  readonly localAddress: Address | undefined;
  readonly remoteAddress: Address;
  readonly tls: TlsInfo | undefined;
  /** {@link Clock.now}; 0 when not measured for this stream (a connection used again). */
  readonly connectStart: number;
  readonly connectComplete: number;
  readonly handshakeComplete: number;
  /** Totals of the connection so far; what a stream adds to them is its own on HTTP/1. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** A request that waits for a connection. */
export interface Cancellable {
  /** Gives up; no callback comes any more. */
  cancel(): void;
}

/** The filters that a try goes through on its way upstream (Envoy: upstream HTTP filters), compiled. */
export interface UpstreamHttpFilters {
  /** A pool whose streams go through the filters. */
  through(pool: HttpPool, scene: UpstreamFilterScene): HttpPool;
}

/** Whose try it is. */
export interface UpstreamFilterScene {
  readonly info: StreamInfo;
  readonly route: Route | undefined;
  /** Bytes of a body that filters may hold in each direction. */
  readonly bufferLimit: number;
}

/**
 * Compiles a list of `envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter`, typed unknown because contracts know no generated code.
 * @param field where it stands, for errors
 * @throws ConfigError for filters that are not for the upstream side, and when the last is not `envoy.filters.http.upstream_codec`
 */
export type CompileUpstreamFilters = (
  filters: readonly unknown[],
  scene: {
    readonly statPrefix: string;
    readonly field: string;
    /** Of the cluster, or of the listener. */
    readonly scope: StatsScope;
    /** The thread's, as whoever names the filters makes its own. */
    readonly stats: StatsScope;
  },
) => UpstreamHttpFilters;

/** What a stream asks of the connection that will carry it. */
export interface PoolWishes {
  /** The protocol of the request downstream (`use_downstream_protocol_config`). */
  readonly downstreamProtocol?: Protocol | undefined;
  /** Of {@link ClusterInfo.transportOptions}. */
  readonly transport?: TransportOptions | undefined;
}

/** HTTP connections to one host. */
export interface HttpPool {
  /** Undefined when a callback was already made. */
  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined;
}

export interface TcpPoolCallbacks {
  /** A fresh connection, the caller's own now: it must set the handler and close it in the end. */
  onPoolReady(connection: Connection, host: Host): void;
  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void;
}

/** A cluster on one worker. */
export interface Cluster {
  readonly info: ClusterInfo;
  /** Present where requests are to be turned away before a host is chosen. */
  readonly drops?: RequestDrops | undefined;
  /** The host for one request; undefined when none is healthy enough (`UH`). */
  chooseHost(context: LoadBalancerContext | undefined): Host | undefined;
  /** `wishes` absent: the stream has none. */
  httpPool(host: Host, priority: RoutingPriority, wishes?: PoolWishes): HttpPool;
  /** A new TCP connection to `host`; cancel gives it up. */
  newTcpConnection(
    host: Host,
    priority: RoutingPriority,
    callbacks: TcpPoolCallbacks,
    transport?: TransportOptions,
  ): Cancellable | undefined;
  readonly hostSets: readonly HostSet[];
  /** Those of {@link hostSets} that this worker has made itself (see {@link OwnHosts}). Absent: none. */
  readonly ownHosts?: ReadonlySet<Host> | undefined;
}

/** See {@link DropOverload}. */
export interface RequestDrops {
  /** How many of all, 0 … 1. The runtime may allow less than the config: `load_balancing_policy.drop_overload_limit`, percent. */
  readonly ratio: number;
  /** `upstream_rq_drop_overload`: one that was turned away. */
  readonly dropped: Counter;
}

/** The clusters of one worker. */
export interface ClusterManager {
  /** Undefined when there is none of this name (`NC`). One Map lookup. */
  get(name: string): Cluster | undefined;
  readonly clusterNames: Iterable<string>;
}

/** Opens upstream connections; implemented by the network package. */
export interface Connector {
  connect(options: ConnectOptions, handler: ConnectHandler): Connection;
}

export interface ConnectOptions {
  readonly address: Address;
  readonly bindAddress?: Address;
  readonly transportSocket?: UpstreamTransportSocket;
  /** What the stream that the connection is for asks of its transport. */
  readonly transport?: TransportOptions | undefined;
  readonly bufferLimitBytes: number;
  readonly keepAlive?: { readonly enabled: boolean; readonly initialDelayMs: number };
  /** Counted while bytes flow (`upstream_cx_rx_bytes_total`, `upstream_cx_tx_bytes_total`). */
  readonly stats?: { readonly rxBytes: Counter; readonly txBytes: Counter };
}

export interface ConnectHandler extends ConnectionHandler {
  /** TCP, and TLS where there is one, are up. */
  onConnected(): void;
}
