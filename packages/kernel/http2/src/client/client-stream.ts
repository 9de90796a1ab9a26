import { type ClientHttp2Stream, constants } from 'node:http2';
import {
  connectToUpgradeResponse,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  type StreamMeter,
  type StreamResetReason,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { Http2Details } from '../details.ts';
import { bytesOf, faultOf, readResponse, readTrailers, toFieldObject } from '../fields.ts';
import { heldBy } from '../held-bytes.ts';
import { resetStream } from '../reset-stream.ts';
import type { ClientSession } from './client-codec.ts';
import { isComplete, type NativeUser, startData, tieStream, untieStream } from './native-stream.ts';
import { type RequestFields, requestFields } from './request-fields.ts';
import { codeOf, reasonOf } from './reset-codes.ts';

const ID_CONTENT_LENGTH = wellKnownId('content-length');
const EMPTY = Buffer.alloc(0);
/** RFC 9113 section 4.1: what a frame has besides its payload. */
const FRAME_OVERHEAD = 9;
/** Bytes of a RST_STREAM frame. */
const RESET_BYTES = FRAME_OVERHEAD + 4;

/** Why a stream is cut, as far as is known when it is. */
type Cut = 'unknown' | 'local' | 'connection';

/** One request and its response on a session. A call that comes too late does nothing. */
export class ClientStream implements RequestEncoder, NativeUser, StreamMeter {
  responseHeadBytes = 0;
  headBytesSent = 0;
  wireBytesReceived = 0;
  wireBytesSent = 0;
  private readonly session: ClientSession;
  private readonly decoder: ResponseDecoder;
  private fields: RequestFields | undefined = undefined;
  private native: ClientHttp2Stream | undefined = undefined;
  private opened = false;
  private requestTrailers: Trailers | undefined = undefined;
  private requestDone = false;
  /** Of a tunnel: the peer has agreed, or refused. */
  private answered = false;
  /** What waits for a tunnel. */
  private early: Buffer[] | undefined = undefined;
  /** The sender was told to stop. */
  private stopped = false;
  private pendingBytes = 0;
  private responding = false;
  private responseTrailers: Trailers | undefined = undefined;
  private responseDone = false;
  private paused = false;
  /** Of a response whose connection is gone. */
  private rest: Buffer[] | undefined = undefined;
  private cut: Cut = 'unknown';
  private writtenAtCut = 0;
  /** Neither the decoder nor the session is told anything any more. */
  private over = false;

  constructor(session: ClientSession, decoder: ResponseDecoder) {
    this.session = session;
    this.decoder = decoder;
  }

  get heldBytes(): number {
    const { native, early, rest } = this;
    return (native === undefined ? 0 : heldBy(native)) + bytesIn(early) + bytesIn(rest);
  }

  // --- RequestEncoder ----------------------------------------------------------------------------------------------

  headers(headers: RequestHeaders, endStream: boolean): void {
    if (this.over || this.fields !== undefined) return;
    const fields = requestFields(headers);
    if (fields === undefined) {
      this.refuse('local-reset', Http2Details.invalidHeader);
      return;
    }
    if (fields.protocol !== '' && !this.session.mayExtendConnect) {
      // RFC 8441 section 3: to ask all the same would be an error of ours.
      this.refuse('remote-reset', Http2Details.connectProtocol);
      return;
    }
    this.fields = fields;
    this.headBytesSent = bytesOf(fields.raw) + FRAME_OVERHEAD;
    this.wireBytesSent = this.headBytesSent;
    if (endStream) {
      this.requestDone = true;
      this.open(true, false);
    } else if (fields.tunnel) this.open(false, false);
    // A body that comes at once, and whole, spares the question after trailers, and with it a turn of the event loop and a frame.
    else process.nextTick(openLate, this.session, this);
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.over || this.requestDone || this.fields === undefined) return true;
    if (endStream) this.requestDone = true;
    if (this.fields.tunnel && !this.answered) {
      // Bytes for the other protocol, before the peer has agreed to speak it.
      if (chunk.length > 0) {
        this.early ??= [];
        this.early.push(Buffer.from(chunk));
      }
      this.stopped = true;
      return false;
    }
    if (!this.opened) this.open(false, !endStream);
    const { native } = this;
    if (this.over || native === undefined) return true;
    const goOn = this.write(native, chunk, holdable);
    if (endStream) {
      native.end();
      this.completeIfDone();
    }
    return goOn;
  }

  trailers(trailers: Trailers): void {
    if (this.over || this.requestDone || this.fields === undefined) return;
    this.requestDone = true;
    this.requestTrailers = trailers;
    if (!this.opened) this.open(false, true);
    if (this.over) return;
    this.native?.end();
    this.completeIfDone();
  }

  reset(reason: StreamResetReason): void {
    if (this.over) return;
    // RFC 9113 section 8.1: who has the whole response may leave the rest of the request.
    this.close(this.responseDone ? constants.NGHTTP2_NO_ERROR : codeOf(reason));
    this.finish();
  }

  pauseBody(): void {
    if (this.over || this.paused) return;
    this.paused = true;
    if (this.responding) this.native?.pause();
  }

  resumeBody(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.over) return;
    if (this.rest !== undefined) this.deliverRest();
    else if (this.responding) this.native?.resume();
  }

  // --- Sending -----------------------------------------------------------------------------------------------------

  /** In the tick after the headers, unless the body was faster. */
  openLate(): void {
    if (!this.over && !this.opened) this.open(false, true);
  }

  private open(endStream: boolean, waitForTrailers: boolean): void {
    this.opened = true;
    const native = this.session.request((this.fields as RequestFields).raw, { endStream, waitForTrailers });
    if (native === undefined) {
      this.refuse('local-reset', Http2Details.invalidHeader);
      return;
    }
    this.native = native;
    tieStream(native, this);
  }

  private write(native: ClientHttp2Stream, chunk: Buffer, holdable: boolean): boolean {
    const size = chunk.length;
    if (size === 0) return true;
    this.wireBytesSent += size + FRAME_OVERHEAD;
    // Only a full stream says when the chunk has gone: up to then it must be one of our own.
    const fills = native.writableLength + size >= native.writableHighWaterMark;
    const goOn = native.write(holdable && fills ? chunk : Buffer.from(chunk));
    this.showPending(native.writableLength);
    if (!goOn) this.stopped = true;
    return goOn;
  }

  private showPending(bytes: number): void {
    this.session.stats.pendingSendBytes.add(bytes - this.pendingBytes);
    this.pendingBytes = bytes;
  }

  onDrain(): void {
    this.showPending(0);
    if (!this.stopped) return;
    this.stopped = false;
    if (!this.over && !this.requestDone) this.decoder.onWritable();
  }

  onWantTrailers(): void {
    const { native, requestTrailers } = this;
    this.showPending(0);
    if (native === undefined || native.destroyed || native.closed) return;
    const object = requestTrailers === undefined ? undefined : toFieldObject(requestTrailers);
    try {
      native.sendTrailers(object ?? {});
    } catch {
      // A name that is none: as with values that cannot be sent, the message goes on without them.
      native.sendTrailers({});
    }
  }

  /** The peer's answer to a tunnel. */
  private onAnswer(accepted: boolean): void {
    this.answered = true;
    const { early, native } = this;
    this.early = undefined;
    if (native === undefined) return;
    if (!accepted) {
      this.requestDone = true;
      this.stopped = false;
      native.end();
      return;
    }
    const stopped = this.stopped;
    this.stopped = false;
    for (const chunk of early ?? []) this.write(native, chunk, true);
    if (this.requestDone) native.end();
    else if (stopped && !this.stopped) this.decoder.onWritable();
  }

  // --- Receiving: NativeUser -----------------------------------------------------------------------------------------

  onInformational(raw: readonly string[]): void {
    if (this.over || this.responding || !this.accepts(raw)) return;
    this.decoder.onInformational(readResponse(raw));
  }

  onResponse(raw: readonly string[], endStream: boolean): void {
    if (this.over || this.responding || !this.accepts(raw)) return;
    const { native, decoder, fields } = this;
    if (native === undefined || fields === undefined) return;
    this.responding = true;
    const bytes = bytesOf(raw) + FRAME_OVERHEAD;
    this.responseHeadBytes = bytes;
    this.wireBytesReceived += bytes;
    const headers = readResponse(raw);
    const accepted = fields.tunnel && headers.status >= 200 && headers.status < 300;
    if (accepted) {
      // A tunnel has no length (RFC 9110 section 9.3.6).
      headers.removeKnown(ID_CONTENT_LENGTH);
      if (fields.upgrade) connectToUpgradeResponse(headers, fields.protocol);
    }
    if (endStream) {
      this.responseDone = true;
      // Nothing is left but its end, which closes the stream.
      native.resume();
    } else {
      startData(native);
      if (this.paused) native.pause();
    }
    this.session.onActivity();
    decoder.onHeaders(headers, endStream);
    if (fields.tunnel && !this.over) this.onAnswer(accepted);
    this.completeIfDone();
  }

  onData(chunk: Buffer): void {
    if (this.over || this.responseDone) return;
    this.wireBytesReceived += chunk.length + FRAME_OVERHEAD;
    if (this.decoder.onBody(chunk, false, true) || this.over || this.paused) return;
    this.paused = true;
    this.native?.pause();
  }

  onTrailers(raw: readonly string[]): void {
    if (this.over || this.responseDone || !this.accepts(raw)) return;
    this.session.stats.trailers.inc();
    this.wireBytesReceived += bytesOf(raw) + FRAME_OVERHEAD;
    this.responseTrailers = readTrailers(raw);
  }

  onEnd(complete: boolean): void {
    if (!complete || this.over || this.responseDone) return;
    this.responseDone = true;
    this.session.onActivity();
    if (this.responseTrailers === undefined) this.decoder.onBody(EMPTY, true, true);
    else this.decoder.onTrailers(this.responseTrailers);
    this.completeIfDone();
  }

  /** The peer has sent everything, whether or not it has been delivered. */
  get isComplete(): boolean {
    return this.native !== undefined && isComplete(this.native);
  }

  /** Takes what Node has of a complete response: the connection goes, and the receiver gets it in its own time. */
  detach(): void {
    const { native } = this;
    if (this.over || native === undefined) return;
    // Reading would tell the listeners too.
    untieStream(native);
    const rest: Buffer[] = [];
    for (let chunk: Buffer | null = native.read(); chunk !== null; chunk = native.read()) rest.push(chunk);
    this.rest = rest;
    this.native = undefined;
    this.showPending(0);
    this.session.onStreamOver(this);
    if (!this.paused) this.deliverRest();
  }

  private deliverRest(): void {
    const { rest } = this;
    if (rest === undefined) return;
    while (rest.length > 0 && !this.over && !this.paused) this.onData(rest.shift() as Buffer);
    if (rest.length === 0 && !this.paused) this.onEnd(true);
  }

  /** Whether a list of fields keeps to the limits; the stream is given up when not. */
  private accepts(raw: readonly string[]): boolean {
    const { options } = this.session;
    const fault = faultOf(raw, options.maxHeaderBytes, options.maxHeaderCount);
    if (fault === undefined) return true;
    if (fault === 'too-many' || fault === 'too-large') this.failOverflow();
    else this.failMessage(Http2Details.invalidHeader);
    return false;
  }

  // --- The end -------------------------------------------------------------------------------------------------------

  onCut(): void {
    const { native } = this;
    if (this.over || native === undefined) return;
    const { rstCode } = native;
    if (rstCode === constants.NGHTTP2_NO_ERROR || rstCode === constants.NGHTTP2_REFUSED_STREAM) return;
    // A peer's reset ends its side for good. A stream whose peer may still send was reset by Node, for what the peer sent.
    if (native.state.remoteClose === 0) this.cut = 'local';
    this.writtenAtCut = this.session.bytesWritten;
  }

  onError(error: NodeJS.ErrnoException): void {
    const { code = '' } = error;
    // The code of a reset comes with the end of the stream.
    if (this.over || code === 'ERR_HTTP2_STREAM_ERROR') return;
    if (code === 'ERR_HTTP2_OUT_OF_STREAMS' || code === 'ERR_HTTP2_GOAWAY_SESSION') {
      this.fail('max-requests', '');
      this.session.onExhausted();
    } else if (code.startsWith('ERR_HTTP2')) this.session.onBroken();
    // The connection is on its way out, and tells more.
    else this.cut = 'connection';
  }

  onClose(): void {
    const { native } = this;
    this.showPending(0);
    if (this.over || native === undefined || this.cut === 'connection') return;
    const { rstCode } = native;
    if (this.cut === 'local') this.onLocalCut(rstCode);
    else if (rstCode === constants.NGHTTP2_PROTOCOL_ERROR && this.cut === 'unknown') {
      // The peer's END_STREAM may stand on a message that Node found broken, or it may be the peer who did.
      setImmediate(() => this.session.run(() => this.onUnknownCut()));
    } else this.onRemoteCut(rstCode);
  }

  /** Node writes its own RST_STREAM in the turn in which it cuts the stream; for the peer's, nothing is written. */
  private onUnknownCut(): void {
    if (this.over) return;
    if (this.session.bytesWritten - this.writtenAtCut === RESET_BYTES)
      this.onLocalCut(constants.NGHTTP2_PROTOCOL_ERROR);
    else this.onRemoteCut(constants.NGHTTP2_PROTOCOL_ERROR);
  }

  private onRemoteCut(code: number): void {
    this.session.stats.rxReset.inc();
    // A peer that has answered in full may leave the rest of the request (RFC 9113 section 8.1).
    if (this.responseDone) this.finish();
    else this.fail(reasonOf(code), '');
  }

  private onLocalCut(code: number): void {
    this.session.stats.txReset.inc();
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM) this.failOverflow();
    else this.failMessage(this.responding ? Http2Details.messagingViolation : Http2Details.invalidHeader);
  }

  private failOverflow(): void {
    this.session.stats.headerOverflow.inc();
    this.close(constants.NGHTTP2_INTERNAL_ERROR);
    this.fail('remote-reset', Http2Details.tooManyHeaders);
  }

  private failMessage(details: string): void {
    const { session } = this;
    session.stats.rxMessagingError.inc();
    this.close(constants.NGHTTP2_PROTOCOL_ERROR);
    this.fail('protocol-error', details);
    if (!session.options.streamErrorOnInvalidMessage) session.onBroken();
  }

  onBug(error: unknown): void {
    this.session.onBug(error);
  }

  /** Nothing of the request has gone out, or will. */
  private refuse(reason: StreamResetReason, details: string): void {
    this.opened = true;
    this.fail(reason, details);
  }

  /** The session tells it, or what came on it did. */
  fail(reason: StreamResetReason, details: string): void {
    if (this.over) return;
    this.finish();
    if (!this.responseDone) this.decoder.onReset(reason, details);
  }

  /** Both directions are through: Node does what is left. */
  private completeIfDone(): void {
    if (this.over || !this.requestDone || !this.responseDone) return;
    this.finish();
  }

  private finish(): void {
    this.over = true;
    this.early = undefined;
    this.session.onStreamOver(this);
  }

  private close(code: number): void {
    const { native } = this;
    if (native === undefined || native.destroyed || native.closed) return;
    this.showPending(0);
    untieStream(native);
    this.session.stats.txReset.inc();
    resetStream(native, code);
  }
}

function bytesIn(chunks: readonly Buffer[] | undefined): number {
  let bytes = 0;
  if (chunks !== undefined) for (const { length } of chunks) bytes += length;
  return bytes;
}

function openLate(session: ClientSession, stream: ClientStream): void {
  session.run(() => stream.openLate());
}
