export { SUPERVISE_HELP, SuperviseUsageError } from './arguments.ts';
export {
  BindError,
  type Binder,
  type BoundIpSocket,
  type BoundSocket,
  systemBinder,
} from './bound-socket.ts';
export type { ChildLike } from './epoch.ts';
export type { InheritedAddress } from './listen-address.ts';
export { lineLog, type SupervisorLog, type SupervisorLogLevel } from './log.ts';
export * from './protocol.ts';
export { runSupervisor, type SupervisorSurroundings } from './run-supervisor.ts';
export { type HeldSockets, type InheritedSocket, SocketBook, type SocketBookOptions } from './socket-book.ts';
export { type Notifier, type SignalSource, Supervisor, type SupervisorOptions } from './supervisor.ts';
export {
  type ParentStats,
  type SupervisedProcess,
  SupervisorLink,
  type SuppliedSockets,
} from './supervisor-link.ts';
export { processSurroundings } from './surroundings.ts';
