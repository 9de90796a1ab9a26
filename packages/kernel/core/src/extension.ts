import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { AccessLogger, FormatterCommand } from './access-log.ts';
import type { FactoryContext, ListenerFactoryContext, MainContext, WorkerContext } from './context.ts';
import type { DnsResolver } from './dns.ts';
import type { HealthChecker, HealthCheckerContext } from './health.ts';
import type { HeaderNameFormatter, RequestHeaders, ResponseHeaders } from './header-map.ts';
import type { CreateHttpFilter, CreateTerminalHttpFilter } from './http-filter.ts';
import type {
  ConnectionMatchData,
  HttpMatchData,
  MatchInput,
  MatchTree,
  MatchTreeParts,
  ValueMatcher,
} from './matching.ts';
import type { ListenerFilter, NetworkFilter, NetworkFilterConnection } from './network.ts';
import type { PriorityShares, RetryHostPredicate, RetryPriority } from './retry.ts';
import type { InternalRedirectPredicate } from './route.ts';
import type { SubClusterPlan } from './sub-clusters.ts';
import type { StreamInfo } from './stream-info.ts';
import type { DownstreamTransportSocket, UpstreamTransportSocket } from './transport.ts';
import type {
  ClusterInfo,
  ClusterManager,
  Discovery,
  HostSet,
  LoadBalancer,
  LoadBalancerContextForCluster,
  LoadBalancerPolicy,
  MemberClusters,
  OwnHosts,
} from './upstream.ts';

/** The kinds of extension, named as the folders under `packages/`. */
export type ExtensionCategory =
  | 'http-filters'
  | 'network-filters'
  | 'listener-filters'
  | 'transport-sockets'
  | 'load-balancers'
  | 'discovery'
  | 'health-checkers'
  | 'access-loggers'
  | 'stats-sinks'
  | 'tracers'
  | 'retry-policies'
  | 'resource-monitors'
  | 'matchers'
  | 'dns-resolvers'
  | 'formatters'
  | 'request-ids'
  | 'original-ip-detection'
  | 'cluster-specifiers'
  | 'path-matchers'
  | 'header-mutations'
  | 'internal-redirect-predicates'
  | 'header-formatters';

/** What every extension has. `name` is Envoy's, e.g. `envoy.filters.http.router`. */
export interface ExtensionBase {
  readonly category: ExtensionCategory;
  readonly name: string;
  /** The message that configures it; a config finds its extension by this type, then by name. Absent: takes no config. */
  readonly config?: DescMessage | undefined;
  /** Further messages that mean the same extension (older API versions, aliases). */
  readonly configAliases?: readonly DescMessage[] | undefined;
}

type Shape<T extends DescMessage | undefined> = T extends DescMessage ? MessageShape<T> : undefined;

// --- HTTP filters ------------------------------------------------------------------------------------------------

export interface HttpFilterExtension extends ExtensionBase {
  readonly category: 'http-filters';
  /** Must be the last filter of a chain, and is the only one that may. */
  readonly terminal: boolean;
  /**
   * It may run on the upstream side too (`http_filters` of a cluster's `HttpProtocolOptions`, `upstream_http_filters` of the router), once for each try.
   * There the stream's route cannot be cleared. Default false.
   */
  readonly upstream?: boolean | undefined;
  /** The message of `typed_per_filter_config`. */
  readonly perRoute?: DescMessage | undefined;
  /** Checks and compiles a per-route config; what it returns is what `stream.perRouteConfig()` gives. Default: the message itself. */
  readonly createPerRoute?: ((config: never, context: FactoryContext) => unknown) | undefined;
  /** Once for each place in a config. Throws ConfigError with a path below its own config. */
  create(config: never, context: HttpFilterContext): CreateHttpFilter | CreateTerminalHttpFilter;
}

export interface HttpFilterContext extends ListenerFactoryContext {
  /** `http.<stat_prefix>.`, the connection manager's. */
  readonly statPrefix: string;
}

export function defineHttpFilter<
  C extends DescMessage,
  P extends DescMessage | undefined = undefined,
>(definition: {
  readonly name: string;
  readonly config: C;
  readonly configAliases?: readonly DescMessage[];
  readonly upstream?: boolean;
  readonly perRoute?: P;
  createPerRoute?(config: Shape<P>, context: FactoryContext): unknown;
  create(config: MessageShape<C>, context: HttpFilterContext): CreateHttpFilter;
}): HttpFilterExtension {
  return { category: 'http-filters', terminal: false, ...definition };
}

/** An HTTP filter that ends the chain, such as the router. */
export function defineTerminalHttpFilter<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  readonly upstream?: boolean;
  create(config: MessageShape<C>, context: HttpFilterContext): CreateTerminalHttpFilter;
}): HttpFilterExtension {
  return { category: 'http-filters', terminal: true, ...definition };
}

// --- Network and listener filters ----------------------------------------------------------------------------------

export interface NetworkFilterExtension extends ExtensionBase {
  readonly category: 'network-filters';
  /** True when the filter consumes the bytes, so that no filter may follow. */
  readonly terminal: boolean;
  create(config: never, context: ListenerFactoryContext): CreateNetworkFilter;
}

export type CreateNetworkFilter = (connection: NetworkFilterConnection) => NetworkFilter;

export function defineNetworkFilter<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  readonly configAliases?: readonly DescMessage[];
  readonly terminal: boolean;
  create(config: MessageShape<C>, context: ListenerFactoryContext): CreateNetworkFilter;
}): NetworkFilterExtension {
  return { category: 'network-filters', ...definition };
}

export interface ListenerFilterExtension extends ExtensionBase {
  readonly category: 'listener-filters';
  create(config: never, context: ListenerFactoryContext): () => ListenerFilter;
}

export function defineListenerFilter<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: ListenerFactoryContext): () => ListenerFilter;
}): ListenerFilterExtension {
  return { category: 'listener-filters', ...definition };
}

// --- Transport sockets ---------------------------------------------------------------------------------------------

export interface TransportSocketExtension extends ExtensionBase {
  readonly category: 'transport-sockets';
  /** Absent: cannot be used downstream. */
  readonly createDownstream?:
    | ((config: never, context: ListenerFactoryContext) => DownstreamTransportSocket)
    | undefined;
  /** Absent: cannot be used upstream. */
  readonly createUpstream?:
    | ((config: never, context: UpstreamTransportContext) => UpstreamTransportSocket)
    | undefined;
}

/** What the transport socket of a cluster may use besides. */
export interface UpstreamTransportContext extends FactoryContext {
  readonly clusterName: string;
  /** `cluster.<name>.` */
  readonly clusterScope: import('./stats.ts').StatsScope;
}

/** `downstream` and `upstream` have messages of their own in some transport sockets: define one extension for each side then. */
export function defineTransportSocket<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  createDownstream?(config: MessageShape<C>, context: ListenerFactoryContext): DownstreamTransportSocket;
  createUpstream?(config: MessageShape<C>, context: UpstreamTransportContext): UpstreamTransportSocket;
}): TransportSocketExtension {
  return { category: 'transport-sockets', ...definition };
}

// --- Upstream ------------------------------------------------------------------------------------------------------

export interface LoadBalancerExtension extends ExtensionBase {
  readonly category: 'load-balancers';
  /** Value of `Cluster.lb_policy` that also means this policy, e.g. `ROUND_ROBIN`; `*_lb_config` reaches it as {@link config}. */
  readonly lbPolicy?: string | undefined;
  /** Throws ConfigError with a path below its own config. */
  create(config: never, context: LoadBalancerContextForCluster): LoadBalancerPolicy;
}

export function defineLoadBalancer<C extends DescMessage, P extends LoadBalancerPolicy>(definition: {
  readonly name: string;
  readonly config: C;
  readonly configAliases?: readonly DescMessage[];
  readonly lbPolicy?: string;
  create(config: MessageShape<C>, context: LoadBalancerContextForCluster): P;
}): Omit<LoadBalancerExtension, 'create'> & {
  create(config: never, context: LoadBalancerContextForCluster): P;
} {
  return { category: 'load-balancers', ...definition };
}

export interface DiscoveryExtension extends ExtensionBase {
  readonly category: 'discovery';
  /** Value of `Cluster.type` that means this source, e.g. `STRICT_DNS`. */
  readonly clusterType?: string | undefined;
  /**
   * `cluster` is the typed `envoy.config.cluster.v3.Cluster`, typed unknown here because contracts know no generated code.
   * Throws ConfigError with a path below the cluster.
   */
  create(cluster: never, context: DiscoveryContext): Discovery;
  /** Fills in what the type implies, before anybody reads the cluster. Absent: nothing. */
  complete?(cluster: never): unknown;
  /**
   * Present: clusters of this type choose their hosts themselves (`lb_policy: CLUSTER_PROVIDED`, and no other). Runs on each worker.
   * Throws ConfigError with a path below the cluster.
   */
  createBalancer?(cluster: never, context: ClusterBalancerContext): LoadBalancer;
  /** With {@link createBalancer}: the hosts that it chooses are other clusters', with all that belongs to them. Default false. */
  readonly choosesMembers?: boolean | undefined;
  /** Undefined, or absent: the cluster makes none. Throws ConfigError with a path below the cluster. */
  subClusters?(cluster: never): SubClusterPlan | undefined;
}

/** What the balancer of a cluster that chooses its hosts itself may use, on its worker. */
export interface ClusterBalancerContext extends FactoryContext {
  readonly info: ClusterInfo;
  readonly clusters: MemberClusters;
  readonly hosts: OwnHosts;
  /** How the cluster would spread requests over priorities with these hosts: its `healthy_panic_threshold` counts. */
  priorityShares(sets: readonly HostSet[]): PriorityShares;
}

export interface DiscoveryContext extends MainContext {
  /** Stats under `cluster.<name>.` */
  readonly clusterScope: import('./stats.ts').StatsScope;
}

export function defineDiscovery<C extends DescMessage>(definition: {
  readonly name: string;
  readonly clusterType?: string;
  /** Of `cluster_type.typed_config`, for custom clusters. */
  readonly config?: DescMessage;
  /** The Cluster message: only its type is used. */
  readonly cluster: C;
  create(cluster: MessageShape<C>, context: DiscoveryContext): Discovery;
}): DiscoveryExtension {
  return { category: 'discovery', ...definition };
}

/** A type of clusters that choose their hosts themselves, on each worker: nothing is discovered. */
export function defineProvidedCluster<C extends DescMessage>(definition: {
  readonly name: string;
  readonly clusterType?: string;
  /** Of `cluster_type.typed_config`, for custom clusters. */
  readonly config?: DescMessage;
  /** The Cluster message: only its type is used. */
  readonly cluster: C;
  readonly choosesMembers?: boolean;
  complete?(cluster: MessageShape<C>): MessageShape<C>;
  subClusters?(cluster: MessageShape<C>): SubClusterPlan | undefined;
  /** On main, before any worker has it. @throws ConfigError with every problem of the config, paths below the cluster */
  check(cluster: MessageShape<C>, context: DiscoveryContext): void;
  createBalancer(cluster: MessageShape<C>, context: ClusterBalancerContext): LoadBalancer;
}): DiscoveryExtension {
  const { check, ...rest } = definition;
  return {
    category: 'discovery',
    ...rest,
    create(cluster: MessageShape<C>, context) {
      check(cluster, context);
      return { start: (listener) => listener.onHosts({ localities: [] }), stop() {} };
    },
  };
}

/** Checks whether hosts are well, on main. */
export interface HealthCheckerExtension extends ExtensionBase {
  readonly category: 'health-checkers';
  /** The field of `envoy.config.core.v3.HealthCheck` that means it; its message is {@link config}. Absent: only by `custom_health_check`. */
  readonly field?: 'http_health_check' | 'tcp_health_check' | 'grpc_health_check' | undefined;
  /** Throws ConfigError with a path below its own config. */
  create(config: never, context: HealthCheckerContext): HealthChecker;
}

export function defineHealthChecker<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  readonly field?: HealthCheckerExtension['field'];
  create(config: MessageShape<C>, context: HealthCheckerContext): HealthChecker;
}): HealthCheckerExtension {
  return { category: 'health-checkers', ...definition };
}

/** Leaves hosts out when a retry looks for another one (Envoy: retry host predicate). */
export interface RetryHostPredicateExtension extends ExtensionBase {
  readonly category: 'retry-policies';
  readonly kind: 'host-predicate';
  create(config: never, context: FactoryContext): () => RetryHostPredicate;
}

export function defineRetryHostPredicate<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): () => RetryHostPredicate;
}): RetryHostPredicateExtension {
  return { category: 'retry-policies', kind: 'host-predicate', ...definition };
}

/** Which priorities a retry goes to (Envoy: retry priority). */
export interface RetryPriorityExtension extends ExtensionBase {
  readonly category: 'retry-policies';
  readonly kind: 'priority';
  create(config: never, context: FactoryContext): () => RetryPriority;
}

export function defineRetryPriority<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): () => RetryPriority;
}): RetryPriorityExtension {
  return { category: 'retry-policies', kind: 'priority', ...definition };
}

export interface DnsResolverExtension extends ExtensionBase {
  readonly category: 'dns-resolvers';
  /** `config` is undefined when the bootstrap names no resolver and this one is the default. */
  create(config: never, context: FactoryContext): DnsResolver;
}

export function defineDnsResolver<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C> | undefined, context: FactoryContext): DnsResolver;
}): DnsResolverExtension {
  return { category: 'dns-resolvers', ...definition };
}

// --- Observability -------------------------------------------------------------------------------------------------

export interface AccessLoggerExtension extends ExtensionBase {
  readonly category: 'access-loggers';
  create(config: never, context: WorkerContext): AccessLogger;
}

export function defineAccessLogger<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: WorkerContext): AccessLogger;
}): AccessLoggerExtension {
  return { category: 'access-loggers', ...definition };
}

/** The merged stats of one flush interval. */
export interface StatsSnapshot {
  readonly counters: readonly { readonly name: string; readonly value: number; readonly delta: number }[];
  readonly gauges: readonly { readonly name: string; readonly value: number }[];
  readonly textReadouts: readonly { readonly name: string; readonly value: string }[];
  /** Wall time in ms. */
  readonly time: number;
}

/** Receives the stats at every flush (`stats_flush_interval`, 5 s), on main. */
export interface StatsSink {
  flush(snapshot: StatsSnapshot): void;
  close(): void;
}

export interface StatsSinkExtension extends ExtensionBase {
  readonly category: 'stats-sinks';
  create(config: never, context: MainContext): StatsSink;
}

export function defineStatsSink<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: MainContext): StatsSink;
}): StatsSinkExtension {
  return { category: 'stats-sinks', ...definition };
}

/** One unit of work in a trace. */
export interface Span {
  setTag(name: string, value: string): void;
  log(timeMs: number, event: string): void;
  /** Writes the trace context into headers that go upstream. */
  inject(headers: RequestHeaders): void;
  spawnChild(operation: string, startTimeMs: number): Span;
  finish(endTimeMs: number): void;
}

/** Starts traces or continues a caller's. */
export interface Tracer {
  startSpan(headers: RequestHeaders, info: StreamInfo, operation: string, sampled: boolean): Span;
}

export interface TracerExtension extends ExtensionBase {
  readonly category: 'tracers';
  create(config: never, context: WorkerContext): Tracer;
}

export function defineTracer<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: WorkerContext): Tracer;
}): TracerExtension {
  return { category: 'tracers', ...definition };
}

export interface FormatterExtension extends ExtensionBase {
  readonly category: 'formatters';
  create(config: never, context: FactoryContext): FormatterCommand;
}

export function defineFormatter<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): FormatterCommand;
}): FormatterExtension {
  return { category: 'formatters', ...definition };
}

// --- HTTP details --------------------------------------------------------------------------------------------------

/** Why a request is traced; carried inside the request id. */
export type TraceReason = 'not-traceable' | 'sampled' | 'service-forced' | 'client-forced';

/** Makes and reads `x-request-id`. */
export interface RequestIds {
  /**
   * Sets a new id when `force`, or when there is none. An id that stays keeps its trace reason only with `keepTraceReason`: at the edge, where
   * a stranger wrote it, it is not believed.
   */
  set(headers: RequestHeaders, force: boolean, keepTraceReason: boolean): void;
  /** Copies the id into the response. */
  setInResponse(response: ResponseHeaders, request: RequestHeaders): void;
  get(headers: RequestHeaders): string;
  /** A number drawn from the id, the same for every proxy on the way; undefined when the id has none. */
  toInteger(headers: RequestHeaders): number | undefined;
  traceReason(headers: RequestHeaders): TraceReason;
  setTraceReason(headers: RequestHeaders, reason: TraceReason): void;
  readonly useForTraceSampling: boolean;
}

export interface RequestIdExtension extends ExtensionBase {
  readonly category: 'request-ids';
  create(config: never, context: FactoryContext): RequestIds;
}

export function defineRequestId<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C> | undefined, context: FactoryContext): RequestIds;
}): RequestIdExtension {
  return { category: 'request-ids', ...definition };
}

/** What an {@link OriginalIpDetection} says of a request. */
export interface DetectedIp {
  /** Undefined: not found, the next extension of the list is asked. */
  readonly address: import('./address.ts').Address | undefined;
  /** Whether the address may make the request an internal one (Envoy: `allow_trusted_address_checks`). */
  readonly trusted: boolean;
  /** The peer's own address is appended to x-forwarded-for (Envoy: not `skip_xff_append`). Default false. */
  readonly appendPeer?: boolean;
  /** The request is answered with this status, and nobody else is asked. */
  readonly rejectStatus?: number;
}

/**
 * Finds the client's address in a request. Those of a connection manager are asked in order until one finds it or rejects;
 * when none does, it is the peer's. Not asked with `use_remote_address`.
 */
export interface OriginalIpDetection {
  detect(headers: RequestHeaders, info: StreamInfo): DetectedIp;
}

export interface OriginalIpDetectionExtension extends ExtensionBase {
  readonly category: 'original-ip-detection';
  create(config: never, context: FactoryContext): OriginalIpDetection;
}

export function defineOriginalIpDetection<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): OriginalIpDetection;
}): OriginalIpDetectionExtension {
  return { category: 'original-ip-detection', ...definition };
}

/** Chooses a cluster by code (`cluster_specifier_plugin`). */
export interface ClusterSpecifier {
  /**
   * The cluster of a request, asked for when its route is found. Undefined: the route does not take the request after all, and
   * the next one is tried. A name that no cluster has is answered as any other such name.
   * @param random 0 ≤ random < 2⁵³; the same for everything that is drawn for this request
   */
  clusterName(headers: RequestHeaders, info: StreamInfo, random: number): string | undefined;
}

/** What a factory of cluster specifiers may use besides. */
export interface ClusterSpecifierContext extends FactoryContext {
  /** The clusters of this worker, for choices that depend on their health; absent where routes are only checked. */
  readonly clusters?: ClusterManager | undefined;
}

export interface ClusterSpecifierExtension extends ExtensionBase {
  readonly category: 'cluster-specifiers';
  /** Once for each plugin of a route configuration, and each inline one of a route. */
  create(config: never, context: ClusterSpecifierContext): ClusterSpecifier;
}

export function defineClusterSpecifier<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: ClusterSpecifierContext): ClusterSpecifier;
}): ClusterSpecifierExtension {
  return { category: 'cluster-specifiers', ...definition };
}

/** Matches a path by a scheme of its own (`path_match_policy`). */
export interface PathMatcher {
  /** The name of the extension that made it: rewriters ask whose it is. */
  readonly name: string;
  /** What was configured, in the scheme's own notation, e.g. `/videos/{id}`. */
  readonly template: string;
  /** @param path without query and fragment */
  match(path: string): boolean;
}

export interface PathMatcherExtension extends ExtensionBase {
  readonly category: 'path-matchers';
  readonly role: 'match';
  create(config: never, context: FactoryContext): PathMatcher;
}

export function definePathMatcher<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): PathMatcher;
}): PathMatcherExtension {
  return { category: 'path-matchers', role: 'match', ...definition };
}

/** Rewrites a path by a scheme of its own (`path_rewrite_policy`). */
export interface PathRewriter {
  /**
   * @param path without query and fragment
   * @returns undefined when the path does not fit: it stays as it is
   */
  rewrite(path: string): string | undefined;
}

export interface PathRewriterExtension extends ExtensionBase {
  readonly category: 'path-matchers';
  readonly role: 'rewrite';
  create(config: never, matcher: PathMatcher | undefined, context: FactoryContext): PathRewriter;
}

export function definePathRewriter<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  /**
   * @param matcher of the route's `path_match_policy`
   * @throws ConfigError when the rewriter cannot work with it
   */
  create(config: MessageShape<C>, matcher: PathMatcher | undefined, context: FactoryContext): PathRewriter;
}): PathRewriterExtension {
  return { category: 'path-matchers', role: 'rewrite', ...definition };
}

/**
 * Changes headers before anything else sees them (`early_header_mutation_extensions`): they are sanitised, and the client's
 * address is looked for, after it. The path and the authority are not its to change: they have been normalised before.
 */
export interface EarlyHeaderMutation {
  /** @returns false when those behind it in the list are not to run */
  mutate(headers: RequestHeaders, info: StreamInfo): boolean;
}

export interface HeaderMutationExtension extends ExtensionBase {
  readonly category: 'header-mutations';
  create(config: never, context: FactoryContext): EarlyHeaderMutation;
}

export function defineHeaderMutation<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): EarlyHeaderMutation;
}): HeaderMutationExtension {
  return { category: 'header-mutations', ...definition };
}

export interface InternalRedirectPredicateExtension extends ExtensionBase {
  readonly category: 'internal-redirect-predicates';
  create(config: never, context: FactoryContext, routeName: string): InternalRedirectPredicate;
}

/** A predicate of `internal_redirect_policy`. `routeName` is the name of the route that has the policy. */
export function defineInternalRedirectPredicate<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext, routeName: string): InternalRedirectPredicate;
}): InternalRedirectPredicateExtension {
  return { category: 'internal-redirect-predicates', ...definition };
}

/** `header_key_format.stateful_formatter` of HTTP/1, on both sides. */
export interface HeaderFormatterExtension extends ExtensionBase {
  readonly category: 'header-formatters';
  /** What comes back is called for each message that comes in. */
  create(config: never, context: FactoryContext): () => HeaderNameFormatter;
}

export function defineHeaderFormatter<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): () => HeaderNameFormatter;
}): HeaderFormatterExtension {
  return { category: 'header-formatters', ...definition };
}

/** Measures one resource for the overload manager, on main. */
export interface ResourceMonitor {
  /**
   * How much of the resource is used: 0 none, 1 all of it; more where a limit can be passed. Called at each `refresh_interval`, and not
   * again before a promise has settled. What it throws, or rejects with, is a failed update: the last pressure stays.
   */
  measure(): number | Promise<number>;
  /** Of the monitor of downstream connections: how many there may be. Whoever accepts looks at it himself (Envoy: a proactive resource). */
  readonly maxDownstreamConnections?: number | undefined;
}

/** What a factory of a resource monitor may use besides. */
export interface ResourceMonitorContext extends FactoryContext {
  /** Open downstream connections of the proxy, over all workers. */
  downstreamConnections(): number;
}

export interface ResourceMonitorExtension extends ExtensionBase {
  readonly category: 'resource-monitors';
  /** Throws ConfigError with a path below its own config. */
  create(config: never, context: ResourceMonitorContext): ResourceMonitor;
}

export function defineResourceMonitor<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: ResourceMonitorContext): ResourceMonitor;
}): ResourceMonitorExtension {
  return { category: 'resource-monitors', ...definition };
}

// --- Matching trees ------------------------------------------------------------------------------------------------

/** Something that trees of matchers look at. Says by what it has where it can be used. */
export interface MatchInputExtension extends ExtensionBase {
  readonly category: 'matchers';
  readonly role: 'input';
  /** Absent: cannot be used where requests are matched. */
  readonly createHttp?: ((config: never, context: FactoryContext) => MatchInput<HttpMatchData>) | undefined;
  /** Absent: cannot be used where filter chains are chosen. */
  readonly createConnection?:
    | ((config: never, context: FactoryContext) => MatchInput<ConnectionMatchData>)
    | undefined;
  /** Looks at nothing of a request or connection, so that it can be used everywhere (Envoy: common protocol input). */
  readonly createCommon?: ((config: never, context: FactoryContext) => MatchInput<unknown>) | undefined;
}

export function defineMatchInput<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  createHttp?(config: MessageShape<C>, context: FactoryContext): MatchInput<HttpMatchData>;
  createConnection?(config: MessageShape<C>, context: FactoryContext): MatchInput<ConnectionMatchData>;
  createCommon?(config: MessageShape<C>, context: FactoryContext): MatchInput<unknown>;
}): MatchInputExtension {
  return { category: 'matchers', role: 'input', ...definition };
}

/** Judges one value (`custom_match` of a predicate). */
export interface ValueMatcherExtension extends ExtensionBase {
  readonly category: 'matchers';
  readonly role: 'value-matcher';
  create(config: never, context: FactoryContext): ValueMatcher;
}

export function defineValueMatcher<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create(config: MessageShape<C>, context: FactoryContext): ValueMatcher;
}): ValueMatcherExtension {
  return { category: 'matchers', role: 'value-matcher', ...definition };
}

/** A tree of a kind of its own (`custom_match` of a `matcher_tree`). */
export interface MatchTreeExtension extends ExtensionBase {
  readonly category: 'matchers';
  readonly role: 'tree';
  create<D, A>(config: never, parts: MatchTreeParts<D, A>, context: FactoryContext): MatchTree<D, A>;
}

export function defineMatchTree<C extends DescMessage>(definition: {
  readonly name: string;
  readonly config: C;
  create<D, A>(
    config: MessageShape<C>,
    parts: MatchTreeParts<D, A>,
    context: FactoryContext,
  ): MatchTree<D, A>;
}): MatchTreeExtension {
  return { category: 'matchers', role: 'tree', ...definition };
}

export type MatcherExtension = MatchInputExtension | ValueMatcherExtension | MatchTreeExtension;

/** Any extension: what an app lists. */
export type Extension =
  | HttpFilterExtension
  | NetworkFilterExtension
  | ListenerFilterExtension
  | TransportSocketExtension
  | LoadBalancerExtension
  | DiscoveryExtension
  | HealthCheckerExtension
  | RetryHostPredicateExtension
  | RetryPriorityExtension
  | DnsResolverExtension
  | AccessLoggerExtension
  | StatsSinkExtension
  | TracerExtension
  | FormatterExtension
  | RequestIdExtension
  | OriginalIpDetectionExtension
  | ClusterSpecifierExtension
  | PathMatcherExtension
  | PathRewriterExtension
  | HeaderMutationExtension
  | InternalRedirectPredicateExtension
  | HeaderFormatterExtension
  | ResourceMonitorExtension
  | MatcherExtension;
