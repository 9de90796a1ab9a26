import type {
  CodecError,
  Connection,
  Protocol,
  RequestDecoder,
  ServerCodec,
  ServerCodecHandler,
  Trailers,
} from '@dragoman/core';
import { CR, LF } from './chars.ts';
import { CodecBase, Input } from './codec-base.ts';
import { Http1Details } from './details.ts';
import { INCOMPLETE } from './field-scanner.ts';
import { type Http1ServerOptions, serverOptions } from './options.ts';
import { RequestHead } from './request-head.ts';
import { ServerStream } from './server-stream.ts';

/** RFC 9112 section 2.2: an empty line before a request is ignored. Two of them are. */
const MAX_LEADING_BYTES = 4;

const requestHead = new RequestHead();

export class ServerConnection extends CodecBase implements ServerCodec {
  readonly protocol: Protocol = 'HTTP/1.1';
  readonly options: Required<Http1ServerOptions>;
  private readonly handler: ServerCodecHandler;
  private stream: ServerStream | undefined = undefined;
  private decoder: RequestDecoder | undefined = undefined;
  private leading = 0;
  private drained = 0;
  private drain = false;
  peerDone = false;
  /** The request in hand is the last, its sender said. */
  private lastRequest = false;
  /** The response in hand, or the next one, is the last. */
  closing = false;
  /** Stop at the end of the exchange: set once the owner has been told. */
  private finished = false;

  constructor(connection: Connection, handler: ServerCodecHandler, options: Required<Http1ServerOptions>) {
    super(connection, options);
    this.handler = handler;
    this.options = options;
  }

  get activeStreams(): number {
    return this.stream === undefined ? 0 : 1;
  }

  get headPending(): boolean {
    return this.readingHead || (this.input === Input.head && this.hasPending);
  }

  refuseHead({ status, details, message }: CodecError): void {
    if (this.readingHead) this.fail(status, details, message);
  }

  abort(error: CodecError): void {
    const { stream, decoder } = this;
    if (this.drain || stream?.started !== true) {
      this.give(error);
      return;
    }
    this.closing = true;
    this.decoder = undefined;
    this.stopInput();
    this.cut(stream);
    decoder?.onReset('overload', error.details);
  }

  get draining(): boolean {
    return this.drain;
  }

  get transport(): Connection {
    return this.connection;
  }

  startDrain(): void {
    this.closing = true;
  }

  onPeerEnd(): void {
    this.peerEnded = true;
    if (!this.hasPending && !this.blocked) this.onInputEnd();
  }

  onWritable(): void {
    this.decoder?.onWritable();
  }

  onConnectionClosed(reason: string): void {
    const { decoder, stream } = this;
    this.finished = true;
    if (stream !== undefined) stream.done = true;
    this.stream = undefined;
    this.decoder = undefined;
    this.stopInput();
    decoder?.onReset(
      'connection-termination',
      reason === '' ? Http1Details.downstreamRemoteDisconnect : reason,
    );
  }

  protected override skipToHead(data: Buffer, start: number, end: number): number {
    let p = start;
    while (p < end) {
      const c = data[p];
      const wanted = (this.leading & 1) === 0 ? CR : LF;
      if (c !== wanted) {
        if (wanted === CR && c !== LF) break;
        this.fail(400, Http1Details.codecError, 'CR or LF alone before a request');
        return end;
      }
      if (++this.leading > MAX_LEADING_BYTES) {
        this.fail(400, Http1Details.codecError, 'too many empty lines before a request');
        return end;
      }
      p++;
    }
    return p;
  }

  protected override readHead(data: Buffer, start: number, end: number): number {
    const head = requestHead;
    const next = head.read(data, start, end, this.options);
    if (next === INCOMPLETE) return next;
    if (next < 0) {
      this.fail(head.status, head.details, head.message);
      return end;
    }
    if (next - start > this.options.maxHeaderBytes) {
      this.failTooLarge('headers');
      return end;
    }
    this.leading = 0;
    this.lastRequest = head.close || (head.http10 && !head.keepAlive);
    if (this.lastRequest) this.closing = true;
    const stream = new ServerStream(this, head.http10);
    stream.requestHeadBytes = next - start;
    stream.isHead = head.isHead;
    stream.isConnect = head.isConnect;
    stream.isUpgrade = head.upgrade;
    stream.expectContinue = head.expectContinue;
    this.stream = stream;
    this.drain = false;
    this.drained = 0;
    const headers = head.headers;
    let endStream = false;
    if (head.chunked) this.expectChunked();
    else if (head.contentLength > 0) this.expectFixed(head.contentLength);
    else {
      // A request that switches protocols is complete, but its stream is not: what follows waits for the answer.
      this.input = Input.wait;
      endStream = !head.isConnect && !head.upgrade;
      if (endStream) stream.expectContinue = false;
    }
    const decoder = this.handler.onStream(stream, head.http10 ? 'HTTP/1.0' : 'HTTP/1.1');
    if (this.stream !== stream) return next;
    this.decoder = decoder;
    decoder.onHeaders(headers, endStream);
    return next;
  }

  protected override deliver(chunk: Buffer, last: boolean, holdable: boolean): boolean {
    const decoder = this.decoder;
    if (decoder !== undefined) {
      const stream = this.stream as ServerStream;
      stream.expectContinue = false;
      const goOn = decoder.onBody(chunk, last, holdable);
      // A receiver that ended the stream meanwhile stops nothing.
      return goOn || this.decoder !== decoder;
    }
    this.drained += chunk.length;
    if (last) this.afterDrain();
    else if (this.drain && this.drained > this.options.maxDrainBytes) this.finish();
    return true;
  }

  protected override deliverTrailers(trailers: Trailers): void {
    if (this.decoder !== undefined) this.decoder.onTrailers(trailers);
    else this.afterDrain();
  }

  protected override fail(status: number, details: string, message: string): void {
    this.give({ status, details, message });
  }

  /** Gives the input up for `error`. */
  private give(error: CodecError): void {
    const { stream, decoder } = this;
    this.closing = true;
    this.decoder = undefined;
    this.stopInput();
    if (this.drain) {
      this.finish();
      return;
    }
    if (stream?.started === true) {
      // An answer is under way: all that is left is to cut it.
      this.cut(stream);
      decoder?.onReset('protocol-error', error.details);
      return;
    }
    let encoder = stream;
    if (encoder === undefined) {
      encoder = new ServerStream(this, false);
      this.stream = encoder;
    }
    this.handler.onCodecError(error, encoder, decoder);
  }

  protected override onSurplus(): boolean {
    return true;
  }

  protected override afterPump(_surplus: boolean): void {}

  protected override onInputEnd(): void {
    const { stream, decoder } = this;
    if (this.input === Input.dead || this.finished) return;
    if (this.input === Input.wait) {
      this.closing = true;
      return;
    }
    // After a switch of protocols too: as Envoy does, the end of one direction is the end of both.
    this.stopInput();
    this.decoder = undefined;
    this.stream = undefined;
    if (stream !== undefined) {
      stream.done = true;
      decoder?.onReset('connection-termination', Http1Details.downstreamRemoteDisconnect);
    }
    this.finish();
  }

  // --- Called by the stream --------------------------------------------------------------------------------------

  /** What the peer has sent so far, or may be about to send, rules out another request after this response. */
  mustCloseAfter(stream: ServerStream, endStream: boolean): boolean {
    if (this.closing || stream.expectContinue) return true;
    // While bytes are being looked at, nobody knows whether they hold another request.
    if (this.input === Input.wait) return this.peerEnded && !this.hasPending && !this.pumping;
    return endStream && this.input === Input.fixed && this.remaining > this.options.maxDrainBytes;
  }

  /** The protocol is switched: what was kept and what comes is passed on. */
  switchProtocol(): void {
    this.closing = true;
    this.expectUntilClose(Input.raw);
    if (this.hasPending || this.peerEnded) this.goOnLater();
  }

  setDecoder(decoder: RequestDecoder): void {
    if (this.decoder !== undefined) this.decoder = decoder;
  }

  pauseBody(): void {
    if (this.input !== Input.wait) this.pauseInput();
  }

  resumeBody(): void {
    this.resumeInput();
  }

  /** The response is complete. `clean` says whether it was as its framing said. */
  responseDone(stream: ServerStream, clean: boolean): void {
    stream.done = true;
    const held = this.holding;
    this.decoder = undefined;
    this.stream = undefined;
    if (!clean || held || this.closing || this.input === Input.dead || stream.expectContinue) {
      if (clean) this.finish();
      else this.cut(stream);
      return;
    }
    if (this.input === Input.wait) {
      this.next();
      return;
    }
    // The response came before the end of the request.
    if (
      this.options.maxDrainBytes === 0 ||
      (this.input === Input.fixed && this.remaining > this.options.maxDrainBytes)
    ) {
      this.finish();
      return;
    }
    this.drain = true;
    this.unblock();
    if (!this.pumping) this.goOnLater();
  }

  /** Closes a connection whose stream cannot be finished. A body that ends with the connection must not seem complete. @param dropQueue nothing that waits is sent */
  cut(stream: ServerStream, dropQueue = false): void {
    stream.done = true;
    this.stream = undefined;
    this.decoder = undefined;
    this.finished = true;
    this.stopInput();
    this.connection.close(stream.endsWithConnection ? 'reset' : dropQueue ? 'now' : 'flush');
  }

  /** The owner asked for a head that must not be sent. */
  refuse(stream: ServerStream, details: string): void {
    const { decoder } = this;
    stream.done = true;
    this.stream = undefined;
    this.decoder = undefined;
    stream.writeError(this.connection);
    this.stopInput();
    decoder?.onReset('local-reset', details);
    this.finish();
  }

  private afterDrain(): void {
    if (!this.drain) return;
    this.drain = false;
    if (this.closing) this.finish();
    else this.next();
  }

  private next(): void {
    if (!this.connection.open) {
      this.finish();
      return;
    }
    if (this.peerEnded && !this.hasPending && !this.pumping) {
      this.finish();
      return;
    }
    this.input = Input.head;
    this.leading = 0;
    this.handler.onStreamComplete();
    if (this.hasPending && !this.pumping) this.goOnLater();
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.drain = false;
    this.peerDone = this.lastRequest && this.input === Input.wait && !this.hasPending;
    this.stopInput();
    this.handler.onConnectionDone();
  }

  /** Reads on when the call in hand is through, so that the owner does not get a request in the middle of ending one. */
  private goOnLater(): void {
    queueMicrotask(() => {
      if (!this.finished) this.goOn();
    });
  }
}

/** The server side of HTTP/1.1 (and 1.0 where it is allowed) on `connection`. */
export function createServerCodec(
  connection: Connection,
  handler: ServerCodecHandler,
  options: Http1ServerOptions,
): ServerCodec {
  return new ServerConnection(connection, handler, serverOptions(options));
}
