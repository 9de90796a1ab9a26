import type {
  ClientCodec,
  ClientCodecHandler,
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  HttpPoolCallbacks,
  PoolFailureReason,
  ResponseDecoder,
  Timer,
  TransportOptions,
} from '@dragoman/core';
import type { ConnectAhead } from './connect-ahead.ts';
import {
  connectFailureReason,
  countClosed,
  countConnectFailure,
  countOpened,
  countRequest,
  giveRequestBack,
} from './connection-accounting.ts';
import { ConnectionFacts } from './connection-facts.ts';
import type { UpstreamHost } from '../hosts/host.ts';
import type { PoolContext } from './pool-options.ts';

const CONNECTING = 0;
const IDLE = 1;
const BUSY = 2;
/** The exchange is complete, but the bytes in hand have not all been looked at. */
const COMPLETE = 3;
const CLOSED = 4;

/** The pool of an {@link Http1Client}. */
export interface Http1Owner {
  readonly host: UpstreamHost;
  readonly context: PoolContext;
  readonly transport: TransportOptions;
  readonly ahead: ConnectAhead | undefined;
  onConnected(): void;
  /** A connection can take a request. */
  onIdle(client: Http1Client): void;
  /** An idle connection is no longer to be had. */
  removeIdle(client: Http1Client): void;
  onConnectFailure(client: Http1Client, reason: PoolFailureReason, details: string): void;
  /** A connection that was up is gone. */
  onClosed(client: Http1Client): void;
  /** Its resources are back. */
  afterClose(): void;
}

/** One HTTP/1.1 connection of a pool: one request at a time. */
export class Http1Client implements ConnectHandler, ClientCodecHandler {
  private readonly pool: Http1Owner;
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

  constructor(pool: Http1Owner) {
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
    const { context, host, transport } = this.pool;
    countOpened(context, host);
    this.openedAt = context.clock.now();
    this.take(context.connector.connect(context.connectOptions(host, transport), this));
    this.timer.enable(context.connectTimeoutMs);
  }

  /** Goes on with a connection that is up, and was opened at `openedAt`. */
  adopt(connection: Connection, openedAt: number): void {
    this.openedAt = openedAt;
    this.take(connection);
    connection.setHandler(this);
    this.onConnected();
  }

  private take(connection: Connection): void {
    const { context } = this.pool;
    const { facts } = this;
    context.stats.upstreamCxHttp1Total.inc();
    this.connection = connection;
    this.codec = context.createCodec(connection, this, context.http.codec);
    facts.connectStart = this.openedAt;
    facts.connection = connection;
    facts.id = connection.info.id;
    facts.protocol = this.codec.protocol;
  }

  onConnected(): void {
    const { pool } = this;
    const { clock, http, stats } = pool.context;
    this.timer.disable();
    this.state = IDLE;
    const now = clock.now();
    this.facts.onConnected(now);
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
    this.timer.disable();
    this.state = BUSY;
    countRequest(context, host, this.pool.ahead);
    if (--this.remaining === 0) {
      context.stats.upstreamCxMaxRequests.inc();
      this.retiring = true;
    }
    callbacks.onPoolReady(this.codec.newStream(decoder), host, facts);
    // Times of connecting belong to the request that waited for them.
    if (facts.connectStart !== 0) facts.forgetTimes();
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
    if (state === BUSY) giveRequestBack(context, host, this.pool.ahead);
    if (state === CONNECTING) {
      countConnectFailure(context, host, reason);
      pool.onConnectFailure(this, connectFailureReason(ending, this.timedOut), reason);
    } else {
      pool.onClosed(this);
    }
    this.codec.onConnectionClosed(ending, reason);
    pool.afterClose();
  }

  // --- Codec events ------------------------------------------------------------------------------------------------

  onStreamComplete(reusable: boolean): void {
    if (this.state !== BUSY) return;
    giveRequestBack(this.pool.context, this.pool.host, this.pool.ahead);
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
