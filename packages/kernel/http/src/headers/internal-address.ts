import { isIP } from 'node:net';
import { Address, ConfigError } from '@dragoman/core';
import { IpRanges } from './ip-ranges.ts';

/** `internal_address_config`. */
export interface InternalAddressOptions {
  /** Whether a Unix socket's peer is internal; default false. */
  readonly unixSockets: boolean;
  /** Networks that are internal. Empty: none. */
  readonly cidrRanges: readonly { readonly addressPrefix: string; readonly prefixLength: number }[];
}

/** Envoy's networks when `internal_address_config` is not set: RFC 1918, loopback, RFC 4193. */
export const DEFAULT_INTERNAL_RANGES: InternalAddressOptions['cidrRanges'] = [
  { addressPrefix: '10.0.0.0', prefixLength: 8 },
  { addressPrefix: '172.16.0.0', prefixLength: 12 },
  { addressPrefix: '192.168.0.0', prefixLength: 16 },
  { addressPrefix: '127.0.0.0', prefixLength: 8 },
  { addressPrefix: '::1', prefixLength: 128 },
  { addressPrefix: 'fd00::', prefixLength: 8 },
];

/**
 * Says whether an address is internal.
 * @param options Undefined: Envoy's default networks, Unix sockets are external.
 * @throws ConfigError for a range that is none
 */
export function compileInternalAddresses(
  options: InternalAddressOptions | undefined,
): (address: Address) => boolean {
  const ranges = options?.cidrRanges ?? DEFAULT_INTERNAL_RANGES;
  const unixSockets = options?.unixSockets ?? false;
  const list = new IpRanges();
  ranges.forEach(({ addressPrefix, prefixLength }, i) => {
    const family = isIP(addressPrefix);
    if (family === 0)
      throw ConfigError.at(`cidr_ranges[${i}].address_prefix`, `"${addressPrefix}" is not an IP address`);
    if (prefixLength > (family === 4 ? 32 : 128))
      throw ConfigError.at(
        `cidr_ranges[${i}].prefix_len`,
        `${prefixLength} bits are more than the address has`,
      );
    list.add(Address.ip(addressPrefix, 0), prefixLength);
  });
  return (address) => {
    if (address.family === 'pipe') return unixSockets;
    return list.has(address);
  };
}

/** Whether the address is the machine's own. */
export function isLoopback(address: Address): boolean {
  return address.family === 'ipv4' ? address.ip.startsWith('127.') : address.ip === '::1';
}
