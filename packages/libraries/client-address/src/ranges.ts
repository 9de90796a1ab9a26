import { isIP } from 'node:net';
import { Address, ConfigError, joinPath } from '@dragoman/core';
import { IpRanges } from './ip-ranges.ts';

/** A network, as `config.core.v3.CidrRange` has it. */
export interface Network {
  readonly addressPrefix: string;
  /** Bits; default 0: every address of the family. */
  readonly prefixLen?: number | undefined;
}

/** @throws ConfigError below `path` for what is no network */
export function compileRanges(networks: readonly Network[], path: string): IpRanges {
  const ranges = new IpRanges();
  networks.forEach(({ addressPrefix, prefixLen = 0 }, i) => {
    const family = isIP(addressPrefix);
    if (family === 0)
      throw ConfigError.at(
        joinPath(`${path}[${i}]`, 'address_prefix'),
        `"${addressPrefix}" is not an IP address`,
      );
    if (prefixLen > (family === 4 ? 32 : 128))
      throw ConfigError.at(
        joinPath(`${path}[${i}]`, 'prefix_len'),
        `${prefixLen} bits are more than the address has`,
      );
    ranges.add(Address.ip(addressPrefix, 0), prefixLen);
  });
  return ranges;
}
