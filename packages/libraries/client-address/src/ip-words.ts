/** An IP address as four words of 32 bits; IPv4 has one, and zeros behind it. */
export type Words = readonly [number, number, number, number];

/** The upper `bits` of 32. */
export function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
}

/** The upper `bits` of 128. */
export function masksOf(bits: number): Words {
  const word = (before: number) => maskOf(Math.min(32, Math.max(0, bits - before)));
  return [word(0), word(32), word(64), word(96)];
}

/** @param ip valid, of this version, without a zone */
export function parseIp(ip: string, version: 4 | 6): Words {
  return version === 4 ? [parseIpv4(ip), 0, 0, 0] : parseIpv6(ip);
}

const DOT = 0x2e;

/** @param ip a valid dotted quad */
export function parseIpv4(ip: string): number {
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
export function parseIpv6(ip: string): Words {
  const [head = '', tail] = ip.split('::');
  const groups = groupsOf(head);
  if (tail !== undefined) {
    const after = groupsOf(tail);
    while (groups.length + after.length < 8) groups.push(0);
    groups.push(...after);
  }
  const word = (i: number) => (groups[i] as number) * 65_536 + (groups[i + 1] as number);
  return [word(0), word(2), word(4), word(6)];
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
