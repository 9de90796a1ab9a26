import { address, ipv4At, ipv6At } from './addresses.ts';
import type { HeaderAddresses, HeaderProgress } from './header.ts';

export const V2_FIXED_BYTES = 16;
const VERSION_AND_COMMAND = 12;
const FAMILY_AND_TRANSPORT = 13;
const LENGTH = 14;
const LOCAL = 0;
const PROXY = 1;
const INET = 1;
const INET6 = 2;
const STREAM = 1;
const DGRAM = 2;

const MALFORMED: HeaderProgress = { state: 'error', version: 2 };

/** @param bytes with the signature, {@link V2_FIXED_BYTES} or more */
export function readV2(bytes: Buffer): HeaderProgress {
  const versionAndCommand = bytes.readUInt8(VERSION_AND_COMMAND);
  if (versionAndCommand >> 4 !== 2) return MALFORMED;
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(LENGTH);
  const command = versionAndCommand & 15;
  if (command === LOCAL) {
    if (bytes.length < length) return { state: 'more', version: 2, bytes: length };
    return { state: 'header', header: { version: 2, addresses: undefined, length, tlvsAt: length } };
  }
  const familyAndTransport = bytes.readUInt8(FAMILY_AND_TRANSPORT);
  const family = familyAndTransport >> 4;
  const transport = familyAndTransport & 15;
  // Unix sockets and no family at all are refused, as Envoy does.
  if (family !== INET && family !== INET6) return MALFORMED;
  const tlvsAt = V2_FIXED_BYTES + (family === INET ? 12 : 36);
  if (length < tlvsAt) return MALFORMED;
  if (bytes.length < tlvsAt) return { state: 'more', version: 2, bytes: length };
  if (command !== PROXY || (transport !== STREAM && transport !== DGRAM)) return MALFORMED;
  if (bytes.length < length) return { state: 'more', version: 2, bytes: length };
  const addresses = readAddresses(bytes, family);
  if (addresses === undefined) return MALFORMED;
  return { state: 'header', header: { version: 2, addresses, length, tlvsAt } };
}

function readAddresses(bytes: Buffer, family: number): HeaderAddresses | undefined {
  const at = V2_FIXED_BYTES;
  const remote =
    family === INET
      ? address(4, ipv4At(bytes, at), bytes.readUInt16BE(at + 8))
      : address(6, ipv6At(bytes, at), bytes.readUInt16BE(at + 32));
  const local =
    family === INET
      ? address(4, ipv4At(bytes, at + 4), bytes.readUInt16BE(at + 10))
      : address(6, ipv6At(bytes, at + 16), bytes.readUInt16BE(at + 34));
  return remote === undefined || local === undefined ? undefined : { remote, local };
}
