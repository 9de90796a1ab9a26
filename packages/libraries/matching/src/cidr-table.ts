import { isIP } from 'node:net';
import { atPath, ConfigError } from '@dragoman/core';

/** A network as the API writes it: `core.v3.CidrRange` of Envoy or of xDS. */
export interface CidrConfig {
  readonly addressPrefix: string;
  /** Unset: 0. */
  readonly prefixLen?: number | undefined;
}

/** An IP address as four words; IPv4 has one. */
type Words = readonly [number, number, number, number];

/** The networks of one prefix length. */
interface Level<T> {
  readonly bits: number;
  readonly masks: Words;
  readonly networks: Map<string, T[]>;
}

/** Networks with a value each, found by the addresses in them. IPv4 and IPv6 are apart, also where one stands for the other. */
export class CidrTable<T> {
  /** From the longest prefix to the shortest. */
  private readonly v4: Level<T>[] = [];
  private readonly v6: Level<T>[] = [];

  /** @throws ConfigError at `address_prefix` or `prefix_len` */
  add(range: CidrConfig, value: T): void {
    const { addressPrefix, prefixLen: bits = 0 } = range;
    const version = plainIp(addressPrefix);
    if (version === 0)
      throw ConfigError.at(
        'address_prefix',
        `"${addressPrefix}" is not an IP address; expected e.g. 10.0.0.0`,
      );
    const most = version === 4 ? 32 : 128;
    if (bits > most)
      throw ConfigError.at('prefix_len', `is ${bits}, an IPv${version} address has ${most} bits`);
    const levels = version === 4 ? this.v4 : this.v6;
    let at = levels.findIndex((level) => level.bits <= bits);
    if (at < 0) at = levels.length;
    if (levels[at]?.bits !== bits) levels.splice(at, 0, { bits, masks: masksOf(bits), networks: new Map() });
    const { masks, networks } = levels[at] as Level<T>;
    const key = masked(wordsOf(addressPrefix, version), masks);
    const values = networks.get(key);
    if (values === undefined) networks.set(key, [value]);
    else values.push(value);
  }

  /** Whether any network holds this address; false for what is no IP address. */
  has(ip: string): boolean {
    const version = plainIp(ip);
    if (version === 0) return false;
    const words = wordsOf(ip, version);
    for (const { masks, networks } of version === 4 ? this.v4 : this.v6)
      if (networks.has(masked(words, masks))) return true;
    return false;
  }

  /**
   * The values of all networks that hold this address: the longest prefix first, and for one prefix in the order they were
   * added. Undefined for what is no IP address.
   */
  find(ip: string): readonly T[] | undefined {
    const version = plainIp(ip);
    if (version === 0) return undefined;
    const words = wordsOf(ip, version);
    let found: readonly T[] = [];
    for (const { masks, networks } of version === 4 ? this.v4 : this.v6) {
      const values = networks.get(masked(words, masks));
      if (values !== undefined) found = found.length === 0 ? values : [...found, ...values];
    }
    return found;
  }
}

/**
 * Adds every range of a list to a table.
 * @throws ConfigError with paths below the list
 */
export function addRanges<T>(table: CidrTable<T>, ranges: readonly CidrConfig[], value: T): void {
  ranges.forEach((range, i) => {
    atPath(`[${i}]`, () => table.add(range, value));
  });
}

/** 4, 6, or 0 for what is none. A zone makes it none. */
function plainIp(text: string): number {
  return text.includes('%') ? 0 : isIP(text);
}

function masksOf(bits: number): Words {
  const word = (before: number) => {
    const own = Math.min(32, Math.max(0, bits - before));
    return own === 0 ? 0 : (0xffffffff << (32 - own)) >>> 0;
  };
  return [word(0), word(32), word(64), word(96)];
}

function masked(words: Words, masks: Words): string {
  let key = '';
  for (let i = 0; i < 4; i++) key += `${((words[i] as number) & (masks[i] as number)) >>> 0},`;
  return key;
}

function wordsOf(ip: string, version: number): Words {
  if (version === 4) return [ipv4(ip), 0, 0, 0];
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
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const value = ipv4(group);
    return [value >>> 16, value & 0xffff];
  });
}

function ipv4(ip: string): number {
  let value = 0;
  for (const octet of ip.split('.')) value = value * 256 + Number(octet);
  return value;
}
