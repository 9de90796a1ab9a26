import type {
  CodecError,
  Connection,
  ConnectionCloseKind,
  LoadShedPoint,
  NetworkFilter,
  Protocol,
  RequestDecoder,
  RequestHeaders,
  ResettableStream,
  ResponseEncoder,
  ServerCodec,
  ServerCodecHandler,
  StreamCarrier,
  StreamInfo,
  StreamMeter,
  Timer,
} from '@dragoman/core';
import { createServerCodec as createHttp1Codec } from '@dragoman/http1';
import { createServerCodec as createHttp2Codec } from '@dragoman/http2';
import { DELAYED_CLOSE_TIMEOUT } from '@dragoman/network';
import { ActiveStream, LOCAL_DISCONNECT } from './active-stream.ts';
import { knownProtocol, protocolOf } from './codec-choice.ts';
import type { ConnectionManagerConfig } from './config.ts';
import { DISPATCH_ABORTED, OVERLOAD_ERROR, OVERLOADED } from './overload.ts';
import { PrematureResets, TOO_MANY_PREMATURE_RESETS } from './premature-resets.ts';
import { isRefusal } from './replies.ts';
import { HeldRequest, RequestGate } from './request-gate.ts';
import type { StreamOwner } from './stream-owner.ts';
import { StreamTimers, type TimedStream } from './stream-timers.ts';
import type { DeviceStats } from './user-agent.ts';

/** What a head that takes too long is answered with; the texts are Envoy's. */
const HEAD_TIMEOUT: CodecError = {
  status: 408,
  details: 'request_header_timeout',
  message: 'request header timeout',
};
const HEAD_IDLE: CodecError = { status: 408, details: 'stream_idle_timeout', message: 'stream timeout' };

/** Why the proxy ends a connection, for `%CONNECTION_TERMINATION_DETAILS%`. */
const IDLE_TIMEOUT = 'idle_timeout';
const MAX_DURATION = 'max_connection_duration_reached';

/**
 * How long a connection has rested before a drain closes it. A client that sends one request after another has the next
 * on its way when it has read a response, and a connection that ends then fails it. This covers the round trip of a long way
 * and a moment's thought, and is short for whoever waits for the drain.
 */
const IDLE_GRACE_MS = 100;

/** Runtime key of Envoy: false waits for the peer's end of every connection of HTTP/1, for `delayed_close_timeout` at most. */
const EARLY_CLOSE_KEY = 'http1.optionally_delay_close';

/** Sets of timers that a connection keeps for streams to come. */
const MAX_SPARE_TIMERS = 16;

/** The connection manager on one downstream connection. */
export class HttpConnection
  implements NetworkFilter, ServerCodecHandler, StreamOwner, StreamCarrier, ResettableStream
{
  readonly config: ConnectionManagerConfig;
  readonly connectionInfo: Connection['info'];
  readonly localPort: number;
  private readonly connection: Connection;
  /** Made once it is known which protocol the peer speaks. */
  private codec: ServerCodec | undefined = undefined;
  /** The first bytes, while they may be either protocol's. */
  private early: Buffer | undefined = undefined;
  private readonly mayTakeSocket: boolean;
  private readonly secure: boolean;
  private readonly start: number;
  private readonly idleTimer: Timer;
  private readonly durationTimer: Timer | undefined;
  private readonly stopListeningForDrain: () => void;
  private readonly leaveOverload: (() => void) | undefined;
  /** Undefined: every request passes at once. */
  private readonly gate: RequestGate | undefined;
  /** When {@link idleTimer} began, where overload may shorten it while it runs. */
  private idleSince = 0;
  /** Made by the first drain. */
  private drainTimer: Timer | undefined = undefined;
  /** When a drain wants this connection gone. */
  private leaveAt = Number.POSITIVE_INFINITY;
  /** That time has come: the next rest is the last. A response before it ends the connection as often as the drain says. */
  private leaving = false;
  /** Of a rest between two requests, or before the first. */
  private restingSince: number;
  /** Runs while a head is incomplete; made for the first that is. */
  private headTimer: Timer | undefined = undefined;
  /** Of streams that are over: as many as there were at a time, up to a limit. */
  private readonly spareTimers: StreamTimers[] = [];
  private readonly streams = new Set<ActiveStream>();
  /** Of connections that carry several streams: others end with the first reset. */
  private resets: PrematureResets | undefined = undefined;
  private requests = 0;
  private rxCounted = 0;
  private txCounted = 0;
  /** What the connection had moved when the stream in hand began. */
  private rxBefore = 0;
  private txBefore = 0;
  private txBuffered = 0;
  /** Set when the connection is to end with the response in hand. */
  private closing = false;
  /** Idle or old enough: the next response is the last. */
  private expired = false;
  /** Runs once {@link expired}, while a request may be on its way; made by the first. */
  private expiryTimer: Timer | undefined = undefined;
  /** Counted in `downstream_cx_http1_soft_drain`. */
  private softDraining = false;
  private device: DeviceStats | undefined = undefined;
  private deviceKnown = false;
  /** The peer ended its side: whoever closes after that, the end is the peer's. */
  private peerEnded = false;
  private cutRequests = false;

  /** @param mayTakeSocket no other filter wants the connection's bytes */
  constructor(config: ConnectionManagerConfig, connection: Connection, mayTakeSocket = false) {
    this.config = config;
    this.connection = connection;
    this.connectionInfo = connection.info;
    this.localPort = connection.info.localAddress.port;
    const { clock, stats } = config;
    this.start = clock.now();
    this.restingSince = this.start;
    connection.delayedCloseMs = config.delayedCloseMs;
    this.mayTakeSocket = mayTakeSocket;
    this.secure = config.secure;
    stats.cxTotal.inc();
    stats.cxActive.inc();
    if (this.secure) {
      stats.cxSslTotal.inc();
      stats.cxSslActive.inc();
    }
    this.idleTimer = clock.timer(() => this.onIdle());
    if (config.idleTimeoutMs > 0) this.startIdleTimer();
    this.leaveOverload = this.joinOverload();
    this.gate = RequestGate.of(config.runtime, (error) => {
      this.onBug(error);
      connection.close('now', 'internal_error');
    });
    if (config.maxConnectionDurationMs > 0) {
      this.durationTimer = clock.timer(() => this.onMaxDuration());
      this.durationTimer.enable(config.maxConnectionDurationMs);
    }
    this.stopListeningForDrain = config.drain.onDrain((delayMs) => this.onDrain(delayMs));
  }

  // --- NetworkFilter -------------------------------------------------------------------------------------------------

  onNewConnection(): undefined {
    // The server speaks first.
    if (knownProtocol(this.config.codecType, this.connectionInfo) !== 'http2' || this.refusesCodec()) return;
    this.startHttp2(undefined);
  }

  onData(data: Buffer): undefined {
    const { codec } = this;
    if (codec === undefined) {
      this.onFirstData(data);
      return;
    }
    if (this.config.overload !== undefined && this.abortsDispatch(codec)) return;
    codec.dispatch(data);
    if (this.headTimer !== undefined || codec.headPending) this.watchHead(codec);
  }

  private onFirstData(data: Buffer): void {
    const { early, config } = this;
    const bytes = early === undefined ? data : Buffer.concat([early, data]);
    const protocol = knownProtocol(config.codecType, this.connectionInfo) ?? protocolOf(bytes);
    if (protocol === undefined) {
      this.early = Buffer.from(bytes);
      return;
    }
    this.early = undefined;
    if (this.refusesCodec()) return;
    if (protocol === 'http2') {
      this.startHttp2(bytes);
      return;
    }
    this.codec = createHttp1Codec(this.connection, this, config.http1);
    config.stats.cxHttp1Total.inc();
    config.stats.cxHttp1Active.inc();
    this.onData(bytes);
  }

  private startHttp2(unread: Buffer | undefined): void {
    const { config, connection, mayTakeSocket } = this;
    config.stats.cxHttp2Total.inc();
    config.stats.cxHttp2Active.inc();
    this.resets = new PrematureResets(config.runtime);
    const taken = mayTakeSocket && connection.takeSocket !== undefined;
    this.codec = createHttp2Codec(connection, this, config.http2, {
      unread: taken ? unread : undefined,
      mayTakeSocket,
    });
    if (!taken && unread !== undefined) this.codec.dispatch(unread);
  }

  onEnd(): void {
    this.peerEnded = true;
    const requests = this.streams.size;
    if (this.codec === undefined) this.connection.close('flush');
    else this.codec.onPeerEnd();
    if (this.streams.size < requests) this.cutRequests = true;
  }

  onWritable(): void {
    this.sampleBuffered();
    this.codec?.onWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    const { stats } = this.config;
    const local = kind === 'local' && !this.peerEnded;
    const active = this.streams.size > 0 || this.cutRequests;
    const details = local ? localDisconnect(this.connectionInfo.terminationDetails) : reason;
    this.codec?.onConnectionClosed(details);
    for (const stream of this.streams) stream.onReset('connection-termination', details);
    this.gate?.close();
    this.stopListeningForDrain();
    this.leaveOverload?.();
    this.drainTimer?.disable();
    this.idleTimer.disable();
    this.headTimer?.disable();
    this.durationTimer?.disable();
    this.expiryTimer?.disable();
    this.countBytes();
    stats.cxTxBytesBuffered.sub(this.txBuffered);
    stats.cxActive.dec();
    if (this.codec !== undefined)
      (this.codec.concurrent === true ? stats.cxHttp2Active : stats.cxHttp1Active).dec();
    if (this.secure) stats.cxSslActive.dec();
    stats.cxDestroy.inc();
    if (reason === DELAYED_CLOSE_TIMEOUT) stats.cxDelayedCloseTimeout.inc();
    const lengthMs = Math.round(this.config.clock.now() - this.start);
    stats.cxLengthMs.record(lengthMs);
    this.device?.cxLengthMs.record(lengthMs);
    if (this.softDraining) stats.cxSoftDrain.dec();
    if (local) stats.cxDestroyLocal.inc();
    else stats.cxDestroyRemote.inc();
    if (!active) return;
    stats.cxDestroyActiveRq.inc();
    if (local) stats.cxDestroyLocalActiveRq.inc();
    else {
      stats.cxDestroyRemoteActiveRq.inc();
      this.device?.cxDestroyRemoteActiveRq.inc();
    }
  }

  // --- ServerCodecHandler ----------------------------------------------------------------------------------------------

  onStream(encoder: ResponseEncoder, protocol: Protocol): RequestDecoder {
    const stream = this.begin(encoder, protocol);
    return this.gate === undefined ? stream : this.gate.receiver(stream, encoder);
  }

  private begin(encoder: ResponseEncoder, protocol: Protocol): ActiveStream {
    this.idleTimer.disable();
    this.headTimer?.disable();
    this.requests++;
    if (this.config.overload?.goAwayHttp2 !== undefined)
      this.considerGoAway(this.config.overload.goAwayHttp2);
    const stream = new ActiveStream(this, encoder, protocol);
    this.streams.add(stream);
    return stream;
  }

  onCodecError(error: CodecError, encoder: ResponseEncoder, decoder: RequestDecoder | undefined): void {
    const stream = this.streamOf(decoder) ?? this.begin(encoder, this.codec?.protocol ?? 'HTTP/1.1');
    if (error.details === HEAD_TIMEOUT.details) {
      stream.onHeadTimeout(error);
    } else if (error.details === HEAD_IDLE.details) {
      stream.onHeadIdle();
    } else if (error === DISPATCH_ABORTED) {
      stream.onDispatchAborted(error);
    } else {
      if (!isRefusal(error)) this.config.stats.cxProtocolError.inc();
      stream.onCodecError(error);
    }
  }

  private streamOf(decoder: RequestDecoder | undefined): ActiveStream | undefined {
    if (decoder instanceof HeldRequest) return decoder.release();
    return decoder instanceof ActiveStream ? decoder : undefined;
  }

  onConnectionError({ details }: CodecError): void {
    this.config.stats.cxProtocolError.inc();
    this.connectionInfo.terminationDetails = details;
  }

  onBug(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.config.logger.error(
      `[C${this.connectionInfo.id}] closing the connection after an internal error: ${text}`,
    );
  }

  onStreamComplete(): void {
    // The response came first: the rest begins with the end of its request.
    if (this.streams.size === 0) this.restingSince = this.config.clock.now();
    this.rest();
  }

  /** Between two requests: what the codec and the stream each report last comes here. */
  private rest(): void {
    const { codec } = this;
    if (codec === undefined || this.streams.size > 0 || codec.activeStreams > 0) return;
    if (this.closing && codec.concurrent === true) codec.startDrain();
    else if (this.closing) this.connection.close('flush-and-wait');
    else if (this.config.idleTimeoutMs > 0 && this.connection.open) {
      this.startIdleTimer();
    }
    if (this.leaving) this.leave();
    // What the peer sent ahead is read later; it may be no more than the beginning of a head.
    if (codec.headPending) this.watchHead(codec);
  }

  /** `request_headers_timeout` limits the time of a whole head; without it a head may not rest for `stream_idle_timeout`. */
  private watchHead(codec: ServerCodec): void {
    const { requestHeadersTimeoutMs, streamIdleTimeoutMs, clock } = this.config;
    if (!codec.headPending || !this.connection.open) {
      this.headTimer?.disable();
      return;
    }
    this.headTimer ??= clock.timer(() => this.onHeadTimeout());
    if (requestHeadersTimeoutMs > 0) {
      if (!this.headTimer.enabled) this.headTimer.enable(requestHeadersTimeoutMs);
    } else if (streamIdleTimeoutMs > 0) {
      this.headTimer.enable(streamIdleTimeoutMs);
    }
  }

  private onHeadTimeout(): void {
    this.codec?.refuseHead(this.config.requestHeadersTimeoutMs > 0 ? HEAD_TIMEOUT : HEAD_IDLE);
  }

  onConnectionDone(): void {
    // As Envoy does: there is nothing to wait for when the peer has said and sent all.
    const done = this.codec?.peerDone !== false && this.config.runtime.getBoolean(EARLY_CLOSE_KEY, true);
    this.connection.close(done ? 'flush' : 'flush-and-wait');
  }

  // --- StreamOwner -----------------------------------------------------------------------------------------------------

  takeTimers(stream: TimedStream): StreamTimers {
    const timers = this.spareTimers.pop() ?? new StreamTimers(this.config.clock);
    timers.stream = stream;
    return timers;
  }

  giveTimers(timers: StreamTimers): void {
    timers.disable();
    if (this.spareTimers.length < MAX_SPARE_TIMERS) this.spareTimers.push(timers);
  }

  shouldClose(): boolean {
    const { config } = this;
    if (this.closing) return true;
    if (this.expired) this.closing = true;
    else if (config.maxRequestsPerConnection > 0 && this.requests >= config.maxRequestsPerConnection) {
      config.stats.cxMaxRequestsReached.inc();
      this.closing = true;
    } else if (config.overload?.disableKeepalive?.fires() === true) {
      config.overload.cxDisableKeepalive.inc();
      config.stats.cxDrainClose.inc();
      this.closing = true;
    } else if (config.drain.drainClose()) {
      config.stats.cxDrainClose.inc();
      this.closing = true;
    }
    return this.closing;
  }

  sampleBuffered(): void {
    const { bufferedBytes } = this.connection;
    this.config.stats.cxTxBytesBuffered.add(bufferedBytes - this.txBuffered);
    this.txBuffered = bufferedBytes;
  }

  onRequestHeaders(headers: RequestHeaders): void {
    if (!this.deviceKnown) {
      this.deviceKnown = true;
      this.device = this.config.stats.userAgents.of(headers);
      this.device?.cxTotal.inc();
    }
    this.device?.rqTotal.inc();
  }

  onStreamFinished(stream: ActiveStream): void {
    this.streams.delete(stream);
    this.restingSince = stream.info.end;
    if (this.resets?.onStreamFinished(stream.info) === true && this.connection.open) {
      this.config.stats.rqTooManyPrematureResets.inc();
      this.connection.close('now', TOO_MANY_PREMATURE_RESETS);
      return;
    }
    this.rest();
  }

  restart(stream: ActiveStream, encoder: ResponseEncoder, protocol: Protocol): ActiveStream {
    this.idleTimer.disable();
    this.requests++;
    this.rxBefore -= stream.info.downstreamWireBytesReceived;
    this.txBefore -= stream.info.downstreamWireBytesSent;
    const next = new ActiveStream(this, encoder, protocol, stream);
    this.streams.add(next);
    encoder.setDecoder(next);
    return next;
  }

  // --- Overload --------------------------------------------------------------------------------------------------------

  /** The connection is given up before a codec is made for it. */
  private refusesCodec(): boolean {
    const { overload } = this.config;
    if (overload?.shedCodec?.shouldShed() !== true) return false;
    overload.rqClose.inc();
    this.connection.close('flush-and-wait', OVERLOAD_ERROR.codec);
    return true;
  }

  /** What has come is not looked at: an HTTP/1 request is answered, or its response cut, and the connection ends. */
  private abortsDispatch(codec: ServerCodec): boolean {
    const { overload } = this.config;
    if (codec.abort === undefined || overload?.abortHttp1?.shouldShed() !== true) return false;
    overload.rqClose.inc();
    codec.abort(DISPATCH_ABORTED);
    return true;
  }

  /** The stream that begins is served, and so are those before it. */
  private considerGoAway(point: LoadShedPoint): void {
    const { codec } = this;
    if (codec?.concurrent !== true || this.closing || !point.shouldShed()) return;
    this.closing = true;
    codec.startDrain();
  }

  forEachStream(visit: (stream: ResettableStream) => void): void {
    for (const stream of this.streams) visit(stream);
    if (this.concurrent) this.codec?.forEachUnsent?.(visit);
    else if (this.streams.size === 0) visit(this);
  }

  /** Of HTTP/1 between two streams: the end of a response that its peer does not take. */
  get heldBytes(): number {
    return this.connection.bufferedBytes;
  }

  resetForOverload(): void {
    this.connection.close('now', OVERLOADED.details);
  }

  private joinOverload(): (() => void) | undefined {
    const { overload } = this.config;
    if (overload === undefined) return undefined;
    const ends = [
      overload.connectionIdle?.onChange(() => {
        if (this.idleTimer.enabled) this.rescale(this.idleTimer, this.idleSince, this.idleTimeoutMs);
      }),
      overload.streamIdle?.onChange(() => {
        for (const stream of this.streams) stream.rescaleIdle();
      }),
      overload.streams?.add(this),
    ];
    return () => {
      for (const end of ends) end?.();
    };
  }

  private rescale(timer: Timer, since: number, ms: number): void {
    timer.enable(Math.max(0, since + ms - this.config.clock.now()));
  }

  private get idleTimeoutMs(): number {
    const { idleTimeoutMs, overload } = this.config;
    return overload?.connectionIdle?.scale(idleTimeoutMs) ?? idleTimeoutMs;
  }

  private startIdleTimer(): void {
    const { idleTimeoutMs, overload, clock } = this.config;
    if (overload?.connectionIdle === undefined) {
      this.idleTimer.enable(idleTimeoutMs);
      return;
    }
    this.idleSince = clock.now();
    this.idleTimer.enable(this.idleTimeoutMs);
  }

  // --- Ends --------------------------------------------------------------------------------------------------------------

  private onIdle(): void {
    this.config.stats.cxIdleTimeout.inc();
    this.expire(IDLE_TIMEOUT);
  }

  private onMaxDuration(): void {
    const { stats, safeMaxConnectionDuration } = this.config;
    stats.cxMaxDurationReached.inc();
    if (this.closing || this.expired) return;
    if (!safeMaxConnectionDuration || this.connection.bytesRead === 0) {
      this.expire(MAX_DURATION);
      return;
    }
    stats.cxSoftDrain.inc();
    this.softDraining = true;
    this.expired = true;
  }

  /**
   * The connection has been open, or at rest, for long enough. Nothing is on its way on one that never brought a byte. Any
   * other stays open for `drain_timeout`, and a request that comes meanwhile is served, as the last.
   */
  private expire(reason: string): void {
    if (this.connection.bytesRead === 0) {
      this.connection.close('flush', reason);
      return;
    }
    if (this.closing || this.expiryTimer !== undefined) return;
    const { clock, random, drainTimeoutMs, drainTimeoutJitter } = this.config;
    this.expired = true;
    this.expiryTimer = clock.timer(() => this.onExpired(reason));
    const jitterMs = drainTimeoutJitter > 0 ? drainTimeoutMs * drainTimeoutJitter * random.random() : 0;
    this.expiryTimer.enable(Math.round(drainTimeoutMs + jitterMs));
  }

  private onExpired(reason: string): void {
    this.closing = true;
    const { codec } = this;
    codec?.startDrain();
    if (codec?.concurrent === true) return;
    if (this.streams.size === 0 && codec?.headPending !== true)
      this.connection.close('flush-and-wait', reason);
  }

  private onDrain(delayMs: number): void {
    const leaveAt = this.config.clock.now() + delayMs;
    if (leaveAt >= this.leaveAt) return;
    this.leaveAt = leaveAt;
    this.leave();
  }

  /**
   * Ends the connection when its time has come and it has rested for a while. One in the middle of a request, be it of a
   * head, says so with its response; where that has begun before, {@link rest} comes back here.
   */
  private leave(): void {
    const { connection } = this;
    if (this.closing || !connection.open) return;
    const { clock, stats } = this.config;
    const now = clock.now();
    let waitMs = this.leaveAt - now;
    if (waitMs <= 0) {
      this.leaving = true;
      if (this.codec?.concurrent === true) {
        // It takes no streams from now on, and ends with the last one it has.
        stats.cxDrainClose.inc();
        this.closing = true;
        this.codec.startDrain();
        return;
      }
      if (!this.resting) return;
      // The peer cannot answer what it has not got.
      if (connection.bufferedBytes > 0) this.restingSince = now;
      waitMs = this.restingSince + IDLE_GRACE_MS - now;
    }
    if (waitMs > 0) {
      this.drainTimer ??= clock.timer(() => this.leave());
      this.drainTimer.enable(waitMs);
      return;
    }
    stats.cxDrainClose.inc();
    connection.close('flush', 'drained');
  }

  private get resting(): boolean {
    const { codec } = this;
    if (codec === undefined) return this.early === undefined;
    return this.streams.size === 0 && codec.activeStreams === 0 && !codec.headPending && !codec.draining;
  }

  get concurrent(): boolean {
    return this.codec?.concurrent === true;
  }

  get bytesWritten(): number {
    return this.connection.bytesWritten;
  }

  sampleBytes(info: StreamInfo, meter: StreamMeter | undefined): void {
    if (meter !== undefined) {
      info.downstreamWireBytesReceived = meter.wireBytesReceived;
      info.downstreamWireBytesSent = meter.wireBytesSent;
      return;
    }
    info.downstreamWireBytesReceived = this.connection.bytesRead - this.rxBefore;
    info.downstreamWireBytesSent = this.connection.bytesWritten - this.txBefore;
  }

  countBytes(info?: StreamInfo, meter?: StreamMeter): void {
    this.connection.sampleBytes?.();
    const { bytesRead, bytesWritten } = this.connection;
    if (info !== undefined) this.sampleBytes(info, meter);
    this.config.stats.cxRxBytes.add(bytesRead - this.rxCounted);
    this.config.stats.cxTxBytes.add(bytesWritten - this.txCounted);
    this.rxCounted = bytesRead;
    this.txCounted = bytesWritten;
    this.rxBefore = bytesRead;
    this.txBefore = bytesWritten;
  }
}

/** Envoy's detail of a stream whose connection the proxy itself closed. */
function localDisconnect(reason: string): string {
  return reason === '' ? LOCAL_DISCONNECT : `${LOCAL_DISCONNECT}(${reason.replaceAll(' ', '_')})`;
}
