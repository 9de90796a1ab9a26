import type { HashValue } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmurHash2 } from '../src/index.ts';

const MASK = 2n ** 64n - 1n;
const big = ({ high, low }: HashValue) => (BigInt(high) << 32n) | BigInt(low);

/** Whole words, then the rest, on numbers of 64 bits. */
function reference(bytes: string, seed = 0xc70f6907n): bigint {
  const multiplier = 0xc6a4a7935bd1e995n;
  const times = (value: bigint) => (value * multiplier) & MASK;
  const mix = (value: bigint) => value ^ (value >> 47n);
  const number = (text: string) =>
    [...text].reduceRight((value, byte) => (value << 8n) | BigInt(byte.charCodeAt(0) & 0xff), 0n);
  let hash = seed ^ times(BigInt(bytes.length));
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8)
    hash = times(hash ^ times(mix(times(number(bytes.slice(at, at + 8))))));
  if (whole < bytes.length) hash = times(hash ^ number(bytes.slice(whole)));
  return mix(times(mix(hash)));
}

describe('murmurHash2', () => {
  // The ring of Envoy's test BasicWithMurmur2 (ring_hash_lb_test.cc): keys 127.0.0.1:80_0 … 127.0.0.1:85_1.
  it('puts the keys of a ring where Envoy does', () => {
    const ring = [80, 81, 82, 83, 84, 85]
      .flatMap((port) => [0, 1].map((i) => [big(murmurHash2(`127.0.0.1:${port}_${i}`)), port] as const))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    expect(ring).toEqual([
      [1358027074129602068n, 85],
      [4361834613929391114n, 83],
      [7224494972555149682n, 84],
      [7701421856454313576n, 81],
      [8649315368077433379n, 82],
      [8739448859063030639n, 84],
      [9887544217113020895n, 81],
      [10150910876324007731n, 82],
      [15168472011420622455n, 83],
      [15427156902705414897n, 80],
      [16375050414328759093n, 85],
      [17613279263364193813n, 80],
    ]);
  });

  it('agrees with a plain implementation on 64-bit numbers', () => {
    const bytes = fc.string({
      unit: fc.integer({ max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 40,
    });
    const half = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(bytes, half, half, (text, high, low) => {
        expect(big(murmurHash2(text, { high, low }))).toBe(reference(text, big({ high, low })));
      }),
    );
  });

  it('reads bytes: of a character beyond them the lower eight bits count', () => {
    for (const length of [1, 4, 8, 13])
      expect(murmurHash2('\u0141'.repeat(length))).toEqual(murmurHash2('A'.repeat(length)));
  });
});
