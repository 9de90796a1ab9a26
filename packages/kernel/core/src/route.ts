import type { HashPolicy } from './hash.ts';
import type { HeaderMap, RequestHeaders, ResponseHeaders } from './header-map.ts';
import type { HedgePolicy, RetryPolicy } from './retry.ts';
import type { RateLimits } from './rate-limit.ts';
import type { Counter } from './stats.ts';
import type { MetadataValue, RouteNames, StreamInfo } from './stream-info.ts';
import type { Cancellable } from './upstream.ts';

/** Which of two circuit-breaker budgets a request uses (Envoy: RoutingPriority). */
export type RoutingPriority = 'default' | 'high';
export const ROUTING_PRIORITIES = ['default', 'high'] as const;

/** What is counted of some of the requests that go upstream, under a prefix of its own. */
export interface RequestStats {
  /** `upstream_rq_total`: each try that had a connection. */
  readonly rqTotal: Counter;
  /** `upstream_rq_timeout` */
  readonly rqTimeout: Counter;
  /** `upstream_rq_retry` */
  readonly rqRetry: Counter;
  /** `upstream_rq_retry_success` */
  readonly rqRetrySuccess: Counter;
  /** `upstream_rq_retry_overflow` */
  readonly rqRetryOverflow: Counter;
  /** `upstream_rq_retry_limit_exceeded` */
  readonly rqRetryLimitExceeded: Counter;
  /** `upstream_rq_<code>`, `upstream_rq_<n>xx`, `upstream_rq_completed`; the last alone for 0. */
  chargeResponse(status: number): void;
  /** `upstream_rq_time`, milliseconds. */
  chargeResponseTime(ms: number): void;
}

/** Requests of a virtual host that are counted apart, whatever their routes: `vhost.<virtual host>.vcluster.<name>.` */
export interface VirtualCluster extends RequestStats {
  readonly name: string;
}

/** A compiled route. Snapshot: never changed once made. */
export interface Route extends RouteNames {
  /** What to do with the request. */
  readonly action: RouteAction;
  /** `Route.metadata.filter_metadata`. */
  readonly metadata: ReadonlyMap<string, Readonly<Record<string, MetadataValue>>>;
  /** `decorator.operation`. */
  readonly decoratorOperation: string | undefined;
  /** `typed_per_filter_config` by filter name, most specific first (route, virtual host, route configuration). */
  perFilterConfigs(filterName: string): readonly unknown[];
  /** Whether the most specific level that names the filter turns it off; undefined when no level names it. */
  filterDisabled?(filterName: string): boolean | undefined;
  /** The virtual cluster of a request: undefined without any, the one named `other` when none of them matches. */
  virtualCluster?(headers: RequestHeaders): VirtualCluster | undefined;
  /** `stat_prefix`: `vhost.<virtual host>.route.<stat_prefix>.`; undefined: nothing is counted. */
  readonly stats?: RequestStats | undefined;
  /**
   * Adds and removes headers of a request before it goes upstream (route, virtual host and table, in Envoy's order), and
   * rewrites path and host; what they were stands in `x-envoy-original-path` and `-host`, unless Envoy's headers are suppressed.
   */
  finalizeRequestHeaders(headers: RequestHeaders, info: StreamInfo, suppressEnvoyHeaders?: boolean): void;
  finalizeResponseHeaders(headers: ResponseHeaders, info: StreamInfo, request: RequestHeaders): void;
}

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction;

/** Sends the request to a cluster. */
export interface ForwardAction {
  readonly kind: 'forward';
  /** The cluster for this request; weighted clusters draw with `random` (0 ≤ random < 2⁵³). Empty when a `cluster_header` is absent. */
  clusterName(headers: RequestHeaders, random: number): string;
  readonly priority: RoutingPriority;
  /** Milliseconds; 0: none. Envoy's default is 15,000, and none with a `max_stream_duration`. */
  readonly timeoutMs: number;
  /** Milliseconds; 0: none; undefined: the connection manager's `stream_idle_timeout`. */
  readonly idleTimeoutMs: number | undefined;
  /** `max_stream_duration` of the route; undefined: not set. */
  readonly maxStreamDurationMs: number | undefined;
  /** Status for a cluster that does not exist: 503 by default, or 404 or 500. */
  readonly clusterNotFoundStatus: number;
  /** `auto_host_rewrite`: `:authority` becomes the chosen host's name. */
  readonly autoHostRewrite: boolean;
  /** `append_x_forwarded_host`. */
  readonly appendForwardedHost: boolean;
  readonly includeAttemptCountInRequest: boolean;
  readonly includeAttemptCountInResponse: boolean;
  /** `metadata_match` for subset load balancing. */
  readonly metadataMatch: Readonly<Record<string, MetadataValue>> | undefined;
  readonly policies: ForwardPolicies;
}

/** What few routes ask for. Snapshot, shared by the clusters of a weighted route; routes that ask for nothing share {@link NO_POLICIES}. */
export interface ForwardPolicies {
  /** `per_request_buffer_limit_bytes` of the route, or of its virtual host; undefined: the listener's limit, which is never exceeded. */
  readonly requestBufferLimitBytes: number | undefined;
  /** `request_body_buffer_limit` of the route, or of its virtual host: takes the place of the listener's limit, also where it is more. */
  readonly requestBodyBufferLimitBytes: number | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly hedge: HedgePolicy | undefined;
  /** `include_is_timeout_retry_header` of the virtual host. */
  readonly tellTimeoutRetry: true | undefined;
  /** How `grpc-timeout` bounds a gRPC request. */
  readonly grpcTimeout: GrpcTimeoutPolicy | undefined;
  /** `upgrade_configs`; undefined: the connection manager's alone count. */
  readonly upgrades: UpgradePolicies | undefined;
  /** `request_mirror_policies` of the most specific level that has any. */
  readonly mirrors: readonly MirrorPolicy[] | undefined;
  /** `internal_redirect_policy`; undefined: redirects go to the client. */
  readonly internalRedirect: InternalRedirectPolicy | undefined;
  /** `hash_policy`. */
  readonly hash: HashPolicy | undefined;
  /** `rate_limits` of the route and of its virtual host; undefined when neither has any. */
  readonly rateLimits: RateLimits | undefined;
}

export const NO_POLICIES: ForwardPolicies = {
  requestBufferLimitBytes: undefined,
  requestBodyBufferLimitBytes: undefined,
  retry: undefined,
  hedge: undefined,
  tellTimeoutRetry: undefined,
  grpcTimeout: undefined,
  upgrades: undefined,
  mirrors: undefined,
  internalRedirect: undefined,
  hash: undefined,
  rateLimits: undefined,
};

/** Which upgrades a route lets through, over what the connection manager says. */
export interface UpgradePolicies {
  /** By type in lower case (`websocket`, `connect`). */
  readonly enabled: ReadonlyMap<string, boolean>;
  /** `connect_config` of the type CONNECT: the payload goes to the cluster as raw TCP. Undefined: CONNECT is forwarded. */
  readonly terminate: { readonly allowPost: boolean } | undefined;
}

/** Sends copies of requests to a second cluster, whose answers are thrown away. */
export interface MirrorPolicy {
  /** Draws: whether this request is copied. 0 ≤ draw < 2⁵³. */
  selects(draw: number): boolean;
  /** Undefined when `cluster_header` is absent or empty. */
  clusterName(headers: RequestHeaders): string | undefined;
  /** Makes a copy of the request's headers the mirror's: header mutations, and the host. */
  prepare(copy: RequestHeaders, info: StreamInfo): void;
}

/** Which redirects of an upstream are followed here instead of being passed on. */
export interface InternalRedirectPolicy {
  /** Default 1. */
  readonly maxRedirects: number;
  /** Default 302. */
  readonly statuses: ReadonlySet<number>;
  readonly allowCrossScheme: boolean;
  /** In lower case. */
  readonly headersToCopy: readonly string[];
  readonly predicates: readonly InternalRedirectPredicate[];
}

/** May refuse a redirect that is followed by everything else. */
export interface InternalRedirectPredicate {
  /** @param targetRoute the name of the route that takes the redirect's target */
  accepts(info: StreamInfo, targetRoute: string, downstreamIsHttps: boolean, targetIsHttps: boolean): boolean;
}

/** Milliseconds. 0 as a maximum: none. */
export interface GrpcTimeoutPolicy {
  /** `max_grpc_timeout`: the header takes the place of the route's timeout, capped; undefined: it does not. */
  readonly routeMaxMs: number | undefined;
  /** `grpc_timeout_offset`: taken off. */
  readonly routeOffsetMs: number;
  /** `max_stream_duration.grpc_timeout_header_max`: the header takes the place of the stream's longest duration, capped. */
  readonly streamMaxMs: number | undefined;
  /** `max_stream_duration.grpc_timeout_header_offset` */
  readonly streamOffsetMs: number;
  /** The route has a `max_stream_duration`: it has no timeout besides, and gRPC upstreams are told what is left. */
  readonly byStreamDuration: boolean;
}

/** Answers with a redirect. */
export interface RedirectAction {
  readonly kind: 'redirect';
  /** 301, 302, 303, 307 or 308. */
  readonly status: number;
  /** Changes nothing. */
  location(headers: RequestHeaders, secure: boolean): string;
  /**
   * With `prefix_rewrite` and `regex_rewrite`: `:path` becomes what {@link location} leads to, as logs show it, and what it was stands
   * in `x-envoy-original-path`, unless Envoy's headers are suppressed.
   */
  rewritePath?(headers: RequestHeaders, suppressEnvoyHeaders: boolean): void;
}

/** Answers without an upstream. */
export interface DirectResponseAction {
  readonly kind: 'direct-response';
  readonly status: number;
  /** The same for every request; undefined: none, or {@link format} makes it. */
  readonly body: Buffer | undefined;
  /** `body_format`; undefined: the body is fixed. */
  readonly format: DirectResponseFormat | undefined;
  /** The `location` header: there for 201 and 3xx, where it is the URI of the request. */
  readonly location: ((headers: RequestHeaders, secure: boolean) => string) | undefined;
}

/** Makes the body of a direct response. */
export interface DirectResponseFormat {
  /** Of the body, when it is not `text/plain`. */
  readonly contentType: string | undefined;
  body(headers: RequestHeaders, info: StreamInfo): Buffer;
}

/** Finds routes. A snapshot, replaced whole. */
export interface RouteTable {
  readonly name: string;
  /** `internal_only_headers`, in lower case: requests from outside lose them. */
  readonly internalOnlyHeaders?: readonly string[];
  /** Of a table that is several, of which each request has one (scoped routes): the request's; undefined when it has none. */
  tableFor?(headers: RequestHeaders): RouteTable | undefined;
  /** Undefined when no virtual host or no route matches. `random` feeds runtime fractions and weights. */
  match(headers: RequestHeaders, info: StreamInfo, random: number): Route | undefined;
  /** Why {@link match} found nothing for the same request. */
  miss?(headers: RequestHeaders, info: StreamInfo, random: number): RouteMiss;
  /**
   * Asks for the virtual host of a request that has no route, as {@link DynamicResources.demand} does. Undefined: it is not one that could
   * be asked for.
   */
  demand?(headers: RequestHeaders, onAnswer: (found: boolean) => void): Cancellable | undefined;
}

/** Why a request has no route: what came nearest. */
export interface RouteMiss {
  /** For response code details: without spaces, and of the configuration alone, as in `virtual_host:api|nearest:users|failed:headers[0]`. */
  readonly details: string;
  /** The same for people. */
  readonly text: string;
}

/** Reads a table: a lookup input of conditions in routes, logs and matchers. */
export type HeaderPredicate = (headers: HeaderMap) => boolean;
