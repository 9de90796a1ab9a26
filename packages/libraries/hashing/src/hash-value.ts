import type { HashValue } from '@dragoman/core';

const TWO_16 = 2 ** 16;

/** The remainder of a hash, exact; `modulus` is whole, 1 … 2³². */
export function hashModulo(hash: HashValue, modulus: number): number {
  return halvesModulo(hash.high, hash.low, modulus);
}

/** The same of a hash in two unsigned halves, for tables that are looked up without an object. */
export function halvesModulo(high: number, low: number, modulus: number): number {
  // By sixteen bits at a time: no product reaches 2⁵³.
  const upper = ((high % modulus) * TWO_16 + (low >>> 16)) % modulus;
  return (upper * TWO_16 + (low & 0xffff)) % modulus;
}

/** Sixteen lower-case hexadecimal digits (Envoy: Hex::uint64ToHex). */
export function hashHex(hash: HashValue): string {
  return hex32(hash.high) + hex32(hash.low);
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** What hashes of several parts come to: `before`, rotated left by one bit, xor `next`; so that two equal parts do not cancel out. */
export function rotateXor(before: HashValue, next: HashValue): HashValue {
  return {
    high: (((before.high << 1) | (before.low >>> 31)) ^ next.high) >>> 0,
    low: (((before.low << 1) | (before.high >>> 31)) ^ next.low) >>> 0,
  };
}
