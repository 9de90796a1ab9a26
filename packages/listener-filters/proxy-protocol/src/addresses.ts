import { isIP, SocketAddress } from 'node:net';
import { Address } from '@dragoman/core';

/** @param family what the address has to be @returns undefined for another, a malformed or an impossible one */
export function readAddress(family: 4 | 6, ip: string, port: string): Address | undefined {
  if (isIP(ip) !== family || ip.includes('%') || !/^\d{1,5}$/.test(port)) return undefined;
  return address(family, ip, Number(port));
}

/** Bytes in network order. */
export function ipv4At(bytes: Buffer, at: number): string {
  return bytes.subarray(at, at + 4).join('.');
}

/** Bytes in network order. */
export function ipv6At(bytes: Buffer, at: number): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(at + i).toString(16));
  return groups.join(':');
}

/** Undefined for what no TCP connection can have: the address of nobody, of everybody or of many, or a port that is none. */
export function address(family: 4 | 6, ip: string, port: number): Address | undefined {
  if (port > 65_535) return undefined;
  const text = family === 4 ? ip : new SocketAddress({ address: ip, family: 'ipv6' }).address;
  return isUnicast(family, text) ? Address.ip(text, port) : undefined;
}

function isUnicast(family: 4 | 6, ip: string): boolean {
  if (family === 6) return ip !== '::' && !/^ff[0-9a-f]{2}:/.test(ip);
  const first = Number.parseInt(ip, 10);
  return ip !== '0.0.0.0' && ip !== '255.255.255.255' && (first < 224 || first > 239);
}
