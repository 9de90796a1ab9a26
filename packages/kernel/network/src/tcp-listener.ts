import { createServer, type Server, Socket } from 'node:net';
import { chmodSync } from 'node:fs';
import { Address, type ConnectionHandler } from '@dragoman/core';
import { removeStaleSocket } from '@dragoman/posix';
import { SocketConnectionInfo } from './connection-info.ts';
import { pipePath } from './connector.ts';
import {
  type ConnectionByteStats,
  type NetworkContext,
  SocketConnection,
  type SocketConnectionOptions,
} from './socket-connection.ts';

export interface ListenOptions {
  /** Port 0: the kernel chooses; {@link TcpListener.address} tells. */
  readonly address: Address;
  /** `tcp_backlog_size`; Envoy's default is the system's (somaxconn, usually 4096). */
  readonly backlog: number;
  /** `enable_reuse_port`: several threads or processes may listen on the same address. */
  readonly reusePort: boolean;
  /** A socket that is bound to {@link address} already; the listener takes the descriptor over and closes it in the end. */
  readonly descriptor?: number | undefined;
  /** Only IPv6, when the address is `::` (Envoy: `ipv4_compat` false). */
  readonly ipv6Only: boolean;
  /** Of a Unix socket's file (`pipe.mode`), e.g. 0o600; undefined: as the umask has it. */
  readonly mode: number | undefined;
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number } | undefined;
  readonly bufferLimitBytes: number;
  readonly delayedCloseMs: number;
  readonly stats: ConnectionByteStats | undefined;
}

/** How connections are made of what is accepted: the part of {@link ListenOptions} that may change while listening. */
export type AcceptOptions = Pick<
  ListenOptions,
  'keepAlive' | 'bufferLimitBytes' | 'delayedCloseMs' | 'stats'
>;

/** The part that may change with the one who listens. */
export type HandOverOptions = AcceptOptions & Pick<ListenOptions, 'backlog' | 'mode'>;

/** Gets what a listener accepts. */
export interface AcceptHandler {
  /** A fresh connection; its handler is what this returns. Undefined closes it at once. */
  onAccept(connection: SocketConnection): ConnectionHandler | undefined;
  /** One was closed at once: {@link TcpListener.hold} keeps no more than the backlog. */
  onHeldTooMany?(): void;
  /** `accept` failed (file descriptors used up): counted, the listener goes on. */
  onAcceptError(error: Error): void;
}

/** The private parts of Node's server and handles which {@link TcpListener} uses; absent ones are done without. */
interface ServerInternals {
  _handle?: {
    onconnection?: (error: number, handle: unknown) => void;
    /** Answers 0, or a negative error number. */
    setNoDelay?: (on: boolean) => number;
    /** On a socket that listens it changes the backlog. Answers 0, or a negative error number. */
    listen?: (backlog: number) => number;
  } | null;
}

interface SocketName {
  address: string;
  port: number;
  family: string;
}

/** A connection that is kept unread. */
interface Held {
  adopt(): void;
  drop(): void;
}

/** What `onconnection` gets. Both `get…name` fill what they are given and answer 0, or a negative error number. */
interface AcceptedHandle {
  getpeername(out: SocketName): number;
  getsockname(out: SocketName): number;
  close(): void;
}

const CLOSED_HANDLER: ConnectionHandler = { onData() {}, onEnd() {}, onWritable() {}, onClose() {} };

/** Accepts stream connections on an address. */
export class TcpListener {
  private readonly server: Server;
  private readonly options: ListenOptions;
  private readonly context: NetworkContext;
  private handler: AcceptHandler;
  private keepAlive: ListenOptions['keepAlive'];
  private connectionOptions: SocketConnectionOptions;
  private bound: Address;
  private backlog: number;
  private mode: number | undefined = undefined;
  /** The address listened on is a connection's own: no wildcard. */
  private localKnown = false;
  private noDelayInherited = false;
  /** What was accepted while nothing may be done with it, in the order in which it came; undefined: what comes is dealt with. */
  private held: Held[] | undefined = undefined;
  /** For the tests of the two ways to accept. */
  readonly accepted = { direct: 0, viaServer: 0 };

  private constructor(options: ListenOptions, context: NetworkContext, handler: AcceptHandler) {
    this.options = options;
    this.context = context;
    this.handler = handler;
    this.bound = options.address;
    this.backlog = options.backlog;
    this.keepAlive = options.keepAlive;
    this.connectionOptions = connectionOptions(options);
    this.server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      this.accepted.viaServer++;
      if (this.held === undefined) this.adoptSocket(socket);
      else this.keep({ adopt: () => this.adoptSocket(socket), drop: () => socket.destroy() });
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

  /** What is accepted from now on goes to another handler. Open connections stay with theirs. */
  handOver(options: HandOverOptions, handler: AcceptHandler): void {
    this.handler = handler;
    this.keepAlive = options.keepAlive;
    this.connectionOptions = connectionOptions(options);
    this.changeBacklog(options.backlog);
    if (options.mode === this.mode) return;
    try {
      this.changeMode(options.mode);
    } catch (error) {
      // Somebody has removed the file: whoever has a descriptor can be accepted all the same.
      handler.onAcceptError(error as Error);
    }
  }

  /**
   * Keeps what comes from now on unread, as the kernel does whose queue nobody empties: as many as the backlog, and what comes on top is
   * closed. (Node has no way to stop accepting but to close the socket, which resets who waits.) With `on` false what was kept is
   * dealt with, in its order.
   */
  hold(on: boolean): void {
    if (on) {
      this.held ??= [];
      return;
    }
    const { held } = this;
    this.held = undefined;
    for (const { adopt } of held ?? []) adopt();
  }

  private keep(one: Held): void {
    const held = this.held as Held[];
    if (held.length < this.backlog) {
      held.push(one);
      return;
    }
    one.drop();
    this.handler.onHeldTooMany?.();
  }

  /** Nobody will deal with them any more. */
  private dropHeld(): void {
    const { held } = this;
    if (held !== undefined) this.held = [];
    for (const { drop } of held ?? []) drop();
  }

  /**
   * Stops accepting. Open connections go on. What waits in the accept queue is accepted first: the kernel resets what is
   * still in it when the socket closes.
   */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    // From one immediate to the next the event loop polls once, and libuv then accepts until the queue is empty.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    if (!this.server.listening) return;
    this.dropHeld();
    // close() waits for every connection that came through the server; ours did not, so it ends at once.
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }

  /**
   * Lets go of the socket at once: the thread is about to end. Where a duplicate of it stays open, what waits in the accept queue
   * waits on; else the loop, which turns once more while a thread ends, would accept a connection that nobody gets.
   */
  abandon(): void {
    if (this.server.listening) this.server.close();
  }

  private async start(): Promise<void> {
    const { server, options } = this;
    const { address } = options;
    const { descriptor } = options;
    if (this.ownsFile && address.family === 'pipe') await removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', () => {
        server.removeListener('error', reject);
        resolve();
      });
      if (descriptor !== undefined) {
        server.listen({ fd: descriptor }, options.backlog);
      } else if (address.family === 'pipe') {
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
    this.changeMode(options.mode);
    if (address.family !== 'pipe') {
      const bound = server.address();
      if (bound !== null && typeof bound === 'object') this.bound = Address.ip(bound.address, bound.port);
    }
    this.localKnown = this.bound.family === 'pipe' || !isWildcard(this.bound);
    this.acceptDirectly();
  }

  /** A socket that was bound elsewhere is another's file. */
  private get ownsFile(): boolean {
    const { descriptor, address } = this.options;
    return descriptor === undefined && address.family === 'pipe' && !address.path.startsWith('@');
  }

  private changeMode(mode: number | undefined): void {
    this.mode = mode;
    if (this.ownsFile && mode !== undefined) chmodSync(this.bound.path, mode);
  }

  private changeBacklog(backlog: number): void {
    if (backlog === this.backlog) return;
    this.backlog = backlog;
    const handle = (this.server as unknown as ServerInternals)._handle;
    const result = handle?.listen?.(backlog) ?? 0;
    if (result !== 0) this.handler.onAcceptError(new Error(`the backlog stays as it was: error ${result}`));
  }

  /**
   * Takes accepted handles from libuv before Node's server makes a socket of them: only a socket that is made with
   * `onread` reads into our buffers, and the server's own have none. Where the internals look different, connections
   * come through the server's event and are slower, nothing else.
   */
  private acceptDirectly(): void {
    const handle = (this.server as unknown as ServerInternals)._handle;
    if (typeof handle?.onconnection !== 'function') return;
    // Linux hands TCP_NODELAY on to what is accepted (seen with getsockopt): one system call less for each.
    this.noDelayInherited =
      process.platform === 'linux' && this.bound.family !== 'pipe' && handle.setNoDelay?.(true) === 0;
    handle.onconnection = (error: number, clientHandle: unknown) => {
      if (error !== 0 && error !== undefined) {
        this.handler.onAcceptError(new Error(`accept failed with error ${error}`));
        return;
      }
      this.accepted.direct++;
      const client = clientHandle as AcceptedHandle;
      if (this.held === undefined) this.adoptHandle(client);
      else this.keep({ adopt: () => this.adoptHandle(client), drop: () => client.close() });
    };
  }

  /** Takes a socket that Node's server has made. */
  private adoptSocket(socket: Socket): void {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (this.bound.family !== 'pipe' && (remoteAddress === undefined || localAddress === undefined)) {
      // Gone before we looked.
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const pipe = this.bound.family === 'pipe';
    const connection = this.connect(
      pipe ? this.bound : Address.ip(localAddress as string, localPort as number),
      pipe ? UNNAMED : Address.ip(remoteAddress as string, remotePort as number),
    );
    this.open(connection, socket, false);
  }

  /** Takes an accepted handle. */
  private adoptHandle(handle: AcceptedHandle): void {
    const pipe = this.bound.family === 'pipe';
    const remote = pipe ? UNNAMED : nameOf(handle, 'getpeername');
    const local = this.localKnown ? this.bound : nameOf(handle, 'getsockname');
    if (remote === undefined || local === undefined) {
      // Gone before we looked.
      handle.close();
      return;
    }
    const connection = this.connect(local, remote);
    const { link } = connection;
    const socket = new Socket({
      handle,
      allowHalfOpen: true,
      pauseOnCreate: true,
      readable: true,
      writable: true,
      onread: { buffer: link.nextBuffer, callback: link.onRead },
    } as unknown as ConstructorParameters<typeof Socket>[0]);
    if (!pipe && !this.noDelayInherited) socket.setNoDelay(true);
    this.open(connection, socket, true);
  }

  private connect(local: Address, remote: Address): SocketConnection {
    const info = new SocketConnectionInfo(local, remote, this.context.clock.wallTime());
    return new SocketConnection(info, this.context, this.connectionOptions, CLOSED_HANDLER);
  }

  private open(connection: SocketConnection, socket: Socket, usesOnRead: boolean): void {
    const { keepAlive } = this;
    if (keepAlive !== undefined) socket.setKeepAlive(keepAlive.enabled, keepAlive.initialDelayMs);
    connection.attach(socket, usesOnRead);
    connection.run(() => {
      const handler = this.handler.onAccept(connection);
      if (handler === undefined) connection.close('now');
      else connection.setHandler(handler);
    });
    if (!connection.readingPaused) socket.resume();
  }
}

function connectionOptions({
  bufferLimitBytes,
  stats,
  delayedCloseMs,
}: AcceptOptions): SocketConnectionOptions {
  return { bufferLimitBytes, stats, delayedCloseMs };
}

function isWildcard({ ip }: Address): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

/** Stands for the peer of a Unix socket, which has no name. */
const UNNAMED = Address.pipe('');

/** Filled by the handle again and again. */
const name: SocketName = { address: '', port: 0, family: '' };

/** One end's address; undefined when the connection is gone. */
function nameOf(handle: AcceptedHandle, method: 'getpeername' | 'getsockname'): Address | undefined {
  if (handle[method](name) !== 0) return undefined;
  return name.family === 'IPv4' ? Address.ipv4(name.address, name.port) : Address.ip(name.address, name.port);
}
