import { Address, systemClock } from '@dragoman/core';
import { listenDescriptors, ServiceNotifier, socketAddress } from '@dragoman/posix';
import type { InheritedSocket } from '@dragoman/server';

/**
 * The sockets that the service manager has opened for this process (`LISTEN_FDS`).
 * @throws Error that says what is wrong with the variables, or that this Node cannot look at descriptors
 */
export function inheritedSockets(env: NodeJS.ProcessEnv, pid: number): InheritedSocket[] {
  return listenDescriptors(env, pid).map(({ fd }) => {
    const bound = socketAddress(fd);
    const address = bound.family === 'pipe' ? Address.pipe(bound.path) : Address.ip(bound.ip, bound.port);
    return { descriptor: fd, address: address.text };
  });
}

/** Tells the service manager how this process is, when there is one that wants to know (`NOTIFY_SOCKET`). */
export function serviceNotifier(env: NodeJS.ProcessEnv, onError: (error: Error) => void): ServiceNotifier {
  return new ServiceNotifier({ env, clock: systemClock, onError });
}
