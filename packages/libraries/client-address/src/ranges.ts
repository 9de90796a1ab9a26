import { atPath } from '@dragoman/core';
import { IpRanges } from './ip-ranges.ts';
import type { Network } from './network.ts';

/** @throws ConfigError below `path` for what is no network */
export function compileRanges(networks: readonly Network[], path: string): IpRanges {
  const ranges = new IpRanges();
  networks.forEach((network, i) => {
    atPath(`${path}[${i}]`, () => ranges.add(network));
  });
  return ranges;
}
