export { type BindOptions, bindSocket } from './bind-socket.ts';
export { sendDatagram } from './datagram.ts';
export { trimMemory } from './memory.ts';
export { closeDescriptor, dup } from './descriptors.ts';
export { FfiUnavailable, ffiAvailable } from './libc.ts';
export { originalDestination } from './original-destination.ts';
export { removeStaleSocket } from './stale-socket.ts';
export { type SocketAddress, socketAddress } from './socket-address.ts';
export {
  type ListenDescriptor,
  listenDescriptors,
  ServiceNotifier,
  type ServiceNotifierOptions,
} from './systemd.ts';
