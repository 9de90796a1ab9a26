import type { Address, ProxyProtocolTlv } from '@dragoman/core';
import { ipv4Bytes, ipv6Bytes, mappedText } from './addresses.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_BYTES = 16;
const VERSION_2_LOCAL = 0x20;
const VERSION_2_PROXY = 0x21;
const INET_STREAM = 0x11;
const INET6_STREAM = 0x21;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
/** Two ports. */
const PORTS_BYTES = 4;
/** Type and length. */
const TLV_FIXED_BYTES = 3;
/** What the length of a v2 header can say: addresses and TLVs. */
const MAX_LENGTH = 65_535;

/** The value of a TLV that fits into a header even alone, bytes. */
export const MAX_TLV_VALUE_BYTES: number = MAX_LENGTH - (2 * IPV6_BYTES + PORTS_BYTES) - TLV_FIXED_BYTES;

/** Version 2 for a connection of the proxy's own: the receiver goes on with the addresses of the socket. */
export const LOCAL_HEADER: Buffer = Buffer.concat([SIGNATURE, Buffer.from([VERSION_2_LOCAL, 0, 0, 0])]);

/** Version 1 for what has no addresses to tell. */
export const UNKNOWN_HEADER: Buffer = Buffer.from('PROXY UNKNOWN\r\n', 'latin1');

/** `UNKNOWN` where one of the two is a Unix socket. */
export function writeV1(source: Address, destination: Address): Buffer {
  if (source.family === 'pipe' || destination.family === 'pipe') return UNKNOWN_HEADER;
  const ipv4 = source.family === 'ipv4' && destination.family === 'ipv4';
  const [from, to] = ipv4 ? [source.ip, destination.ip] : [mappedText(source), mappedText(destination)];
  const line = `PROXY ${ipv4 ? 'TCP4' : 'TCP6'} ${from} ${to} ${source.port} ${destination.port}\r\n`;
  return Buffer.from(line, 'latin1');
}

/** A v2 header, and whether all of the TLVs found room in it. */
export interface V2Header {
  readonly bytes: Buffer;
  readonly complete: boolean;
}

/** `LOCAL` where one of the addresses is a Unix socket. TLVs that would make the header too long are left out, shorter ones after them are not. */
export function writeV2(source: Address, destination: Address, tlvs: readonly ProxyProtocolTlv[]): V2Header {
  if (source.family === 'pipe' || destination.family === 'pipe')
    return { bytes: LOCAL_HEADER, complete: true };
  const ipv4 = source.family === 'ipv4' && destination.family === 'ipv4';
  const size = ipv4 ? IPV4_BYTES : IPV6_BYTES;
  const addressesLength = 2 * size + PORTS_BYTES;
  const kept = fitting(tlvs, MAX_LENGTH - addressesLength);
  const length = addressesLength + lengthOf(kept);
  const bytes = Buffer.alloc(FIXED_BYTES + length);
  SIGNATURE.copy(bytes);
  bytes[12] = VERSION_2_PROXY;
  bytes[13] = ipv4 ? INET_STREAM : INET6_STREAM;
  bytes.writeUInt16BE(length, 14);
  const write = ipv4 ? ipv4Bytes : ipv6Bytes;
  let at = FIXED_BYTES;
  write(source, bytes, at);
  write(destination, bytes, at + size);
  at += 2 * size;
  at = bytes.writeUInt16BE(source.port, at);
  at = bytes.writeUInt16BE(destination.port, at);
  for (const { type, value } of kept) {
    at = bytes.writeUInt8(type, at);
    at = bytes.writeUInt16BE(value.length, at);
    at += value.copy(bytes, at);
  }
  return { bytes, complete: kept.length === tlvs.length };
}

function fitting(tlvs: readonly ProxyProtocolTlv[], room: number): readonly ProxyProtocolTlv[] {
  if (lengthOf(tlvs) <= room) return tlvs;
  let left = room;
  return tlvs.filter(({ value }) => {
    const length = TLV_FIXED_BYTES + value.length;
    if (length > left) return false;
    left -= length;
    return true;
  });
}

function lengthOf(tlvs: readonly ProxyProtocolTlv[]): number {
  return tlvs.reduce((sum, { value }) => sum + TLV_FIXED_BYTES + value.length, 0);
}
