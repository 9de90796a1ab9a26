import type {
  ClientCodec,
  ClientCodecHandler,
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  HealthHttpConnection,
  HealthHttpHandler,
  RequestEncoder,
  ResponseDecoder,
} from '@dragoman/core';
import type { Http2ClientCodec, Http2ClientHandler } from '@dragoman/http2';

/** One HTTP/1.1 connection. */
export class Http1Check implements HealthHttpConnection, ConnectHandler, ClientCodecHandler {
  private readonly handler: HealthHttpHandler;
  private readonly connection: Connection;
  private readonly codec: ClientCodec;
  private closed = false;
  private ready = false;
  private dispatching = false;
  private ending = false;

  constructor(
    connect: (handler: ConnectHandler) => Connection,
    createCodec: (connection: Connection, handler: ClientCodecHandler) => ClientCodec,
    handler: HealthHttpHandler,
  ) {
    this.handler = handler;
    this.connection = connect(this);
    this.codec = createCodec(this.connection, this);
  }

  request(decoder: ResponseDecoder): RequestEncoder | undefined {
    return this.ready && !this.ending && !this.closed ? this.codec.newStream(decoder) : undefined;
  }

  close(): void {
    if (!this.closed) this.connection.close('now', '');
  }

  onConnected(): void {
    this.ready = true;
    this.handler.onReady();
  }

  onData(data: Buffer): void {
    this.dispatching = true;
    this.codec.dispatch(data);
    this.dispatching = false;
    if (this.ending) this.close();
  }

  onEnd(): void {
    if (this.codec.activeStreams > 0) this.codec.onPeerEnd();
    this.close();
  }

  onWritable(): void {
    this.codec.onWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.closed = true;
    this.codec.onConnectionClosed(kind, reason);
    this.handler.onClosed(reason);
  }

  onStreamComplete(reusable: boolean): void {
    if (reusable) return;
    this.ending = true;
    if (!this.dispatching) this.close();
  }

  onProtocolError(details: string): void {
    if (this.connection.open) this.connection.close('now', details);
  }
}

/** One HTTP/2 connection. */
export class Http2Check implements HealthHttpConnection, ConnectHandler, Http2ClientHandler {
  private readonly handler: HealthHttpHandler;
  private readonly createCodec: (connection: Connection, handler: Http2ClientHandler) => Http2ClientCodec;
  private readonly connection: Connection;
  private codec: Http2ClientCodec | undefined = undefined;
  private failure = '';
  private ready = false;
  /** No further requests. */
  private leaving = false;
  private over = false;

  constructor(
    connect: (handler: ConnectHandler) => Connection,
    createCodec: (connection: Connection, handler: Http2ClientHandler) => Http2ClientCodec,
    handler: HealthHttpHandler,
  ) {
    this.handler = handler;
    this.createCodec = createCodec;
    this.connection = connect(this);
  }

  request(decoder: ResponseDecoder): RequestEncoder | undefined {
    return !this.ready || this.leaving || this.over ? undefined : this.codec?.newStream(decoder);
  }

  close(): void {
    if (this.connection.open) this.connection.close('now', '');
  }

  onConnected(): void {
    this.codec = this.createCodec(this.connection, this);
  }

  onData(data: Buffer): void {
    this.codec?.dispatch(data);
  }

  onEnd(): void {
    if (this.codec === undefined) this.close();
    else this.codec.onPeerEnd();
  }

  onWritable(): void {
    this.codec?.onWritable();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.codec?.onConnectionClosed(kind, reason);
    this.end(this.failure || reason);
  }

  onPeerLimit(limit: number): void {
    if (this.ready || limit === 0) return;
    this.ready = true;
    this.handler.onReady();
  }

  /** What is under way may finish; then the connection goes. */
  onGoAway(): void {
    this.leaving = true;
    this.closeIfDone();
  }

  onPeerEnd(): void {
    this.leaving = true;
  }

  onStreamComplete(): void {
    if (this.leaving) this.closeIfDone();
  }

  onProtocolError(details: string): void {
    this.failure = details;
    this.leaving = true;
    // The codec is still reading, and writes what says why at the end of this turn.
    setImmediate(() => this.close());
  }

  onBug(error: unknown): void {
    this.failure = String(error);
  }

  private closeIfDone(): void {
    if (this.codec?.activeStreams === 0) this.close();
  }

  private end(reason: string): void {
    if (this.over) return;
    this.over = true;
    this.handler.onClosed(reason);
  }
}
