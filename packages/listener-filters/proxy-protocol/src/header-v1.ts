import { latin1Slice } from '@dragoman/core';
import { readAddress } from './addresses.ts';
import type { HeaderProgress } from './header.ts';

/** `PROXY TCP6 <39> <39> <5> <5>\r\n` is 107 bytes; Envoy allows one more. */
export const MAX_V1_BYTES = 108;

const MALFORMED: HeaderProgress = { state: 'error', version: 1 };

/** @param length of the line, its end included */
export function readV1(bytes: Buffer, length: number): HeaderProgress {
  const parts = latin1Slice(bytes, 0, length).trimEnd().split(' ');
  const [proxy, protocol, source = '', destination = '', sourcePort = '', destinationPort = ''] = parts;
  if (proxy !== 'PROXY') return MALFORMED;
  // The rest of the line, if there is one, is not looked at.
  if (protocol === 'UNKNOWN')
    return { state: 'header', header: { version: 1, addresses: undefined, length, tlvsAt: length } };
  if (parts.length !== 6 || (protocol !== 'TCP4' && protocol !== 'TCP6')) return MALFORMED;
  const family = protocol === 'TCP4' ? 4 : 6;
  const remote = readAddress(family, source, sourcePort);
  const local = readAddress(family, destination, destinationPort);
  if (remote === undefined || local === undefined) return MALFORMED;
  return { state: 'header', header: { version: 1, addresses: { remote, local }, length, tlvsAt: length } };
}
