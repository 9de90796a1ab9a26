import {
  Address,
  type Connection,
  type ConnectHandler,
  type ConnectionCloseKind,
  type ConnectionHandler,
  type ConnectionInfo,
  silentLogger,
  systemClock,
  type TransportAccept,
  type TransportOptions,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import {
  Dispatcher,
  type NetworkContext,
  ReadBuffers,
  type SocketConnection,
  SocketConnector,
  TcpListener,
} from '@dragoman/network';
import { eventually, type TestContext, testContext } from '@dragoman/testing';
import { createDownstreamTls, type DownstreamTls } from '../../src/downstream.ts';
import { createUpstreamTls, type UpstreamTls } from '../../src/upstream.ts';
import { type Config, downstreamConfig, upstreamConfig } from './config.ts';

export const network: NetworkContext = {
  clock: systemClock,
  logger: silentLogger,
  dispatcher: new Dispatcher(systemClock),
  buffers: new ReadBuffers(),
};

/** What became of a connection at one end. */
export class End implements ConnectHandler {
  connection!: Connection;
  ready = false;
  received = '';
  ended = false;
  closed: string | undefined = undefined;
  /** Bytes that came before the handshake was through: there must be none. */
  early = 0;

  onConnected(): void {
    this.ready = true;
  }
  onData(data: Buffer): void {
    if (!this.ready) this.early += data.length;
    this.received += data.toString('latin1');
  }
  onEnd(): void {
    this.ended = true;
    this.connection.close('flush');
  }
  onWritable(): void {}
  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.closed = `${kind}: ${reason}`;
  }

  get info(): ConnectionInfo {
    return this.connection.info;
  }
  get failure(): string {
    return this.info.transportFailureReason;
  }

  untilReady(): Promise<void> {
    return eventually(() => {
      if (this.closed !== undefined) throw new Error(`closed: ${this.closed} (${this.failure})`);
      if (!this.ready) throw new Error('not ready');
    });
  }
  untilClosed(): Promise<void> {
    return eventually(() => {
      if (this.closed === undefined) throw new Error('not closed');
    });
  }
}

const cleanups: (() => unknown)[] = [];

/** To be called after each test. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export function onCleanUp(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

/** Peeks until the transport has seen enough, as the server does. */
class Accepted implements ConnectionHandler {
  private readonly end: End;
  private readonly accept: TransportAccept;
  private readonly connection: SocketConnection;
  private kept = Buffer.alloc(0);
  private started = false;

  constructor(end: End, accept: TransportAccept, connection: SocketConnection) {
    this.end = end;
    this.accept = accept;
    this.connection = connection;
  }

  onData(data: Buffer): void {
    if (this.started) {
      this.end.onData(data);
      return;
    }
    this.kept = Buffer.concat([this.kept, data]);
    const verdict = this.accept.inspect(this.kept);
    if (verdict === 'close') this.connection.close('now');
    if (verdict !== 'ready') return;
    this.started = true;
    this.connection.startTransport(
      (socket, events) => this.accept.wrap(socket, events),
      this.kept,
      () => this.end.onConnected(),
    );
  }
  onEnd(): void {
    if (this.end.ready) this.end.onEnd();
    else this.connection.close('now');
  }
  onWritable(): void {
    this.end.onWritable();
  }
  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.end.onClose(kind, reason);
  }
}

/** A listener with TLS on a port of its own. */
export class ServerScene {
  readonly ends: End[] = [];
  readonly tls: DownstreamTls;
  readonly context: TestContext;
  port = 0;

  private constructor(tls: DownstreamTls, context: TestContext) {
    this.tls = tls;
    this.context = context;
  }

  static async start(config: Config, over: Partial<TestContext> = {}): Promise<ServerScene> {
    const context = testContext({ clock: systemClock as never, ...over });
    const tls = createDownstreamTls(downstreamConfig(config), context);
    const scene = new ServerScene(tls, context);
    const listener = await TcpListener.listen(
      {
        address: Address.ip('127.0.0.1', 0),
        backlog: 128,
        reusePort: false,
        ipv6Only: false,
        mode: undefined,
        keepAlive: undefined,
        bufferLimitBytes: 1024 * 1024,
        delayedCloseMs: 1000,
        stats: undefined,
      },
      network,
      {
        onAccept: (connection) => {
          const end = new End();
          end.connection = connection;
          scene.ends.push(end);
          return new Accepted(end, tls.accept(connection.info), connection);
        },
        onAcceptError: (error) => {
          throw error;
        },
      },
    );
    scene.port = listener.address.port;
    onCleanUp(async () => {
      tls.close();
      for (const end of scene.ends) end.connection.close('now');
      await listener.close();
    });
    return scene;
  }

  /** The end of the nth connection, from 0; the last one when it is not said. */
  async end(index = Math.max(this.ends.length - 1, 0)): Promise<End> {
    await eventually(() => {
      if (this.ends[index] === undefined) throw new Error('nobody has connected');
    });
    return this.ends[index] as End;
  }

  ssl(name: string): number {
    return this.context.stats.used()[`listener.test.ssl.${name}`] ?? 0;
  }
}

/** A cluster with TLS, and its connections. */
export class ClientScene {
  readonly tls: UpstreamTls;
  readonly context: TestContext;

  constructor(config: Config, over: Partial<TestContext> = {}) {
    this.context = testContext({ clock: systemClock as never, ...over });
    this.tls = createUpstreamTls(upstreamConfig(config), this.context);
    onCleanUp(() => this.tls.close());
  }

  connect(port: number, transport?: TransportOptions): End {
    return connectTo(port, this.tls, transport);
  }

  ssl(name: string): number {
    return this.context.stats.used()[`cluster.test.ssl.${name}`] ?? 0;
  }
}

const connector = new SocketConnector(network);

export function connectTo(port: number, tls: UpstreamTransportSocket, transport?: TransportOptions): End {
  const end = new End();
  end.connection = connector.connect(
    {
      address: Address.ip('127.0.0.1', port),
      transportSocket: tls,
      transport,
      bufferLimitBytes: 1024 * 1024,
    },
    end,
  );
  onCleanUp(() => end.connection.close('now'));
  return end;
}

/** Both ends have bytes of the other. */
export async function talk(client: End, server: End): Promise<void> {
  await client.untilReady();
  await server.untilReady();
  client.connection.writeText('ping');
  await eventually(() => server.received.endsWith('ping'));
  server.connection.writeText('pong');
  await eventually(() => client.received.endsWith('pong'));
}
