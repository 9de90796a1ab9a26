import { connect, type ClientHttp2Session } from 'node:http2';
import {
  type CodecError,
  type ConnectionCloseKind,
  type ConnectionHandler,
  type Protocol,
  type RequestDecoder,
  type RequestHeaders,
  type ResponseEncoder,
  ResponseHeaders,
  type ServerCodec,
  type ServerCodecHandler,
  Trailers,
} from '@dragoman/core';
import {
  type ConnectionPair,
  type ConnectionPairOptions,
  connectionPair,
  FakeClock,
  FrameClient,
  type FrameClientOptions,
  MemoryStats,
  SeededRandom,
} from '@dragoman/testing';
import {
  createHttp2Stats,
  createServerCodec,
  HTTP2_DEFAULTS,
  type Http2ServerOptions,
} from '../src/index.ts';
import { ConnectionStream } from '../src/socket-of.ts';

const KIB = 1024;

export interface ServerRigOptions {
  readonly options?: Partial<Http2ServerOptions>;
  readonly pair?: ConnectionPairOptions;
  readonly client?: FrameClientOptions;
  /** The connection's settings of the client, sent at once; undefined (the key is there): nothing is sent. */
  readonly settings?: Readonly<Record<number, number>> | undefined;
  /** Called for each request, after its headers were noted. */
  readonly onRequest?: (exchange: Exchange) => void;
}

/** One request as the owner of the codec sees it, with everything that was called. */
export class Exchange implements RequestDecoder {
  readonly encoder: ResponseEncoder;
  readonly protocol: Protocol;
  /** `headers`, `body:3`, `trailers`, `reset:reason:details`, `writable`; a `!` stands behind what ends the request. */
  readonly events: string[] = [];
  headers!: RequestHeaders;
  trailers: Trailers | undefined = undefined;
  /** What {@link onBody} answers. */
  accept = true;
  onCall: ((event: string) => void) | undefined = undefined;
  private readonly chunks: Buffer[] = [];

  constructor(encoder: ResponseEncoder, protocol: Protocol) {
    this.encoder = encoder;
    this.protocol = protocol;
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  get bodyBytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0);
  }

  /** How often the request ended, or was reset. */
  get ends(): number {
    return this.events.filter((event) => event.endsWith('!') || event.startsWith('reset')).length;
  }

  get reset(): string | undefined {
    return this.events.find((event) => event.startsWith('reset:'))?.slice(6);
  }

  onHeaders(headers: RequestHeaders, endStream: boolean): void {
    this.headers = headers;
    this.note('headers', endStream);
  }

  onBody(chunk: Buffer, endStream: boolean): boolean {
    if (chunk.length > 0) this.chunks.push(Buffer.from(chunk));
    this.note(`body:${chunk.length}`, endStream);
    return this.accept;
  }

  onTrailers(trailers: Trailers): void {
    this.trailers = trailers;
    this.note('trailers', true);
  }

  onReset(reason: string, details: string): void {
    this.note(`reset:${reason}:${details}`, false);
  }

  onWritable(): void {
    this.note('writable', false);
  }

  /** Answers with a status, fields and a body; ends the response. */
  respond(status = 200, fields: Readonly<Record<string, string>> = {}, body: string | Buffer = ''): void {
    this.encoder.headers(responseOf(status, fields), body.length === 0);
    if (body.length > 0) this.encoder.body(Buffer.from(body as string, 'latin1'), true, true);
  }

  private note(event: string, last: boolean): void {
    this.events.push(last ? `${event}!` : event);
    this.onCall?.(event);
  }
}

/** A server codec on a connection in memory, and its owner, which writes down everything. */
export class ServerRig implements ServerCodecHandler, ConnectionHandler {
  readonly clock = new FakeClock();
  readonly stats = new MemoryStats();
  readonly pair: ConnectionPair;
  readonly client: FrameClient;
  readonly exchanges: Exchange[] = [];
  /** `stream-complete`, `done`, `connection-error:…`, `bug:…`, `closed:…`. */
  readonly events: string[] = [];
  /** The same of the client's end. */
  readonly clientEvents: string[] = [];
  readonly codec: ServerCodec;
  onRequest: ((exchange: Exchange) => void) | undefined;
  private clientStream: ConnectionStream | undefined = undefined;

  constructor(options: ServerRigOptions = {}) {
    this.onRequest = options.onRequest;
    this.pair = connectionPair({ clock: this.clock, ...options.pair });
    this.pair.server.setHandler(this);
    const { client } = this.pair;
    this.client = new FrameClient((bytes) => client.writeBody(bytes, false), options.client);
    client.setHandler({
      onData: (data) => {
        if (this.clientStream === undefined) this.client.feed(Buffer.from(data));
        else this.clientStream.onData(data);
      },
      onEnd: () => {
        this.clientEvents.push('end');
        this.clientStream?.onEnd();
      },
      onWritable: () => this.clientStream?.onWritable(),
      onClose: (kind, reason) => {
        this.clientEvents.push(`close:${kind}:${reason}`);
        this.clientStream?.onClose();
      },
    });
    this.codec = createServerCodec(
      this.pair.server,
      this,
      serverOptions({ clock: this.clock, ...options.options }, this.stats),
      { unread: undefined, mayTakeSocket: false },
    );
    if (!('settings' in options) || options.settings !== undefined) this.client.begin(options.settings);
  }

  /** A `node:http2` client in place of the one that sends frames. Make the rig with `settings: undefined`. */
  nodeClient(options: Parameters<typeof connect>[1] = {}): ClientHttp2Session {
    const stream = new ConnectionStream(this.pair.client, undefined);
    this.clientStream = stream;
    const session = connect('http://a.test', { ...options, createConnection: () => stream });
    session.on('error', () => {});
    return session;
  }

  /** Lets everything happen that can. */
  async settle(turns = 12): Promise<this> {
    for (let quiet = 0; quiet < turns; ) {
      quiet = this.pair.step() ? 0 : quiet + 1;
      this.pair.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this;
  }

  /** Sends frames and lets everything happen. */
  send(...bytes: readonly Buffer[]): Promise<this> {
    this.client.send(...bytes);
    return this.settle();
  }

  async advance(ms: number): Promise<this> {
    this.clock.advance(ms);
    return await this.settle();
  }

  get exchange(): Exchange {
    if (this.exchanges.length !== 1) throw new Error(`there are ${this.exchanges.length} requests`);
    return this.exchanges[0] as Exchange;
  }

  stat(name: string): number {
    return this.stats.value(`http2.${name}`);
  }

  /** The server's end of the connection is gone, or going. */
  get closed(): boolean {
    return !this.pair.server.open;
  }

  // --- ServerCodecHandler ------------------------------------------------------------------------------------------

  onStream(encoder: ResponseEncoder, protocol: Protocol): RequestDecoder {
    const exchange = new Exchange(encoder, protocol);
    this.exchanges.push(exchange);
    const { onRequest } = this;
    if (onRequest !== undefined)
      exchange.onCall = (event) => {
        if (event === 'headers') onRequest(exchange);
      };
    return exchange;
  }

  onCodecError(error: CodecError): void {
    this.events.push(`codec-error:${error.details}`);
  }

  onConnectionError(error: CodecError): void {
    this.events.push(`connection-error:${error.details}`);
  }

  onConnectionDone(): void {
    this.events.push('done');
    this.pair.server.close('flush');
  }

  onStreamComplete(): void {
    this.events.push('stream-complete');
  }

  onBug(error: unknown): void {
    this.events.push(`bug:${(error as Error).message}`);
  }

  // --- ConnectionHandler -------------------------------------------------------------------------------------------

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
    this.events.push(`closed:${kind}:${reason}`);
    this.codec.onConnectionClosed(reason);
  }
}

export function serverOptions(
  over: Partial<Http2ServerOptions> & Pick<Http2ServerOptions, 'clock'>,
  stats: MemoryStats,
): Http2ServerOptions {
  return {
    ...HTTP2_DEFAULTS,
    maxHeaderBytes: 60 * KIB,
    maxHeaderCount: 100,
    allowConnect: false,
    headersWithUnderscores: 'allow',
    customSettings: {},
    keepAlive: undefined,
    bufferLimitBytes: 1024 * KIB,
    streamFlushTimeoutMs: 300_000,
    random: new SeededRandom(),
    stats: createHttp2Stats(stats),
    ...over,
  };
}

export function responseOf(status = 200, fields: Readonly<Record<string, string>> = {}): ResponseHeaders {
  const headers = new ResponseHeaders();
  headers.status = status;
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  return headers;
}

export function trailersOf(fields: Readonly<Record<string, string>>): Trailers {
  const trailers = new Trailers();
  for (const [name, value] of Object.entries(fields)) trailers.append(name, value);
  return trailers;
}
