import {
  applyHostRewrite,
  type Cluster,
  type Host,
  type LocalReply,
  type RequestHeaders,
  ResponseFlag,
  type ResponseHeaders,
  type StreamResetReason,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { NO_CHUNKS } from './body-pieces.ts';
import { chargeResponse } from './charging.ts';
import { noHostDetails } from './near-miss.ts';
import { wishesOf } from './pool-wishes.ts';
import { BODY_TOO_LARGE_TO_RETRY, NO_HEALTHY_UPSTREAM } from './replies.ts';
import { RequestCopy } from './request-copy.ts';
import { RetryChoice } from './retry-choice.ts';
import type { RetryOwner, RetryState, RetryVerdict } from './retry-state.ts';
import { tellTimeouts } from './timeouts.ts';
import { Tries } from './tries.ts';
import { TryLog } from './try-log.ts';
import { TryTally } from './try-tally.ts';
import { filtered, type Pools, poolsFor } from './upgrade.ts';
import type { UpstreamRequest } from './upstream-request.ts';

const ID_ATTEMPT_COUNT = wellKnownId('x-envoy-attempt-count');
const ID_TIMEOUT_RETRY = wellKnownId('x-envoy-is-timeout-retry');

/** Which tries of a request there are: the first, those that follow one which failed, and what all of them are sent. */
export abstract class Retrying extends Tries implements RetryOwner {
  protected abstract onRequestComplete(): void;
  /** Answers in place of the upstream; a response whose headers are out is cut. */
  protected abstract end(reply: LocalReply): void;
  protected abstract fail(flag: number, reply: LocalReply): void;
  protected abstract createTry(headers: RequestHeaders, endStream: boolean): UpstreamRequest;

  // --- What is sent ----------------------------------------------------------------------------------------------------

  protected startFirst(host: Host, headers: RequestHeaders, endStream: boolean): void {
    this.send(this.createTry(headers, endStream), host, headers);
  }

  private send(upstream: UpstreamRequest, host: Host, headers: RequestHeaders): void {
    const { config, cluster, action } = this;
    if (action.autoHostRewrite && host.hostname !== '')
      applyHostRewrite(headers, host.hostname, action.appendForwardedHost, config.suppressEnvoyHeaders);
    if (this.info.schemeMatchUpstream)
      headers.scheme = (host.secure ?? cluster.info.secure) ? 'https' : 'http';
    this.info.upstreamRequestStart = config.clock.now();
    if (config.upstreamLogs !== undefined)
      upstream.log = new TryLog(config.upstreamLogs, this.stream, config.clock);
    upstream.tally = TryTally.of(cluster.info, config.clock, this.timeouts, headers);
    this.addTry(upstream);
    upstream.start(
      this.poolsOf(cluster, headers),
      host,
      action.priority,
      wishesOf(cluster, headers, this.info),
    );
  }

  protected takeBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.retry?.enabled || this.mayRestart) return this.keepBody(chunk, endStream);
    const { upstream } = this;
    if (upstream === undefined) return true;
    if (endStream) this.onRequestComplete();
    return this.passBody(upstream, chunk, endStream, holdable, false);
  }

  private poolsOf(cluster: Cluster, headers: RequestHeaders): Pools {
    const { config, action, info, stream } = this;
    const pools = poolsFor(cluster, action, headers, config.clock);
    const filters = cluster.info.httpFilters ?? config.upstreamFilters;
    if (filters === undefined) return pools;
    return filtered(pools, filters, { info, route: stream.route, bufferLimit: this.bufferLimit });
  }

  private passBody(
    upstream: UpstreamRequest,
    chunk: Buffer,
    endStream: boolean,
    holdable: boolean,
    owned: boolean,
  ): boolean {
    const mayGoOn = upstream.body(chunk, endStream, holdable, owned);
    if (!mayGoOn && !endStream) this.clusterInfo.stats.upstreamFlowControlBackedUpTotal.inc();
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

  protected takeTrailers(trailers: Trailers): void {
    this.trailers = trailers;
    if (this.upstream === undefined && this.retry === undefined) return;
    this.onRequestComplete();
    this.upstream?.trailers(trailers);
  }

  // --- The next try ----------------------------------------------------------------------------------------------------

  onUpstreamReady(_upstream: UpstreamRequest, host: Host): void {
    this.requestStarted = true;
    host.monitor?.onResult('connected');
    this.retry?.onHostAttempted(host);
    this.virtualCluster?.rqTotal.inc();
    this.routeStats?.rqTotal.inc();
  }

  onRetryDue(): void {
    const { config, info, stream, action, retry } = this;
    if (retry === undefined) return;
    this.retryWaits = false;
    this.attemptCount++;
    info.upstreamRequestAttemptCount = this.attemptCount;
    // The cluster may be another one by now, or gone.
    const cluster = config.clusters.get(this.clusterInfo.name);
    const host = cluster?.chooseHost(retry.choosesHosts ? new RetryChoice(this, retry) : this);
    if (cluster === undefined || host === undefined) {
      this.failWithoutHost();
      return;
    }
    this.cluster = cluster;
    info.startNextUpstreamAttempt();
    const headers = stream.requestHeaders;
    if (action.includeAttemptCountInRequest) headers.setKnown(ID_ATTEMPT_COUNT, String(this.attemptCount));
    if (action.policies.tellTimeoutRetry) headers.setKnown(ID_TIMEOUT_RETRY, String(this.retryAfterTimeout));
    const elapsed = this.requestComplete ? Math.floor(config.clock.now() - this.requestCompleteAt) : 0;
    tellTimeouts(headers, this.timeouts, elapsed, config.suppressEnvoyHeaders);
    const { copy, trailers, requestComplete } = this;
    const bodiless = copy === undefined && trailers === undefined;
    const next = this.createTry(headers, requestComplete && bodiless);
    if (!bodiless) next.replay(copy?.chunks ?? NO_CHUNKS, requestComplete, trailers);
    this.send(next, host, headers);
  }

  protected failWithoutHost(): void {
    chargeResponse(this, 503, undefined, undefined);
    const details = noHostDetails(this.cluster);
    this.fail(ResponseFlag.NoHealthyUpstream, { ...NO_HEALTHY_UPSTREAM, details });
  }

  /** Whether another try follows one that was reset, or took too long. */
  protected retriesReset(upstream: UpstreamRequest, reason: StreamResetReason, timedOut: boolean): boolean {
    const { retry } = this;
    if (this.responding || retry === undefined || upstream.retried) return false;
    if (!this.accept(retry.onReset(reason, this.requestStarted), timedOut)) return false;
    upstream.host?.stats.rqError.inc();
    this.forget(upstream);
    return true;
  }

  /** The try goes on; so does another, when there may be one. */
  protected hedge(upstream: UpstreamRequest): void {
    const { retry } = this;
    if (this.responding || retry === undefined || upstream.retried) return;
    if (this.accept(retry.onHedgedTimeout(), true)) upstream.retried = true;
  }

  /** Whether another try follows an answer, which is dropped then; `bad`: it would, but may not. */
  protected retriesAnswer(
    retry: RetryState,
    upstream: UpstreamRequest,
    headers: ResponseHeaders,
  ): 'yes' | 'no' | 'bad' {
    const request = this.stream.requestHeaders;
    if (upstream.retried) return retry.wouldRetryHeaders(headers, request) ? 'bad' : 'no';
    const verdict = retry.onHeaders(headers, request);
    if (!this.accept(verdict, false)) return verdict === 'no' ? 'no' : 'bad';
    this.clusterInfo.chargeRetriedResponse(this.completedOnly ? 0 : headers.status);
    this.drop(upstream);
    return 'yes';
  }

  /** Whether a bad answer is dropped, since others may still do better. */
  protected yieldsToOthers(upstream: UpstreamRequest): boolean {
    if (!this.othersMayAnswer) return false;
    this.drop(upstream);
    return true;
  }

  private drop(upstream: UpstreamRequest): void {
    upstream.host?.stats.rqError.inc();
    this.giveUp(upstream);
    this.forget(upstream);
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
  protected get othersMayAnswer(): boolean {
    return this.retryWaits || this.anyAwaitsHeaders;
  }

  protected dropRetries(): void {
    this.retry?.close();
    this.retry = undefined;
    this.retryWaits = false;
    this.copy = undefined;
  }

  /** From here on the response is this try's. */
  protected settleOn(upstream: UpstreamRequest): void {
    this.responding = true;
    this.mayRestart = false;
    this.dropRetries();
    if (this.attemptCount > 1) this.keepOnly(upstream);
  }
}
