import { isIP } from 'node:net';
import { type Libc, libcFor } from './libc.ts';
import { systemError } from './system-error.ts';

/** Where a socket is bound; `path` is `@name` for an abstract Unix socket and empty for an unnamed one. */
export type SocketAddress =
  | { readonly family: 'ipv4' | 'ipv6'; readonly ip: string; readonly port: number }
  | { readonly family: 'pipe'; readonly path: string };

// The family comes first and in the byte order of the machine, which is little-endian on x64 and arm64; a port is big-endian.
export const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
/** Room for an address of any family. */
export const SOCKADDR_STORAGE_BYTES = 128;

/** Before the path in `sockaddr_un`: the family. */
export const PATH_OFFSET = 2;

/** The longest IPv6 address as text, with C's final zero. */
const INET6_ADDRSTRLEN = 46;

const EAFNOSUPPORT = 97;

/**
 * The address a socket is bound to, also before it listens (getsockname).
 *
 * @throws FfiUnavailable
 * @throws Error with `code` and `errno`: `EBADF` when `fd` is not open, `ENOTSOCK` when it is no socket, `EAFNOSUPPORT`
 *   when it is neither an IP nor a Unix socket
 */
export function socketAddress(fd: number): SocketAddress {
  const libc = libcFor('getsockname');
  const what = `address of descriptor ${fd}`;
  const address = Buffer.alloc(SOCKADDR_STORAGE_BYTES);
  const length = new Uint32Array([address.length]);
  if (libc.getsockname(fd, address, length) < 0) throw systemError('getsockname', what, libc.errno());
  const decoded = decodeAddress(libc, address, length[0] ?? 0);
  if (decoded === undefined) throw systemError('getsockname', what, EAFNOSUPPORT);
  return decoded;
}

/**
 * What the kernel has written into a `sockaddr`.
 *
 * @param length bytes that it has written
 * @returns undefined for a family that is neither IP nor Unix
 */
export function decodeAddress(libc: Libc, address: Buffer, length: number): SocketAddress | undefined {
  switch (address.readUInt16LE(0)) {
    case AF_INET:
      return { family: 'ipv4', ip: ipv4At(address, 4), port: address.readUInt16BE(2) };
    case AF_INET6:
      return { family: 'ipv6', ip: formatIpv6(libc, address.subarray(8)), port: address.readUInt16BE(2) };
    case AF_UNIX:
      return { family: 'pipe', path: readPath(address.subarray(PATH_OFFSET, length)) };
    default:
      return undefined;
  }
}

/**
 * C's `sockaddr_in` or `sockaddr_in6`.
 *
 * @param port 0 … 65535
 * @throws Error when `ip` is not an IP address, or one with a scope
 */
export function encodeIpAddress(libc: Libc, ip: string, port: number): Buffer {
  const version = isIP(ip);
  const address = Buffer.alloc(version === 6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES);
  const [family, offset] = version === 6 ? [AF_INET6, 8] : [AF_INET, 4];
  address.writeUInt16LE(family, 0);
  address.writeUInt16BE(port, 2);
  if (version === 0 || libc.inet_pton(family, ip, address.subarray(offset)) !== 1) {
    throw new Error(`'${ip}' is not an IPv4 or IPv6 address without a scope`);
  }
  return address;
}

function readPath(bytes: Buffer): string {
  if (bytes.length === 0) return '';
  if (bytes[0] === 0) return `@${bytes.toString('utf8', 1)}`;
  return untilZero(bytes).toString();
}

function ipv4At(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function formatIpv6(libc: Libc, bytes: Buffer): string {
  const text = Buffer.alloc(INET6_ADDRSTRLEN);
  libc.inet_ntop(AF_INET6, bytes, text, text.length);
  return untilZero(text).toString('latin1');
}

function untilZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
