import { connect, type NetConnectOpts, type Socket } from 'node:net';
import {
  Address,
  type ConnectHandler,
  type ConnectOptions,
  type Connection,
  type Connector,
} from '@dragoman/core';
import { SocketConnectionInfo } from './connection-info.ts';
import { type NetworkContext, SocketConnection } from './socket-connection.ts';

/** Opens upstream connections on this thread. */
export class SocketConnector implements Connector {
  private readonly context: NetworkContext;

  constructor(context: NetworkContext) {
    this.context = context;
  }

  /**
   * Begins to connect. `handler.onConnected` or `handler.onClose` follows, never before this returns. A connect timeout is
   * the caller's: it closes the connection.
   */
  connect(options: ConnectOptions, handler: ConnectHandler): Connection {
    const info = new SocketConnectionInfo(UNBOUND, options.address, this.context.clock.wallTime());
    info.transportProtocol = options.transportSocket?.name ?? 'raw_buffer';
    const connection = new SocketConnection(
      info,
      this.context,
      { bufferLimitBytes: options.bufferLimitBytes, stats: options.stats, delayedCloseMs: 1000 },
      handler,
    );
    const socket = this.openPlain(options, connection);
    connection.attach(socket, true);
    if (options.transportSocket?.wrap !== undefined) connection.awaitTransport();
    socket.once('connect', () => {
      if (socket.localAddress !== undefined)
        info.localAddress = Address.ip(socket.localAddress, socket.localPort ?? 0);
      // As one event of the connection: a bug in the transport costs the connection, not the thread.
      connection.run(() => this.begin(connection, options, handler));
    });
    return connection;
  }

  /** TCP is up. */
  private begin(connection: SocketConnection, options: ConnectOptions, handler: ConnectHandler): void {
    const { transportSocket, transport } = options;
    const { info } = connection;
    const preamble = transportSocket?.preamble?.(info, transport);
    if (preamble !== undefined) connection.sendPreamble(preamble);
    if (transportSocket?.wrapLater !== undefined)
      connection.secureLater = () =>
        connection.startTransport(
          (plain, events) => transportSocket.wrapLater?.(plain, info, transport, events),
          undefined,
          () => {},
        );
    if (transportSocket?.wrap === undefined) handler.onConnected();
    else
      connection.startTransport(
        (plain, events) => transportSocket.wrap?.(plain, info, transport, events),
        undefined,
        () => handler.onConnected(),
      );
  }

  private openPlain(options: ConnectOptions, connection: SocketConnection): Socket {
    const { address, bindAddress, keepAlive } = options;
    const common = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: keepAlive?.enabled ?? false,
      keepAliveInitialDelay: keepAlive?.initialDelayMs ?? 0,
      onread: { buffer: connection.link.nextBuffer, callback: connection.link.onRead },
    };
    const target =
      address.family === 'pipe'
        ? { path: pipePath(address.path) }
        : {
            host: address.ip,
            port: address.port,
            ...(bindAddress === undefined
              ? {}
              : { localAddress: bindAddress.ip, localPort: bindAddress.port }),
          };
    // The types know `onread.buffer` as an array only; a function is documented.
    return connect({ ...common, ...target } as unknown as NetConnectOpts);
  }
}

/** Stands in for the local address until the kernel has chosen one. */
const UNBOUND = Address.ip('0.0.0.0', 0);

/** Node writes an abstract Unix socket with a leading NUL, configs with `@`. */
export function pipePath(path: string): string {
  return path.startsWith('@') ? `\0${path.slice(1)}` : path;
}
