import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionRequestOptions } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type {
  ClientCodec,
  ClientCodecHandler,
  Connection,
  Protocol,
  RequestEncoder,
  ResponseDecoder,
  StreamMeter,
} from '@dragoman/core';
import { Http2Details } from '../details.ts';
import { KeepAlive, PING_TIMEOUT } from '../keep-alive.ts';
import { ConnectionStream, socketOf } from '../socket-of.ts';
import type { Http2Stats } from '../stats.ts';
import { ClientStream } from './client-stream.ts';
import { type Http2ClientOptions, sessionOptions } from './options.ts';
import type { Http2Sessions, SessionUser } from './sessions.ts';

/** The owner of a client codec of HTTP/2. */
export interface Http2ClientHandler extends ClientCodecHandler {
  /** The peer's SETTINGS: `limit` streams may be open at a time. The first call says that the connection can be used. */
  onPeerLimit(limit: number): void;
  /** The peer, or the end of all stream numbers, allows no further streams; those under way go on. */
  onGoAway(): void;
  /** The peer has ended the connection, which closes now: no further streams. */
  onPeerEnd(): void;
  /** What was called failed with an error of its own. The codec closes the connection. */
  onBug(error: unknown): void;
}

/** The client side of HTTP/2 on one connection. */
export interface Http2ClientCodec extends ClientCodec {
  newStream(decoder: ResponseDecoder): RequestEncoder & StreamMeter;
}

type PingCallback = (error: Error | null, duration: number, payload: Buffer<ArrayBuffer>) => void;

/** Why a connection is closed that Node cannot read. */
const BROKEN = Http2Details.protocolError;

export class ClientSession implements Http2ClientCodec, SessionUser {
  readonly protocol: Protocol = 'HTTP/2';
  readonly options: Http2ClientOptions;
  private readonly connection: Connection;
  private readonly handler: Http2ClientHandler;
  private readonly socket: Duplex;
  private readonly streams = new Set<ClientStream>();
  private session: ClientHttp2Session | undefined = undefined;
  private keepAlive: KeepAlive | undefined = undefined;
  private readAtPing = 0;
  private lastActivity = 0;
  private leaving = false;
  private peerEnded = false;
  /** Nothing more happens here. */
  private over = false;
  /** Node's answer to a GOAWAY: not wanted. */
  private inGoAway = false;

  constructor(
    connection: Connection,
    handler: Http2ClientHandler,
    options: Http2ClientOptions,
    sessions: Http2Sessions,
  ) {
    this.connection = connection;
    this.handler = handler;
    this.options = options;
    this.lastActivity = options.clock.now();
    this.socket = socketOf(connection, undefined, true);
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('ERR_HTTP2') === true) this.run(() => this.onBroken());
    });
    this.socket.on('end', () => this.run(() => this.onSocketEnd()));
    sessions.open(this.socket, sessionOptions(options), this);
  }

  get stats(): Http2Stats {
    return this.options.stats;
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  /** What the kernel was given. */
  get bytesWritten(): number {
    return (this.socket as Socket).bytesWritten ?? 0;
  }

  /** Whether the peer knows extended CONNECT. */
  get mayExtendConnect(): boolean {
    return this.session?.remoteSettings.enableConnectProtocol === true;
  }

  // --- The session -----------------------------------------------------------------------------------------------------

  onSession(session: ClientHttp2Session): void {
    this.run(() => {
      if (this.over) {
        session.destroy();
        return;
      }
      this.session = session;
      session.setLocalWindowSize(this.options.initialConnectionWindowSize);
      this.standBefore(session);
      session.on('goaway', () => {
        this.run(() => this.onGoAway());
        this.inGoAway = true;
      });
      session.on('remoteSettings', () => this.run(() => this.tellLimit()));
      this.startKeepAlive(session);
      this.tellLimit();
    });
  }

  /**
   * After a GOAWAY Node closes the session, or destroys it when the code is an error. Envoy does neither: streams below the last one go
   * on, and then the owner closes the connection.
   */
  private standBefore(session: ClientHttp2Session): void {
    const { close, destroy } = session;
    session.close = (callback) => {
      if (this.inGoAway) this.inGoAway = false;
      else close.call(session, callback);
    };
    session.destroy = (error, code) => {
      if (this.inGoAway) this.inGoAway = false;
      else destroy.call(session, error as Error, code);
    };
  }

  onSessionFailed(error: Error): void {
    const { code } = error as NodeJS.ErrnoException;
    // A socket that closes says so itself.
    if (code !== 'HTTP2WRAPPER_NOSETTINGS') this.run(() => this.onBroken());
  }

  private tellLimit(): void {
    const { session, options } = this;
    if (this.over || session === undefined || session.destroyed) return;
    const { maxConcurrentStreams = options.maxConcurrentStreams } = session.remoteSettings;
    this.handler.onPeerLimit(Math.min(maxConcurrentStreams, options.maxConcurrentStreams));
  }

  private onGoAway(): void {
    if (this.over || this.leaving) return;
    this.leaving = true;
    this.handler.onGoAway();
  }

  /** There are no stream numbers left. */
  onExhausted(): void {
    this.onGoAway();
  }

  /** What the peer sent is no HTTP/2, or not the kind that anybody should go on with. */
  onBroken(): void {
    if (this.over) return;
    this.end();
    // First, so that no stream which is tried again comes back here.
    this.handler.onProtocolError(BROKEN);
    for (const stream of [...this.streams]) stream.fail('protocol-error', BROKEN);
  }

  onBug(error: unknown): void {
    this.handler.onBug(error);
    this.connection.close('now', 'internal_error');
  }

  /** Runs what an event of Node's causes: a bug in it costs the connection, never the thread. */
  run(event: () => void): void {
    try {
      event();
    } catch (error) {
      this.onBug(error);
    }
  }

  // --- Keep-alive --------------------------------------------------------------------------------------------------------

  private startKeepAlive(session: ClientHttp2Session): void {
    const { keepAlive, clock, random } = this.options;
    if (keepAlive === undefined) return;
    const asked = Object.create(session, {
      ping: {
        value: (callback: PingCallback): boolean => {
          this.readAtPing = this.bytesRead;
          return session.ping(callback);
        },
      },
    }) as ClientHttp2Session;
    this.keepAlive = new KeepAlive(asked, keepAlive, clock, random, () => this.onPingTimeout(session));
  }

  private onPingTimeout(session: ClientHttp2Session): void {
    this.keepAlive?.stop();
    if (this.over) return;
    if (this.bytesRead !== this.readAtPing) {
      // As in Envoy: whoever sends anything is alive, though the answer stands behind it.
      this.startKeepAlive(session);
      return;
    }
    this.stats.keepaliveTimeout.inc();
    this.connection.close('now', PING_TIMEOUT);
  }

  private get bytesRead(): number {
    return (this.socket as Socket).bytesRead ?? 0;
  }

  /** Something came. */
  onActivity(): void {
    this.lastActivity = this.options.clock.now();
  }

  // --- Streams -------------------------------------------------------------------------------------------------------------

  newStream(decoder: ResponseDecoder): RequestEncoder & StreamMeter {
    if (this.streams.size === 0) this.keepAlive?.onNewStream(this.options.clock.now() - this.lastActivity);
    const stream = new ClientStream(this, decoder);
    this.streams.add(stream);
    this.stats.streamsActive.inc();
    return stream;
  }

  /** Undefined when Node refuses the fields. */
  request(raw: readonly string[], options: ClientSessionRequestOptions): ClientHttp2Stream | undefined {
    const { session } = this;
    if (this.over || session === undefined || session.destroyed) return undefined;
    try {
      return session.request(raw, options);
    } catch {
      return undefined;
    }
  }

  onStreamOver(stream: ClientStream): void {
    if (!this.streams.delete(stream)) return;
    this.stats.streamsActive.dec();
    this.connection.sampleBytes?.();
    this.onActivity();
    if (this.over) return;
    this.handler.onStreamComplete(!this.leaving);
  }

  // --- ClientCodec -----------------------------------------------------------------------------------------------------

  dispatch(data: Buffer): void {
    if (this.socket instanceof ConnectionStream) this.socket.onData(data);
  }

  onWritable(): void {
    if (this.socket instanceof ConnectionStream) this.socket.onWritable();
  }

  onPeerEnd(): void {
    if (this.socket instanceof ConnectionStream) this.socket.onEnd();
  }

  private onSocketEnd(): void {
    if (this.over || this.peerEnded) return;
    this.peerEnded = true;
    this.leaving = true;
    this.handler.onPeerEnd();
    // The socket closes now, and takes with it what Node has of responses that are complete and have a slow reader.
    for (const stream of [...this.streams]) if (stream.isComplete) stream.detach();
    if (this.socket instanceof ConnectionStream) this.connection.close('now');
  }

  onConnectionClosed(_kind: 'remote' | 'local', reason: string): void {
    if (this.over) return;
    this.end();
    for (const stream of [...this.streams]) stream.fail('connection-termination', reason);
  }

  private end(): void {
    this.over = true;
    this.keepAlive?.stop();
    if (this.socket instanceof ConnectionStream) this.socket.onClose();
  }
}

/** The client side of HTTP/2 on `connection`, which is up. `handler.onPeerLimit` says when it can be used. */
export function createClientCodec(
  connection: Connection,
  handler: Http2ClientHandler,
  options: Http2ClientOptions,
  sessions: Http2Sessions,
): Http2ClientCodec {
  return new ClientSession(connection, handler, options, sessions);
}
