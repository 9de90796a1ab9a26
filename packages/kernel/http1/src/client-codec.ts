import type {
  ClientCodec,
  ClientCodecHandler,
  Connection,
  Protocol,
  RequestEncoder,
  ResponseDecoder,
  StreamResetReason,
  Trailers,
} from '@dragoman/core';
import { ClientStream } from './client-stream.ts';
import { CodecBase, Input } from './codec-base.ts';
import { Http1Details } from './details.ts';
import { INCOMPLETE } from './field-scanner.ts';
import { clientOptions, type Http1ClientOptions } from './options.ts';
import { ResponseHead } from './response-head.ts';

const responseHead = new ResponseHead();
const EMPTY = Buffer.alloc(0);

export class ClientConnection extends CodecBase implements ClientCodec {
  readonly protocol: Protocol = 'HTTP/1.1';
  readonly options: Required<Http1ClientOptions>;
  private readonly handler: ClientCodecHandler;
  private stream: ClientStream | undefined = undefined;
  private decoder: ResponseDecoder | undefined = undefined;
  private informational = 0;
  /** The connection's queue references bytes that are somebody else's. */
  private borrowing = false;
  private reusable = true;
  private dead = false;
  private closeReason: string | undefined = undefined;

  constructor(connection: Connection, handler: ClientCodecHandler, options: Required<Http1ClientOptions>) {
    super(connection, options);
    this.handler = handler;
    this.options = options;
    // Nobody has asked for anything yet.
    this.input = Input.wait;
  }

  get activeStreams(): number {
    return this.stream === undefined ? 0 : 1;
  }

  get transport(): Connection {
    return this.connection;
  }

  newStream(decoder: ResponseDecoder): RequestEncoder {
    if (this.stream !== undefined || this.dead || !this.reusable) {
      throw new Error(
        'an HTTP/1 connection carries one exchange at a time, and none after it has to be closed',
      );
    }
    const stream = new ClientStream(this);
    this.stream = stream;
    this.decoder = decoder;
    this.informational = 0;
    return stream;
  }

  onPeerEnd(): void {
    this.peerEnded = true;
    this.reusable = false;
    if (!this.hasPending && !this.blocked) this.onInputEnd();
  }

  onWritable(): void {
    this.borrowing = false;
    this.decoder?.onWritable();
  }

  onConnectionClosed(kind: 'remote' | 'local', reason: string): void {
    if (this.dead) return;
    this.reusable = false;
    if (this.stream === undefined) {
      this.die();
      return;
    }
    const orderly = kind === 'remote' && reason === '';
    this.closeReason = reason;
    if (orderly && (this.hasPending || this.blocked)) {
      // The receiver still has to take what had come before.
      this.peerEnded = true;
      return;
    }
    if (orderly) this.onInputEnd();
    else this.terminate('connection-termination', reason);
  }

  protected override skipToHead(_data: Buffer, start: number, _end: number): number {
    return start;
  }

  protected override readHead(data: Buffer, start: number, end: number): number {
    const head = responseHead;
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
    const stream = this.stream as ClientStream;
    const decoder = this.decoder as ResponseDecoder;
    const { headers } = head;
    const { status } = headers;
    if (status < 200 && status !== 101) {
      if (++this.informational > this.options.maxInformational) {
        this.fail(502, Http1Details.codecError, 'too many informational responses');
        return end;
      }
      decoder.onInformational(headers);
      return next;
    }
    stream.responseHeadBytes = next - start;
    if (head.close || (head.http10 && !head.keepAlive)) this.reusable = false;
    if (status === 101 ? !stream.isUpgrade || !head.upgrade : false) {
      this.fail(502, Http1Details.codecError, 'switch of protocols that was not asked for');
      return end;
    }
    if (status === 101 || (stream.isConnect && status < 300)) {
      if (head.chunked || head.contentLength >= 0) {
        // RFC 9110 section 9.3.6: they mean nothing here, and are not passed on.
        headers.remove('content-length');
        headers.remove('transfer-encoding');
      }
      this.reusable = false;
      stream.accept();
      this.expectUntilClose(Input.raw);
      decoder.onHeaders(headers, false);
      return next;
    }
    if (stream.isUpgrade || stream.isConnect) stream.refuse();
    let endStream = false;
    if (stream.isHead || status === 204 || status === 304) endStream = true;
    else if (head.chunked) this.expectChunked();
    else if (head.contentLength > 0) this.expectFixed(head.contentLength);
    else if (head.contentLength === 0) endStream = true;
    else {
      this.reusable = false;
      this.expectUntilClose(Input.untilClose);
    }
    if (endStream) this.input = Input.wait;
    decoder.onHeaders(headers, endStream);
    return next;
  }

  protected override deliver(chunk: Buffer, last: boolean, holdable: boolean): boolean {
    const decoder = this.decoder;
    if (decoder === undefined) return true;
    const goOn = decoder.onBody(chunk, last, holdable);
    // A receiver that ended the stream meanwhile stops nothing.
    return goOn || this.decoder !== decoder;
  }

  protected override deliverTrailers(trailers: Trailers): void {
    this.decoder?.onTrailers(trailers);
  }

  protected override fail(_status: number, details: string, _message: string): void {
    this.terminate('protocol-error', details);
    this.handler.onProtocolError(details);
  }

  protected override onSurplus(): boolean {
    return false;
  }

  /** The end of an event is the first moment at which it is known whether bytes follow a complete response. */
  protected override afterPump(surplus: boolean): void {
    if (this.input !== Input.wait) return;
    // The response did not wait for the end of the request: who knows what the peer makes of the rest.
    if (this.stream?.requestDone === false) this.reusable = false;
    if (surplus) {
      this.reusable = false;
      if (this.stream === undefined || !this.stream.requestSent) {
        this.fail(502, Http1Details.codecError, 'bytes that nobody asked for');
        return;
      }
    }
    this.complete();
  }

  protected override onInputEnd(): void {
    if (this.dead || this.stream === undefined) return;
    if (this.input === Input.untilClose) {
      this.input = Input.wait;
      this.decoder?.onBody(EMPTY, true, true);
      this.complete();
    } else if (this.input !== Input.wait || !this.stream.requestDone) {
      // After a switch of protocols too: as Envoy does, the end of one direction is the end of both.
      this.terminate('connection-termination', this.closeReason ?? '');
      // The end may have waited for a slow receiver: by now nobody else would close.
      this.connection.close('now');
    } else this.complete();
  }

  // --- Called by the stream --------------------------------------------------------------------------------------

  /** The request's head is on its way: from now on a response is expected. */
  expectResponse(): void {
    this.input = Input.head;
  }

  /** This exchange is the connection's last. */
  closeAfter(): void {
    this.reusable = false;
  }

  pauseBody(): void {
    if (this.input !== Input.wait) this.pauseInput();
  }

  resumeBody(): void {
    this.resumeInput();
    if (!this.pumping) this.complete();
  }

  /** The request is complete; so is the exchange when the response is. */
  requestComplete(): void {
    if (!this.pumping) this.complete();
  }

  /** Tells the owner once both directions are through and nobody looks at the read buffer any more. */
  private complete(): void {
    const { stream } = this;
    if (stream === undefined || this.input !== Input.wait || this.holding) return;
    if (!stream.requestSent || !stream.requestDone) return;
    stream.done = true;
    this.stream = undefined;
    this.decoder = undefined;
    this.blocked = false;
    // A response that came while the request is still queued here: the peer has not read it all, and the queue may
    // reference a buffer that its owner takes back now.
    const reusable = this.reusable && this.connection.open && this.connection.bufferedBytes === 0;
    if (!reusable) this.die();
    this.handler.onStreamComplete(reusable);
  }

  /** The request must not be sent as it is: nothing was, so the connection is as good as before. */
  refuseRequest(stream: ClientStream, details: string): void {
    const { decoder } = this;
    stream.done = true;
    this.stream = undefined;
    this.decoder = undefined;
    decoder?.onReset('local-reset', details);
    this.handler.onStreamComplete(this.reusable && this.connection.open);
  }

  /** The queue keeps a chunk that its owner lent. */
  borrow(): void {
    this.borrowing = true;
  }

  /** The stream was given up. */
  reset(stream: ClientStream): void {
    stream.done = true;
    this.stream = undefined;
    this.decoder = undefined;
    if (!stream.requestSent) {
      this.handler.onStreamComplete(this.reusable && this.connection.open);
      return;
    }
    // What was taken over after a switch of protocols is delivered, unless it is lent and its owner may be gone.
    const deliver = this.input === Input.raw && !this.borrowing;
    this.die();
    this.connection.close(deliver ? 'flush' : 'now');
  }

  /** The request's body is not what its length said. */
  brokenRequest(stream: ClientStream, details: string): void {
    const { decoder } = this;
    this.reset(stream);
    decoder?.onReset('local-reset', details);
  }

  private terminate(reason: StreamResetReason, details: string): void {
    const { stream, decoder } = this;
    // Whoever has had the whole response hears nothing more, though the request was not through.
    const answered = this.input === Input.wait && stream?.requestSent === true;
    this.stream = undefined;
    this.decoder = undefined;
    if (stream !== undefined) stream.done = true;
    this.die();
    if (!answered) decoder?.onReset(reason, details);
  }

  private die(): void {
    this.dead = true;
    this.reusable = false;
    this.stopInput();
  }
}

/** The client side of HTTP/1.1 on `connection`. */
export function createClientCodec(
  connection: Connection,
  handler: ClientCodecHandler,
  options: Http1ClientOptions,
): ClientCodec {
  return new ClientConnection(connection, handler, clientOptions(options));
}
