import { type Libc, libcFor } from './libc.ts';
import { decodeAddress, SOCKADDR_STORAGE_BYTES, type SocketAddress } from './socket-address.ts';

const SOL_IP = 0;
const SOL_IPV6 = 41;
/** `SO_ORIGINAL_DST` of linux/netfilter_ipv4.h, and `IP6T_SO_ORIGINAL_DST` of linux/netfilter_ipv6/ip6_tables.h. */
const SO_ORIGINAL_DST = 80;

/** Filled again and again: it is asked for each connection. */
const address = Buffer.alloc(SOCKADDR_STORAGE_BYTES);
const length = new Uint32Array(1);

/** An IP and a port. */
export type IpSocketAddress = Exclude<SocketAddress, { readonly family: 'pipe' }>;

/**
 * Where the peer of an accepted TCP socket wanted to connect, before netfilter redirected it (iptables' or nftables' REDIRECT or DNAT).
 *
 * @param fd a connection of the process
 * @param family of its addresses; an IPv4 peer of an IPv6 socket counts as IPv4, as the kernel keeps its connection there
 * @param getsockopt for tests; default: the C library's
 * @returns undefined where netfilter does not follow the connection, has no NAT, or there is no such connection any more. It is the
 *   socket's own address when the connection is followed but was not redirected.
 * @throws FfiUnavailable
 */
export function originalDestination(
  fd: number,
  family: 'ipv4' | 'ipv6',
  getsockopt?: Libc['getsockopt'],
): IpSocketAddress | undefined {
  const libc = libcFor('SO_ORIGINAL_DST');
  const read = getsockopt ?? libc.getsockopt;
  const level = family === 'ipv4' ? SOL_IP : SOL_IPV6;
  length[0] = address.length;
  address.writeUInt16LE(0, 0);
  if (read(fd, level, SO_ORIGINAL_DST, address, length) < 0) return undefined;
  const decoded = decodeAddress(libc, address, length[0]);
  return decoded === undefined || decoded.family === 'pipe' ? undefined : decoded;
}
