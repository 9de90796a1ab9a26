import type {
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  HttpPoolCallbacks,
  PoolFailureReason,
  RequestEncoder,
  ResponseDecoder,
  StreamResetReason,
  Timer,
  TransportOptions,
} from '@dragoman/core';
import type { Http2ClientCodec, Http2ClientHandler } from '@dragoman/http2';
import type { UpstreamHost } from '../hosts/host.ts';
import type { ConnectAhead } from './connect-ahead.ts';
import {
  connectFailureReason,
  countClosed,
  countConnectFailure,
  countOpened,
  countRequest,
  giveRequestBack,
} from './connection-accounting.ts';
import { ConnectionFacts, StreamFacts } from './connection-facts.ts';
import type { PoolContext } from './pool-options.ts';

/** The pool of an {@link Http2Client}. */
export interface Http2Owner {
  readonly host: UpstreamHost;
  readonly context: PoolContext;
  readonly transport: TransportOptions;
  readonly ahead: ConnectAhead | undefined;
  /** The peer has said how many streams there may be: no longer on its way. */
  onUp(client: Http2Client, limit: number): void;
  /** It may have become able to take more streams. */
  onCapacity(client: Http2Client): void;
  /** It has become able to take fewer. */
  onTaken(client: Http2Client): void;
  onConnectFailure(client: Http2Client, reason: PoolFailureReason, details: string): void;
  /** The connection was there, and ended before the peer had said that it speaks HTTP/2. */
  onNeverUp(client: Http2Client, reason: StreamResetReason, details: string): void;
  /** A connection that was up is gone. */
  onClosed(client: Http2Client): void;
  /** Its resources are back. */
  afterClose(): void;
}

const CONNECTING = 0;
/** Connected; the peer's SETTINGS have not come. */
const OPENING = 1;
const UP = 2;
const CLOSED = 3;

/** One HTTP/2 connection of a pool: as many streams as the peer lets. */
export class Http2Client implements ConnectHandler, Http2ClientHandler {
  private readonly pool: Http2Owner;
  private readonly facts: ConnectionFacts;
  private connection!: Connection;
  private codec: Http2ClientCodec | undefined = undefined;
  private state: number = CONNECTING;
  private active = 0;
  /** Streams that the peer takes at a time. */
  private limit = 0;
  /** Streams it may still carry. */
  private remaining: number;
  /** No further stream: limit or age reached, the peer leaves, the host was removed. */
  private retiring = false;
  private timedOut = false;
  private peerEnded = false;
  private failure: string | undefined = undefined;
  private openedAt = 0;
  /** Of the state in hand: connecting, or without streams. */
  private readonly timer: Timer;
  private durationTimer: Timer | undefined = undefined;

  constructor(pool: Http2Owner) {
    this.pool = pool;
    this.facts = new ConnectionFacts(pool.host.address);
    const limit = pool.context.http.maxRequestsPerConnection;
    this.remaining = limit === 0 ? Number.POSITIVE_INFINITY : limit;
    this.timer = pool.context.clock.timer(() => this.onTimer());
  }

  /** Streams that it can take now. */
  get capacity(): number {
    if (this.retiring || this.state !== UP) return 0;
    return Math.max(0, Math.min(this.limit - this.active, this.remaining));
  }

  get isConnecting(): boolean {
    return this.state === CONNECTING || this.state === OPENING;
  }

  get activeStreams(): number {
    return this.active;
  }

  /** The peer takes no stream at all, for now. */
  get starved(): boolean {
    return this.state === UP && this.limit === 0 && !this.retiring;
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
    const { clock, connectTimeoutMs } = this.pool.context;
    this.openedAt = openedAt;
    this.take(connection);
    connection.setHandler(this);
    this.timer.enable(Math.max(1, connectTimeoutMs - (clock.now() - openedAt)));
    this.onConnected();
  }

  private take(connection: Connection): void {
    const { facts } = this;
    this.pool.context.stats.upstreamCxHttp2Total.inc();
    this.connection = connection;
    facts.connectStart = this.openedAt;
    facts.connection = connection;
    facts.id = connection.info.id;
    facts.protocol = 'HTTP/2';
  }

  onConnected(): void {
    const { clock, http, http2, stats } = this.pool.context;
    const { host } = this.pool;
    this.state = OPENING;
    const now = clock.now();
    this.facts.onConnected(now);
    stats.upstreamCxConnectMs.record(now - this.openedAt);
    if (http.maxConnectionDurationMs > 0) {
      this.durationTimer = clock.timer(() => this.onTooOld());
      this.durationTimer.enable(http.maxConnectionDurationMs);
    }
    if (http2 === undefined) throw new Error('this assembly has no HTTP/2');
    host.http2Sessions ??= http2.createSessions();
    this.codec = http2.createCodec(this.connection, this, http2.options, host.http2Sessions);
  }

  /** Carries a stream. Only with {@link capacity}, and when the circuit breaker has room. */
  start(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): void {
    const { context, host } = this.pool;
    if (this.active++ === 0) this.timer.disable();
    countRequest(context, host, this.pool.ahead);
    if (--this.remaining === 0) {
      context.stats.upstreamCxMaxRequests.inc();
      this.retiring = true;
    }
    // Before anything is sent: what comes of it may ask the pool for more.
    this.pool.onTaken(this);
    const encoder = (this.codec as Http2ClientCodec).newStream(decoder);
    callbacks.onPoolReady(encoder, host, new StreamFacts(this.facts, encoder));
  }

  /** Those that waited for the connection have been served: the times of connecting are theirs alone. */
  forgetTimes(): void {
    this.facts.forgetTimes();
  }

  /** A stream that was to be carried, and finds the connection gone. */
  startLost(
    decoder: ResponseDecoder,
    callbacks: HttpPoolCallbacks,
    reason: StreamResetReason,
    details: string,
  ): void {
    const { context, host } = this.pool;
    countRequest(context, host, this.pool.ahead);
    const lost = new LostStream();
    callbacks.onPoolReady(lost, host, new StreamFacts(this.facts, undefined));
    giveRequestBack(context, host, this.pool.ahead);
    if (!lost.over) decoder.onReset(reason, details);
  }

  closeIfConnecting(): void {
    if (this.isConnecting) this.closeNow('');
  }

  closeNow(details: string): void {
    this.timer.disable();
    this.retire();
    this.connection.close('now', details);
  }

  /** Takes no further streams, and ends with the last one. */
  drain(): void {
    this.retire();
    if (this.state === UP && this.active === 0) this.closeNow('');
  }

  private retire(): void {
    if (this.retiring) return;
    this.retiring = true;
    if (this.state === UP) this.pool.onTaken(this);
  }

  private onTimer(): void {
    const { stats } = this.pool.context;
    if (this.isConnecting) {
      stats.upstreamCxConnectTimeout.inc();
      this.timedOut = true;
      this.closeNow('');
    } else if (this.state === UP && this.active === 0) {
      stats.upstreamCxIdleTimeout.inc();
      this.closeNow('');
    }
  }

  private onTooOld(): void {
    if (this.state === CLOSED) return;
    this.pool.context.stats.upstreamCxMaxDurationReached.inc();
    this.drain();
  }

  private startIdleTimeout(): void {
    const { idleTimeoutMs } = this.pool.context.http;
    if (idleTimeoutMs > 0) this.timer.enable(idleTimeoutMs);
  }

  // --- Connection events -------------------------------------------------------------------------------------------

  onData(data: Buffer): void {
    this.codec?.dispatch(data);
  }

  onEnd(): void {
    if (this.codec !== undefined) this.codec.onPeerEnd();
    else this.closeNow('');
  }

  onWritable(): void {
    this.codec?.onWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    const { state, pool } = this;
    if (state === CLOSED) return;
    const { context, host } = pool;
    const ending = this.peerEnded ? 'remote' : kind;
    this.state = CLOSED;
    this.retiring = true;
    this.timer.disable();
    this.durationTimer?.disable();
    const carried = this.active;
    countClosed(context, host, ending, carried > 0, context.clock.now() - this.openedAt);
    for (; this.active > 0; this.active--) giveRequestBack(context, host, this.pool.ahead);
    if (state === CONNECTING || (state === OPENING && this.timedOut)) {
      countConnectFailure(context, host, reason);
      pool.onConnectFailure(this, connectFailureReason(ending, this.timedOut), reason);
    } else if (state === OPENING) {
      const broken = this.failure !== undefined;
      pool.onNeverUp(this, broken ? 'protocol-error' : 'connection-termination', this.failure ?? reason);
    } else pool.onClosed(this);
    this.codec?.onConnectionClosed(ending, reason);
    pool.afterClose();
  }

  // --- Codec events ------------------------------------------------------------------------------------------------

  onPeerLimit(limit: number): void {
    if (this.state === CLOSED || !this.connection.open) return;
    const { http2 } = this.pool.context;
    this.limit = Math.min(limit, http2?.options.maxConcurrentStreams ?? limit);
    if (this.state === OPENING) {
      this.state = UP;
      this.timer.disable();
      this.startIdleTimeout();
      this.pool.onUp(this, this.limit);
      this.forgetTimes();
    } else this.pool.onCapacity(this);
  }

  onGoAway(): void {
    this.pool.context.stats.upstreamCxCloseNotify.inc();
    this.drain();
  }

  onPeerEnd(): void {
    this.peerEnded = true;
    this.retire();
  }

  onStreamComplete(): void {
    if (this.active === 0) return;
    this.active--;
    giveRequestBack(this.pool.context, this.pool.host, this.pool.ahead);
    if (this.state !== UP || !this.connection.open) return;
    if (!this.retiring) this.pool.onCapacity(this);
    if (this.active > 0) return;
    if (this.retiring) this.closeNow('');
    else this.startIdleTimeout();
  }

  onProtocolError(details: string): void {
    if (!this.connection.open) return;
    this.pool.context.stats.upstreamCxProtocolError.inc();
    this.failure = details;
    if (this.state !== UP) {
      this.closeNow(details);
      return;
    }
    this.timer.disable();
    this.retire();
    // In this turn the codec is still reading. It writes RST_STREAM or GOAWAY, which say what was wrong, at the end of it.
    setImmediate(() => this.connection.close('now', details));
  }

  onBug(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.pool.context.logger.error(
      `[C${this.facts.id}] closing the connection after an internal error: ${text}`,
    );
  }
}

/** Stands for a stream whose connection has gone before it could be opened. */
class LostStream implements RequestEncoder {
  readonly responseHeadBytes = 0;
  over = false;

  headers(): void {}
  body(): boolean {
    return true;
  }
  trailers(): void {}
  reset(): void {
    this.over = true;
  }
  pauseBody(): void {}
  resumeBody(): void {}
}
