import { closeDescriptor } from './descriptors.ts';
import { type Libc, libcFor } from './libc.ts';
import { encodeIpAddress } from './socket-address.ts';
import { systemError } from './system-error.ts';

/** What {@link bindSocket} binds. */
export interface BindOptions {
  /** IPv4 or IPv6, without a scope (`%eth0`). */
  readonly ip: string;
  /** 0 … 65535; 0 takes a free one. */
  readonly port: number;
  /** Leaves IPv4 clients out of an IPv6 socket (`IPV6_V6ONLY`). Default false, whatever the system's own default is. */
  readonly ipv6Only?: boolean;
  /** Lets sockets of the same user that say so too share the port (`SO_REUSEPORT`). Default false. */
  readonly reusePort?: boolean;
}

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/**
 * A TCP socket that is bound and does not listen yet: close-on-exec, nonblocking, with `SO_REUSEADDR`. A worker, or a process
 * that starts with it, gives it to `net.Server.listen({ fd })`. No connection is queued before that, so none is lost
 * when the socket is closed instead.
 *
 * Being bound is not yet owning the port. A port that somebody listens on is refused here, unless both sockets have
 * `reusePort`; where nobody listens yet, Linux lets `SO_REUSEADDR` sockets share it, with and without `reusePort`. The first
 * that listens wins, and `listen` fails with `EADDRINUSE` for the others (not among sockets with `reusePort`).
 *
 * @returns its descriptor; whoever asked for it closes it, with `closeDescriptor` or through the handle that took it over
 * @throws FfiUnavailable
 * @throws RangeError or Error when the port or the address is none
 * @throws Error with `code` and `errno`: `EADDRINUSE` when somebody listens there, `EADDRNOTAVAIL` when the address is not
 *   this machine's, `EACCES` when the port is privileged, `EMFILE` at the limit of the process
 */
export function bindSocket(options: BindOptions): number {
  const libc = libcFor('binding without listening');
  const { ip, port, ipv6Only = false, reusePort = false } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port ${port} is not a whole number from 0 to 65535`);
  }
  const address = encodeIpAddress(libc, ip, port);
  const ipv6 = ip.includes(':');
  const what = `bind of ${ipv6 ? `[${ip}]` : ip}:${port}`;
  const fd = libc.socket(address.readUInt16LE(0), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket', what, libc.errno());
  try {
    setOption(libc, fd, SOL_SOCKET, SO_REUSEADDR, 1, what);
    if (reusePort) setOption(libc, fd, SOL_SOCKET, SO_REUSEPORT, 1, what);
    if (ipv6) setOption(libc, fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0, what);
    if (libc.bind(fd, address, address.length) < 0) throw systemError('bind', what, libc.errno());
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

function setOption(libc: Libc, fd: number, level: number, option: number, value: number, what: string): void {
  const result = libc.setsockopt(fd, level, option, new Int32Array([value]), Int32Array.BYTES_PER_ELEMENT);
  if (result < 0) throw systemError('setsockopt', what, libc.errno());
}
