import type {
  Cancellable,
  Clock,
  Host,
  HttpPoolCallbacks,
  PoolFailureReason,
  PoolWishes,
  RequestEncoder,
  RequestHeaders,
  ResponseDecoder,
  ResponseHeaders,
  RoutingPriority,
  StreamInfo,
  StreamResetReason,
  Timer,
  Trailers,
  UpstreamConnectionInfo,
} from '@dragoman/core';
import { BodyPieces, NO_CHUNKS } from './body-pieces.ts';
import type { Timeouts } from './timeouts.ts';
import type { TryLog } from './try-log.ts';
import type { TryTally } from './try-tally.ts';
import type { Pools } from './upgrade.ts';

/** Who sent the request upstream, and gets what comes of each try. */
export interface UpstreamRequestOwner {
  readonly info: StreamInfo;
  /** Bytes of the request that may wait for a connection. */
  readonly bufferLimit: number;
  /** The request has come to its end, or ends with its answer: the times of a try run. */
  readonly awaitsAnswer: boolean;
  readonly timeouts: Pick<Timeouts, 'perTryMs' | 'perTryIdleMs'>;
  /** `max_stream_duration` of the cluster, milliseconds; 0: none. */
  readonly maxTryDurationMs: number;
  /** There is a connection: the try begins. */
  onUpstreamReady(upstream: UpstreamRequest, host: Host): void;
  onUpstreamInformational(upstream: UpstreamRequest, headers: ResponseHeaders): void;
  onUpstreamHeaders(upstream: UpstreamRequest, headers: ResponseHeaders, endStream: boolean): void;
  onUpstreamBody(upstream: UpstreamRequest, chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  onUpstreamTrailers(upstream: UpstreamRequest, trailers: Trailers): void;
  onUpstreamPoolFailure(
    upstream: UpstreamRequest,
    reason: PoolFailureReason,
    details: string,
    host: Host | undefined,
  ): void;
  onUpstreamReset(upstream: UpstreamRequest, reason: StreamResetReason, details: string): void;
  /** The request's body may flow (again). */
  onUpstreamWritable(): void;
  onPerTryTimeout(upstream: UpstreamRequest): void;
  onPerTryIdleTimeout(upstream: UpstreamRequest): void;
  onMaxTryDuration(upstream: UpstreamRequest): void;
}

const EMPTY = Buffer.alloc(0);

/** One try of a request at one host: waits for a connection, sends, and passes on what comes back. */
export class UpstreamRequest implements ResponseDecoder, HttpPoolCallbacks {
  /** Known once there is, or cannot be, a connection to it: a host of which nothing was heard is not to blame. */
  host: Host | undefined = undefined;
  private readonly owner: UpstreamRequestOwner;
  private readonly clock: Clock;
  private headers: RequestHeaders;
  private headersEnd: boolean;
  private encoder: RequestEncoder | undefined = undefined;
  private waiting: Cancellable | undefined = undefined;
  /** Body that waits for a connection, copied: what was borrowed is gone by then. */
  private pending: BodyPieces | undefined = undefined;
  private pendingEnd = false;
  private pendingTrailers: Trailers | undefined = undefined;
  /** The body was stopped and `onUpstreamWritable` is due. */
  private stopped = false;
  private connection: UpstreamConnectionInfo | undefined = undefined;
  private readBefore = 0;
  private writtenBefore = 0;
  private requestDone = false;
  private responseDone = false;
  private over = false;
  private perTryTimer: Timer | undefined = undefined;
  private idleTimer: Timer | undefined = undefined;
  private durationTimer: Timer | undefined = undefined;
  /** The next try was begun while this one goes on. */
  retried = false;
  /** No final response headers yet. */
  awaitingHeaders = true;
  /** Undefined unless the router logs what goes upstream. */
  log: TryLog | undefined = undefined;
  /** Undefined unless the cluster tracks sizes and times. */
  tally: TryTally | undefined = undefined;
  /** Whether the host has done its work stands in trailers that are still to come. */
  grpcOutcomeOpen = false;
  /** Whoever watches the host knows that the try took too long. */
  timeoutTold = false;
  /** What the host says of its load was passed on. */
  loadTold = false;

  constructor(owner: UpstreamRequestOwner, clock: Clock, headers: RequestHeaders, endStream: boolean) {
    this.owner = owner;
    this.clock = clock;
    this.headers = headers;
    this.headersEnd = endStream;
  }

  start(pools: Pools, host: Host, priority: RoutingPriority, wishes?: PoolWishes): void {
    const waiting = pools.httpPool(host, priority, wishes).newStream(this, this);
    // A callback may have come already; then there is nothing to wait for.
    if (this.encoder === undefined && !this.over) this.waiting = waiting;
  }

  /** Bytes of both bodies that wait for a connection, or in its codec. */
  get heldBytes(): number {
    return this.over ? 0 : (this.pending?.bytes ?? 0) + (this.encoder?.heldBytes ?? 0);
  }

  // --- The request -----------------------------------------------------------------------------------------------------

  /** Before {@link start}: body that an earlier try was sent too. */
  replay(chunks: readonly Buffer[], end: boolean, trailers: Trailers | undefined): void {
    this.pending = new BodyPieces();
    for (const chunk of chunks) this.pending.addOwned(chunk);
    this.pendingEnd = end && trailers === undefined;
    this.pendingTrailers = trailers;
    this.stopped = !end && this.pending.bytes > this.owner.bufferLimit;
  }

  /** @param owned `chunk` is nobody else's to change, and may be kept in any case */
  body(chunk: Buffer, endStream: boolean, holdable: boolean, owned = false): boolean {
    if (this.over) return true;
    const { encoder } = this;
    if (encoder === undefined) {
      this.pending ??= new BodyPieces();
      if (owned) this.pending.addOwned(chunk);
      else this.pending.add(chunk);
      this.pendingEnd ||= endStream;
      this.stopped = this.pending.bytes > this.owner.bufferLimit;
      return !this.stopped;
    }
    if (endStream) this.markSent();
    this.tally?.sent(chunk.length);
    const mayGoOn = encoder.body(chunk, endStream, holdable);
    // A filter that lets go of several chunks does not heed the stop between them: a later yes does not end it.
    if (!mayGoOn) this.stopped = true;
    return mayGoOn;
  }

  trailers(trailers: Trailers): void {
    if (this.over) return;
    if (this.encoder === undefined) {
      this.pendingTrailers = trailers;
      return;
    }
    this.markSent();
    this.encoder.trailers(trailers);
  }

  /** Downstream has room again. */
  resumeResponse(): void {
    if (!this.over) this.encoder?.resumeBody();
  }

  /** Gives the try up. True when a stream was open upstream. */
  cancel(reason: StreamResetReason): boolean {
    if (this.over) return false;
    this.over = true;
    this.stopTimers();
    this.waiting?.cancel();
    this.waiting = undefined;
    if (this.encoder === undefined || (this.requestDone && this.responseDone)) return false;
    this.encoder.reset(reason);
    return true;
  }

  /** Whether the request's body was stopped for this try, which is over: then it is to flow again. */
  takeStop(): boolean {
    const { stopped } = this;
    this.stopped = false;
    return stopped;
  }

  // --- Times -------------------------------------------------------------------------------------------------------------

  /** The request has come to its end. A try that waits for a connection starts its times when it has one. */
  onRequestComplete(): void {
    if (this.encoder !== undefined) this.startTimers();
  }

  private startTimers(): void {
    const { owner, clock } = this;
    const { perTryMs, perTryIdleMs } = owner.timeouts;
    if (perTryMs > 0) {
      this.perTryTimer = clock.timer(() => {
        this.idleTimer?.disable();
        this.idleTimer = undefined;
        owner.onPerTryTimeout(this);
      });
      this.perTryTimer.enable(perTryMs);
    }
    if (perTryIdleMs > 0) {
      this.idleTimer = clock.timer(() => {
        this.perTryTimer?.disable();
        owner.onPerTryIdleTimeout(this);
      });
      this.idleTimer.enable(perTryIdleMs);
    }
  }

  /** The response is complete, or the try over: it can no longer take too long. */
  stopTimers(): void {
    this.stopTryTimers();
    this.durationTimer?.disable();
  }

  /** The answer to a handshake has come: what follows may take as long as it likes. */
  stopTryTimers(): void {
    this.perTryTimer?.disable();
    this.idleTimer?.disable();
    this.idleTimer = undefined;
  }

  // --- HttpPoolCallbacks -------------------------------------------------------------------------------------------------

  onPoolReady(encoder: RequestEncoder, host: Host, connection: UpstreamConnectionInfo): void {
    this.waiting = undefined;
    if (this.over) {
      encoder.reset('local-reset');
      return;
    }
    this.encoder = encoder;
    this.host = host;
    const { owner } = this;
    owner.onUpstreamReady(this, host);
    const { info } = owner;
    this.connection = connection;
    this.describe(info);
    info.upstreamConnectStart = connection.connectStart;
    info.upstreamConnectComplete = connection.connectComplete;
    info.upstreamHandshakeComplete = connection.handshakeComplete;
    if (owner.awaitsAnswer) this.startTimers();
    if (owner.maxTryDurationMs > 0) {
      this.durationTimer = this.clock.timer(() => owner.onMaxTryDuration(this));
      this.durationTimer.enable(owner.maxTryDurationMs);
    }
    this.log?.onPoolReady(this);
    const now = this.clock.now();
    info.upstreamPoolReady = now;
    info.firstUpstreamTxByteSent = now;
    const { pending, pendingEnd, pendingTrailers } = this;
    const headersEnd = this.headersEnd || (pendingEnd && (pending === undefined || pending.bytes === 0));
    const { bytesRead, bytesWritten } = connection;
    this.readBefore = bytesRead;
    this.writtenBefore = bytesWritten;
    if (headersEnd) this.markSent();
    encoder.headers(this.headers, headersEnd);
    info.upstreamHeaderBytesSent = connection.bytesWritten - bytesWritten;
    if (pending === undefined && pendingTrailers === undefined) return;
    this.sendPending(encoder, headersEnd ? NO_CHUNKS : (pending?.chunks ?? NO_CHUNKS), pendingEnd);
    if (pendingTrailers !== undefined && !this.over) this.trailers(pendingTrailers);
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.waiting = undefined;
    if (this.over) return;
    this.over = true;
    this.awaitingHeaders = false;
    this.host = host;
    this.owner.onUpstreamPoolFailure(this, reason, details, host);
  }

  /** Writes down where this try went: the latest one's place, unless an earlier one's answer is taken. */
  describe(info: StreamInfo): void {
    const { host, connection } = this;
    info.upstreamHost = host;
    if (connection === undefined) return;
    info.upstreamConnectionId = connection.id;
    info.upstreamProtocol = connection.protocol;
    info.upstreamLocalAddress = connection.localAddress;
    info.upstreamRemoteAddress = connection.remoteAddress;
    info.upstreamTls = connection.tls;
  }

  /** {@link describe} for a try whose answer is taken although it is not the latest: that one counts among the earlier ones then. */
  takePlace(info: StreamInfo): void {
    const { upstreamHost, upstreamConnectionId } = info;
    this.describe(info);
    const { earlierUpstreamHosts: hosts, earlierUpstreamConnectionIds: ids } = info;
    if (upstreamHost !== undefined) replace(hosts, info.upstreamHost, upstreamHost);
    replace(ids, info.upstreamConnectionId, upstreamConnectionId);
  }

  // --- ResponseDecoder -----------------------------------------------------------------------------------------------------

  onInformational(headers: ResponseHeaders): void {
    if (!this.over) this.owner.onUpstreamInformational(this, headers);
  }

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.over) return;
    this.awaitingHeaders = false;
    this.touch();
    const { info } = this.owner;
    info.firstUpstreamRxByteReceived = this.clock.now();
    info.upstreamHeaderBytesReceived = this.encoder?.responseHeadBytes ?? 0;
    if (endStream) this.markReceived();
    this.owner.onUpstreamHeaders(this, headers, endStream);
  }

  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.over) return true;
    this.touch();
    if (endStream) this.markReceived();
    return this.owner.onUpstreamBody(this, chunk, endStream, holdable);
  }

  onTrailers(trailers: Trailers): void {
    if (this.over) return;
    this.markReceived();
    this.owner.onUpstreamTrailers(this, trailers);
  }

  onReset(reason: StreamResetReason, details: string): void {
    if (this.over) return;
    this.over = true;
    this.awaitingHeaders = false;
    this.stopTimers();
    this.owner.onUpstreamReset(this, reason, details);
  }

  onWritable(): void {
    if (this.over || !this.stopped) return;
    this.stopped = false;
    this.owner.onUpstreamWritable();
  }

  // --- Inside ------------------------------------------------------------------------------------------------------------

  private sendPending(encoder: RequestEncoder, pending: readonly Buffer[], end: boolean): void {
    this.pending = undefined;
    const wasStopped = this.stopped;
    this.stopped = false;
    for (let i = 0; i < pending.length && !this.over; i++) {
      const last = end && i === pending.length - 1;
      if (last) this.markSent();
      const chunk = pending[i] ?? EMPTY;
      this.tally?.sent(chunk.length);
      if (!encoder.body(chunk, last, true)) this.stopped = true;
    }
    if (wasStopped && !this.stopped && !this.over) this.owner.onUpstreamWritable();
  }

  /** What this try has moved over its connection so far. Called when the stream is over, for whatever reason. */
  countBytes(info: StreamInfo = this.owner.info): void {
    const { connection } = this;
    if (connection === undefined) return;
    info.upstreamWireBytesReceived = connection.bytesRead - this.readBefore;
    info.upstreamWireBytesSent = connection.bytesWritten - this.writtenBefore;
  }

  private touch(): void {
    if (this.idleTimer !== undefined) this.idleTimer.enable(this.owner.timeouts.perTryIdleMs);
  }

  private markSent(): void {
    this.requestDone = true;
    this.owner.info.lastUpstreamTxByteSent = this.clock.now();
  }

  private markReceived(): void {
    this.responseDone = true;
    this.owner.info.lastUpstreamRxByteReceived = this.clock.now();
  }
}

function replace<T>(list: T[] | undefined, old: T | undefined, by: T): void {
  const index = list?.indexOf(old as T) ?? -1;
  if (list !== undefined && index >= 0) list[index] = by;
}
