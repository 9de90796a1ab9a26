import { atPath } from '@dragoman/core';
import { parseIp, type Words } from './ip-words.ts';
import { ipVersion, type Network, parseNetwork } from './network.ts';

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
  add(network: Network, value: T): void {
    const { version, bits, words, masks } = parseNetwork(network);
    const levels = version === 4 ? this.v4 : this.v6;
    let at = levels.findIndex((level) => level.bits <= bits);
    if (at < 0) at = levels.length;
    if (levels[at]?.bits !== bits) levels.splice(at, 0, { bits, masks, networks: new Map() });
    const { networks } = levels[at] as Level<T>;
    const key = masked(words, masks);
    const values = networks.get(key);
    if (values === undefined) networks.set(key, [value]);
    else values.push(value);
  }

  /** Whether any network holds this address; false for what is no IP address. */
  has(ip: string): boolean {
    const version = ipVersion(ip);
    if (version === 0) return false;
    const words = parseIp(ip, version);
    for (const { masks, networks } of version === 4 ? this.v4 : this.v6)
      if (networks.has(masked(words, masks))) return true;
    return false;
  }

  /**
   * The values of all networks that hold this address: the longest prefix first, and for one prefix in the order they were
   * added. Undefined for what is no IP address.
   */
  find(ip: string): readonly T[] | undefined {
    const version = ipVersion(ip);
    if (version === 0) return undefined;
    const words = parseIp(ip, version);
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
export function addRanges<T>(table: CidrTable<T>, ranges: readonly Network[], value: T): void {
  ranges.forEach((range, i) => {
    atPath(`[${i}]`, () => table.add(range, value));
  });
}

function masked(words: Words, masks: Words): string {
  let key = '';
  for (let i = 0; i < 4; i++) key += `${((words[i] as number) & (masks[i] as number)) >>> 0},`;
  return key;
}
