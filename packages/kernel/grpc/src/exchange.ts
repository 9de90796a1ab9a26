import {
  type Cluster,
  type GrpcCallStatus,
  type HeaderMap,
  type Host,
  type PoolFailureReason,
  type PoolWishes,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseHeaders,
  StreamInfo,
  type StreamResetReason,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { grpcStatusFromHttp, GrpcStatus, readGrpcStatus } from '@dragoman/grpc-frames';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { CallState } from './call-state.ts';
import { chargeOutcome, chargeResponseTime, chargeTimeout } from './charging.ts';
import {
  DEADLINE,
  DEADLINE_HTTP_STATUS,
  httpStatusOfReset,
  MAINTENANCE,
  maxDuration,
  NO_CLUSTER,
  NO_HOST,
  resetReasonOf,
  statusOfPoolFailure,
  statusOfReset,
} from './failures.ts';
import { encodingOf } from './inbox.ts';
import { requestHeaders, tellTimeout } from './request-headers.ts';
import { Retries } from './retries.ts';
import { startSpan } from './spans.ts';
import { remoteStatus, statusOfTrailers } from './status.ts';

const ID_GRPC_STATUS = wellKnownId('grpc-status');
const EMPTY = Buffer.alloc(0);

/** The way of one call: finds a host, sends messages, reads messages, tries again where its policy says so. */
export abstract class Exchange extends CallState implements AttemptOwner {
  /** The upstream begins to answer. */
  protected abstract onInitialMetadata(headers: ResponseHeaders): void;
  /** The upstream has ended its answer. May wait with {@link finish} until all of it is handed over. */
  protected abstract onRemoteEnd(status: GrpcCallStatus, trailers: HeaderMap | undefined): void;
  /** There may be room for more messages. */
  protected abstract onDrained(): void;

  // --- Begin -------------------------------------------------------------------------------------------------------------

  /** @param timeoutMs 0: none */
  protected open(timeoutMs: number): void {
    const { core, options } = this;
    const { settings, clock } = core;
    settings.stats?.streamsTotal.inc();
    if (options.parentSpan !== undefined) this.span = startSpan(options.parentSpan, core, this.path);
    const cluster = core.clusters.get(settings.clusterName);
    if (cluster === undefined) {
      this.finish(NO_CLUSTER, undefined);
      return;
    }
    this.clusterNow = cluster;
    const { info } = cluster;
    core.rqTotal.inc();
    this.requestHeaders = requestHeaders(core, this.path, options, timeoutMs, info.secure, this.span);
    if (info.maintenanceMode) {
      info.stats.upstreamRqMaintenanceMode.inc();
      info.requestsDropped?.inc();
      this.charge(503, undefined, undefined);
      this.finish(MAINTENANCE, undefined);
      return;
    }
    const policy = options.retry ?? settings.retry;
    if (policy !== undefined && policy.on !== 0)
      this.retries = new Retries(core, info, policy, () => this.onRetryDue());
    else this.outbox.stopKeeping();
    const host = cluster.chooseHost(this);
    if (host === undefined) {
      this.failWithoutHost();
      return;
    }
    if (timeoutMs > 0) {
      this.deadline = clock.now() + timeoutMs;
      this.timer = clock.timer(() => this.onDeadline());
      this.timer.enable(timeoutMs);
    }
    this.sendTo(cluster, host);
  }

  private sendTo(cluster: Cluster, host: Host): void {
    const attempt = new Attempt(this);
    this.attempt = attempt;
    attempt.start(cluster.httpPool(host, 'default', this.wishesOf(cluster)));
  }

  /** What the cluster makes of the call for its transport, e.g. SNI from the authority. */
  private wishesOf({ info }: Cluster): PoolWishes | undefined {
    if (info.transportOptions === undefined) return undefined;
    const { connection, clock } = this.core;
    const own = new StreamInfo(connection, clock.wallTime(), clock.now());
    return { transport: info.transportOptions(this.requestHeaders, own) };
  }

  private failWithoutHost(): void {
    this.charge(503, undefined, undefined);
    this.finish(NO_HOST, undefined);
  }

  // --- Sending -----------------------------------------------------------------------------------------------------------

  /** Sends what waits, as far as the connection takes it. */
  protected flush(): void {
    const { attempt, outbox } = this;
    const encoder = attempt?.encoder;
    if (attempt === undefined || encoder === undefined) return;
    while (!attempt.blocked && !this.over && attempt === this.attempt) {
      const frame = outbox.take();
      const last = outbox.takeEnd();
      if (frame === undefined && !last) return;
      if (last) attempt.sent = true;
      this.bytesSent += frame?.length ?? 0;
      if (encoder.body(frame ?? EMPTY, last, true) || last) continue;
      attempt.blocked = true;
      this.cluster?.stats.upstreamFlowControlBackedUpTotal.inc();
    }
  }

  // --- AttemptOwner: the pool --------------------------------------------------------------------------------------------

  onAttemptReady(encoder: RequestEncoder, host: Host): void {
    this.host = host;
    this.started = true;
    this.retries?.onHostAttempted(host);
    const maxMs = this.cluster?.maxStreamDurationMs ?? 0;
    if (maxMs > 0) {
      this.durationTimer ??= this.core.clock.timer(() => this.onMaxDuration());
      this.durationTimer.enable(maxMs);
    }
    encoder.headers(this.headersOfTry(), false);
    this.flush();
    if (!this.over) this.onDrained();
  }

  /** A codec may change what it is given: with retries each try has its own. */
  private headersOfTry(): RequestHeaders {
    const headers = this.requestHeaders as RequestHeaders;
    if (this.retries === undefined) return headers;
    const own = headers.clone();
    if (this.retried && this.deadline > 0)
      tellTimeout(own, Math.max(1, this.deadline - this.core.clock.now()));
    return own;
  }

  onAttemptFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    if (host !== undefined) {
      this.host = host;
      if (reason !== 'overflow') {
        host.stats.rqError.inc();
        this.retries?.onHostAttempted(host);
      }
    }
    const reset = resetReasonOf(reason);
    if (this.triesAgain(reset)) return;
    if (reason === 'overflow') this.cluster?.requestsDropped?.inc();
    this.charge(httpStatusOfReset(reset), undefined, reason === 'overflow' ? undefined : host);
    this.finish(statusOfPoolFailure(reason, details, this.retried), undefined);
  }

  onAttemptWritable(): void {
    this.cluster?.stats.upstreamFlowControlDrainedTotal.inc();
    this.flush();
    if (!this.over) this.onDrained();
  }

  // --- AttemptOwner: the answer ------------------------------------------------------------------------------------------

  onAttemptHeaders(attempt: Attempt, headers: ResponseHeaders, endStream: boolean): void {
    if (this.outbox.replayable && this.retries?.retriesAnswer(headers) === true) {
      this.cluster?.chargeRetriedResponse(headers.status);
      attempt.host?.stats.rqError.inc();
      this.dropAttempt();
      return;
    }
    this.settle();
    this.responseHeaders = headers;
    const { status } = headers;
    this.charge(status, headers, attempt.host);
    if (status < 500 && !endStream) attempt.outcomeOpen = true;
    else chargeOutcome(attempt, status < 500 ? headers : undefined);
    if (endStream) this.endAnswer(attempt, headers, statusOfHeaders(headers));
    else if (status !== 200) this.finish(statusOfHttp(status), undefined);
    else {
      this.inbox.encoding = encodingOf(headers.get('grpc-encoding'));
      this.onInitialMetadata(headers);
    }
  }

  onAttemptBody(attempt: Attempt, chunk: Buffer, endStream: boolean): void {
    this.bytesReceived += chunk.length;
    this.inbox.take(chunk);
    if (!endStream || this.over) return;
    // gRPC ends in trailers.
    this.endAnswer(attempt, undefined, remoteStatus(GrpcStatus.UNKNOWN, 'the answer has no trailers'));
  }

  onAttemptTrailers(attempt: Attempt, trailers: Trailers): void {
    this.endAnswer(attempt, trailers, statusOfTrailers(trailers));
  }

  private endAnswer(attempt: Attempt, trailers: HeaderMap | undefined, status: GrpcCallStatus): void {
    if (attempt.outcomeOpen) chargeOutcome(attempt, trailers);
    // How long the receiver takes from here on is its own affair.
    this.timer?.disable();
    this.durationTimer?.disable();
    const { cluster } = this;
    if (this.completeAt > 0 && cluster !== undefined) {
      const ms = this.core.clock.now() - this.completeAt;
      chargeResponseTime(cluster, ms, this.internal, this.responseHeaders, attempt.host);
    }
    this.giveUpAttempt();
    this.onRemoteEnd(status, trailers);
  }

  onAttemptReset(attempt: Attempt, reason: StreamResetReason, details: string): void {
    this.cluster?.stats.upstreamRqRxReset.inc();
    const { responding } = this;
    if (!responding) {
      attempt.host?.stats.rqError.inc();
      if (this.triesAgain(reason)) return;
      this.charge(httpStatusOfReset(reason), undefined, attempt.host);
    } else if (attempt.outcomeOpen) {
      chargeOutcome(attempt, undefined);
      this.core.rqResetAfterResponseStarted.inc();
    }
    this.finish(statusOfReset(reason, details, this.retried, responding), undefined);
  }

  // --- Retries -----------------------------------------------------------------------------------------------------------

  private triesAgain(reason: StreamResetReason): boolean {
    if (this.responding || this.retries === undefined || !this.outbox.replayable) return false;
    if (!this.retries.retriesReset(reason, this.started)) return false;
    this.dropAttempt();
    return true;
  }

  /** Another try follows this one. */
  private dropAttempt(): void {
    this.durationTimer?.disable();
    this.giveUpAttempt();
    this.outbox.rewind();
  }

  private onRetryDue(): void {
    const { core, retries } = this;
    if (this.over || retries === undefined) return;
    this.retried = true;
    // The cluster may be another one by now, or gone.
    const cluster = core.clusters.get(core.settings.clusterName);
    const host = cluster?.chooseHost(retries.choice(this));
    if (cluster === undefined || host === undefined) {
      this.failWithoutHost();
      return;
    }
    this.clusterNow = cluster;
    this.sendTo(cluster, host);
  }

  private settle(): void {
    this.responding = true;
    this.retries?.close();
    this.retries = undefined;
    this.outbox.stopKeeping();
  }

  // --- Times -------------------------------------------------------------------------------------------------------------

  private onDeadline(): void {
    const { attempt, cluster } = this;
    // While it waits for its next try, nobody is late.
    if (attempt !== undefined && cluster !== undefined) {
      chargeTimeout(cluster, attempt.host);
      if (!this.responding) {
        attempt.host?.stats.rqError.inc();
        this.charge(DEADLINE_HTTP_STATUS, undefined, attempt.host);
      }
    }
    this.finish(DEADLINE, undefined);
  }

  private onMaxDuration(): void {
    this.cluster?.stats.upstreamRqMaxDurationReached.inc();
    if (this.triesAgain('local-reset')) return;
    this.finish(maxDuration(this.completeAt > 0, this.responding), undefined);
  }
}

/** Of an answer without a body: its own status where it has one, else that of HTTP. */
function statusOfHeaders(headers: ResponseHeaders): GrpcCallStatus {
  if (headers.status === 200 || readGrpcStatus(headers.getKnown(ID_GRPC_STATUS)) !== undefined)
    return statusOfTrailers(headers);
  return statusOfHttp(headers.status);
}

function statusOfHttp(httpStatus: number): GrpcCallStatus {
  return remoteStatus(grpcStatusFromHttp(httpStatus), `HTTP status ${httpStatus}`);
}
