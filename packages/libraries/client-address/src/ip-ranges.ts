import { SocketAddress } from 'node:net';
import type { Address } from '@dragoman/core';

/**
 * Networks, to find an address in. Node's BlockList answers the same question in 700 ns, this in 30: it is asked for
 * every request.
 */
export class IpRanges {
  /** Pairs of network and mask. */
  private readonly v4: number[] = [];
  /** Four words of network and four of mask for each. */
  private readonly v6: number[] = [];

  /** No network at all: nothing is in it. */
  get empty(): boolean {
    return this.v4.length + this.v6.length === 0;
  }

  /** @param address of the network, of the family that `bits` fit */
  add(address: Address, bits: number): void {
    if (address.family === 'ipv4') {
      const mask = maskOf(bits);
      this.v4.push((parseIpv4(address.ip) & mask) >>> 0, mask);
      return;
    }
    const words = parseIpv6(address.ip);
    const masks = [0, 32, 64, 96].map((before) => maskOf(Math.min(32, Math.max(0, bits - before))));
    this.v6.push(...masks.map((mask, i) => ((words[i] as number) & mask) >>> 0), ...masks);
  }

  /** A Unix socket is in no network. */
  has(address: Address): boolean {
    if (address.family === 'pipe') return false;
    return address.family === 'ipv4' ? this.hasIpv4(address.ip) : this.hasIpv6(address.ip);
  }

  private hasIpv4(ip: string): boolean {
    const value = parseIpv4(ip);
    const { v4 } = this;
    for (let i = 0; i < v4.length; i += 2) if ((value & (v4[i + 1] as number)) >>> 0 === v4[i]) return true;
    return false;
  }

  private hasIpv6(ip: string): boolean {
    const words = parseIpv6(ip);
    const { v6 } = this;
    for (let i = 0; i < v6.length; i += 8) {
      let same = true;
      for (let word = 0; word < 4 && same; word++)
        same = ((words[word] as number) & (v6[i + 4 + word] as number)) >>> 0 === v6[i + word];
      if (same) return true;
    }
    return false;
  }
}

/** The network of `bits` that an IP address is in, in its usual form: `10.1.2.0`, `2001:db8::`. */
export function maskedAddress(address: Address, bits: number): string {
  if (address.family === 'ipv4') {
    const network = parseIpv4(address.ip) & maskOf(bits);
    return [24, 16, 8, 0].map((shift) => (network >>> shift) & 0xff).join('.');
  }
  const words = parseIpv6(address.ip).map(
    (word, i) => (word & maskOf(Math.min(32, Math.max(0, bits - i * 32)))) >>> 0,
  );
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16));
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

/** The upper `bits` of 32. */
function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
}

const DOT = 0x2e;

/** @param ip a valid dotted quad */
function parseIpv4(ip: string): number {
  let value = 0;
  let octet = 0;
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i);
    if (code === DOT) {
      value = value * 256 + octet;
      octet = 0;
    } else {
      octet = octet * 10 + code - 0x30;
    }
  }
  return value * 256 + octet;
}

/** @param ip a valid IPv6 address, which may end in a dotted quad */
function parseIpv6(ip: string): readonly number[] {
  const [head = '', tail] = ip.split('::');
  const groups = groupsOf(head);
  if (tail !== undefined) {
    const after = groupsOf(tail);
    while (groups.length + after.length < 8) groups.push(0);
    groups.push(...after);
  }
  const words: number[] = [];
  for (let i = 0; i < 8; i += 2) words.push((groups[i] as number) * 65_536 + (groups[i + 1] as number));
  return words;
}

function groupsOf(part: string): number[] {
  const groups: number[] = [];
  if (part === '') return groups;
  for (const group of part.split(':')) {
    if (group.includes('.')) {
      const quad = parseIpv4(group);
      groups.push(Math.floor(quad / 65_536), quad % 65_536);
    } else {
      groups.push(Number.parseInt(group, 16));
    }
  }
  return groups;
}
