import { compileRanges, type Network } from '@dragoman/client-address';
import type { Address } from '@dragoman/core';

/** `internal_address_config`. */
export interface InternalAddressOptions {
  /** Whether a Unix socket's peer is internal; default false. */
  readonly unixSockets: boolean;
  /** Networks that are internal. Empty: none. */
  readonly cidrRanges: readonly Network[];
}

/** Envoy's networks when `internal_address_config` is not set: RFC 1918, loopback, RFC 4193. */
export const DEFAULT_INTERNAL_RANGES: InternalAddressOptions['cidrRanges'] = [
  { addressPrefix: '10.0.0.0', prefixLen: 8 },
  { addressPrefix: '172.16.0.0', prefixLen: 12 },
  { addressPrefix: '192.168.0.0', prefixLen: 16 },
  { addressPrefix: '127.0.0.0', prefixLen: 8 },
  { addressPrefix: '::1', prefixLen: 128 },
  { addressPrefix: 'fd00::', prefixLen: 8 },
];

/**
 * Says whether an address is internal.
 * @param options Undefined: Envoy's default networks, Unix sockets are external.
 * @throws ConfigError for a range that is none
 */
export function compileInternalAddresses(
  options: InternalAddressOptions | undefined,
): (address: Address) => boolean {
  const ranges = compileRanges(options?.cidrRanges ?? DEFAULT_INTERNAL_RANGES, 'cidr_ranges');
  const unixSockets = options?.unixSockets ?? false;
  return (address) => (address.family === 'pipe' ? unixSockets : ranges.has(address));
}

/** Whether the address is the machine's own. */
export function isLoopback(address: Address): boolean {
  return address.family === 'ipv4' ? address.ip.startsWith('127.') : address.ip === '::1';
}
