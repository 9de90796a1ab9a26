import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import {
  type CodecError,
  type Connection,
  connectToUpgradeRequest,
  type HeaderMap,
  isExtendedConnect,
  type Protocol,
  type RequestHeaders,
  type ResettableStream,
  type ServerCodec,
  type ServerCodecHandler,
  type Timer,
} from '@dragoman/core';
import { Http2Details } from '../details.ts';
import { bytesOf, type FieldFault, faultOf, type RawFields, readRequest, readTrailers } from '../fields.ts';
import { KeepAlive, PING_TIMEOUT } from '../keep-alive.ts';
import type { Http2ServerOptions } from '../options.ts';
import { resetStream } from '../reset-stream.ts';
import { ConnectionStream, socketOf } from '../socket-of.ts';
import { FlushWatch } from './flush-watch.ts';
import { isPeersFault, openSession } from './open-session.ts';
import { ServerStream } from './server-stream.ts';

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
  private readonly drain: () => void;
  private readonly wrapped: ConnectionStream | undefined;
  private readonly keepAlive: KeepAlive | undefined;
  private readonly streams = new Set<ServerStream>();
  /** Ended for their handlers, and on their way to the client. */
  private readonly flushing: FlushWatch;
  /** Runs from the end of the last stream of a connection that drains; made by then. */
  private endTimer: Timer | undefined = undefined;
  private restingSince: number;
  private leaving = false;
  private clientLeaving = false;
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
    const { keepAlive, clock, random } = options;
    this.flushing = new FlushWatch(clock, options.streamFlushTimeoutMs, (act) => this.guard(act));
    const { session, drain } = openSession(socket, options, (error) => this.guard(() => this.onError(error)));
    this.session = session;
    this.drain = drain;
    session.on('stream', (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw?: RawFields) => {
      this.guard(() => this.onStream(stream as Owned, flags, raw ?? []));
    });
    session.on('goaway', () => this.guard(() => this.onGoaway()));
    session.on('close', () => this.guard(() => this.onSessionClosed()));
    // Node has said all, and would wait for the peer's end as long as it takes.
    socket.once('finish', () => this.guard(() => this.onDone()));
    if (keepAlive !== undefined)
      this.keepAlive = new KeepAlive(this.session, keepAlive, clock, random, () => this.onPingTimeout());
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  forEachUnsent(visit: (stream: ResettableStream) => void): void {
    this.flushing.forEach(visit);
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
    this.flushing.stop();
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
    this.drain();
    this.endWhenFlushed();
  }

  /** A peer that takes nothing keeps a connection that drains from its end no longer than any other. */
  private endWhenFlushed(): void {
    if (!this.leaving || this.streams.size > 0 || !this.flushing.empty) return;
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
    encoder.requestHeadBytes = bytesOf(raw);
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
    if (!isPeersFault(error)) return;
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
    this.flushing.add(stream);
  }

  onStreamGone(stream: ServerStream): void {
    if (this.flushing.delete(stream)) this.endWhenFlushed();
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

/** The server side of HTTP/2 on `connection`. */
export function createServerCodec(
  connection: Connection,
  handler: ServerCodecHandler,
  options: Http2ServerOptions,
  transport: Http2Transport,
): ServerCodec {
  return new ServerSession(connection, handler, options, transport);
}
