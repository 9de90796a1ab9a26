import type {
  ClientCodec,
  ClientCodecHandler,
  CloseMode,
  ConnectHandler,
  Connection,
  ConnectionCloseKind,
  ConnectOptions,
  Connector,
  Host,
  HttpPoolCallbacks,
  PoolFailureReason,
  RequestEncoder,
  ResponseDecoder,
  StreamMeter,
  UpstreamConnectionInfo,
} from '@dragoman/core';
import type { Http2ClientCodec, Http2ClientHandler } from '@dragoman/http2';
import { connectionInfo } from '@dragoman/testing';

/** A connection whose events a test causes one by one. */
export class FakeConnection implements Connection {
  readonly options: ConnectOptions;
  readonly info;
  open = true;
  /** By the peer. */
  accepted = false;
  /** What {@link release} was called with. */
  readonly released: (boolean | undefined)[] = [];
  bufferedBytes = 0;
  delayedCloseMs = 1000;
  closeMode: CloseMode | undefined;
  readonly aboveHighWatermark = false;
  readonly readingPaused = false;
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  private handler: ConnectHandler;
  private closed = false;

  constructor(options: ConnectOptions, handler: ConnectHandler) {
    this.options = options;
    this.handler = handler;
    this.info = connectionInfo({ directRemoteAddress: options.address });
  }

  /** The peer accepts, and chooses a protocol where it may. */
  accept(negotiated = ''): void {
    this.accepted = true;
    this.info.negotiatedProtocol = negotiated;
    this.handler.onConnected();
  }

  /** The connection is gone, from the peer's side or for the reason of a failed connect. */
  lose(reason = '', kind: ConnectionCloseKind = 'remote'): void {
    if (this.closed) return;
    this.closed = true;
    this.open = false;
    this.handler.onClose(kind, reason);
  }

  end_(): void {
    this.handler.onEnd();
  }

  receive(text: string): void {
    this.handler.onData(Buffer.from(text));
  }

  drained(): void {
    this.handler.onWritable();
  }

  close(mode: CloseMode): void {
    if (!this.open) return;
    this.open = false;
    this.closeMode = mode;
    // As on a socket: the close is an event of its own.
    pendingCloses.push(() => this.lose('', 'local'));
  }

  setHandler(handler: ConnectHandler): void {
    this.handler = handler;
  }
  writeText(): void {}
  writeBody(): boolean {
    return true;
  }
  flush(): void {}
  end(): void {}
  pauseReading(): void {}
  resumeReading(): void {}
  setBulk(): void {}
  hold(): boolean {
    return false;
  }
  release(reuse?: boolean): void {
    this.released.push(reuse);
  }
  setIdleTimeout(): void {}
}

const pendingCloses: (() => void)[] = [];

/** Delivers the close events of connections that were closed by the code under test. */
export function settleCloses(): void {
  for (let close = pendingCloses.shift(); close !== undefined; close = pendingCloses.shift()) close();
}

/** Keeps every connection that was asked for. */
export class FakeConnector implements Connector {
  readonly connections: FakeConnection[] = [];
  /** Connections are accepted by {@link acceptAll}, or at once from a test's point of view with this. */
  connect(options: ConnectOptions, handler: ConnectHandler): Connection {
    const connection = new FakeConnection(options, handler);
    this.connections.push(connection);
    return connection;
  }

  get last(): FakeConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nothing has connected');
    return connection;
  }
}

/**
 * A codec of words: `done` ends the exchange, `close` ends it with a connection that cannot be used again, `garbage` breaks the
 * protocol. Several words may come in one chunk, separated by spaces.
 */
export class FakeCodec implements ClientCodec {
  readonly protocol = 'HTTP/1.1';
  activeStreams = 0;
  private decoder: ResponseDecoder | undefined;
  private readonly connection: Connection;
  private readonly handler: ClientCodecHandler;

  constructor(connection: Connection, handler: ClientCodecHandler) {
    this.connection = connection;
    this.handler = handler;
  }

  newStream(decoder: ResponseDecoder): RequestEncoder {
    if (this.activeStreams > 0) throw new Error('one request at a time');
    this.activeStreams = 1;
    this.decoder = decoder;
    return {
      responseHeadBytes: 0,
      headers: () => {},
      body: () => true,
      trailers: () => {},
      reset: () => {
        this.decoder = undefined;
        this.activeStreams = 0;
        this.connection.close('now');
      },
      pauseBody: () => {},
      resumeBody: () => {},
    };
  }

  dispatch(data: Buffer): void {
    for (const word of data.toString().split(' ')) this.word(word);
  }

  onPeerEnd(): void {}
  onWritable(): void {}

  onConnectionClosed(_kind: 'remote' | 'local', reason: string): void {
    const { decoder } = this;
    this.decoder = undefined;
    this.activeStreams = 0;
    decoder?.onReset('connection-termination', reason);
  }

  private word(word: string): void {
    const { decoder } = this;
    if (decoder === undefined || word === 'garbage') {
      this.decoder = undefined;
      decoder?.onReset('protocol-error', 'garbage');
      this.handler.onProtocolError('garbage');
      return;
    }
    this.decoder = undefined;
    this.activeStreams = 0;
    decoder.onBody(Buffer.from(word), true, false);
    this.handler.onStreamComplete(word === 'done');
  }
}

/** One request of a test: it writes down what happens to it. */
export class FakeRequest implements HttpPoolCallbacks, ResponseDecoder {
  readonly events: string[] = [];
  encoder: RequestEncoder | undefined;
  host: Host | undefined;
  /** Copied: the pool uses its object again. */
  connection: UpstreamConnectionInfo | undefined;
  failure: PoolFailureReason | undefined;
  /** What {@link onPoolFailure} was told. */
  details: string | undefined;
  failedHost: Host | undefined;
  onFailed: (() => void) | undefined;

  onPoolReady(encoder: RequestEncoder, host: Host, connection: UpstreamConnectionInfo): void {
    this.encoder = encoder;
    this.host = host;
    this.connection = { ...connection };
    this.events.push('ready');
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    this.failure = reason;
    this.failedHost = host;
    this.details = details;
    // Which breaker it was is for tests of overflows.
    const told = details !== '' && reason !== 'overflow';
    this.events.push(told ? `failed:${reason}:${details}` : `failed:${reason}`);
    this.onFailed?.();
  }

  onInformational(): void {}
  onHeaders(): void {}

  onBody(chunk: Buffer): boolean {
    this.events.push(`body:${chunk.toString()}`);
    return true;
  }

  onTrailers(): void {}

  onReset(reason: string): void {
    this.events.push(`reset:${reason}`);
  }

  onWritable(): void {}
}

/**
 * An HTTP/2 codec of words. `settings:<n>`: n streams at a time; `goaway`; `done`, `refuse`: the oldest stream is complete, or refused;
 * `end`: the peer has ended the connection; `garbage` breaks the protocol.
 */
export class FakeHttp2Codec implements Http2ClientCodec {
  readonly protocol = 'HTTP/2';
  private readonly streams: ResponseDecoder[] = [];
  private readonly handler: Http2ClientHandler;

  constructor(_connection: Connection, handler: Http2ClientHandler) {
    this.handler = handler;
  }

  get activeStreams(): number {
    return this.streams.length;
  }

  newStream(decoder: ResponseDecoder): RequestEncoder & StreamMeter {
    this.streams.push(decoder);
    return {
      responseHeadBytes: 0,
      headBytesSent: 0,
      wireBytesReceived: 7,
      wireBytesSent: 8,
      headers: () => {},
      body: () => true,
      trailers: () => {},
      reset: () => {
        const index = this.streams.indexOf(decoder);
        if (index < 0) return;
        this.streams.splice(index, 1);
        this.handler.onStreamComplete(true);
      },
      pauseBody: () => {},
      resumeBody: () => {},
    };
  }

  dispatch(data: Buffer): void {
    for (const word of data.toString().split(' ')) this.word(word);
  }

  onPeerEnd(): void {
    this.handler.onPeerEnd();
  }

  onWritable(): void {}

  onConnectionClosed(_kind: 'remote' | 'local', reason: string): void {
    for (const decoder of this.streams.splice(0)) decoder.onReset('connection-termination', reason);
  }

  private word(word: string): void {
    if (word.startsWith('settings:')) this.handler.onPeerLimit(Number(word.slice(9)));
    else if (word === 'goaway') this.handler.onGoAway();
    else if (word === 'garbage') {
      this.handler.onProtocolError('garbage');
      for (const decoder of this.streams.splice(0)) decoder.onReset('protocol-error', 'garbage');
    } else {
      const decoder = this.streams.shift();
      if (decoder === undefined) return;
      this.handler.onStreamComplete(true);
      if (word === 'refuse') decoder.onReset('max-requests', '');
      else decoder.onBody(Buffer.from(word), true, false);
    }
  }
}
