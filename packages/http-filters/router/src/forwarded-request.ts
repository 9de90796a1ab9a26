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
  VirtualCluster,
} from '@dragoman/core';
import type { Charged } from './charging.ts';
import type { RouterConfig } from './config.ts';
import { RequestHash } from './request-hash.ts';
import type { Timeouts } from './timeouts.ts';

const NO_TIMEOUTS: Timeouts = { globalMs: 0, perTryMs: 0, perTryIdleMs: 0, hedge: false, tellGrpc: false };

/**
 * What is known of a request that goes to a cluster: what its host is chosen by, and what it is counted under. The base of
 * Tries, Retrying and Forwarding, which are one object: nearly every request needs all of it.
 */
export abstract class ForwardedRequest implements LoadBalancerContext, Charged {
  readonly config: RouterConfig;
  readonly info: StreamInfo;
  readonly bufferLimit: number;
  readonly virtualCluster: VirtualCluster | undefined;
  readonly routeStats: RequestStats | undefined;
  clusterInfo: ClusterInfo;
  internal = false;
  altStatName: string | undefined = undefined;
  timeouts: Timeouts = NO_TIMEOUTS;
  protected readonly stream: TerminalHttpStream;
  protected readonly route: Route;
  protected readonly action: ForwardAction;
  protected cluster: Cluster;
  protected isGrpc = false;
  /** `x-envoy-upstream-rq-timeout-alt-response` */
  protected timeoutAltResponse = false;
  protected requestCompleteAt = 0;
  /** Made when a balancer asks for the hash. */
  protected requestHash: RequestHash | undefined = undefined;

  constructor(
    config: RouterConfig,
    stream: TerminalHttpStream,
    route: Route,
    action: ForwardAction,
    cluster: Cluster,
    virtualCluster: VirtualCluster | undefined,
  ) {
    this.config = config;
    this.stream = stream;
    this.info = stream.info;
    this.bufferLimit = stream.bufferLimit;
    this.route = route;
    this.action = action;
    this.cluster = cluster;
    this.clusterInfo = cluster.info;
    this.virtualCluster = virtualCluster;
    this.routeStats = route.stats;
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

  get metadataMatch(): Readonly<Record<string, MetadataValue>> | undefined {
    return this.action.metadataMatch;
  }

  // --- Charged -------------------------------------------------------------------------------------------------------

  get isCharged(): boolean {
    return this.config.dynamicStats && !this.info.healthCheck;
  }

  get completedOnly(): boolean {
    return this.isGrpc && this.config.suppressGrpcCodes;
  }
}
