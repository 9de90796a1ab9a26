import { existsSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';

/** A socket of libuv that is bound and does not listen. Node passes it to a child process as it is. */
export interface BoundSocket {
  readonly fd: number;
  /** Closes the descriptor at once; removes the file of a Unix socket that was bound here. */
  close(): void;
}

export interface BoundIpSocket {
  readonly socket: BoundSocket;
  /** The real one where 0 was asked for. */
  readonly port: number;
}

/** A socket that cannot be had; `code` is the system's (`EADDRINUSE`, …). */
export class BindError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'BindError';
    this.code = code;
  }
}

/** Makes bound sockets. Tests put their own in its place. */
export interface Binder {
  /** @throws BindError */
  ip(ip: string, port: number, options: { ipv6Only: boolean; reusePort: boolean }): BoundIpSocket;
  /** @param path `@name` for an abstract one. @throws BindError */
  pipe(path: string): BoundSocket;
  /** A socket that this process was started with. @throws BindError */
  descriptor(fd: number): BoundSocket;
}

interface NetHandle extends BoundSocket {
  /** Absent on a Unix socket. Answers 0 or a negative error number. */
  getsockname?(out: { port?: number }): number;
}

/** Node's own, used by `node:cluster`: binds without listening. Answers a negative error number where it cannot. */
type CreateServerHandle = (
  address: string | null,
  port: number,
  addressType: number,
  fd?: number,
  flags?: number,
) => NetHandle | number;

const UV_TCP_IPV6ONLY = 1;
const UV_TCP_REUSEPORT = 2;
/** Of a Unix socket, in place of port and address type. */
const NONE = -1;

/**
 * The machine's sockets.
 *
 * @param netModule where the function is looked for; for tests
 * @throws Error when this Node has no function that binds without listening
 */
export function systemBinder(netModule: object = net): Binder {
  const create = (netModule as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (typeof create !== 'function') {
    throw new Error(
      `Node.js ${process.version} cannot bind a socket without listening (net._createServerHandle is gone): ` +
        'hot restart needs another version; run dragoman without "supervise"',
    );
  }
  return {
    ip(ip, port, { ipv6Only, reusePort }) {
      const version = net.isIP(ip);
      const what = `bind ${version === 6 ? `[${ip}]` : ip}:${port}`;
      const flags = (ipv6Only ? UV_TCP_IPV6ONLY : 0) | (reusePort ? UV_TCP_REUSEPORT : 0);
      const socket = checked(create(ip, port, version === 6 ? 6 : 4, undefined, flags), what);
      // libuv tells of EADDRINUSE only when the socket is used.
      const name: { port?: number } = {};
      const error = socket.getsockname?.(name) ?? 0;
      if (error !== 0) {
        socket.close();
        throw bindError(error, what);
      }
      return { socket, port: name.port ?? port };
    },
    pipe(path) {
      const abstract = path.startsWith('@');
      const made = create(abstract ? `\0${path.slice(1)}` : path, NONE, NONE);
      // libuv says EACCES, as Windows would.
      if (typeof made === 'number' && !abstract && !existsSync(dirname(path))) {
        throw new BindError('ENOENT', `cannot bind ${path}: there is no folder ${dirname(path)} (ENOENT)`);
      }
      return checked(made, `bind ${path}`);
    },
    descriptor: (fd) => checked(create(null, 0, 0, fd), `use descriptor ${fd}`),
  };
}

function checked(made: NetHandle | number, what: string): NetHandle {
  if (typeof made === 'number') throw bindError(made, what);
  return made;
}

function bindError(errno: number, what: string): BindError {
  const code = getSystemErrorName(errno);
  return new BindError(code, `cannot ${what}: ${getSystemErrorMessage(errno)} (${code})`);
}
