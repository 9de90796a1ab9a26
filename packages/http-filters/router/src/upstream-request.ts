import type {
  Cancellable,
  Clock,
  Host,
  HttpPoolCallbacks,
  PoolFailureReason,
  RequestEncoder,
  RequestHeaders,
  ResponseDecoder,
  ResponseHeaders,
  RoutingPriority,
  StreamInfo,
  StreamResetReason,
  Trailers,
  UpstreamConnectionInfo,
} from '@dragoman/core';
import type { Pools } from './upgrade.ts';

/** Who sent the request upstream, and gets what comes of it. */
export interface UpstreamRequestOwner {
  readonly info: StreamInfo;
  /** Bytes of the request that may wait for a connection. */
  readonly bufferLimit: number;
  /** There is a connection: the try begins. */
  onUpstreamReady(): void;
  onUpstreamInformational(headers: ResponseHeaders): void;
  onUpstreamHeaders(headers: ResponseHeaders, endStream: boolean): void;
  onUpstreamBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  onUpstreamTrailers(trailers: Trailers): void;
  onUpstreamPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void;
  onUpstreamReset(reason: StreamResetReason, details: string): void;
  /** The request's body may flow (again). */
  onUpstreamWritable(): void;
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
  private pending: Buffer[] | undefined = undefined;
  private pendingBytes = 0;
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

  constructor(owner: UpstreamRequestOwner, clock: Clock, headers: RequestHeaders, endStream: boolean) {
    this.owner = owner;
    this.clock = clock;
    this.headers = headers;
    this.headersEnd = endStream;
  }

  start(pools: Pools, host: Host, priority: RoutingPriority): void {
    const waiting = pools.httpPool(host, priority).newStream(this, this);
    // A callback may have come already; then there is nothing to wait for.
    if (this.encoder === undefined && !this.over) this.waiting = waiting;
  }

  // --- The request -----------------------------------------------------------------------------------------------------

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.over) return true;
    const { encoder } = this;
    if (encoder === undefined) {
      this.pending ??= [];
      if (chunk.length > 0) this.pending.push(Buffer.from(chunk));
      this.pendingBytes += chunk.length;
      this.pendingEnd ||= endStream;
      this.stopped = this.pendingBytes > this.owner.bufferLimit;
      return !this.stopped;
    }
    if (endStream) this.markSent();
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
    this.waiting?.cancel();
    this.waiting = undefined;
    if (this.encoder === undefined || (this.requestDone && this.responseDone)) return false;
    this.encoder.reset(reason);
    return true;
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
    this.owner.onUpstreamReady();
    const { info } = this.owner;
    info.upstreamHost = host;
    info.upstreamConnectionId = connection.id;
    info.upstreamProtocol = connection.protocol;
    info.upstreamLocalAddress = connection.localAddress;
    info.upstreamRemoteAddress = connection.remoteAddress;
    info.upstreamConnectStart = connection.connectStart;
    info.upstreamConnectComplete = connection.connectComplete;
    info.upstreamHandshakeComplete = connection.handshakeComplete;
    const now = this.clock.now();
    info.upstreamPoolReady = now;
    info.firstUpstreamTxByteSent = now;
    const { pending, pendingEnd, pendingTrailers } = this;
    const headersEnd = this.headersEnd || (pendingEnd && this.pendingBytes === 0);
    const { bytesRead, bytesWritten } = connection;
    this.connection = connection;
    this.readBefore = bytesRead;
    this.writtenBefore = bytesWritten;
    if (headersEnd) this.markSent();
    encoder.headers(this.headers, headersEnd);
    info.upstreamHeaderBytesSent = connection.bytesWritten - bytesWritten;
    if (pending === undefined && pendingTrailers === undefined) return;
    this.sendPending(encoder, headersEnd ? [] : (pending ?? []), pendingEnd);
    if (pendingTrailers !== undefined && !this.over) this.trailers(pendingTrailers);
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.waiting = undefined;
    if (this.over) return;
    this.over = true;
    this.host = host;
    this.owner.onUpstreamPoolFailure(reason, details, host);
  }

  // --- ResponseDecoder -----------------------------------------------------------------------------------------------------

  onInformational(headers: ResponseHeaders): void {
    if (!this.over) this.owner.onUpstreamInformational(headers);
  }

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.over) return;
    const { info } = this.owner;
    info.firstUpstreamRxByteReceived = this.clock.now();
    info.upstreamHeaderBytesReceived = this.encoder?.responseHeadBytes ?? 0;
    if (endStream) this.markReceived();
    this.owner.onUpstreamHeaders(headers, endStream);
  }

  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.over) return true;
    if (endStream) this.markReceived();
    return this.owner.onUpstreamBody(chunk, endStream, holdable);
  }

  onTrailers(trailers: Trailers): void {
    if (this.over) return;
    this.markReceived();
    this.owner.onUpstreamTrailers(trailers);
  }

  onReset(reason: StreamResetReason, details: string): void {
    if (this.over) return;
    this.over = true;
    this.owner.onUpstreamReset(reason, details);
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
      if (!encoder.body(pending[i] ?? EMPTY, last, true)) this.stopped = true;
    }
    if (wasStopped && !this.stopped && !this.over) this.owner.onUpstreamWritable();
  }

  /** What this try has moved over its connection so far. Called when the stream is over, for whatever reason. */
  countBytes(): void {
    const { connection } = this;
    if (connection === undefined) return;
    const { info } = this.owner;
    info.upstreamWireBytesReceived = connection.bytesRead - this.readBefore;
    info.upstreamWireBytesSent = connection.bytesWritten - this.writtenBefore;
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
