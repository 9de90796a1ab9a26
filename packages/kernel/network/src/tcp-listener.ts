import { connect, createServer, type Server, Socket } from 'node:net';
import { chmodSync, rmSync, statSync } from 'node:fs';
import { Address, type ConnectionHandler } from '@dragoman/core';
import { SocketConnectionInfo } from './connection-info.ts';
import { pipePath } from './connector.ts';
import { type ConnectionByteStats, type NetworkContext, SocketConnection } from './socket-connection.ts';

export interface ListenOptions {
  /** Port 0: the kernel chooses; {@link TcpListener.address} tells. */
  readonly address: Address;
  /** `tcp_backlog_size`; Envoy's default is the system's (somaxconn, usually 4096). */
  readonly backlog: number;
  /** `enable_reuse_port`: several threads or processes may listen on the same address. */
  readonly reusePort: boolean;
  /** Only IPv6, when the address is `::` (Envoy: `ipv4_compat` false). */
  readonly ipv6Only: boolean;
  /** Of a Unix socket's file (`pipe.mode`), e.g. 0o600; undefined: as the umask has it. */
  readonly mode: number | undefined;
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number } | undefined;
  readonly bufferLimitBytes: number;
  readonly delayedCloseMs: number;
  readonly stats: ConnectionByteStats | undefined;
}

/** Gets what a listener accepts. */
export interface AcceptHandler {
  /** A fresh connection; its handler is what this returns. Undefined closes it at once. */
  onAccept(connection: SocketConnection): ConnectionHandler | undefined;
  /** `accept` failed (file descriptors used up): counted, the listener goes on. */
  onAcceptError(error: Error): void;
}

/** The private parts of Node's server and handles which {@link TcpListener} uses; absent ones are done without. */
interface ServerInternals {
  _handle?: { onconnection?: (error: number, handle: unknown) => void } | null;
}

const CLOSED_HANDLER: ConnectionHandler = { onData() {}, onEnd() {}, onWritable() {}, onClose() {} };

/** Accepts stream connections on an address. */
export class TcpListener {
  private readonly server: Server;
  private readonly options: ListenOptions;
  private readonly context: NetworkContext;
  private readonly handler: AcceptHandler;
  private bound: Address;
  /** For the tests of the two ways to accept. */
  readonly accepted = { direct: 0, viaServer: 0 };

  private constructor(options: ListenOptions, context: NetworkContext, handler: AcceptHandler) {
    this.options = options;
    this.context = context;
    this.handler = handler;
    this.bound = options.address;
    this.server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      this.accepted.viaServer++;
      this.adopt(socket, undefined);
    });
  }

  /**
   * Listens. Rejects with Node's error (`EADDRINUSE`, `EACCES`, …) when that is not possible.
   * A stale Unix socket (nobody accepts on it) is replaced.
   */
  static async listen(
    options: ListenOptions,
    context: NetworkContext,
    handler: AcceptHandler,
  ): Promise<TcpListener> {
    const listener = new TcpListener(options, context, handler);
    await listener.start();
    return listener;
  }

  /** Where it listens; the real port when 0 was asked for. */
  get address(): Address {
    return this.bound;
  }

  /** Stops accepting. Open connections go on. */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    // close() waits for every connection that came through the server; ours did not, so it ends at once.
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }

  private async start(): Promise<void> {
    const { server, options } = this;
    const { address } = options;
    if (address.family === 'pipe' && !address.path.startsWith('@')) await removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', () => {
        server.removeListener('error', reject);
        resolve();
      });
      if (address.family === 'pipe') {
        server.listen({ path: pipePath(address.path), backlog: options.backlog });
      } else {
        server.listen({
          host: address.ip,
          port: address.port,
          backlog: options.backlog,
          ipv6Only: address.family === 'ipv6' && options.ipv6Only,
          reusePort: options.reusePort,
        });
      }
    });
    server.on('error', (error) => this.handler.onAcceptError(error));
    if (address.family === 'pipe') {
      if (options.mode !== undefined && !address.path.startsWith('@')) chmodSync(address.path, options.mode);
    } else {
      const bound = server.address();
      if (bound !== null && typeof bound === 'object') this.bound = Address.ip(bound.address, bound.port);
    }
    this.acceptDirectly();
  }

  /**
   * Takes accepted handles from libuv before Node's server makes a socket of them: only a socket that is made with
   * `onread` reads into our buffers, and the server's own have none. Where the internals look different, connections
   * come through the server's event and are slower, nothing else.
   */
  private acceptDirectly(): void {
    const handle = (this.server as unknown as ServerInternals)._handle;
    if (typeof handle?.onconnection !== 'function') return;
    handle.onconnection = (error: number, clientHandle: unknown) => {
      if (error !== 0 && error !== undefined) {
        this.handler.onAcceptError(new Error(`accept failed with error ${error}`));
        return;
      }
      this.accepted.direct++;
      this.adopt(undefined, clientHandle);
    };
  }

  private adopt(serverSocket: Socket | undefined, handle: unknown): void {
    // The connection must exist before the socket, whose options name its methods; its addresses are on the socket.
    const info = new LateConnectionInfo(this.context.clock.wallTime());
    const connection = new SocketConnection(
      info,
      this.context,
      {
        bufferLimitBytes: this.options.bufferLimitBytes,
        stats: this.options.stats,
        delayedCloseMs: this.options.delayedCloseMs,
      },
      CLOSED_HANDLER,
    );
    const socket =
      serverSocket ??
      new Socket({
        handle,
        allowHalfOpen: true,
        pauseOnCreate: true,
        readable: true,
        writable: true,
        onread: { buffer: connection.nextBuffer, callback: connection.onRead },
      } as unknown as ConstructorParameters<typeof Socket>[0]);
    const remote = socket.remoteAddress;
    if (remote === undefined && this.bound.family !== 'pipe') {
      // Gone before we looked.
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    info.setAddresses(
      this.bound.family === 'pipe'
        ? this.bound
        : Address.ip(socket.localAddress as string, socket.localPort as number),
      this.bound.family === 'pipe'
        ? Address.pipe('')
        : Address.ip(remote as string, socket.remotePort as number),
    );
    if (serverSocket === undefined && this.bound.family !== 'pipe') socket.setNoDelay(true);
    const { keepAlive } = this.options;
    if (keepAlive !== undefined) socket.setKeepAlive(keepAlive.enabled, keepAlive.initialDelayMs);
    connection.attach(socket, serverSocket === undefined);
    connection.run(() => {
      const handler = this.handler.onAccept(connection);
      if (handler === undefined) connection.close('now');
      else connection.setHandler(handler);
    });
    if (!connection.readingPaused) socket.resume();
  }
}

/** A connection info whose addresses come after it was made. */
class LateConnectionInfo extends SocketConnectionInfo {
  constructor(startTime: number) {
    super(NOWHERE, NOWHERE, startTime);
  }

  setAddresses(local: Address, remote: Address): void {
    this.localAddress = local;
    this.remoteAddress = remote;
    (this as { directRemoteAddress: Address }).directRemoteAddress = remote;
  }
}

const NOWHERE = Address.pipe('');

/** Removes what a process that is gone has left; a socket on which somebody accepts stays, and binding then fails. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!statSync(path).isSocket()) return;
  } catch {
    // Not there: nothing to remove. Anything else shows when it is bound.
    return;
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (!alive) rmSync(path, { force: true });
}
