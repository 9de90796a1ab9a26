export { SocketConnectionInfo, nextConnectionId } from './connection-info.ts';
export { SocketConnector } from './connector.ts';
export { Dispatcher, type Flushable } from './dispatcher.ts';
export { EventClock } from './event-clock.ts';
export { BULK_READ_BYTES, ReadBuffers, SHARED_READ_BYTES } from './read-buffers.ts';
export {
  type ConnectionByteStats,
  DELAYED_CLOSE_TIMEOUT,
  type NetworkContext,
  SocketConnection,
  type SocketConnectionOptions,
} from './socket-connection.ts';
export { describeSocketError } from './socket-errors.ts';
export {
  type AcceptHandler,
  type AcceptOptions,
  type HandOverOptions,
  type ListenOptions,
  TcpListener,
} from './tcp-listener.ts';
