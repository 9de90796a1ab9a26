import type { Address } from '@dragoman/core';

/** An IPv4 address as IPv6 writes it; an IPv6 address as it is. */
export function mappedText({ family, ip }: Address): string {
  return family === 'ipv4' ? `::ffff:${ip}` : withoutZone(ip);
}

/** In network order. */
export function ipv4Bytes({ ip }: Address, out: Buffer, at: number): void {
  for (const [i, part] of ip.split('.').entries()) out[at + i] = Number(part);
}

/** In network order, an IPv4 address as a mapped one. `out` holds zeros there. */
export function ipv6Bytes(address: Address, out: Buffer, at: number): void {
  if (address.family === 'ipv4') {
    out.fill(0xff, at + 10, at + 12);
    ipv4Bytes(address, out, at + 12);
    return;
  }
  const [head = '', tail] = withoutZone(address.ip).split('::');
  groups(head, out, at);
  if (tail !== undefined) groups(tail, out, at + 16 - 2 * groupsOf(tail).length);
}

function groups(text: string, out: Buffer, at: number): void {
  for (const [i, group] of groupsOf(text).entries()) out.writeUInt16BE(group, at + 2 * i);
}

/** The groups of one side of `::`; an IPv4 address at the end is two. */
function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function withoutZone(ip: string): string {
  const zone = ip.indexOf('%');
  return zone < 0 ? ip : ip.slice(0, zone);
}
