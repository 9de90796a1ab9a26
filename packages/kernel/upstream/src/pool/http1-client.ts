import type {
  Address,
  ClientCodec,
  ClientCodecHandler,
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  HttpPoolCallbacks,
  Protocol,
  ResponseDecoder,
  Timer,
  TlsInfo,
  UpstreamConnectionInfo,
} from '@dragoman/core';
import { countClosed, countConnectFailure, countOpened } from './connection-accounting.ts';
import type { Http1Pool } from './http1-pool.ts';

const CONNECTING = 0;
const IDLE = 1;
const BUSY = 2;
/** The exchange is complete, but the bytes in hand have not all been looked at. */
const COMPLETE = 3;
const CLOSED = 4;

class ConnectionFacts implements UpstreamConnectionInfo {
  id = 0;
  protocol: Protocol | undefined = undefined;
  localAddress: Address | undefined = undefined;
  readonly remoteAddress: Address;
  connectStart = 0;
  connectComplete = 0;
  handshakeComplete = 0;
  connection!: Connection;

  constructor(remoteAddress: Address) {
    this.remoteAddress = remoteAddress;
  }

  get tls(): TlsInfo | undefined {
    return this.connection.info.tls;
  }

  get bytesRead(): number {
    return this.connection.bytesRead;
  }

  get bytesWritten(): number {
    return this.connection.bytesWritten;
  }
}

/** One HTTP/1.1 connection of a pool: one request at a time. */
export class Http1Client implements ConnectHandler, ClientCodecHandler {
  private readonly pool: Http1Pool;
  private readonly facts: ConnectionFacts;
  private connection!: Connection;
  private codec!: ClientCodec;
  private state: number = CONNECTING;
  /** Requests it may still carry. */
  private remaining: number;
  /** No further request: limit or age reached. */
  private retiring = false;
  private reusable = false;
  private dispatching = false;
  private timedOut = false;
  private peerEnded = false;
  private openedAt = 0;
  private txBuffered = 0;
  /** Of the state in hand: connecting, or idle. */
  private readonly timer: Timer;
  private durationTimer: Timer | undefined = undefined;

  constructor(pool: Http1Pool) {
    this.pool = pool;
    this.facts = new ConnectionFacts(pool.host.address);
    const limit = pool.context.http.maxRequestsPerConnection;
    this.remaining = limit === 0 ? Number.POSITIVE_INFINITY : limit;
    this.timer = pool.context.clock.timer(() => this.onTimer());
  }

  get isIdle(): boolean {
    return this.state === IDLE;
  }

  // --- Life --------------------------------------------------------------------------------------------------------

  connect(): void {
    const { pool } = this;
    const { context, host } = pool;
    countOpened(context, host);
    context.stats.upstreamCxHttp1Total.inc();
    this.openedAt = context.clock.now();
    this.facts.connectStart = this.openedAt;
    this.connection = context.connector.connect(context.connectOptions(host.address), this);
    this.codec = context.createCodec(this.connection, this, context.http.codec);
    this.facts.connection = this.connection;
    this.facts.id = this.connection.info.id;
    this.facts.protocol = this.codec.protocol;
    this.timer.enable(context.connectTimeoutMs);
  }

  onConnected(): void {
    const { pool, facts } = this;
    const { clock, http, stats } = pool.context;
    this.timer.disable();
    this.state = IDLE;
    const now = clock.now();
    facts.connectComplete = now;
    facts.handshakeComplete = this.connection.info.handshakeComplete;
    facts.localAddress = this.connection.info.localAddress;
    stats.upstreamCxConnectMs.record(now - this.openedAt);
    if (http.maxConnectionDurationMs > 0) {
      this.durationTimer = clock.timer(() => this.onTooOld());
      this.durationTimer.enable(http.maxConnectionDurationMs);
    }
    pool.onConnected();
    pool.onIdle(this);
  }

  /** Carries a request. Only when idle, and when the circuit breaker has room. */
  start(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): void {
    const { facts } = this;
    const { host, context } = this.pool;
    const { stats } = context;
    this.timer.disable();
    this.state = BUSY;
    stats.upstreamRqTotal.inc();
    stats.upstreamRqActive.inc();
    host.stats.rqTotal.inc();
    host.stats.rqActive.inc();
    host.activeRequests++;
    context.resources.requests.take();
    if (--this.remaining === 0) {
      stats.upstreamCxMaxRequests.inc();
      this.retiring = true;
    }
    callbacks.onPoolReady(this.codec.newStream(decoder), host, facts);
    // Times of connecting belong to the request that waited for them.
    if (facts.connectStart !== 0) {
      facts.connectStart = 0;
      facts.connectComplete = 0;
      facts.handshakeComplete = 0;
    }
  }

  startIdleTimeout(): void {
    const { idleTimeoutMs } = this.pool.context.http;
    if (idleTimeoutMs > 0) this.timer.enable(idleTimeoutMs);
  }

  closeIfConnecting(): void {
    if (this.state === CONNECTING) this.closeNow('');
  }

  closeNow(details: string): void {
    if (this.state === IDLE) this.pool.removeIdle(this);
    // Not CLOSED yet: that is for onClose, which gives everything back.
    if (this.state === IDLE) this.state = COMPLETE;
    this.timer.disable();
    this.connection.close('now', details);
  }

  private onTimer(): void {
    const { stats } = this.pool.context;
    if (this.state === CONNECTING) {
      stats.upstreamCxConnectTimeout.inc();
      this.timedOut = true;
      this.closeNow('');
    } else if (this.state === IDLE) {
      stats.upstreamCxIdleTimeout.inc();
      this.closeNow('');
    }
  }

  private onTooOld(): void {
    if (this.state === CLOSED) return;
    this.pool.context.stats.upstreamCxMaxDurationReached.inc();
    this.retiring = true;
    if (this.state === IDLE) this.closeNow('');
  }

  // --- Connection events -------------------------------------------------------------------------------------------

  onData(data: Buffer): void {
    this.dispatching = true;
    this.codec.dispatch(data);
    this.dispatching = false;
    this.sampleBuffered();
    // Only now: bytes behind the response would otherwise be taken for the next one's answer.
    if (this.state === COMPLETE) this.finish();
  }

  onEnd(): void {
    this.peerEnded = true;
    if (this.state === BUSY) {
      this.dispatching = true;
      this.codec.onPeerEnd();
      this.dispatching = false;
      // A response whose receiver is slow may still be on its way through the codec: then its completion closes.
      if (this.state === BUSY && this.codec.activeStreams > 0) return;
    }
    this.closeNow('');
  }

  onWritable(): void {
    this.codec.onWritable();
    this.sampleBuffered();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    const { state, pool } = this;
    if (state === CLOSED) return;
    const { context, host } = pool;
    const ending = this.peerEnded ? 'remote' : kind;
    this.state = CLOSED;
    this.timer.disable();
    this.durationTimer?.disable();
    this.showBuffered(0);
    const now = context.clock.now();
    countClosed(context, host, ending, state === BUSY, now - this.openedAt);
    if (state === BUSY) this.giveRequestBack();
    if (state === CONNECTING) {
      countConnectFailure(context, host, reason);
      pool.onConnectFailure(this, this.failureReason(ending), reason);
    } else {
      pool.onClosed(this);
    }
    this.codec.onConnectionClosed(ending, reason);
    pool.afterClose();
  }

  private failureReason(kind: ConnectionCloseKind) {
    if (this.timedOut) return 'timeout';
    return kind === 'local' ? 'local-connection-failure' : 'remote-connection-failure';
  }

  // --- Codec events ------------------------------------------------------------------------------------------------

  onStreamComplete(reusable: boolean): void {
    if (this.state !== BUSY) return;
    this.giveRequestBack();
    this.state = COMPLETE;
    this.reusable = reusable;
    if (!this.dispatching) this.finish();
  }

  onProtocolError(details: string): void {
    if (!this.connection.open) return;
    this.pool.context.stats.upstreamCxProtocolError.inc();
    this.reusable = false;
    this.closeNow(details);
  }

  /** After an exchange: the connection serves the next one, or ends. */
  private finish(): void {
    const { pool } = this;
    if (!this.connection.open) return;
    if (!this.reusable) {
      pool.context.stats.upstreamCxCloseNotify.inc();
      this.closeNow('');
    } else if (this.retiring) {
      this.closeNow('');
    } else {
      this.state = IDLE;
      pool.onIdle(this);
    }
  }

  private giveRequestBack(): void {
    const { host, context } = this.pool;
    context.stats.upstreamRqActive.dec();
    host.stats.rqActive.dec();
    host.activeRequests--;
    context.resources.requests.give();
  }

  // --- Bytes that wait ---------------------------------------------------------------------------------------------

  private sampleBuffered(): void {
    const buffered = this.state === CLOSED ? 0 : this.connection.bufferedBytes;
    if (buffered !== this.txBuffered) this.showBuffered(buffered);
  }

  private showBuffered(bytes: number): void {
    this.pool.context.stats.upstreamCxTxBytesBuffered.add(bytes - this.txBuffered);
    this.txBuffered = bytes;
  }
}
