import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  type RequestDecoder,
  type ResponseEncoder,
  type ResponseHeaders,
  type StreamMeter,
  type StreamResetReason,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { bytesOf, toFieldObject, writeLines } from '../fields.ts';
import { heldBy } from '../held-bytes.ts';
import { resetStream } from '../reset-stream.ts';
import type { FlushingStream } from './flush-watch.ts';
import type { ServerSession } from './server-codec.ts';

const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_TRAILER = wellKnownId('trailer');
const EMPTY = Buffer.alloc(0);
const OK = 200;
/** Node sends no other. */
const MAX_STATUS = 599;

/** Chunks up to this size are copied, so that whoever brings them need not wait until they have gone. */
const COPY_BYTES = 16 * 1024;
/** Turns of the event loop after which most responses, trailers included, are on the wire. */
const SOON_LOOKS = 4;
/** How often those are looked at which wait for a window. */
const LOOK_MS = 50;
/** RFC 9113 section 4.1: what a frame has besides its payload. */
const FRAME_OVERHEAD = 9;

/** RFC 9113 section 7. */
const RESET_CODES: Readonly<Partial<Record<StreamResetReason, number>>> = {
  'protocol-error': constants.NGHTTP2_PROTOCOL_ERROR,
  'connection-failure': constants.NGHTTP2_CONNECT_ERROR,
  overload: constants.NGHTTP2_ENHANCE_YOUR_CALM,
};

/** One request and its response on a session. A call that comes too late does nothing. */
export class ServerStream implements ResponseEncoder, StreamMeter, FlushingStream {
  requestHeadBytes = 0;
  headBytesSent = 0;
  wireBytesReceived = 0;
  wireBytesSent = 0;
  /** A request that asks for another protocol: its 101 is a 200 here (RFC 8441). */
  isUpgrade = false;
  /** When its response was complete here; of the session's clock. */
  endedAt = 0;
  readonly sessionOf: ServerSession;
  private readonly stream: ServerHttp2Stream;
  private decoder: RequestDecoder | undefined = undefined;
  private requestTrailers: Trailers | undefined = undefined;
  private responseTrailers: Trailers | undefined = undefined;
  private requestEnded = false;
  private started = false;
  private responseEnded = false;
  /** Nobody is told anything any more. */
  private over = false;
  /** The sender was stopped and waits for {@link RequestDecoder.onWritable}. */
  private stopped = false;
  private written: (() => void) | undefined = undefined;

  constructor(session: ServerSession, stream: ServerHttp2Stream) {
    this.sessionOf = session;
    this.stream = stream;
  }

  get meter(): StreamMeter {
    return this;
  }

  get heldBytes(): number {
    return heldBy(this.stream);
  }

  // --- The request -------------------------------------------------------------------------------------------------

  begin(decoder: RequestDecoder, endStream: boolean): void {
    this.decoder = decoder;
    this.requestEnded = endStream;
  }

  onBody(chunk: Buffer): void {
    this.wireBytesReceived += chunk.length + FRAME_OVERHEAD;
    const { decoder } = this;
    if (decoder === undefined || decoder.onBody(chunk, false, true)) return;
    if (this.decoder === decoder) this.stream.pause();
  }

  onTrailers(trailers: Trailers): void {
    this.requestTrailers = trailers;
  }

  onEnd(): void {
    if (this.requestEnded) return;
    // Node ends the body of a stream that was reset, too: a request that was cut off must not pass for whole.
    if (this.stream.closed && !this.over) {
      this.sessionOf.onStreamClosed(this, this.stream.rstCode ?? 0);
      return;
    }
    this.requestEnded = true;
    const { decoder, requestTrailers } = this;
    if (requestTrailers !== undefined) decoder?.onTrailers(requestTrailers);
    else decoder?.onBody(EMPTY, true, true);
    if (this.responseEnded) this.finish();
  }

  /** The request is one that is not taken. */
  refuse(code: number, details: string): void {
    if (this.over) return;
    this.sessionOf.options.stats.txReset.inc();
    this.onReset('protocol-error', details);
    resetStream(this.stream, code);
  }

  /** The stream is gone. */
  onReset(reason: StreamResetReason, details: string): void {
    const { decoder } = this;
    if (this.over) return;
    this.finish();
    decoder?.onReset(reason, details);
  }

  pauseBody(): void {
    if (!this.over && !this.requestEnded) this.stream.pause();
  }

  resumeBody(): void {
    if (!this.over) this.stream.resume();
  }

  setDecoder(decoder: RequestDecoder): void {
    if (this.decoder !== undefined) this.decoder = decoder;
  }

  // --- The response ------------------------------------------------------------------------------------------------

  informational(headers: ResponseHeaders): void {
    if (this.over || this.started || headers.status === 101) return;
    this.attempt(() =>
      this.stream.additionalHeaders({ ':status': headers.status, ...toFieldObject(headers) }),
    );
  }

  headers(headers: ResponseHeaders, endStream: boolean): void {
    if (this.over || this.started) return;
    const upgraded = this.isUpgrade && headers.status === 101;
    const status = upgraded ? OK : headers.status;
    const lines = [':status', String(status)];
    if (status < OK || status > MAX_STATUS || !writeLines(lines, headers)) {
      this.failHead();
      return;
    }
    this.started = true;
    this.headBytesSent = bytesOf(lines);
    this.wireBytesSent += this.headBytesSent + FRAME_OVERHEAD;
    const ok = this.attempt(() =>
      // Arrays are taken as they are (Node 26); its types know objects only.
      this.stream.respond(
        lines as never,
        {
          endStream,
          waitForTrailers: !endStream && mayHaveTrailers(headers),
          sendDate: false,
        } as never,
      ),
    );
    if (ok && endStream) this.endResponse();
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.over || this.responseEnded || !this.started) return true;
    const { stream, sessionOf: session } = this;
    const size = chunk.length;
    this.wireBytesSent += size + FRAME_OVERHEAD;
    // HEAD, 204 and 304: Node has ended the stream with its headers.
    if (stream.writableEnded) {
      if (endStream) this.endResponse();
      return true;
    }
    const borrowed = holdable && size > COPY_BYTES;
    const data = holdable && (borrowed || endStream) ? chunk : Buffer.from(chunk);
    if (endStream) {
      if (size === 0) stream.end();
      else stream.end(data);
      this.endResponse();
      return true;
    }
    if (size === 0) return true;
    if (!borrowed && stream.writableLength + size <= session.streamBufferBytes) {
      stream.write(data);
      return true;
    }
    this.stopped = true;
    this.written ??= () => this.onWritten();
    stream.write(data, this.written);
    return false;
  }

  trailers(trailers: Trailers): void {
    if (this.over || this.responseEnded || !this.started) return;
    this.responseTrailers = trailers;
    if (!this.stream.writableEnded) this.stream.end();
    this.endResponse();
  }

  /** Node has sent all but the trailers. */
  onWantTrailers(): void {
    const { responseTrailers } = this;
    this.responseTrailers = undefined;
    this.attempt(() => this.stream.sendTrailers((responseTrailers && toFieldObject(responseTrailers)) ?? {}));
  }

  reset(reason: StreamResetReason): void {
    if (this.over) return;
    this.finish();
    this.sessionOf.options.stats.txReset.inc();
    resetStream(this.stream, RESET_CODES[reason] ?? constants.NGHTTP2_INTERNAL_ERROR);
  }

  closeAfterResponse(): void {
    if (!this.over) this.sessionOf.startDrain();
  }

  private onWritten(): void {
    if (!this.stopped) return;
    this.stopped = false;
    if (!this.over) this.sessionOf.guard(() => this.decoder?.onWritable());
  }

  private endResponse(): void {
    this.responseEnded = true;
    const unread = !this.requestEnded;
    if (!this.over && !this.stream.destroyed) this.sessionOf.onResponseEnded(this);
    this.finish();
    if (!unread) return;
    // The rest of the request is not wanted: RFC 9113 section 8.1 has NO_ERROR for that.
    this.stream.resume();
    this.closeOnceSent(0);
  }

  /** Its client does not take the rest of the response. */
  giveUp(): void {
    const { stats } = this.sessionOf.options;
    stats.txFlushTimeout.inc();
    stats.txReset.inc();
    resetStream(this.stream, constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** Its response is complete here, and costs more memory than there is. */
  resetForOverload(): void {
    if (this.stream.destroyed) return;
    this.sessionOf.options.stats.txReset.inc();
    resetStream(this.stream, RESET_CODES.overload ?? constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** A reset takes the place of what of the response is not on the wire. Node does not say when all of it is. */
  private closeOnceSent(looks: number): void {
    const { stream, sessionOf: session } = this;
    if (stream.destroyed || stream.closed) return;
    if (looks > 0 && stream.state.localClose === 1) {
      stream.close(constants.NGHTTP2_NO_ERROR);
      return;
    }
    const again = (): void => this.closeOnceSent(looks + 1);
    if (looks < SOON_LOOKS) setImmediate(again);
    else session.options.clock.timer(again).enable(LOOK_MS);
  }

  /** A head that must not be sent: nothing of it is. */
  private failHead(): void {
    const { decoder } = this;
    this.attempt(() =>
      this.stream.respond({ ':status': 500 }, { endStream: true, sendDate: false } as never),
    );
    this.endResponse();
    decoder?.onReset('local-reset', 'http2.invalid.header.field');
  }

  /** Node throws where a stream is gone, or a header is one that it does not send. */
  private attempt(act: () => void): boolean {
    try {
      act();
      return true;
    } catch {
      this.onReset('local-reset', 'http2.invalid.header.field');
      resetStream(this.stream, constants.NGHTTP2_INTERNAL_ERROR);
      return false;
    }
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.decoder = undefined;
    this.sessionOf.onStreamFinished(this);
  }
}

/**
 * Node has to be told before it sends the last byte whether trailers may follow, and then spends a frame more. A response that says how long it
 * is, and announces none, has none but on gRPC.
 */
function mayHaveTrailers(headers: ResponseHeaders): boolean {
  if (!headers.hasKnown(ID_CONTENT_LENGTH) || headers.hasKnown(ID_TRAILER)) return true;
  return headers.getKnown(ID_CONTENT_TYPE)?.startsWith('application/grpc') === true;
}
