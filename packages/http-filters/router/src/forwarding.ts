import {
  type Counter,
  type Host,
  type InternalRedirectPolicy,
  isGrpcContentType,
  type LocalReply,
  type PoolFailureReason,
  type RequestDrops,
  type RequestHeaders,
  ResponseFlag,
  type ResponseHeaders,
  type StreamResetReason,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { NO_CHUNKS } from './body-pieces.ts';
import { chargeDropped, chargeResponse, chargeResponseTime, chargeTimeout } from './charging.ts';
import { recordPercentage } from './try-tally.ts';
import { tellAnswer, tellTimeout } from './host-monitor.ts';
import { judgeBroken, judgeEnd, judgeHeaders } from './host-outcome.ts';
import { followRedirect } from './internal-redirect.ts';
import { tellLoad } from './load-report.ts';
import {
  ALL_DROPPED,
  DROPPED,
  dropped,
  MAINTENANCE_MODE,
  maxDurationReply,
  overloaded,
  PROXY_OVERLOADED,
  resetReply,
  timeoutReply,
  timeoutStatus,
} from './replies.ts';
import {
  type FailureText,
  resetReasonOf,
  textOfPoolFailure,
  textOfReset,
  transportFailure,
} from './reset-texts.ts';
import { RetryState } from './retry-state.ts';
import { Retrying } from './retrying.ts';
import { type Mirrored, Shadows } from './shadow.ts';
import { strictHeaderProblem } from './strict-headers.ts';
import { readTimeouts, removeRouterHeaders, tellTimeouts } from './timeouts.ts';
import { isSwitch, isWebSocket, refusedHandshake } from './upgrade.ts';
import { UpstreamRequest, type UpstreamRequestOwner } from './upstream-request.ts';

const ID_SERVICE_TIME = wellKnownId('x-envoy-upstream-service-time');
const ID_ATTEMPT_COUNT = wellKnownId('x-envoy-attempt-count');
const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_ALT_STAT_NAME = wellKnownId('x-envoy-upstream-alt-stat-name');
const ID_TIMEOUT_ALT = wellKnownId('x-envoy-upstream-rq-timeout-alt-response');

/** A request on its way to a cluster: begins, has its time, and passes on what comes back, or says why nothing does. */
export class Forwarding extends Retrying implements UpstreamRequestOwner, Mirrored {
  protected createTry(headers: RequestHeaders, endStream: boolean): UpstreamRequest {
    return new UpstreamRequest(this, this.config.clock, headers, endStream);
  }

  /** While there is a copy of the body, what tries send is that copy: it counts once. */
  get heldBytes(): number {
    const sent = Math.max(this.copy?.bytes ?? 0, this.triesHeldBytes);
    return sent + (this.shadows?.heldBytes ?? 0);
  }

  get awaitsAnswer(): boolean {
    return this.requestComplete || this.webSocket;
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
      chargeDropped(this, 503);
      this.failOverloaded(MAINTENANCE_MODE);
      return;
    }
    if (cluster.drops !== undefined && this.isDropped(cluster.drops)) return;
    this.prepareHeaders(headers);
    const host = cluster.chooseHost(this);
    if (host === undefined) {
      this.failWithoutHost();
      return;
    }
    if (config.shedRequest?.shouldShed() === true) {
      config.stats.rqOverloadLocalReply.inc();
      this.fail(ResponseFlag.OverloadManager, PROXY_OVERLOADED);
      return;
    }
    if (endStream) this.onRequestComplete();
    else if (isWebSocket(headers)) {
      this.webSocket = true;
      this.startTimer();
    }
    const { mirrors } = this.action.policies;
    if (mirrors !== undefined) this.shadows = Shadows.select(mirrors, headers, this.info, this);
    this.startFirst(host, headers, endStream);
    this.shadows?.start(endStream);
  }

  /** Draws whether the request is one of those to be turned away, and turns it away. */
  private isDropped(drops: RequestDrops): boolean {
    const { random, suppressEnvoyHeaders } = this.config;
    const { ratio } = drops;
    if (random.random() >= ratio) return false;
    drops.dropped.inc();
    chargeDropped(this, 503);
    const reply = ratio >= 1 ? ALL_DROPPED : DROPPED;
    this.fail(
      ratio >= 1 ? ResponseFlag.UnconditionalDropOverload : ResponseFlag.DropOverload,
      suppressEnvoyHeaders ? reply : dropped(reply),
    );
    return true;
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

  onRequestBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.shadows !== undefined) this.shadows.body(chunk, endStream);
    return this.takeBody(chunk, endStream, holdable);
  }

  onRequestTrailers(trailers: Trailers): void {
    this.shadows?.trailers(trailers);
    this.takeTrailers(trailers);
  }

  protected onRequestComplete(): void {
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

  // --- UpstreamRequestOwner: the response --------------------------------------------------------------------------------

  onUpstreamInformational(upstream: UpstreamRequest, headers: ResponseHeaders): void {
    // As in Envoy the first alone is passed on, and counts.
    upstream.tally?.onHeaders(headers);
    if (this.responding) return;
    chargeResponse(this, headers.status, headers, upstream.host);
    this.settleOn(upstream);
    this.stream.informational(headers);
  }

  onUpstreamHeaders(upstream: UpstreamRequest, headers: ResponseHeaders, endStream: boolean): void {
    const { config, info, stream, route } = this;
    tellLoad(upstream, headers);
    const monitor = upstream.host?.monitor;
    if (monitor !== undefined) tellAnswer(monitor, headers, this.isGrpc);
    upstream.log?.onHeaders(headers);
    upstream.tally?.onHeaders(headers);
    if (this.webSocket && !this.mayPass(upstream, headers)) return;
    const retried = this.retry === undefined ? 'no' : this.retriesAnswer(this.retry, upstream, headers);
    if (retried === 'yes') return;
    const redirects = this.action.policies.internalRedirect;
    if (redirects?.statuses.has(headers.status) && this.follows(redirects, headers)) return;
    if (retried === 'bad' && this.yieldsToOthers(upstream)) return;
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
      upstream.stopTryTimers();
      return true;
    }
    const reply = refusedHandshake(headers);
    if (reply === undefined) return true;
    this.end(reply);
    return false;
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

  onUpstreamBody(upstream: UpstreamRequest, chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    upstream.log?.onBody(chunk.length);
    upstream.tally?.received(chunk.length);
    if (endStream) {
      judgeEnd(upstream, undefined);
      this.onResponseComplete(upstream, this.stream.responseHeaders);
    }
    const mayGoOn = this.stream.sendBody(chunk, endStream, holdable);
    // Behind the last chunk there is nothing to stop, and nothing will be resumed.
    if (!mayGoOn && !endStream) this.clusterInfo.stats.upstreamFlowControlPausedReadingTotal.inc();
    return mayGoOn;
  }

  onUpstreamTrailers(upstream: UpstreamRequest, trailers: Trailers): void {
    tellLoad(upstream, trailers);
    judgeEnd(upstream, trailers);
    upstream.log?.onTrailers(trailers);
    this.onResponseComplete(upstream, this.stream.responseHeaders);
    this.stream.sendTrailers(trailers);
  }

  onUpstreamWritable(): void {
    this.clusterInfo.stats.upstreamFlowControlDrainedTotal.inc();
    this.stream.resumeRequestBody();
  }

  private onResponseComplete(upstream: UpstreamRequest, headers: ResponseHeaders | undefined): void {
    this.timer?.disable();
    // How long a slow reader takes for the rest of it is not the upstream's affair.
    upstream.stopTimers();
    if (!this.requestComplete) return;
    upstream.log?.end(upstream);
    upstream.tally?.end();
    this.recordBudget();
    const ms = Math.round(this.config.clock.now() - this.requestCompleteAt);
    chargeResponseTime(this, ms, headers, upstream.host);
  }

  /** How much of the time of the whole request was used. */
  private recordBudget(): void {
    const { timeoutBudgets } = this.clusterInfo;
    if (timeoutBudgets === undefined || !this.requestComplete) return;
    const used = this.config.clock.now() - this.requestCompleteAt;
    recordPercentage(timeoutBudgets.global, used, this.timeouts.globalMs);
  }

  // --- UpstreamRequestOwner: failures ------------------------------------------------------------------------------------

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
      host.monitor?.onResult('connect-failed');
      this.retry?.onHostAttempted(host);
    }
    const transport = transportFailure(reason, details);
    // Which breaker it was is for logs; body and details of an overflow are Envoy's.
    this.info.upstreamTransportFailureReason = reason === 'overflow' ? details : transport;
    if (this.retriesReset(upstream, resetReasonOf(reason), false)) return;
    if (reason !== 'overflow') host?.stats.rqError.inc();
    this.abort(upstream, failure, transport, '');
  }

  onUpstreamReset(upstream: UpstreamRequest, reason: StreamResetReason, socketDetails: string): void {
    // How a connection ended (FIN or RST) is no part of Envoy's detail; what a codec found wrong is.
    const details = reason === 'connection-termination' ? '' : socketDetails;
    const failure = textOfReset(reason);
    this.clusterInfo.stats.upstreamRqRxReset.inc();
    upstream.host?.monitor?.onResult('connect-failed');
    upstream.log?.flag(failure.flag);
    if (this.retriesReset(upstream, reason, false)) return;
    if (!this.responding) upstream.host?.stats.rqError.inc();
    this.abort(upstream, failure, '', details);
  }

  /** A try failed, and none follows it. */
  private abort(upstream: UpstreamRequest, failure: FailureText, transport: string, more: string): void {
    const overflow = failure.flag === ResponseFlag.UpstreamOverflow;
    if (this.responding) this.chargeBroken(upstream);
    else if (overflow) chargeDropped(this, failure.status);
    else chargeResponse(this, failure.status, undefined, upstream.host);
    this.forget(upstream);
    if (this.othersMayAnswer) return;
    const reply = resetReply(failure, transport, more, this.attemptCount > 1, this.responding);
    if (overflow) this.failOverloaded(reply);
    else this.fail(failure.flag, reply);
  }

  private chargeBroken(upstream: UpstreamRequest): void {
    if (judgeBroken(upstream)) this.config.stats.rqResetAfterDownstreamResponseStarted.inc();
  }

  // --- UpstreamRequestOwner: times ---------------------------------------------------------------------------------------

  /** The time of the whole request is over, whatever is under way. */
  private onTimeout(): void {
    this.giveUpAll((upstream) => {
      chargeTimeout(this, upstream.host);
      tellTimeout(upstream, timeoutStatus(this.timeoutAltResponse));
      if (upstream.awaitingHeaders && !this.responding) this.chargeUnanswered(upstream.host);
      upstream.log?.flag(ResponseFlag.UpstreamRequestTimeout);
    });
    this.failWithTimeout('response_timeout');
  }

  private chargeUnanswered(host: Host | undefined): void {
    host?.stats.rqError.inc();
    chargeResponse(this, timeoutStatus(this.timeoutAltResponse), undefined, host);
  }

  onPerTryTimeout(upstream: UpstreamRequest): void {
    // A try has succeeded with its first bytes downstream: from there on only the whole request's time counts.
    if (this.responding) return;
    upstream.log?.flag(ResponseFlag.UpstreamRequestTimeout);
    tellTimeout(upstream, timeoutStatus(this.timeoutAltResponse));
    if (this.timeouts.hedge) this.hedge(upstream);
    else this.endTry(upstream, this.clusterInfo.stats.upstreamRqPerTryTimeout, 'upstream_per_try_timeout');
  }

  onPerTryIdleTimeout(upstream: UpstreamRequest): void {
    upstream.log?.flag(ResponseFlag.StreamIdleTimeout);
    tellTimeout(upstream, timeoutStatus(this.timeoutAltResponse));
    const { upstreamRqPerTryIdleTimeout } = this.clusterInfo.stats;
    if (this.timeouts.hedge) this.hedge(upstream);
    else this.endTry(upstream, upstreamRqPerTryIdleTimeout, 'upstream_per_try_idle_timeout');
  }

  private endTry(upstream: UpstreamRequest, counter: Counter, details: string): void {
    const { host } = upstream;
    counter.inc();
    host?.stats.rqTimeout.inc();
    this.giveUp(upstream);
    if (this.retriesReset(upstream, 'local-reset', true)) return;
    if (this.responding) this.chargeBroken(upstream);
    else this.chargeUnanswered(host);
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

  // --- Answers of the router itself --------------------------------------------------------------------------------------

  private failWithTimeout(details: string): void {
    this.recordBudget();
    this.fail(ResponseFlag.UpstreamRequestTimeout, timeoutReply(details, this.timeoutAltResponse));
  }

  private failOverloaded(reply: LocalReply): void {
    this.fail(ResponseFlag.UpstreamOverflow, this.config.suppressEnvoyHeaders ? reply : overloaded(reply));
  }

  protected fail(flag: number, reply: LocalReply): void {
    this.info.setResponseFlag(flag);
    this.end(reply);
  }

  protected end(reply: LocalReply): void {
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

  private tellAttempts(headers: ResponseHeaders): void {
    if (this.action.includeAttemptCountInResponse)
      headers.setKnown(ID_ATTEMPT_COUNT, String(this.attemptCount));
  }
}
