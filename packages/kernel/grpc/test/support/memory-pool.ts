import {
  type Cancellable,
  type Host,
  type HttpPool,
  type HttpPoolCallbacks,
  type PoolFailureReason,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
  type StreamResetReason,
  Trailers,
  type UpstreamConnectionInfo,
} from '@dragoman/core';
import { encodeGrpcFrame, GrpcFrameReader } from '@dragoman/grpc-frames';

/** A pool whose streams a test plays the upstream of. */
export class MemoryPool implements HttpPool {
  host!: Host;
  /** Whether a stream has its connection at once; else the test says when. */
  ready = true;
  readonly streams: MemoryStream[] = [];
  /** Played as soon as a stream has its request to the end, for tests that are about something else. */
  onRequestEnd: ((stream: MemoryStream) => void) | undefined = undefined;
  onRequestHeaders: ((stream: MemoryStream) => void) | undefined = undefined;

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const stream = new MemoryStream(this, this.host, decoder, callbacks);
    this.streams.push(stream);
    if (this.ready) {
      stream.connect();
      return undefined;
    }
    return stream.settled ? undefined : stream;
  }

  get last(): MemoryStream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error('no stream was opened');
    return stream;
  }
}

const CONNECTION: Omit<UpstreamConnectionInfo, 'remoteAddress'> = {
  id: 1,
  protocol: 'HTTP/2',
  localAddress: undefined,
  tls: undefined,
  connectStart: 0,
  connectComplete: 0,
  handshakeComplete: 0,
  bytesRead: 0,
  bytesWritten: 0,
};

/** What stands in for memory that was lent and is used again. */
const USED_AGAIN = 0xee;

/** One stream, from the upstream's side; and the seam that the client sees. */
export class MemoryStream implements RequestEncoder, Cancellable {
  readonly responseHeadBytes = 0;
  readonly host: Host;
  requestHeaders: RequestHeaders | undefined = undefined;
  readonly chunks: Buffer[] = [];
  ended = false;
  resetReason: StreamResetReason | undefined = undefined;
  cancelled = false;
  settled = false;
  /** How the response's body was paused (true) and resumed (false). */
  readonly pauses: boolean[] = [];
  /** The connection takes no more: `body` says false. */
  full = false;
  decoder: ResponseDecoder;
  private readonly pool: MemoryPool;
  private readonly callbacks: HttpPoolCallbacks;

  constructor(pool: MemoryPool, host: Host, decoder: ResponseDecoder, callbacks: HttpPoolCallbacks) {
    this.pool = pool;
    this.host = host;
    this.decoder = decoder;
    this.callbacks = callbacks;
  }

  // --- The pool ----------------------------------------------------------------------------------------------------------

  connect(): void {
    this.settled = true;
    this.callbacks.onPoolReady(this, this.host, { ...CONNECTION, remoteAddress: this.host.address });
  }

  fail(reason: PoolFailureReason, details = ''): void {
    this.settled = true;
    this.callbacks.onPoolFailure(reason, details, reason === 'overflow' ? undefined : this.host);
  }

  cancel(): void {
    this.cancelled = true;
  }

  // --- RequestEncoder ----------------------------------------------------------------------------------------------------

  headers(headers: RequestHeaders, endStream: boolean): void {
    if (this.requestHeaders !== undefined) throw new Error('headers came twice');
    this.requestHeaders = headers;
    this.ended = endStream;
    this.pool.onRequestHeaders?.(this);
  }

  body(chunk: Buffer, endStream: boolean): boolean {
    if (this.ended) throw new Error('a body behind the end');
    if (this.resetReason !== undefined) throw new Error('a body behind a reset');
    this.chunks.push(Buffer.from(chunk));
    if (endStream) {
      this.ended = true;
      this.pool.onRequestEnd?.(this);
    }
    return !this.full;
  }

  trailers(): void {
    throw new Error('requests of gRPC have no trailers');
  }

  reset(reason: StreamResetReason): void {
    if (this.resetReason !== undefined) throw new Error('reset twice');
    this.resetReason = reason;
  }

  pauseBody(): void {
    if (this.pauses.at(-1) === true) throw new Error('paused twice');
    this.pauses.push(true);
  }

  resumeBody(): void {
    if (this.pauses.at(-1) !== true) throw new Error('resumed, but not paused');
    this.pauses.push(false);
  }

  get paused(): boolean {
    return this.pauses.at(-1) === true;
  }

  // --- What the upstream sees and does -------------------------------------------------------------------------------------

  /** The messages it has got so far. */
  get messages(): Buffer[] {
    const reader = new GrpcFrameReader({ maxMessageBytes: 2 ** 31 });
    reader.push(Buffer.concat(this.chunks));
    const messages: Buffer[] = [];
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) messages.push(frame.message);
    if (reader.pendingBytes > 0) throw new Error('a message is not whole');
    return messages;
  }

  respond(fields: Record<string, string> = {}, status = 200, endStream = false): void {
    const headers = new ResponseHeaders();
    headers.status = status;
    headers.append('content-type', 'application/grpc');
    for (const [name, value] of Object.entries(fields)) headers.append(name, value);
    this.decoder.onHeaders(headers, endStream);
  }

  /** Bytes of the body, in memory that is used again as soon as the call returns. */
  bytes(chunk: Uint8Array, endStream = false): void {
    const borrowed = Buffer.from(new Uint8Array(chunk).buffer);
    if (!this.decoder.onBody(borrowed, endStream, false)) throw new Error('a borrowed chunk was kept');
    borrowed.fill(USED_AGAIN);
  }

  message(message: Uint8Array, flags = 0): void {
    this.bytes(encodeGrpcFrame(message, flags));
  }

  end(status = 0, fields: Record<string, string> = {}): void {
    this.endWith({ 'grpc-status': String(status), ...fields });
  }

  endWith(fields: Record<string, string>): void {
    const trailers = new Trailers();
    for (const [name, value] of Object.entries(fields)) trailers.append(name, value);
    this.decoder.onTrailers(trailers);
  }

  /** A whole answer of one message. */
  answer(message: Uint8Array, fields: Record<string, string> = {}): void {
    this.respond(fields);
    this.message(message);
    this.end();
  }

  lose(reason: StreamResetReason = 'remote-reset', details = ''): void {
    this.decoder.onReset(reason, details);
  }

  drain(): void {
    this.full = false;
    this.decoder.onWritable();
  }
}
