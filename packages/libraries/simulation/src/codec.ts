import {
  type ClientCodec,
  type ClientCodecHandler,
  type Connection,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
} from '@dragoman/core';
import type { SimConnection } from './connection.ts';
import type { Exchange } from './host.ts';

const LOAD = 'endpoint-load-metrics';

/** Stands in for the HTTP/1.1 codec of a connection: one request at a time, handed to the host as a call. */
export class SimCodec implements ClientCodec {
  readonly protocol = 'HTTP/1.1';
  private stream: SimExchange | undefined = undefined;
  private readonly connection: SimConnection;
  private readonly handler: ClientCodecHandler;

  constructor(connection: Connection, handler: ClientCodecHandler) {
    this.connection = connection as SimConnection;
    this.handler = handler;
  }

  get activeStreams(): number {
    return this.stream === undefined ? 0 : 1;
  }

  newStream(decoder: ResponseDecoder): RequestEncoder {
    if (this.stream !== undefined) throw new Error('one request at a time');
    this.stream = new SimExchange(this, decoder);
    return this.stream;
  }

  dispatch(): void {}
  onPeerEnd(): void {}
  onWritable(): void {}

  onConnectionClosed(_kind: 'remote' | 'local', reason: string): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.decoder.onReset('connection-termination', reason);
  }

  // --- Called by its exchange ------------------------------------------------------------------------------------------

  send(exchange: SimExchange): void {
    this.connection.host.take(exchange);
  }

  onAnswer(exchange: SimExchange, headers: ResponseHeaders): void {
    if (exchange !== this.stream) return;
    this.stream = undefined;
    exchange.decoder.onHeaders(headers, true);
    this.handler.onStreamComplete(true);
  }

  onLost(exchange: SimExchange): void {
    if (exchange === this.stream) this.connection.lose('connection reset');
  }

  /** Nobody waits for the answer any more: a connection of HTTP/1.1 ends with that. */
  onReset(exchange: SimExchange): void {
    if (exchange !== this.stream) return;
    this.stream = undefined;
    this.connection.close('now');
  }
}

/** One request on its way, and its answer. */
class SimExchange implements RequestEncoder, Exchange {
  readonly decoder: ResponseDecoder;
  readonly responseHeadBytes = 0;
  private readonly codec: SimCodec;

  constructor(codec: SimCodec, decoder: ResponseDecoder) {
    this.codec = codec;
    this.decoder = decoder;
  }

  headers(_headers: RequestHeaders, endStream: boolean): void {
    if (endStream) this.codec.send(this);
  }

  body(_chunk: Buffer, endStream: boolean): boolean {
    if (endStream) this.codec.send(this);
    return true;
  }

  trailers(): void {
    this.codec.send(this);
  }

  reset(): void {
    this.codec.onReset(this);
  }

  pauseBody(): void {}
  resumeBody(): void {}

  onAnswer(status: number, load: string | undefined): void {
    const headers = new ResponseHeaders();
    headers.status = status;
    if (load !== undefined) headers.append(LOAD, load);
    this.codec.onAnswer(this, headers);
  }

  onLost(): void {
    this.codec.onLost(this);
  }
}
