import type {
  Cluster,
  ClusterInfo,
  ConnectionInfo,
  ForwardAction,
  HashValue,
  LoadBalancerContext,
  MetadataValue,
  RequestHeaders,
  RequestStats,
  Route,
  StreamInfo,
  TerminalHttpStream,
  Timer,
  Trailers,
  VirtualCluster,
} from '@dragoman/core';
import { LB_METADATA } from '@dragoman/load-balancing';
import type { Charged } from './charging.ts';
import type { RouterConfig } from './config.ts';
import type { RequestCopy } from './request-copy.ts';
import { RequestHash } from './request-hash.ts';
import type { RetryState } from './retry-state.ts';
import type { RunRouter, Shadows } from './shadow.ts';
import type { Timeouts } from './timeouts.ts';
import type { UpstreamRequest } from './upstream-request.ts';

const NO_TIMEOUTS: Timeouts = { globalMs: 0, perTryMs: 0, perTryIdleMs: 0, hedge: false, tellGrpc: false };

/**
 * One request that goes to a cluster: what its host is chosen by, what it is counted under, and all its state. Tries, Retrying
 * and Forwarding say what is done with it. They are classes of one object, and have no fields of their own: so it is made in one go.
 */
export abstract class ForwardedRequest implements LoadBalancerContext, Charged {
  readonly config: RouterConfig;
  readonly run: RunRouter;
  readonly info: StreamInfo;
  readonly virtualCluster: VirtualCluster | undefined;
  protected readonly stream: TerminalHttpStream;
  protected readonly route: Route;
  protected readonly action: ForwardAction;
  protected cluster: Cluster;

  // --- What it asks for

  internal = false;
  altStatName: string | undefined = undefined;
  timeouts: Timeouts = NO_TIMEOUTS;
  protected isGrpc = false;
  /** A handshake, or what follows it. */
  protected webSocket = false;
  /** `x-envoy-upstream-rq-timeout-alt-response` */
  protected timeoutAltResponse = false;
  /** Made when a balancer asks for the hash. */
  protected requestHash: RequestHash | undefined = undefined;
  /** Made when a balancer asks for the criteria and there is dynamic metadata for it. */
  private mergedMatch: Readonly<Record<string, MetadataValue>> | undefined = undefined;

  // --- How far it has come

  protected requestCompleteAt = 0;
  protected trailers: Trailers | undefined = undefined;
  /** Of the whole request. */
  protected timer: Timer | undefined = undefined;
  protected shadows: Shadows | undefined = undefined;
  /** A redirect may yet be followed, with the body so far. */
  protected mayRestart: boolean;
  /** Something of a response has gone downstream: nothing is tried any more. */
  protected responding = false;

  // --- Tries

  /** The latest try that is under way; after the response has begun, the one that it comes from. */
  protected upstream: UpstreamRequest | undefined = undefined;
  /** Earlier tries that go on beside it: those which took too long, with hedging. */
  protected others: UpstreamRequest[] | undefined = undefined;
  /** The latest try, also when it is over: its bytes are counted last. */
  protected latest: UpstreamRequest | undefined = undefined;
  /** Some try has sent something. */
  protected requestStarted = false;
  protected attemptCount = 1;
  protected retry: RetryState | undefined = undefined;
  protected retryWaits = false;
  protected retryAfterTimeout = false;
  /** The body so far, while it may be needed again. */
  protected copy: RequestCopy | undefined = undefined;

  /** @param run for copies of the request */
  constructor(
    config: RouterConfig,
    stream: TerminalHttpStream,
    route: Route,
    action: ForwardAction,
    cluster: Cluster,
    virtualCluster: VirtualCluster | undefined,
    run: RunRouter,
  ) {
    this.config = config;
    this.run = run;
    this.info = stream.info;
    this.virtualCluster = virtualCluster;
    this.stream = stream;
    this.route = route;
    this.action = action;
    this.cluster = cluster;
    this.mayRestart = action.policies.internalRedirect !== undefined;
  }

  get bufferLimit(): number {
    return this.stream.bufferLimit;
  }

  get clusterInfo(): ClusterInfo {
    return this.cluster.info;
  }

  get routeStats(): RequestStats | undefined {
    return this.route.stats;
  }

  get connection(): ConnectionInfo {
    return this.info.connection;
  }

  get timeoutMs(): number {
    return this.timeouts.globalMs;
  }

  get maxTryDurationMs(): number {
    return this.clusterInfo.maxStreamDurationMs;
  }

  get requestComplete(): boolean {
    return this.requestCompleteAt > 0;
  }

  // --- LoadBalancerContext -------------------------------------------------------------------------------------------

  get hash(): HashValue | undefined {
    const policy = this.action.policies.hash;
    if (policy === undefined) return undefined;
    this.requestHash ??= new RequestHash(policy);
    return this.requestHash.get(this.stream.requestHeaders, this.info);
  }

  get requestHeaders(): RequestHeaders {
    return this.stream.requestHeaders;
  }

  /** The route's criteria, and over them what filters have put into dynamic metadata before the first host was chosen. */
  get metadataMatch(): Readonly<Record<string, MetadataValue>> | undefined {
    if (this.mergedMatch !== undefined) return this.mergedMatch;
    const { metadataMatch } = this.action;
    if (!this.info.hasDynamicMetadata) return metadataMatch;
    const dynamic = this.info.dynamicMetadata.get(LB_METADATA);
    if (dynamic === undefined) return metadataMatch;
    this.mergedMatch = { ...metadataMatch, ...dynamic };
    return this.mergedMatch;
  }

  // --- Charged -------------------------------------------------------------------------------------------------------

  get isCharged(): boolean {
    return this.config.dynamicStats && !this.info.healthCheck;
  }

  get completedOnly(): boolean {
    return this.isGrpc && this.config.suppressGrpcCodes;
  }
}
