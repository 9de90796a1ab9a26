import type { RequestEncoder, RequestHeaders, StreamResetReason, Trailers } from '@dragoman/core';
import { BodyWriter, Framing } from './body-writer.ts';
import type { ClientConnection } from './client-codec.ts';
import { Http1Details } from './details.ts';
import { BODILESS, METHODS } from './methods.ts';
import { framingLines, isSafeMethod, isSafeTarget, serialiser } from './serialiser.ts';

/** Encodes one request. A call that comes too late does nothing. */
export class ClientStream implements RequestEncoder {
  private readonly codec: ClientConnection;
  private readonly writer: BodyWriter = new BodyWriter();
  responseHeadBytes = 0;
  isHead = false;
  isConnect = false;
  isUpgrade = false;
  requestSent = false;
  requestDone = false;
  /** The exchange is complete, or the stream is gone. */
  done = false;

  constructor(codec: ClientConnection) {
    this.codec = codec;
  }

  get heldBytes(): number {
    return this.done ? 0 : this.codec.heldBytes;
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    if (this.done || this.requestSent) return;
    const { codec, writer } = this;
    const proper = codec.options.headerKeyFormat === 'proper_case_words';
    const framing = framingLines(proper, headers.nameFormatter);
    const { method, authority } = headers;
    this.isHead = method === 'HEAD';
    this.isConnect = method === 'CONNECT';
    const lines = serialiser.lines(headers, proper);
    const target = this.target(headers);
    if (
      lines === undefined ||
      !(METHODS.has(method) || isSafeMethod(method)) ||
      !isSafeTarget(target) ||
      !isSafeTarget(authority)
    ) {
      codec.refuseRequest(this, Http1Details.invalidCharacters);
      return;
    }
    let text = method + ' ' + target + ' HTTP/1.1\r\n' + framing.host + authority + '\r\n' + lines;
    this.isUpgrade = serialiser.upgrade !== '' && serialiser.connectionUpgrade && !this.isConnect;
    const length = serialiser.contentLength;
    if (this.isUpgrade || this.isConnect) {
      // Nothing may follow before the switch is accepted.
      writer.framing = Framing.none;
      if (this.isUpgrade) {
        text += framing.connectionUpgrade + framing.upgrade + serialiser.upgrade + '\r\n';
      }
    } else if (length >= 0) {
      writer.framing = Framing.length;
      writer.remaining = length;
      text += framing.contentLength + length + '\r\n';
    } else if (endStream) {
      writer.framing = Framing.none;
      if (!BODILESS.has(method)) text += framing.contentLength + '0\r\n';
    } else {
      writer.framing = Framing.chunked;
      text += framing.chunked;
    }
    // A body that the peer may not expect (RFC 9110 section 9.3.1) must not become the next request.
    if (writer.framing !== Framing.none && (this.isHead || method === 'GET') && length !== 0)
      codec.closeAfter();
    if (serialiser.close) {
      codec.closeAfter();
      text += framing.close;
    }
    this.requestSent = true;
    codec.expectResponse();
    codec.transport.writeText(text + '\r\n');
    if (endStream) this.finish('');
  }

  private target(headers: RequestHeaders): string {
    if (this.isConnect) return headers.authority;
    const { path } = headers;
    if (path.charCodeAt(0) !== 0x2f) return path === '*' && headers.method === 'OPTIONS' ? path : '';
    if (!this.codec.options.sendFullyQualifiedUrl) return path;
    return `${headers.scheme === 'https' ? 'https' : 'http'}://${headers.authority}${path}`;
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.done || this.requestDone || !this.requestSent) return true;
    const { codec, writer } = this;
    if ((this.isUpgrade || this.isConnect) && writer.framing === Framing.none && chunk.length > 0) {
      codec.brokenRequest(this, Http1Details.bodyDisallowed);
      return true;
    }
    const goOn = writer.write(codec.transport, chunk, holdable);
    if (!goOn && holdable) codec.borrow();
    if (writer.overrun) {
      codec.brokenRequest(this, Http1Details.codecError);
      return true;
    }
    if (endStream) this.finish('');
    return goOn;
  }

  trailers(trailers: Trailers): void {
    if (this.done || this.requestDone || !this.requestSent) return;
    const { options } = this.codec;
    const proper = options.headerKeyFormat === 'proper_case_words';
    this.finish((options.enableTrailers ? serialiser.trailers(trailers, proper) : '') ?? '');
  }

  private finish(trailerLines: string): void {
    this.requestDone = true;
    if (!this.writer.end(this.codec.transport, trailerLines)) {
      this.codec.brokenRequest(this, Http1Details.codecError);
      return;
    }
    if (this.writer.framing === Framing.raw) this.codec.transport.end();
    this.codec.requestComplete();
  }

  reset(_reason: StreamResetReason): void {
    if (!this.done) this.codec.reset(this);
  }

  pauseBody(): void {
    if (!this.done) this.codec.pauseBody();
  }

  resumeBody(): void {
    if (!this.done) this.codec.resumeBody();
  }

  /** The switch of protocols was accepted: bytes flow as they are. */
  accept(): void {
    this.writer.framing = Framing.raw;
  }

  /** The switch of protocols was refused: the request is as complete as it will be. */
  refuse(): void {
    this.requestDone = true;
    this.codec.closeAfter();
  }
}
