import {
  Address,
  type ConnectHandler,
  type Connection,
  type ConnectionCloseKind,
  RequestHeaders,
  type RequestEncoder,
  type ResponseDecoder,
  type ResponseHeaders,
  silentLogger,
  systemClock,
  type Trailers,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { Dispatcher, ReadBuffers, SocketConnector } from '@dragoman/network';
import { FakeClock, MemoryStats, SeededRandom } from '@dragoman/testing';
import {
  createClientCodec,
  createHttp2Stats,
  HTTP2_CLIENT_DEFAULTS,
  type Http2ClientCodec,
  type Http2ClientHandler,
  type Http2ClientOptions,
  Http2Sessions,
} from '../../src/index.ts';

const network = {
  clock: systemClock,
  logger: silentLogger,
  dispatcher: new Dispatcher(systemClock),
  buffers: new ReadBuffers(),
};

export function requestOf(fields: Readonly<Record<string, string>> = {}): RequestHeaders {
  const headers = new RequestHeaders();
  const all = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'a.example', ...fields };
  for (const [name, value] of Object.entries(all)) headers.append(name, value);
  return headers;
}

/** One exchange; writes down what happens to it. */
export class Exchange implements ResponseDecoder {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  headers: ResponseHeaders | undefined;
  trailers: Trailers | undefined;
  encoder!: RequestEncoder;
  /** What {@link onBody} answers. */
  takes = true;
  writable = 0;
  onResponse: (() => void) | undefined;
  private done = false;
  private waiters: (() => void)[] = [];

  onInformational(headers: ResponseHeaders): void {
    this.events.push(`1xx:${headers.status}`);
  }

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    this.headers = headers;
    this.note(`headers:${headers.status}`, endStream);
    this.onResponse?.();
  }

  onBody(chunk: Buffer, endStream: boolean): boolean {
    if (chunk.length > 0) this.chunks.push(chunk);
    if (endStream) this.note('body', true);
    return this.takes;
  }

  onTrailers(trailers: Trailers): void {
    this.trailers = trailers;
    this.note('trailers', true);
  }

  onReset(reason: string, details: string): void {
    this.note(details === '' ? `reset:${reason}` : `reset:${reason}:${details}`, true);
  }

  onWritable(): void {
    this.writable++;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** Resolves at the end of the response, however it comes. */
  over(): Promise<this> {
    return new Promise((resolve) => {
      if (this.done) resolve(this);
      else this.waiters.push(() => resolve(this));
    });
  }

  private note(event: string, end: boolean): void {
    this.events.push(end && !event.startsWith('reset') ? `${event} end` : event);
    if (!end) return;
    this.done = true;
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}

/** A connection to a port of this machine, with the codec on it and its owner. */
export class ClientRig implements ConnectHandler, Http2ClientHandler, AsyncDisposable {
  readonly stats = new MemoryStats();
  readonly clock = new FakeClock();
  readonly limits: number[] = [];
  /** What the owner is told, in order. */
  readonly told: string[] = [];
  readonly bugs: unknown[] = [];
  readonly sessions: Http2Sessions;
  connection!: Connection;
  codec!: Http2ClientCodec;
  closed = false;
  private readonly options: Http2ClientOptions;
  private waiters: { test: () => boolean; resolve: () => void }[] = [];

  private constructor(options: Partial<Http2ClientOptions>, sessions: Http2Sessions) {
    this.sessions = sessions;
    this.options = {
      maxHeaderBytes: 60 * 1024,
      maxHeaderCount: 100,
      ...HTTP2_CLIENT_DEFAULTS,
      allowConnect: false,
      customSettings: {},
      keepAlive: undefined,
      streamErrorOnInvalidMessage: false,
      stats: createHttp2Stats(this.stats),
      clock: this.clock,
      random: new SeededRandom(1),
      ...options,
    };
  }

  /** @param ready waits for the peer's SETTINGS */
  static async open(
    port: number,
    options: Partial<Http2ClientOptions> = {},
    ready = true,
    sessions = new Http2Sessions(),
    transportSocket?: UpstreamTransportSocket,
  ): Promise<ClientRig> {
    const rig = new ClientRig(options, sessions);
    rig.connection = new SocketConnector(network).connect(
      {
        address: Address.ip('127.0.0.1', port),
        bufferLimitBytes: 1024 * 1024,
        ...(transportSocket === undefined ? undefined : { transportSocket }),
      },
      rig,
    );
    await rig.until(() => (ready ? rig.limits.length > 0 : rig.codec !== undefined) || rig.closed);
    return rig;
  }

  send(headers: RequestHeaders = requestOf(), endStream = true): Exchange {
    const exchange = new Exchange();
    exchange.encoder = this.codec.newStream(exchange);
    exchange.encoder.headers(headers, endStream);
    return exchange;
  }

  async get(headers?: RequestHeaders): Promise<Exchange> {
    return this.send(headers).over();
  }

  /** Resolves when `test` holds; it is asked again after every event. */
  until(test: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (test()) {
        resolve();
        return;
      }
      const deadline = setTimeout(() => reject(new Error(`waited in vain: ${test.toString()}`)), 3000);
      this.waiters.push({
        test,
        resolve: () => {
          clearTimeout(deadline);
          resolve();
        },
      });
      this.poll();
    });
  }

  /** 0 when nobody counted. */
  stat(name: string): number {
    return this.stats.value(`http2.${name}`) ?? 0;
  }

  onConnected(): void {
    this.codec = createClientCodec(this.connection, this, this.options, this.sessions);
  }
  onData(data: Buffer): void {
    this.codec.dispatch(data);
  }
  onEnd(): void {
    this.codec.onPeerEnd();
  }
  onWritable(): void {
    this.codec.onWritable();
  }
  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.closed = true;
    this.told.push(`close:${kind}:${reason}`);
    this.codec?.onConnectionClosed(kind, reason);
  }
  onStreamComplete(reusable: boolean): void {
    this.told.push(reusable ? 'complete' : 'complete last');
  }
  onProtocolError(details: string): void {
    this.told.push(`protocol-error:${details}`);
    this.connection.close('now', details);
  }
  onPeerLimit(limit: number): void {
    this.limits.push(limit);
  }
  onGoAway(): void {
    this.told.push('goaway');
  }
  onPeerEnd(): void {
    this.told.push('end');
  }
  onBug(error: unknown): void {
    this.bugs.push(error);
  }

  private poll(): void {
    if (this.waiters.length === 0) return;
    const held = this.waiters.filter(({ test }) => test());
    this.waiters = this.waiters.filter((waiter) => !held.includes(waiter));
    for (const { resolve } of held) resolve();
    setImmediate(() => this.poll());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close('now');
    await this.until(() => this.closed);
    if (this.bugs.length > 0) throw this.bugs[0];
  }
}
