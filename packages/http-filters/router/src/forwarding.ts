import {
  applyHostRewrite,
  type Cluster,
  type ClusterInfo,
  type ConnectionInfo,
  type Counter,
  type ForwardAction,
  type HashValue,
  type Host,
  type InternalRedirectPolicy,
  isGrpcContentType,
  type LoadBalancerContext,
  type LocalReply,
  type MetadataValue,
  type PoolFailureReason,
  type RequestHeaders,
  type RequestStats,
  ResponseFlag,
  type ResponseHeaders,
  type Route,
  type StreamInfo,
  type StreamResetReason,
  type TerminalHttpStream,
  type Timer,
  type Trailers,
  type VirtualCluster,
  wellKnownId,
} from '@dragoman/core';
import { chargeResponse, chargeResponseTime } from './charging.ts';
import type { RouterConfig } from './config.ts';
import { judgeBroken, judgeEnd, judgeHeaders } from './host-outcome.ts';
import { followRedirect } from './internal-redirect.ts';
import {
  BODY_TOO_LARGE_TO_RETRY,
  MAINTENANCE_MODE,
  maxDurationReply,
  NO_HEALTHY_UPSTREAM,
  timeoutReply,
  timeoutStatus,
} from './replies.ts';
import { noHostDetails } from './near-miss.ts';
import { RequestCopy } from './request-copy.ts';
import { RequestHash } from './request-hash.ts';
import { RetryChoice } from './retry-choice.ts';
import { type RetryOwner, RetryState, type RetryVerdict } from './retry-state.ts';
import { strictHeaderProblem } from './strict-headers.ts';
import { Tries } from './tries.ts';
import { TryLog } from './try-log.ts';
import {
  type FailureText,
  failureBody,
  failureDetails,
  resetReasonOf,
  textOfPoolFailure,
  textOfReset,
  transportFailure,
} from './reset-texts.ts';
import { type Mirrored, type RunRouter, Shadows } from './shadow.ts';
import { readTimeouts, removeRouterHeaders, tellTimeouts, type Timeouts } from './timeouts.ts';
import { isSwitch, isWebSocket, poolsFor, refusedHandshake } from './upgrade.ts';
import { UpstreamRequest, type UpstreamRequestOwner } from './upstream-request.ts';

const ID_SERVICE_TIME = wellKnownId('x-envoy-upstream-service-time');
const ID_ATTEMPT_COUNT = wellKnownId('x-envoy-attempt-count');
const ID_OVERLOADED = wellKnownId('x-envoy-overloaded');
const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_ALT_STAT_NAME = wellKnownId('x-envoy-upstream-alt-stat-name');
const ID_TIMEOUT_RETRY = wellKnownId('x-envoy-is-timeout-retry');
const ID_TIMEOUT_ALT = wellKnownId('x-envoy-upstream-rq-timeout-alt-response');

const NO_CHUNKS: readonly Buffer[] = [];
const NO_TIMEOUTS: Timeouts = { globalMs: 0, perTryMs: 0, perTryIdleMs: 0, hedge: false, tellGrpc: false };

/** A request on its way to a cluster: its tries, its times, and what comes back. */
export class Forwarding
  extends Tries
  implements UpstreamRequestOwner, LoadBalancerContext, RetryOwner, Mirrored
{
  readonly info: StreamInfo;
  readonly bufferLimit: number;
  readonly virtualCluster: VirtualCluster | undefined;
  readonly routeStats: RequestStats | undefined;
  clusterInfo: ClusterInfo;
  internal = false;
  altStatName: string | undefined = undefined;
  timeouts: Timeouts = NO_TIMEOUTS;
  readonly config: RouterConfig;
  readonly run: RunRouter;
  private readonly stream: TerminalHttpStream;
  private readonly route: Route;
  private readonly action: ForwardAction;
  private cluster: Cluster;
  private isGrpc = false;
  private webSocket = false;
  private shadows: Shadows | undefined = undefined;
  /** A redirect may yet be followed, with the body so far. */
  private mayRestart: boolean;
  private retry: RetryState | undefined = undefined;
  private retryWaits = false;
  private retryAfterTimeout = false;
  /** The body so far, while it may be needed again. */
  private copy: RequestCopy | undefined = undefined;
  private trailers: Trailers | undefined = undefined;
  private attemptCount = 1;
  /** Something of a response has gone downstream: nothing is tried any more. */
  private responding = false;
  /** Some try has sent something. */
  private requestStarted = false;
  private timer: Timer | undefined = undefined;
  private requestCompleteAt = 0;
  private timeoutAltResponse = false;
  /** Made when a balancer asks for the hash. */
  private requestHash: RequestHash | undefined = undefined;

  constructor(
    config: RouterConfig,
    stream: TerminalHttpStream,
    route: Route,
    action: ForwardAction,
    cluster: Cluster,
    virtualCluster: VirtualCluster | undefined,
    run: RunRouter,
  ) {
    super();
    this.run = run;
    this.mayRestart = action.policies.internalRedirect !== undefined;
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

  get isCharged(): boolean {
    return this.config.dynamicStats && !this.info.healthCheck;
  }

  get completedOnly(): boolean {
    return this.isGrpc && this.config.suppressGrpcCodes;
  }

  get requestComplete(): boolean {
    return this.requestCompleteAt > 0;
  }

  get awaitsAnswer(): boolean {
    return this.requestComplete || this.webSocket;
  }

  get maxTryDurationMs(): number {
    return this.clusterInfo.maxStreamDurationMs;
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

  // --- The request -----------------------------------------------------------------------------------------------------

  start(headers: RequestHeaders, endStream: boolean): void {
    const { cluster, config } = this;
    this.isGrpc = isGrpcContentType(headers);
    this.internal = headers.getKnown(ID_INTERNAL) === 'true';
    if (config.strictCheckHeaders !== undefined) {
      const refusal = strictHeaderProblem(headers, config.strictCheckHeaders);
      if (refusal !== undefined) {
        this.fail(ResponseFlag.InvalidEnvoyRequestHeaders, refusal);
        return;
      }
    }
    this.altStatName = headers.getKnown(ID_ALT_STAT_NAME);
    if (cluster.info.maintenanceMode) {
      cluster.info.stats.upstreamRqMaintenanceMode.inc();
      chargeResponse(this, 503, undefined, undefined);
      this.fail(ResponseFlag.UpstreamOverflow, this.overloaded(MAINTENANCE_MODE));
      return;
    }
    this.prepareHeaders(headers);
    const host = cluster.chooseHost(this);
    if (host === undefined) {
      this.failWithoutHost();
      return;
    }
    if (endStream) this.onRequestComplete();
    else if (isWebSocket(headers)) {
      this.webSocket = true;
      this.startTimer();
    }
    const { mirrors } = this.action.policies;
    if (mirrors !== undefined) this.shadows = Shadows.select(mirrors, headers, this.info, this);
    this.send(new UpstreamRequest(this, config.clock, headers, endStream), host, headers);
    this.shadows?.start(endStream);
  }

  private prepareHeaders(headers: RequestHeaders): void {
    const { config, info, action, route } = this;
    this.timeouts = readTimeouts(headers, action, config.respectExpectedTimeout, this.isGrpc);
    if (headers.hasKnown(ID_TIMEOUT_ALT)) {
      this.timeoutAltResponse = true;
      headers.removeKnown(ID_TIMEOUT_ALT);
    }
    info.upstreamRequestAttemptCount = 1;
    if (action.includeAttemptCountInRequest) headers.setKnown(ID_ATTEMPT_COUNT, '1');
    tellTimeouts(headers, this.timeouts, 0, config.suppressEnvoyHeaders);
    route.finalizeRequestHeaders(headers, info, config.suppressEnvoyHeaders);
    this.retry = RetryState.of(action.policies.retry, headers, config, this, action.priority);
    removeRouterHeaders(headers);
  }

  private send(upstream: UpstreamRequest, host: Host, headers: RequestHeaders): void {
    const { config, cluster, action } = this;
    if (action.autoHostRewrite && host.hostname !== '')
      applyHostRewrite(headers, host.hostname, action.appendForwardedHost, config.suppressEnvoyHeaders);
    if (this.info.schemeMatchUpstream) headers.scheme = cluster.info.secure ? 'https' : 'http';
    this.info.upstreamRequestStart = config.clock.now();
    if (config.upstreamLogs !== undefined)
      upstream.log = new TryLog(config.upstreamLogs, this.stream, config.clock);
    this.addTry(upstream);
    upstream.start(poolsFor(cluster, action, headers, config.clock), host, action.priority);
  }

  onRequestBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.shadows !== undefined) this.shadows.body(chunk, endStream);
    return this.takeBody(chunk, endStream, holdable);
  }

  private takeBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.retry?.enabled || this.mayRestart) return this.keepBody(chunk, endStream);
    const { upstream } = this;
    if (upstream === undefined) return true;
    if (endStream) this.onRequestComplete();
    return this.passBody(upstream, chunk, endStream, holdable, false);
  }

  private passBody(
    upstream: UpstreamRequest,
    chunk: Buffer,
    endStream: boolean,
    holdable: boolean,
    owned: boolean,
  ): boolean {
    const mayGoOn = upstream.body(chunk, endStream, holdable, owned);
    if (!mayGoOn) this.clusterInfo.stats.upstreamFlowControlBackedUpTotal.inc();
    return mayGoOn;
  }

  /** Body that a further try may need. */
  private keepBody(chunk: Buffer, endStream: boolean): boolean {
    this.copy ??= new RequestCopy(this.action.policies, this.bufferLimit);
    if (!this.copy.hasRoomFor(chunk)) {
      this.clusterInfo.stats.retryOrShadowAbandoned.inc();
      this.dropRetries();
      this.mayRestart = false;
      if (this.upstream !== undefined) return this.takeBody(chunk, endStream, false);
      // The try that had the body so far is over, and no other can be given all of it.
      this.end(BODY_TOO_LARGE_TO_RETRY);
      return true;
    }
    const kept = this.copy.add(chunk);
    if (endStream) this.onRequestComplete();
    return this.upstream === undefined || this.passBody(this.upstream, kept, endStream, true, true);
  }

  onRequestTrailers(trailers: Trailers): void {
    this.shadows?.trailers(trailers);
    this.trailers = trailers;
    if (this.upstream === undefined && this.retry === undefined) return;
    this.onRequestComplete();
    this.upstream?.trailers(trailers);
  }

  private onRequestComplete(): void {
    this.requestCompleteAt = this.config.clock.now();
    // The times of a WebSocket run from its handshake to the answer of that, and no longer.
    if (this.webSocket) return;
    this.startTimer();
    this.upstream?.onRequestComplete();
  }

  private startTimer(): void {
    const { config, timeouts } = this;
    if (timeouts.globalMs <= 0) return;
    this.timer = config.clock.timer(() => this.onTimeout());
    this.timer.enable(timeouts.globalMs);
  }

  onDownstreamWritable(): void {
    if (this.upstream === undefined) return;
    this.clusterInfo.stats.upstreamFlowControlResumedReadingTotal.inc();
    this.upstream.resumeResponse();
  }

  onComplete(): void {
    this.shadows?.abandon();
    this.shadows = undefined;
    this.latest?.countBytes();
    this.timer?.disable();
    this.dropRetries();
    this.giveUpAll();
  }

  // --- Tries -----------------------------------------------------------------------------------------------------------

  onUpstreamReady(_upstream: UpstreamRequest, host: Host): void {
    this.requestStarted = true;
    this.retry?.onHostAttempted(host);
    this.virtualCluster?.rqTotal.inc();
    this.routeStats?.rqTotal.inc();
  }

  /** RetryOwner: the next try. */
  onRetryDue(): void {
    const { config, info, stream, action, retry } = this;
    if (retry === undefined) return;
    this.retryWaits = false;
    this.attemptCount++;
    info.startNextUpstreamAttempt();
    info.upstreamRequestAttemptCount = this.attemptCount;
    // The cluster may be another one by now, or gone.
    const cluster = config.clusters.get(this.clusterInfo.name);
    const host = cluster?.chooseHost(retry.choosesHosts ? new RetryChoice(this, retry) : this);
    if (cluster === undefined || host === undefined) {
      this.failWithoutHost();
      return;
    }
    this.cluster = cluster;
    this.clusterInfo = cluster.info;
    const headers = stream.requestHeaders;
    if (action.includeAttemptCountInRequest) headers.setKnown(ID_ATTEMPT_COUNT, String(this.attemptCount));
    if (action.policies.tellTimeoutRetry) headers.setKnown(ID_TIMEOUT_RETRY, String(this.retryAfterTimeout));
    const elapsed = this.requestComplete ? Math.floor(config.clock.now() - this.requestCompleteAt) : 0;
    tellTimeouts(headers, this.timeouts, elapsed, config.suppressEnvoyHeaders);
    const { copy, trailers, requestComplete } = this;
    const next = new UpstreamRequest(
      this,
      config.clock,
      headers,
      requestComplete && copy === undefined && trailers === undefined,
    );
    if (copy !== undefined || trailers !== undefined)
      next.replay(copy?.chunks ?? NO_CHUNKS, copy?.bytes ?? 0, requestComplete, trailers);
    this.send(next, host, headers);
  }

  /** Whether another try follows one that was reset, or took too long. */
  private retriesReset(upstream: UpstreamRequest, reason: StreamResetReason, timedOut: boolean): boolean {
    const { retry } = this;
    if (this.responding || retry === undefined || upstream.retried) return false;
    if (!this.accept(retry.onReset(reason, this.requestStarted), timedOut)) return false;
    upstream.host?.stats.rqError.inc();
    this.forget(upstream);
    return true;
  }

  /** Notes what became of the wish for another try: true when there will be one. */
  private accept(verdict: RetryVerdict, timedOut: boolean): boolean {
    if (verdict === 'yes') {
      this.retryWaits = true;
      this.retryAfterTimeout = timedOut;
      return true;
    }
    if (verdict === 'overflow') this.info.setResponseFlag(ResponseFlag.UpstreamOverflow);
    else if (verdict === 'limit-exceeded') this.info.setResponseFlag(ResponseFlag.UpstreamRetryLimitExceeded);
    return false;
  }

  /** Whether a better answer may still come than the one in hand. */
  private get othersMayAnswer(): boolean {
    return this.retryWaits || this.anyAwaitsHeaders;
  }

  private dropRetries(): void {
    this.retry?.close();
    this.retry = undefined;
    this.retryWaits = false;
    this.copy = undefined;
  }

  private follows(policy: InternalRedirectPolicy, headers: ResponseHeaders): boolean {
    const { stats } = this.clusterInfo;
    const body = this.requestComplete && this.mayRestart ? (this.copy?.chunks ?? NO_CHUNKS) : undefined;
    const followed = followRedirect(policy, this.stream, headers, body, this.config.stats);
    (followed
      ? stats.upstreamInternalRedirectSucceededTotal
      : stats.upstreamInternalRedirectFailedTotal
    ).inc();
    return followed;
  }

  /** From here on the response is this try's. */
  private settleOn(upstream: UpstreamRequest): void {
    this.responding = true;
    this.mayRestart = false;
    this.dropRetries();
    if (this.attemptCount > 1) this.keepOnly(upstream);
  }

  // --- UpstreamRequestOwner: the response --------------------------------------------------------------------------------

  onUpstreamInformational(upstream: UpstreamRequest, headers: ResponseHeaders): void {
    chargeResponse(this, headers.status, headers, upstream.host);
    this.settleOn(upstream);
    this.stream.informational(headers);
  }

  onUpstreamHeaders(upstream: UpstreamRequest, headers: ResponseHeaders, endStream: boolean): void {
    const { config, info, stream, route } = this;
    upstream.log?.onHeaders(headers);
    if (this.webSocket && !this.mayPass(upstream, headers)) return;
    if (this.retry !== undefined && this.retriesAnswer(this.retry, upstream, headers)) return;
    const redirects = this.action.policies.internalRedirect;
    if (redirects?.statuses.has(headers.status) && this.follows(redirects, headers)) return;
    this.settleOn(upstream);
    judgeHeaders(upstream, headers, endStream, this.isGrpc);
    chargeResponse(this, headers.status, headers, upstream.host);
    if (!config.suppressEnvoyHeaders && this.requestComplete) {
      const ms = Math.round(info.firstUpstreamRxByteReceived - this.requestCompleteAt);
      headers.setKnown(ID_SERVICE_TIME, String(ms));
    }
    this.tellAttempts(headers);
    this.requestHash?.setCookies(headers);
    route.finalizeResponseHeaders(headers, info, stream.requestHeaders);
    info.responseCodeDetails = 'via_upstream';
    if (endStream) this.onResponseComplete(upstream, headers);
    stream.sendHeaders(headers, endStream);
  }

  /** The answer to a WebSocket handshake. After a switch the stream may last for as long as it likes. */
  private mayPass(upstream: UpstreamRequest, headers: ResponseHeaders): boolean {
    if (isSwitch(headers)) {
      this.timer?.disable();
      upstream.onSwitch();
      return true;
    }
    const reply = refusedHandshake(headers);
    if (reply === undefined) return true;
    this.end(reply);
    return false;
  }

  /** Whether an answer is dropped, since another try is made, or others may still do better. */
  private retriesAnswer(retry: RetryState, upstream: UpstreamRequest, headers: ResponseHeaders): boolean {
    const request = this.stream.requestHeaders;
    const { host } = upstream;
    if (upstream.retried) {
      if (!retry.wouldRetryHeaders(headers, request)) return false;
    } else {
      const verdict = retry.onHeaders(headers, request);
      if (this.accept(verdict, false)) {
        this.clusterInfo.chargeRetriedResponse(this.completedOnly ? 0 : headers.status);
        host?.stats.rqError.inc();
        this.giveUp(upstream);
        this.forget(upstream);
        return true;
      }
      if (verdict === 'no') return false;
    }
    if (!this.othersMayAnswer) return false;
    host?.stats.rqError.inc();
    this.giveUp(upstream);
    this.forget(upstream);
    return true;
  }

  onUpstreamBody(upstream: UpstreamRequest, chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    upstream.log?.onBody(chunk.length);
    if (endStream) {
      judgeEnd(upstream, undefined);
      this.onResponseComplete(upstream, this.stream.responseHeaders);
    }
    const mayGoOn = this.stream.sendBody(chunk, endStream, holdable);
    if (!mayGoOn) this.clusterInfo.stats.upstreamFlowControlPausedReadingTotal.inc();
    return mayGoOn;
  }

  onUpstreamTrailers(upstream: UpstreamRequest, trailers: Trailers): void {
    judgeEnd(upstream, trailers);
    upstream.log?.onTrailers(trailers);
    this.onResponseComplete(upstream, this.stream.responseHeaders);
    this.stream.sendTrailers(trailers);
  }

  onUpstreamWritable(): void {
    this.clusterInfo.stats.upstreamFlowControlDrainedTotal.inc();
    this.stream.resumeRequestBody();
  }

  onUpstreamPoolFailure(
    upstream: UpstreamRequest,
    reason: PoolFailureReason,
    details: string,
    host: Host | undefined,
  ): void {
    const failure = textOfPoolFailure(reason);
    upstream.log?.flag(failure.flag);
    if (host !== undefined && reason !== 'overflow') {
      this.info.upstreamHost = host;
      this.retry?.onHostAttempted(host);
    }
    const transport = transportFailure(reason, details);
    this.info.upstreamTransportFailureReason = transport;
    if (this.retriesReset(upstream, resetReasonOf(reason), false)) return;
    if (reason !== 'overflow') host?.stats.rqError.inc();
    this.abort(upstream, failure, transport);
  }

  onUpstreamReset(upstream: UpstreamRequest, reason: StreamResetReason, socketDetails: string): void {
    // How a connection ended (FIN or RST) is no part of Envoy's detail; what a codec found wrong is.
    const details = reason === 'connection-termination' ? '' : socketDetails;
    const failure = textOfReset(reason);
    this.clusterInfo.stats.upstreamRqRxReset.inc();
    upstream.log?.flag(failure.flag);
    if (this.retriesReset(upstream, reason, false)) return;
    if (!this.stream.responseStarted) {
      upstream.host?.stats.rqError.inc();
      this.abort(upstream, failure, '', details);
      return;
    }
    this.chargeBroken(upstream);
    this.forget(upstream);
    this.cut(failure.flag, failureDetails('upstream_reset_after_response_started', failure, details));
  }

  private onResponseComplete(upstream: UpstreamRequest, headers: ResponseHeaders | undefined): void {
    this.timer?.disable();
    // How long a slow reader takes for the rest of it is not the upstream's affair.
    upstream.stopTimers();
    if (!this.requestComplete) return;
    upstream.log?.end(upstream);
    const ms = Math.round(this.config.clock.now() - this.requestCompleteAt);
    chargeResponseTime(this, ms, headers, upstream.host);
  }

  // --- Failure -------------------------------------------------------------------------------------------------------------

  /** A try failed before its response, and none follows it. */
  private abort(upstream: UpstreamRequest, failure: FailureText, transport: string, more = ''): void {
    const overflow = failure.flag === ResponseFlag.UpstreamOverflow;
    chargeResponse(this, failure.status, undefined, overflow ? undefined : upstream.host);
    this.forget(upstream);
    if (this.othersMayAnswer) return;
    const reply: LocalReply = {
      status: failure.status,
      body: failureBody(failure, transport, this.attemptCount > 1),
      details: failureDetails(
        'upstream_reset_before_response_started',
        failure,
        transport === '' ? more : transport,
      ),
    };
    this.fail(failure.flag, overflow ? this.overloaded(reply) : reply);
  }

  /** The time of the whole request is over, whatever is under way. */
  private onTimeout(): void {
    this.giveUpAll((upstream) => this.expire(upstream));
    this.failWithTimeout('response_timeout');
  }

  private expire(upstream: UpstreamRequest): void {
    this.clusterInfo.stats.upstreamRqTimeout.inc();
    this.virtualCluster?.rqTimeout.inc();
    this.routeStats?.rqTimeout.inc();
    const { host } = upstream;
    host?.stats.rqTimeout.inc();
    if (upstream.awaitingHeaders) this.chargeTimeout(host);
    upstream.log?.flag(ResponseFlag.UpstreamRequestTimeout);
  }

  private chargeTimeout(host: Host | undefined): void {
    host?.stats.rqError.inc();
    chargeResponse(this, timeoutStatus(this.timeoutAltResponse), undefined, host);
  }

  onPerTryTimeout(upstream: UpstreamRequest): void {
    // A try has succeeded with its first bytes downstream: from there on only the whole request's time counts.
    if (this.responding) return;
    upstream.log?.flag(ResponseFlag.UpstreamRequestTimeout);
    if (this.timeouts.hedge) this.hedge(upstream);
    else this.endTry(upstream, this.clusterInfo.stats.upstreamRqPerTryTimeout, 'upstream_per_try_timeout');
  }

  onPerTryIdleTimeout(upstream: UpstreamRequest): void {
    upstream.log?.flag(ResponseFlag.StreamIdleTimeout);
    if (this.timeouts.hedge) this.hedge(upstream);
    else
      this.endTry(
        upstream,
        this.clusterInfo.stats.upstreamRqPerTryIdleTimeout,
        'upstream_per_try_idle_timeout',
      );
  }

  /** The try goes on; so does another, when there may be one. */
  private hedge(upstream: UpstreamRequest): void {
    const { retry } = this;
    if (this.responding || retry === undefined || upstream.retried) return;
    if (this.accept(retry.onHedgedTimeout(), true)) upstream.retried = true;
  }

  private endTry(upstream: UpstreamRequest, counter: Counter, details: string): void {
    const { host } = upstream;
    counter.inc();
    host?.stats.rqTimeout.inc();
    this.giveUp(upstream);
    if (this.retriesReset(upstream, 'local-reset', true)) return;
    if (this.responding) this.chargeBroken(upstream);
    else this.chargeTimeout(host);
    this.forget(upstream);
    this.failWithTimeout(details);
  }

  onMaxTryDuration(upstream: UpstreamRequest): void {
    this.clusterInfo.stats.upstreamRqMaxDurationReached.inc();
    this.giveUp(upstream);
    if (this.retriesReset(upstream, 'local-reset', false)) return;
    this.forget(upstream);
    this.fail(ResponseFlag.UpstreamMaxStreamDurationReached, maxDurationReply(this.stream.requestComplete));
  }

  private failWithTimeout(details: string): void {
    this.fail(ResponseFlag.UpstreamRequestTimeout, timeoutReply(details, this.timeoutAltResponse));
  }

  private failWithoutHost(): void {
    chargeResponse(this, 503, undefined, undefined);
    const details = noHostDetails(this.cluster);
    this.fail(ResponseFlag.NoHealthyUpstream, { ...NO_HEALTHY_UPSTREAM, details });
  }

  private fail(flag: number, reply: LocalReply): void {
    if (this.stream.responseStarted) {
      this.cut(flag, reply.details);
      return;
    }
    this.info.setResponseFlag(flag);
    this.end(reply);
  }

  /** Answers in place of the upstream. */
  private end(reply: LocalReply): void {
    this.timer?.disable();
    this.dropRetries();
    // Filters may hold the reply: until it is out, nobody else's answer may come.
    this.giveUpAll();
    if (!this.action.includeAttemptCountInResponse || this.latest === undefined) {
      this.stream.reply(reply);
      return;
    }
    this.stream.reply({
      ...reply,
      modifyHeaders: (headers) => {
        reply.modifyHeaders?.(headers);
        this.tellAttempts(headers);
      },
    });
  }

  /** Ends a response that has begun. */
  private cut(flag: number, details: string): void {
    this.info.setResponseFlag(flag);
    this.info.responseCodeDetails = details;
    this.timer?.disable();
    this.stream.reset('remote-reset');
  }

  private chargeBroken(upstream: UpstreamRequest): void {
    if (judgeBroken(upstream)) this.config.stats.rqResetAfterDownstreamResponseStarted.inc();
  }

  private tellAttempts(headers: ResponseHeaders): void {
    if (this.action.includeAttemptCountInResponse)
      headers.setKnown(ID_ATTEMPT_COUNT, String(this.attemptCount));
  }

  /** Tells the caller that it is not its host's fault. */
  private overloaded(reply: LocalReply): LocalReply {
    if (this.config.suppressEnvoyHeaders) return reply;
    return { ...reply, modifyHeaders: (headers) => headers.setKnown(ID_OVERLOADED, 'true') };
  }
}
