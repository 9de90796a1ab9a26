import type {
  Connection,
  RequestDecoder,
  ResponseEncoder,
  ResponseHeaders,
  StreamResetReason,
  Trailers,
} from '@dragoman/core';
import { BodyWriter, Framing } from './body-writer.ts';
import { Http1Details } from './details.ts';
import { type FramingLines, framingLines, isSafePhrase, serialiser } from './serialiser.ts';
import { statusLine } from './status-lines.ts';
import type { ServerConnection } from './server-codec.ts';

/**
 * Encodes one response. There is one for each request, and it holds nothing back when it is done: a call that
 * comes too late does nothing.
 */
export class ServerStream implements ResponseEncoder {
  private readonly codec: ServerConnection;
  private readonly http10: boolean;
  private readonly writer: BodyWriter = new BodyWriter();
  requestHeadBytes = 0;
  isHead = false;
  isConnect = false;
  isUpgrade = false;
  /** The peer waits for 100 before it sends its body, and nothing of it has come. */
  expectContinue = false;
  /** The final head was sent. */
  started = false;
  /** The response is complete, or the stream is gone. */
  done = false;

  constructor(codec: ServerConnection, http10: boolean) {
    this.codec = codec;
    this.http10 = http10;
  }

  get endsWithConnection(): boolean {
    return this.started && this.writer.framing === Framing.close;
  }

  get heldBytes(): number {
    return this.done ? 0 : this.codec.heldBytes;
  }

  informational(headers: ResponseHeaders): void {
    if (this.done || this.started) return;
    const { status } = headers;
    // RFC 9110 section 15.2: never to HTTP/1.0. 101 is final here: it goes through headers().
    if (this.http10 || status < 100 || status > 199 || status === 101) return;
    const lines = serialiser.lines(headers, this.proper);
    if (lines === undefined) return;
    if (status === 100) this.expectContinue = false;
    this.codec.transport.writeText(statusLine(status, false) + lines + '\r\n');
  }

  headers(headers: ResponseHeaders, endStream: boolean): void {
    if (this.done || this.started) return;
    const { codec, writer } = this;
    const { status } = headers;
    const proper = this.proper;
    const framing = framingLines(proper, headers.nameFormatter);
    const lines = serialiser.lines(headers, proper);
    const switching = status === 101 ? this.isUpgrade : this.isConnect && status >= 200 && status < 300;
    if (lines === undefined || status < 101 || status > 999 || (status < 200 && !switching)) {
      this.refuse();
      return;
    }
    this.started = true;
    if (switching) {
      this.switchProtocol(headers, framing, lines, endStream);
      return;
    }
    if (serialiser.close || this.isConnect || this.isUpgrade || codec.mustCloseAfter(this, endStream)) {
      codec.closing = true;
    }
    let text = this.statusLine(headers) + lines;
    const length = serialiser.contentLength;
    if (status === 204) writer.framing = Framing.none;
    else if (this.isHead || status === 304) {
      writer.framing = Framing.none;
      if (length >= 0) text += framing.contentLength + length + '\r\n';
      else if (this.isHead && status !== 304 && !this.http10) text += framing.chunked;
    } else if (length >= 0) {
      writer.framing = Framing.length;
      writer.remaining = length;
      text += framing.contentLength + length + '\r\n';
    } else if (endStream) {
      writer.framing = Framing.none;
      text += framing.contentLength + '0\r\n';
    } else if (this.http10) {
      writer.framing = Framing.close;
      codec.closing = true;
    } else {
      writer.framing = Framing.chunked;
      text += framing.chunked;
    }
    if (serialiser.upgrade !== '' && serialiser.connectionUpgrade && !codec.closing) {
      // The server says what it could switch to (RFC 9110 section 7.8).
      text += framing.connectionUpgrade + framing.upgrade + serialiser.upgrade + '\r\n';
    } else if (codec.closing) text += framing.close;
    else if (this.http10) text += framing.keepAlive;
    codec.transport.writeText(text + '\r\n');
    if (endStream) this.finish('');
  }

  private switchProtocol(
    headers: ResponseHeaders,
    framing: FramingLines,
    lines: string,
    endStream: boolean,
  ): void {
    let text = this.statusLine(headers) + lines;
    if (headers.status === 101) {
      text += framing.connectionUpgrade;
      if (serialiser.upgrade !== '') text += framing.upgrade + serialiser.upgrade + '\r\n';
    }
    this.writer.framing = Framing.raw;
    this.codec.transport.writeText(text + '\r\n');
    this.codec.switchProtocol();
    if (endStream) this.finish('');
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.done) return true;
    const { transport } = this.codec;
    const goOn = this.writer.write(transport, chunk, holdable);
    if (this.writer.overrun) this.codec.closing = true;
    if (endStream) this.finish('');
    return goOn;
  }

  trailers(trailers: Trailers): void {
    if (this.done) return;
    let lines: string | undefined = '';
    if (this.codec.options.enableTrailers) lines = serialiser.trailers(trailers, this.proper);
    this.finish(lines ?? '');
  }

  private finish(trailerLines: string): void {
    const whole = this.writer.end(this.codec.transport, trailerLines);
    this.codec.responseDone(this, whole);
  }

  reset(reason: StreamResetReason): void {
    if (this.done) return;
    // What waits for a slow peer is what an overloaded proxy wants to be rid of.
    this.codec.cut(this, reason === 'overload');
  }

  pauseBody(): void {
    if (!this.done) this.codec.pauseBody();
  }

  resumeBody(): void {
    if (!this.done) this.codec.resumeBody();
  }

  closeAfterResponse(): void {
    if (!this.done) this.codec.closing = true;
  }

  setDecoder(decoder: RequestDecoder): void {
    if (!this.done) this.codec.setDecoder(decoder);
  }

  /** A head that must not be sent: nothing of it is, the peer gets a bare 500, and the owner a reset. */
  private refuse(): void {
    this.codec.refuse(this, Http1Details.invalidCharacters);
  }

  /** The bare answer of {@link refuse}. */
  writeError(transport: Connection): void {
    const framing = framingLines(this.proper, undefined);
    transport.writeText(`${statusLine(500, this.http10)}${framing.contentLength}0\r\n${framing.close}\r\n`);
  }

  private statusLine({ status, nameFormatter }: ResponseHeaders): string {
    const phrase = nameFormatter === undefined ? '' : nameFormatter.reasonPhrase;
    if (phrase === '' || !isSafePhrase(phrase)) return statusLine(status, this.http10);
    return `${this.http10 ? 'HTTP/1.0' : 'HTTP/1.1'} ${status} ${phrase}\r\n`;
  }

  private get proper(): boolean {
    return this.codec.options.headerKeyFormat === 'proper_case_words';
  }
}
