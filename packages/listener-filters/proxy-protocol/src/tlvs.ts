import type { ProxyProtocolTlv } from '@dragoman/core';

const TLV_HEADER_BYTES = 3;

/** @param bytes after the addresses of a v2 header @returns undefined when they are malformed; values are not copied */
export function readTlvs(bytes: Buffer): ProxyProtocolTlv[] | undefined {
  const tlvs: ProxyProtocolTlv[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + TLV_HEADER_BYTES > bytes.length) return undefined;
    const begin = at + TLV_HEADER_BYTES;
    const end = begin + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) return undefined;
    tlvs.push({ type: bytes.readUInt8(at), value: bytes.subarray(begin, end) });
    at = end;
  }
  return tlvs;
}

/** Bytes as UTF-8; each byte that belongs to no character becomes `!`. */
export function sanitizedText(bytes: Buffer): string {
  let text = '';
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += `${bytes.toString('utf8', from, at)}!`;
    at++;
    from = at;
  }
  return text + bytes.toString('utf8', from);
}

/** Bytes of the character at `at`; 0 when there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes.readUInt8(at);
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) if ((bytes.readUInt8(at + i) & 0xc0) !== 0x80) return 0;
  const second = bytes.readUInt8(at + 1);
  // Longer than need be, half of a surrogate pair, or beyond the last character.
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  return length;
}
