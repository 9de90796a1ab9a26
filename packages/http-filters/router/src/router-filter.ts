import {
  applyHostRewrite,
  type Cluster,
  type ClusterInfo,
  type DirectResponseAction,
  type ForwardAction,
  type HashValue,
  type Host,
  type LoadBalancerContext,
  type LocalReply,
  type MetadataValue,
  type PoolFailureReason,
  type RedirectAction,
  type RequestHeaders,
  type RequestStats,
  ResponseFlag,
  type ResponseHeaders,
  type Route,
  type SetCookieSink,
  type StreamInfo,
  type StreamResetReason,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  type Timer,
  type Trailers,
  type VirtualCluster,
  wellKnownId,
} from '@dragoman/core';
import type { RouterConfig } from './config.ts';
import {
  type FailureText,
  failureBody,
  failureDetails,
  textOfPoolFailure,
  textOfReset,
  transportFailure,
} from './reset-texts.ts';
import { readTimeouts, setExpectedTimeout } from './timeouts.ts';
import { UpstreamRequest, type UpstreamRequestOwner } from './upstream-request.ts';

const ID_SERVICE_TIME = wellKnownId('x-envoy-upstream-service-time');
const ID_ATTEMPT_COUNT = wellKnownId('x-envoy-attempt-count');
const ID_OVERLOADED = wellKnownId('x-envoy-overloaded');
const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_ALT_STAT_NAME = wellKnownId('x-envoy-upstream-alt-stat-name');
const ID_CANARY = wellKnownId('x-envoy-upstream-canary');
const ID_LOCATION = wellKnownId('location');
const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_TIMEOUT_ALT = wellKnownId('x-envoy-upstream-rq-timeout-alt-response');

/** The router on one request: finds the route, forwards to its cluster, answers what fails. */
export class RouterFilter
  implements TerminalHttpFilter, UpstreamRequestOwner, LoadBalancerContext, SetCookieSink
{
  readonly info: StreamInfo;
  readonly bufferLimit: number;
  private readonly config: RouterConfig;
  private readonly stream: TerminalHttpStream;
  private route: Route | undefined = undefined;
  private action: ForwardAction | undefined = undefined;
  private cluster: ClusterInfo | undefined = undefined;
  private virtualCluster: VirtualCluster | undefined = undefined;
  private routeStats: RequestStats | undefined = undefined;
  private upstream: UpstreamRequest | undefined = undefined;
  /** The same, also when it is over: its bytes are counted last. */
  private attempt: UpstreamRequest | undefined = undefined;
  private perTryTimeoutMs = 0;
  private timeoutMs = 0;
  private timer: Timer | undefined = undefined;
  private durationTimer: Timer | undefined = undefined;
  private requestCompleteAt = 0;
  private internal = false;
  private altStatName: string | undefined = undefined;
  private timeoutAltResponse = false;
  private hashKnown = false;
  private knownHash: HashValue | undefined = undefined;
  private setCookies: string[] | undefined = undefined;

  constructor(config: RouterConfig, stream: TerminalHttpStream) {
    this.config = config;
    this.stream = stream;
    this.info = stream.info;
    this.bufferLimit = stream.bufferLimit;
  }

  // --- LoadBalancerContext -------------------------------------------------------------------------------------------

  /** Worked out when a policy that picks by it asks, once for each try. */
  get hash(): HashValue | undefined {
    const policy = this.action?.policies.hash;
    if (policy === undefined) return undefined;
    if (!this.hashKnown) {
      this.hashKnown = true;
      this.knownHash = policy.hash(this.stream.requestHeaders, this.info, this);
    }
    return this.knownHash;
  }

  /** A cookie that the hash policy made. */
  addSetCookie(value: string): void {
    this.setCookies ??= [];
    this.setCookies.push(value);
  }

  get requestHeaders(): RequestHeaders {
    return this.stream.requestHeaders;
  }

  get metadataMatch(): Readonly<Record<string, MetadataValue>> | undefined {
    return this.action?.metadataMatch;
  }

  // --- TerminalHttpFilter ----------------------------------------------------------------------------------------------

  onRequestHeaders(headers: RequestHeaders, endStream: boolean): void {
    const { config, stream } = this;
    config.stats.rqTotal.inc();
    const { route } = stream;
    if (route === undefined) {
      config.stats.noRoute.inc();
      this.fail(ResponseFlag.NoRouteFound, { status: 404, details: 'route_not_found' });
      return;
    }
    this.route = route;
    const { action } = route;
    if (action.kind === 'forward') this.forward(route, action, headers, endStream);
    else this.answer(route, action, headers);
  }

  onRequestBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.upstream === undefined) return true;
    if (endStream) this.onRequestComplete();
    const mayGoOn = this.upstream.body(chunk, endStream, holdable);
    if (!mayGoOn) this.cluster?.stats.upstreamFlowControlBackedUpTotal.inc();
    return mayGoOn;
  }

  onRequestTrailers(trailers: Trailers): void {
    if (this.upstream === undefined) return;
    this.onRequestComplete();
    this.upstream.trailers(trailers);
  }

  onDownstreamWritable(): void {
    if (this.upstream === undefined) return;
    this.cluster?.stats.upstreamFlowControlResumedReadingTotal.inc();
    this.upstream.resumeResponse();
  }

  onComplete(): void {
    this.attempt?.countBytes();
    this.timer?.disable();
    this.durationTimer?.disable();
    if (this.upstream?.cancel('local-reset')) this.cluster?.stats.upstreamRqTxReset.inc();
    this.upstream = undefined;
  }

  // --- The request -----------------------------------------------------------------------------------------------------

  private forward(route: Route, action: ForwardAction, headers: RequestHeaders, endStream: boolean): void {
    const { config, info } = this;
    this.action = action;
    this.routeStats = route.stats;
    const virtualCluster = route.virtualCluster?.(headers);
    if (virtualCluster !== undefined) {
      this.virtualCluster = virtualCluster;
      info.virtualClusterName = virtualCluster.name;
    }
    const name = action.clusterName(headers, config.random.next());
    info.upstreamCluster = name;
    const cluster = config.clusters.get(name);
    if (cluster === undefined) {
      config.stats.noCluster.inc();
      this.fail(ResponseFlag.NoClusterFound, {
        status: action.clusterNotFoundStatus,
        details: 'cluster_not_found',
      });
      return;
    }
    this.cluster = cluster.info;
    info.upstreamClusterInfo = cluster.info;
    info.upstreamCluster = cluster.info.observabilityName;
    this.internal = headers.getKnown(ID_INTERNAL) === 'true';
    this.altStatName = headers.getKnown(ID_ALT_STAT_NAME);
    if (cluster.info.maintenanceMode) {
      cluster.info.stats.upstreamRqMaintenanceMode.inc();
      this.charge(503, undefined, undefined);
      this.fail(ResponseFlag.UpstreamOverflow, {
        status: 503,
        body: 'maintenance mode',
        details: 'maintenance_mode',
        modifyHeaders: (response) => this.markOverloaded(response),
      });
      return;
    }
    this.prepareHeaders(route, action, headers);
    const host = cluster.chooseHost(this);
    if (host === undefined) {
      this.charge(503, undefined, undefined);
      this.fail(ResponseFlag.NoHealthyUpstream, {
        status: 503,
        body: 'no healthy upstream',
        details: 'no_healthy_upstream',
      });
      return;
    }
    this.send(cluster, host, action, headers, endStream);
  }

  private prepareHeaders(route: Route, action: ForwardAction, headers: RequestHeaders): void {
    const { config, info } = this;
    const timeouts = readTimeouts(headers, action, config.respectExpectedTimeout);
    this.timeoutMs = timeouts.globalMs;
    this.perTryTimeoutMs = timeouts.perTryMs;
    if (headers.hasKnown(ID_TIMEOUT_ALT)) {
      this.timeoutAltResponse = true;
      headers.removeKnown(ID_TIMEOUT_ALT);
    }
    info.upstreamRequestAttemptCount = 1;
    if (action.includeAttemptCountInRequest) headers.setKnown(ID_ATTEMPT_COUNT, '1');
    route.finalizeRequestHeaders(headers, info, config.suppressEnvoyHeaders);
    if (!config.suppressEnvoyHeaders) setExpectedTimeout(headers, timeouts);
  }

  private send(
    cluster: Cluster,
    host: Host,
    action: ForwardAction,
    headers: RequestHeaders,
    endStream: boolean,
  ): void {
    const { config } = this;
    if (action.autoHostRewrite && host.hostname !== '') {
      applyHostRewrite(headers, host.hostname, action.appendForwardedHost, config.suppressEnvoyHeaders);
    }
    const { maxStreamDurationMs } = cluster.info;
    if (maxStreamDurationMs > 0) {
      this.durationTimer = config.clock.timer(() => this.onMaxDuration());
      this.durationTimer.enable(maxStreamDurationMs);
    }
    if (endStream) this.onRequestComplete();
    this.info.upstreamRequestStart = config.clock.now();
    const upstream = new UpstreamRequest(this, config.clock, headers, endStream);
    this.upstream = upstream;
    this.attempt = upstream;
    upstream.start(cluster, host, action.priority);
  }

  private onRequestComplete(): void {
    this.requestCompleteAt = this.config.clock.now();
    const { timeoutMs, perTryTimeoutMs } = this;
    // There is one try: the shorter of the two times is the one that can run out.
    const perTry = perTryTimeoutMs > 0 && (timeoutMs <= 0 || perTryTimeoutMs < timeoutMs);
    if (perTry || timeoutMs > 0) this.startTimer(perTry, perTry ? perTryTimeoutMs : timeoutMs);
  }

  private startTimer(perTry: boolean, ms: number): void {
    this.timer = this.config.clock.timer(() => this.onTimeout(perTry));
    this.timer.enable(ms);
  }

  /** A redirect or a fixed response. */
  private answer(route: Route, action: RedirectAction | DirectResponseAction, headers: RequestHeaders): void {
    const { config, info, stream } = this;
    const redirects = action.kind === 'redirect';
    (redirects ? config.stats.rqRedirect : config.stats.rqDirectResponse).inc();
    const location = action.location?.(headers, headers.scheme === 'https');
    if (redirects) action.rewritePath?.(headers, config.suppressEnvoyHeaders);
    const format = redirects ? undefined : action.format;
    const body = redirects ? undefined : format === undefined ? action.body : format.body(headers, info);
    stream.reply({
      status: action.status,
      ...(body === undefined ? {} : { body }),
      details: 'direct_response',
      modifyHeaders(response) {
        if (location !== undefined) response.setKnown(ID_LOCATION, location);
        if (format?.contentType !== undefined) response.setKnown(ID_CONTENT_TYPE, format.contentType);
        route.finalizeResponseHeaders(response, info, headers);
      },
    });
  }

  // --- UpstreamRequestOwner: the response --------------------------------------------------------------------------------

  onUpstreamReady(): void {
    this.virtualCluster?.rqTotal.inc();
    this.routeStats?.rqTotal.inc();
  }

  onUpstreamInformational(headers: ResponseHeaders): void {
    this.stream.informational(headers);
  }

  onUpstreamHeaders(headers: ResponseHeaders, endStream: boolean): void {
    const { config, info, stream, route, upstream } = this;
    const host = upstream?.host;
    if (host !== undefined) (headers.status >= 500 ? host.stats.rqError : host.stats.rqSuccess).inc();
    this.charge(headers.status, headers, host);
    if (!config.suppressEnvoyHeaders && this.requestCompleteAt > 0) {
      const ms = Math.round(info.firstUpstreamRxByteReceived - this.requestCompleteAt);
      headers.setKnown(ID_SERVICE_TIME, String(ms));
    }
    if (this.action?.includeAttemptCountInResponse === true) headers.setKnown(ID_ATTEMPT_COUNT, '1');
    if (this.setCookies !== undefined)
      for (const cookie of this.setCookies) headers.append('set-cookie', cookie);
    route?.finalizeResponseHeaders(headers, info, stream.requestHeaders);
    info.responseCodeDetails = 'via_upstream';
    if (endStream) this.onResponseComplete(headers);
    stream.sendHeaders(headers, endStream);
  }

  onUpstreamBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (endStream) this.onResponseComplete(this.stream.responseHeaders);
    const mayGoOn = this.stream.sendBody(chunk, endStream, holdable);
    if (!mayGoOn) this.cluster?.stats.upstreamFlowControlPausedReadingTotal.inc();
    return mayGoOn;
  }

  onUpstreamTrailers(trailers: Trailers): void {
    this.onResponseComplete(this.stream.responseHeaders);
    this.stream.sendTrailers(trailers);
  }

  onUpstreamWritable(): void {
    this.cluster?.stats.upstreamFlowControlDrainedTotal.inc();
    this.stream.resumeRequestBody();
  }

  onUpstreamPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    if (host !== undefined && reason !== 'overflow') {
      this.info.upstreamHost = host;
      host.stats.rqError.inc();
    }
    const transport = transportFailure(reason, details);
    this.info.upstreamTransportFailureReason = transport;
    this.abort(textOfPoolFailure(reason), transport);
  }

  onUpstreamReset(reason: StreamResetReason, socketDetails: string): void {
    // How a connection ended (FIN or RST) is no part of Envoy's detail; what a codec found wrong is.
    const details = reason === 'connection-termination' ? '' : socketDetails;
    const failure = textOfReset(reason);
    this.cluster?.stats.upstreamRqRxReset.inc();
    if (!this.stream.responseStarted) {
      this.upstream?.host?.stats.rqError.inc();
      this.abort(failure, '', details);
      return;
    }
    this.info.setResponseFlag(failure.flag);
    this.info.responseCodeDetails = failureDetails('upstream_reset_after_response_started', failure, details);
    this.config.stats.rqResetAfterDownstreamResponseStarted.inc();
    this.upstream = undefined;
    this.stream.reset('remote-reset');
  }

  private onResponseComplete(headers: ResponseHeaders | undefined): void {
    this.timer?.disable();
    // How long a slow reader takes for the rest of it is not the upstream's affair.
    this.durationTimer?.disable();
    if (this.requestCompleteAt === 0 || !this.config.dynamicStats) return;
    const ms = Math.round(this.config.clock.now() - this.requestCompleteAt);
    const host = this.upstream?.host;
    this.cluster?.chargeResponseTime(ms, this.internal, isCanary(headers, host), host, this.altStatName);
    this.virtualCluster?.chargeResponseTime(ms);
    this.routeStats?.chargeResponseTime(ms);
  }

  // --- Failure -------------------------------------------------------------------------------------------------------------

  /** The upstream failed before its response. */
  private abort(failure: FailureText, transport: string, more = ''): void {
    const overflow = failure.flag === ResponseFlag.UpstreamOverflow;
    this.charge(failure.status, undefined, overflow ? undefined : this.upstream?.host);
    this.upstream = undefined;
    this.fail(failure.flag, {
      status: failure.status,
      body: failureBody(failure, transport),
      details: failureDetails(
        'upstream_reset_before_response_started',
        failure,
        transport === '' ? more : transport,
      ),
      ...(overflow ? { modifyHeaders: (headers: ResponseHeaders) => this.markOverloaded(headers) } : {}),
    });
  }

  private onTimeout(perTry: boolean): void {
    // A try has succeeded with its first bytes downstream: from there on only the whole request's time counts.
    if (perTry && this.stream.responseStarted) {
      if (this.timeoutMs > 0) this.startTimer(false, this.timeoutMs - this.perTryTimeoutMs);
      return;
    }
    const stats = this.cluster?.stats;
    (perTry ? stats?.upstreamRqPerTryTimeout : stats?.upstreamRqTimeout)?.inc();
    if (!perTry) {
      this.virtualCluster?.rqTimeout.inc();
      this.routeStats?.rqTimeout.inc();
    }
    const details = perTry ? 'upstream_per_try_timeout' : 'response_timeout';
    this.expire(
      ResponseFlag.UpstreamRequestTimeout,
      this.timeoutAltResponse
        ? { status: 204, details }
        : { status: 504, body: 'upstream request timeout', details },
    );
  }

  private onMaxDuration(): void {
    this.cluster?.stats.upstreamRqMaxDurationReached.inc();
    this.expire(ResponseFlag.UpstreamMaxStreamDurationReached, {
      status: this.stream.requestComplete ? 504 : 408,
      body: 'upstream max stream duration reached',
      details: 'upstream_max_stream_duration_reached',
    });
  }

  /** The upstream took too long: its stream is given up, the downstream answered or reset. */
  private expire(flag: number, reply: LocalReply): void {
    const { upstream } = this;
    if (upstream === undefined) return;
    this.upstream = undefined;
    const host = upstream.host;
    if (upstream.cancel('local-reset')) this.cluster?.stats.upstreamRqTxReset.inc();
    if (this.stream.responseStarted) {
      this.info.setResponseFlag(flag);
      this.info.responseCodeDetails = reply.details;
      this.config.stats.rqResetAfterDownstreamResponseStarted.inc();
      this.stream.reset('remote-reset');
      return;
    }
    // Once a host has answered it counts as that, whatever becomes of the rest.
    if (flag === ResponseFlag.UpstreamRequestTimeout) host?.stats.rqTimeout.inc();
    host?.stats.rqError.inc();
    this.charge(reply.status, undefined, host);
    this.fail(flag, reply);
  }

  private fail(flag: number, reply: LocalReply): void {
    this.info.setResponseFlag(flag);
    this.timer?.disable();
    this.durationTimer?.disable();
    this.stream.reply(reply);
  }

  private markOverloaded(headers: ResponseHeaders): void {
    if (!this.config.suppressEnvoyHeaders) headers.setKnown(ID_OVERLOADED, 'true');
  }

  private charge(status: number, headers: ResponseHeaders | undefined, host: Host | undefined): void {
    if (!this.config.dynamicStats) return;
    this.cluster?.chargeResponse(status, this.internal, isCanary(headers, host), host, this.altStatName);
    this.virtualCluster?.chargeResponse(status);
    this.routeStats?.chargeResponse(status);
  }
}

function isCanary(headers: ResponseHeaders | undefined, host: Host | undefined): boolean {
  return headers?.getKnown(ID_CANARY) === 'true' || host?.canary === true;
}
