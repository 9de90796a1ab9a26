import { SocketAddress } from 'node:net';
import type { IpListenAddress, ListenAddress } from './protocol.ts';

/** Where a socket that systemd has opened listens; `path` is `@name` for an abstract one. */
export type InheritedAddress =
  | { readonly family: 'ipv4' | 'ipv6'; readonly ip: string; readonly port: number }
  | { readonly family: 'pipe'; readonly path: string };

/** For logs and errors, and the identity of an address: equal texts are the same place. */
export function addressText(address: InheritedAddress): string {
  if (address.family === 'pipe') return address.path;
  if (address.family === 'ipv4') return `${address.ip}:${address.port}`;
  return `[${canonicalIpv6(address.ip)}]:${address.port}`;
}

/** Whether two requests mean the same sockets. */
export function sameRequest(a: ListenAddress, b: ListenAddress): boolean {
  if (addressText(a) !== addressText(b)) return false;
  return a.family !== 'ipv6' || b.family !== 'ipv6' || a.ipv6Only === b.ipv6Only;
}

/** All addresses of the machine. */
export function isWildcard({ family, ip }: IpListenAddress): boolean {
  return family === 'ipv4' ? ip === '0.0.0.0' : canonicalIpv6(ip) === '::';
}

/** `0:0::1` is `::1`. */
function canonicalIpv6(ip: string): string {
  return new SocketAddress({ address: ip, family: 'ipv6' }).address;
}
