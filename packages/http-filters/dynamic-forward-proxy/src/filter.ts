import {
  type Clock,
  type ClusterInfo,
  type ClusterManager,
  type HttpFilter,
  type HttpStream,
  type LocalReply,
  type RandomSource,
  type RequestHeaders,
  ResponseFlag,
  type SubClusterOutcome,
  type SubClusters,
} from '@dragoman/core';
import { authorityKey, type CachedHost, type DnsCache, subClusterName } from '@dragoman/dns-cache';
import type { HostRewrite } from './config.ts';

/** What all streams of one place in a config share. */
export interface Shared {
  /** Undefined: only clusters that make one for each host are served. */
  readonly cache: DnsCache | undefined;
  /** How long a cluster that is made for a request has, ms. */
  readonly subClusterTimeoutMs: number;
  readonly savesAddress: boolean;
  readonly clusters: ClusterManager;
  readonly subClusters: SubClusters;
  readonly clock: Clock;
  readonly random: RandomSource;
}

const CLUSTER_TYPE = 'envoy.clusters.dynamic_forward_proxy';
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/** Filter state with the address that was found; Envoy's name. */
const UPSTREAM_ADDRESS = 'envoy.stream.upstream_address';
const SPACES = /\s/g;

const PENDING_OVERFLOW: LocalReply = {
  status: 503,
  body: 'Dynamic forward proxy pending request overflow',
  details: 'dynamic_forward_proxy_pending_request_overflow',
};
const HOST_OVERFLOW: LocalReply = { status: 503, body: 'DNS cache overflow', details: 'dns_cache_overflow' };
const NO_CACHE: LocalReply = {
  status: 503,
  body: 'Dynamic forward proxy without DNS cache',
  details: 'dynamic_forward_proxy_no_dns_cache',
};
const SUB_CLUSTER_OVERFLOW: LocalReply = {
  status: 503,
  body: 'Sub cluster overflow',
  details: 'sub_cluster_overflow',
};
const SUB_CLUSTER_TIMEOUT: LocalReply = {
  status: 503,
  body: 'Sub cluster warming timeout',
  details: 'sub_cluster_warming_timeout',
};
const CLUSTER_GONE: LocalReply = {
  status: 503,
  body: 'Dynamic forward proxy cluster is gone',
  details: 'dynamic_forward_proxy_cluster_is_gone',
};
const SUB_CLUSTER_REFUSED: LocalReply = {
  status: 503,
  body: 'Sub cluster refused',
  details: 'sub_cluster_refused',
};
const EMPTY_HOST: LocalReply = { status: 400, body: 'Empty host header', details: 'empty_host_header' };

const REFUSALS: Readonly<Record<Exclude<SubClusterOutcome, 'ready'>, LocalReply>> = {
  overflow: SUB_CLUSTER_OVERFLOW,
  gone: CLUSTER_GONE,
  refused: SUB_CLUSTER_REFUSED,
};

/** Holds a request to a dynamic forward proxy cluster until its host is resolved. */
export class DynamicForwardProxyFilter implements HttpFilter {
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  private cancel: (() => void) | undefined = undefined;

  constructor(shared: Shared, stream: HttpStream) {
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders): 'pause' | undefined {
    const { stream, shared } = this;
    const cluster = this.clusterOf(headers);
    if (cluster === undefined) return undefined;
    rewriteHost(headers, stream.perRouteConfig<HostRewrite>());
    if (headers.authority === '') return this.refuse(EMPTY_HOST);
    const port = cluster.secure ? HTTPS_PORT : HTTP_PORT;
    if (cluster.subClusterTtlMs !== undefined)
      return this.loadSubCluster(cluster.name, authorityKey(headers.authority, port));
    if (shared.cache === undefined) return this.refuse(NO_CACHE);
    const found = shared.cache.load(headers.authority, port, (host) => this.onLoaded(host));
    switch (found.kind) {
      case 'cached':
        return this.accept(found.host) ? undefined : 'pause';
      case 'loading':
        this.cancel = () => found.cancel();
        return 'pause';
      case 'host-overflow':
        return this.refuse(HOST_OVERFLOW);
      case 'pending-overflow':
        return this.refuse(PENDING_OVERFLOW);
    }
  }

  onComplete(): void {
    this.cancel?.();
    this.cancel = undefined;
  }

  private loadSubCluster(parent: string, key: string): 'pause' | undefined {
    const { subClusters, clock, subClusterTimeoutMs } = this.shared;
    const request = subClusters.request(parent, subClusterName(key), (outcome) => {
      this.onComplete();
      if (outcome === 'ready') this.stream.resumeRequest();
      else this.refuse(REFUSALS[outcome]);
    });
    if (request === undefined) return undefined;
    const timer = clock.timer(() => {
      this.onComplete();
      this.refuse(SUB_CLUSTER_TIMEOUT);
    });
    timer.enable(subClusterTimeoutMs);
    this.cancel = () => {
      request.cancel();
      timer.disable();
    };
    return 'pause';
  }

  /** Undefined: the request goes somewhere else. */
  private clusterOf(headers: RequestHeaders): ClusterInfo | undefined {
    const action = this.stream.route?.action;
    if (action?.kind !== 'forward') return undefined;
    const { clusters, random } = this.shared;
    const info = clusters.get(action.clusterName(headers, random.next()))?.info;
    return info?.type === CLUSTER_TYPE ? info : undefined;
  }

  private onLoaded(host: CachedHost): void {
    this.cancel = undefined;
    if (this.accept(host)) this.stream.resumeRequest();
  }

  private accept({ address, failure }: CachedHost): boolean {
    const { info } = this.stream;
    if (address === undefined) {
      info.setResponseFlag(ResponseFlag.DnsResolutionFailed);
      this.stream.reply({
        status: 503,
        body: 'DNS resolution failure',
        details: `dns_resolution_failure{${failure.replace(SPACES, '_')}}`,
      });
      return false;
    }
    if (this.shared.savesAddress) {
      const { text } = address;
      info.filterState.set(UPSTREAM_ADDRESS, { lifeSpan: 'request', toText: () => text });
    }
    return true;
  }

  private refuse(reply: LocalReply): 'pause' {
    this.stream.reply(reply);
    return 'pause';
  }
}

/** Of a header that is there several times the first counts: anybody may have sent it. */
function rewriteHost(headers: RequestHeaders, rewrite: HostRewrite | undefined): void {
  if (rewrite === undefined) return;
  const host = 'literal' in rewrite ? rewrite.literal : headers.get(rewrite.header);
  if (host !== undefined && host !== '') headers.authority = host;
}
