import {
  constants,
  type Http2Session,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import {
  type CodecError,
  type Connection,
  connectToUpgradeRequest,
  type HeaderMap,
  isExtendedConnect,
  type Protocol,
  type RequestHeaders,
  type ServerCodec,
  type ServerCodecHandler,
  type Timer,
} from '@dragoman/core';
import { Http2Details } from '../details.ts';
import {
  FIELD_OVERHEAD,
  type FieldFault,
  faultOf,
  type RawFields,
  readRequest,
  readTrailers,
} from '../fields.ts';
import { KeepAlive, PING_TIMEOUT } from '../keep-alive.ts';
import type { Http2ServerOptions } from '../options.ts';
import { resetStream } from '../reset-stream.ts';
import { ConnectionStream, socketOf } from '../socket-of.ts';
import { ServerStream } from './server-stream.ts';

/** Pseudo-headers of a request, which limits on lines leave out. */
const PSEUDO_HEADERS = 5;
/** Node closes a session that needs more; what a full connection window may hold comes on top. */
const SESSION_MEMORY_BYTES = 10 * 1024 * 1024;
const MIB = 1024 * 1024;

/** Errors of a session that the peer's frames have caused. */
const PEER_BROKE_RULES: ReadonlySet<string> = new Set([
  'ERR_HTTP2_ERROR',
  'ERR_HTTP2_TOO_MANY_INVALID_FRAMES',
]);

const OWNER = Symbol('dragoman.stream');

interface Owned extends ServerHttp2Stream {
  [OWNER]: ServerStream | undefined;
}

/** How a session gets its bytes. */
export interface Http2Transport {
  /** What has been delivered already: the connection's preface, or its beginning. */
  readonly unread: Buffer | undefined;
  /** Nobody else wants the connection's bytes: Node reads and writes its socket itself. */
  readonly mayTakeSocket: boolean;
}

/** The server side of HTTP/2 on one connection, on `node:http2`. */
export class ServerSession implements ServerCodec {
  readonly protocol: Protocol = 'HTTP/2';
  readonly concurrent = true;
  readonly headPending = false;
  readonly draining = false;
  readonly peerDone = false;
  readonly options: Http2ServerOptions;
  /** Of one response, what may wait here. As in Envoy a stream's window counts both ways, so that many streams hold little. */
  readonly streamBufferBytes: number;
  private readonly connection: Connection;
  private readonly handler: ServerCodecHandler;
  private readonly session: ServerHttp2Session;
  private readonly wrapped: ConnectionStream | undefined;
  private readonly keepAlive: KeepAlive | undefined;
  private readonly streams = new Set<ServerStream>();
  /** Ended for their handlers, and on their way to the client. */
  private readonly flushing = new Set<ServerStream>();
  /** Made for the first of them. */
  private flushTimer: Timer | undefined = undefined;
  /** Runs from the end of the last stream of a connection that drains; made by then. */
  private endTimer: Timer | undefined = undefined;
  private restingSince: number;
  private leaving = false;
  private clientLeaving = false;
  private closeSession: () => void = ignore;
  private closed = false;
  /** The session ended with an error, which has been dealt with. */
  private broken = false;
  /** The owner was told that nothing more goes out. */
  private done = false;

  constructor(
    connection: Connection,
    handler: ServerCodecHandler,
    options: Http2ServerOptions,
    transport: Http2Transport,
  ) {
    this.connection = connection;
    this.handler = handler;
    this.options = options;
    this.streamBufferBytes = Math.min(options.bufferLimitBytes, options.initialStreamWindowSize);
    this.restingSince = options.clock.now();
    const socket = socketOf(connection, transport.unread, transport.mayTakeSocket);
    this.wrapped = socket instanceof ConnectionStream ? socket : undefined;
    this.session = this.start(socket);
    const { keepAlive, clock, random } = options;
    if (keepAlive !== undefined)
      this.keepAlive = new KeepAlive(this.session, keepAlive, clock, random, () => this.onPingTimeout());
  }

  private start(socket: Duplex): ServerHttp2Session {
    const { options } = this;
    const session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        initialWindowSize: options.initialStreamWindowSize,
        headerTableSize: options.hpackTableSize,
        // Envoy counts names and values only; what it lets through must not fail here.
        maxHeaderListSize:
          options.maxHeaderBytes + (options.maxHeaderCount + PSEUDO_HEADERS) * FIELD_OVERHEAD,
        enableConnectProtocol: options.allowConnect,
        customSettings: options.customSettings,
      },
      maxDeflateDynamicTableSize: options.hpackTableSize,
      maxHeaderListPairs: options.maxHeaderCount + PSEUDO_HEADERS + 1,
      // What an upstream says twice is not for us to judge.
      strictSingleValueFields: false,
      maxSessionMemory: Math.ceil((SESSION_MEMORY_BYTES + options.initialConnectionWindowSize) / MIB),
    });
    session.on('stream', (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw?: RawFields) => {
      this.guard(() => this.onStream(stream as Owned, flags, raw ?? []));
    });
    session.on('error', ignore);
    session.on('goaway', () => this.guard(() => this.onGoaway()));
    session.on('close', () => this.guard(() => this.onSessionClosed()));
    // Node would answer the client's GOAWAY with one of our own, which does nothing for it. And once ours is out, Node misses some errors: it reads
    // no more, and does not say so.
    this.closeSession = session.close.bind(session);
    session.close = ignore;
    // 'error' comes when the socket has closed. Streams, and whoever counts, hear why before that.
    const destroy = session.destroy.bind(session);
    session.destroy = (error, code) => {
      if (error instanceof Error) this.guard(() => this.onError(error));
      // Node would close the socket before the peer has read our GOAWAY, unless the session was on its way to its end.
      Object.defineProperty(session, 'closed', { value: true });
      destroy(error, code);
    };
    // Node has said all, and would wait for the peer's end as long as it takes.
    socket.once('finish', () => this.guard(() => this.onDone()));
    // Before the first byte is read, so that a client sees it with our SETTINGS.
    this.openWindow(session);
    return session;
  }

  private openWindow(session: Http2Session): void {
    const set = () => {
      if (!session.destroyed) session.setLocalWindowSize(this.options.initialConnectionWindowSize);
    };
    set();
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  // --- From the connection -------------------------------------------------------------------------------------------

  dispatch(data: Buffer): void {
    this.wrapped?.onData(data);
  }

  onPeerEnd(): void {
    this.wrapped?.onEnd();
  }

  onWritable(): void {
    this.wrapped?.onWritable();
  }

  onConnectionClosed(reason: string): void {
    this.closed = true;
    this.keepAlive?.stop();
    this.flushTimer?.disable();
    this.endTimer?.disable();
    for (const stream of [...this.streams]) stream.onReset('connection-termination', reason);
    this.wrapped?.onClose();
    this.session.destroy();
  }

  refuseHead(_error: CodecError): void {}

  /** One GOAWAY with the last stream that was taken; the connection ends with the last of them. */
  startDrain(): void {
    if (this.leaving || this.session.destroyed) return;
    this.leaving = true;
    this.options.stats.goawaySent.inc();
    this.closeSession();
    this.endWhenFlushed();
  }

  /** A peer that takes nothing keeps a connection that drains from its end no longer than any other. */
  private endWhenFlushed(): void {
    if (!this.leaving || this.streams.size > 0 || this.flushing.size > 0) return;
    this.endSoon();
    // Not below Node's layer, which may be in the middle of reading or writing.
    if (this.clientLeaving) setImmediate(() => this.session.destroy());
  }

  /** The client opens no more streams. */
  private onGoaway(): void {
    this.leaving = true;
    this.clientLeaving = true;
    this.endWhenFlushed();
  }

  private endSoon(): void {
    const { connection, options } = this;
    if (this.closed || connection.delayedCloseMs <= 0) return;
    this.endTimer ??= options.clock.timer(() => this.guard(() => this.onDone()));
    if (!this.endTimer.enabled) this.endTimer.enable(connection.delayedCloseMs);
  }

  // --- From the session ----------------------------------------------------------------------------------------------

  /** A bug in what is called here costs the connection, never the thread. */
  guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.handler.onBug?.(error);
      this.connection.close('now', 'internal_error');
    }
  }

  private onStream(stream: Owned, flags: number, raw: RawFields): void {
    const { options, handler } = this;
    if (this.closed) {
      stream.on('error', ignore);
      resetStream(stream, constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const now = options.clock.now();
    if (this.streams.size === 0) this.keepAlive?.onNewStream(now - this.restingSince);
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const encoder = new ServerStream(this, stream);
    this.streams.add(encoder);
    options.stats.streamsActive.inc();
    stream[OWNER] = encoder;
    encoder.requestHeadBytes = sizeOf(raw);
    encoder.wireBytesReceived = encoder.requestHeadBytes;
    stream.on('error', ignore);
    stream.on('aborted', onAborted);
    stream.on('close', onClose);
    stream.on('wantTrailers', onWantTrailers);
    const decoder = handler.onStream(encoder, this.protocol);
    encoder.begin(decoder, endStream);
    // Reset in the same breath as it was opened: what is on its way says so.
    if (stream.destroyed) return;
    const headers = this.accept(encoder, raw);
    if (headers === undefined) return;
    if (isExtendedConnect(headers)) {
      encoder.isUpgrade = true;
      connectToUpgradeRequest(headers);
    }
    decoder.onHeaders(headers, endStream);
    if (!endStream) {
      stream.on('trailers', onTrailers);
      stream.on('end', onEnd);
      stream.on('data', onData);
    } else stream.resume();
  }

  /** Undefined: the request is refused, and its stream reset. */
  private accept(encoder: ServerStream, raw: RawFields): RequestHeaders | undefined {
    const { maxHeaderBytes, maxHeaderCount } = this.options;
    const fault = faultOf(raw, maxHeaderBytes, maxHeaderCount);
    if (fault !== undefined) {
      this.refuse(encoder, fault);
      return undefined;
    }
    const headers = readRequest(raw);
    if (this.underscoresPass(headers)) return headers;
    encoder.refuse(constants.NGHTTP2_INTERNAL_ERROR, Http2Details.unexpectedUnderscore);
    return undefined;
  }

  private refuse(encoder: ServerStream, fault: FieldFault): void {
    const { stats } = this.options;
    if (fault === 'too-many' || fault === 'too-large') {
      stats.headerOverflow.inc();
      encoder.refuse(constants.NGHTTP2_ENHANCE_YOUR_CALM, Http2Details.tooManyHeaders);
    } else {
      stats.rxMessagingError.inc();
      encoder.refuse(constants.NGHTTP2_PROTOCOL_ERROR, Http2Details.invalidHeader);
    }
  }

  private underscoresPass(headers: HeaderMap): boolean {
    const { headersWithUnderscores, stats } = this.options;
    if (headersWithUnderscores === 'allow' || !headers.names.some((name) => name.includes('_'))) return true;
    if (headersWithUnderscores === 'reject') {
      stats.requestsRejectedWithUnderscores.inc();
      return false;
    }
    const dropped = headers.removeWhere((name) => name.includes('_'));
    for (let i = 0; i < dropped; i++) stats.droppedHeadersWithUnderscores.inc();
    return true;
  }

  private onError(error: NodeJS.ErrnoException): void {
    if (this.closed || this.broken) return;
    this.broken = true;
    this.endSoon();
    // The peer's socket, or its own GOAWAY with an error: it has gone.
    if (error.code !== undefined && !PEER_BROKE_RULES.has(error.code)) return;
    const details = describe(error);
    this.handler.onConnectionError?.({ status: 400, details, message: error.message });
    for (const stream of [...this.streams]) stream.onReset('protocol-error', details);
  }

  private onSessionClosed(): void {
    this.keepAlive?.stop();
    for (const stream of [...this.streams]) stream.onReset('connection-termination', '');
    this.onDone();
  }

  private onDone(): void {
    if (this.closed || this.done) return;
    this.done = true;
    this.handler.onConnectionDone();
  }

  private onPingTimeout(): void {
    this.options.stats.keepaliveTimeout.inc();
    this.connection.close('now', PING_TIMEOUT);
  }

  // --- From its streams ----------------------------------------------------------------------------------------------

  onStreamFinished(stream: ServerStream): void {
    if (!this.streams.delete(stream)) return;
    const { stats, clock } = this.options;
    stats.streamsActive.dec();
    if (this.streams.size > 0) return;
    this.restingSince = clock.now();
    this.endWhenFlushed();
    if (!this.closed) this.handler.onStreamComplete();
  }

  /** The response is complete here. The client may take its time, but not all of it. */
  onResponseEnded(stream: ServerStream): void {
    const { streamFlushTimeoutMs, clock } = this.options;
    stream.endedAt = clock.now();
    this.flushing.add(stream);
    if (streamFlushTimeoutMs <= 0) return;
    this.flushTimer ??= clock.timer(() => this.guard(() => this.onFlushTimeout()));
    if (!this.flushTimer.enabled) this.flushTimer.enable(streamFlushTimeoutMs);
  }

  onStreamGone(stream: ServerStream): void {
    if (this.flushing.delete(stream)) this.endWhenFlushed();
  }

  private onFlushTimeout(): void {
    const { streamFlushTimeoutMs, clock, stats } = this.options;
    const now = clock.now();
    for (const stream of [...this.flushing]) {
      const left = stream.endedAt + streamFlushTimeoutMs - now;
      if (left > 0) {
        this.flushTimer?.enable(left);
        return;
      }
      stats.txFlushTimeout.inc();
      stats.txReset.inc();
      stream.giveUp();
    }
  }

  /** A stream ended, and perhaps before its time. */
  onStreamClosed(stream: ServerStream, code: number): void {
    if (!this.streams.has(stream)) return;
    if (this.session.destroyed) {
      stream.onReset('connection-termination', '');
      return;
    }
    const { stats } = this.options;
    // Node does not say who has reset it. These two are hardly ever a client's.
    if (code === constants.NGHTTP2_PROTOCOL_ERROR) {
      stats.rxMessagingError.inc();
      stats.txReset.inc();
      stream.onReset('protocol-error', Http2Details.messagingViolation);
    } else if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM) {
      stats.headerOverflow.inc();
      stats.txReset.inc();
      stream.onReset('protocol-error', Http2Details.tooManyHeaders);
    } else {
      stats.rxReset.inc();
      const refused = code === constants.NGHTTP2_REFUSED_STREAM;
      stream.onReset('remote-reset', refused ? Http2Details.remoteRefuse : Http2Details.remoteReset);
    }
  }

  onRequestTrailers(stream: ServerStream, raw: RawFields): void {
    const { maxHeaderBytes, maxHeaderCount, stats } = this.options;
    stats.trailers.inc();
    const fault = faultOf(raw, maxHeaderBytes, maxHeaderCount);
    if (fault !== undefined) {
      this.refuse(stream, fault);
      return;
    }
    const trailers = readTrailers(raw);
    if (this.underscoresPass(trailers)) stream.onTrailers(trailers);
    else stream.refuse(constants.NGHTTP2_INTERNAL_ERROR, Http2Details.unexpectedUnderscore);
  }
}

// The same functions for all streams: an emitter calls them with the stream as `this`.

function ignore(): void {}

function onData(this: Owned, chunk: Buffer): void {
  const owner = this[OWNER];
  owner?.sessionOf.guard(() => owner.onBody(chunk));
}

function onEnd(this: Owned): void {
  const owner = this[OWNER];
  owner?.sessionOf.guard(() => owner.onEnd());
}

function onTrailers(this: Owned, _headers: unknown, _flags: number, raw?: RawFields): void {
  const owner = this[OWNER];
  owner?.sessionOf.guard(() => owner.sessionOf.onRequestTrailers(owner, raw ?? []));
}

function onWantTrailers(this: Owned): void {
  this[OWNER]?.onWantTrailers();
}

/** The peer has reset the stream. 'close' would wait for whoever has stopped the body. */
function onAborted(this: Owned): void {
  const owner = this[OWNER];
  owner?.sessionOf.guard(() => owner.sessionOf.onStreamClosed(owner, this.rstCode ?? 0));
}

function onClose(this: Owned): void {
  const owner = this[OWNER];
  this[OWNER] = undefined;
  owner?.sessionOf.guard(() => {
    owner.sessionOf.onStreamClosed(owner, this.rstCode ?? 0);
    owner.sessionOf.onStreamGone(owner);
  });
}

/** Envoy prefixes what a codec finds wrong with a connection. */
function describe(error: Error): string {
  return `codec_error:${error.message.replaceAll(' ', '_')}`;
}

function sizeOf(raw: RawFields): number {
  let size = 0;
  for (const text of raw) size += text.length;
  return size;
}

/** The server side of HTTP/2 on `connection`. */
export function createServerCodec(
  connection: Connection,
  handler: ServerCodecHandler,
  options: Http2ServerOptions,
  transport: Http2Transport,
): ServerCodec {
  return new ServerSession(connection, handler, options, transport);
}
