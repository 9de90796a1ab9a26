import type { HashValue } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { hashHex, hashModulo, rotateXor, xxHash64, xxHash64All } from '../src/index.ts';

const MASK = 2n ** 64n - 1n;
const big = ({ high, low }: HashValue) => (BigInt(high) << 32n) | BigInt(low);
const halves = (value: bigint): HashValue => ({
  high: Number(value >> 32n),
  low: Number(value & 0xffffffffn),
});

/** The buffer and the prime seed of the self-test that ships with xxHash. */
const PRIME = 2654435761n;
function selfTestBytes(length: number): string {
  let state = PRIME;
  let text = '';
  for (let i = 0; i < length; i++) {
    text += String.fromCharCode(Number(state >> 24n));
    state = (state * state) & 0xffffffffn;
  }
  return text;
}

describe('xxHash64', () => {
  it.each([
    ['', 17241709254077376921n],
    ['foo', 3728699739546630719n],
    ['bar', 5234164152756840025n],
    ['foo\nbar', 8917841378505826757n],
    ['lyft', 4400747396090729504n],
  ])("of %j is Envoy's", (text, hash) => {
    expect(big(xxHash64(text))).toBe(hash);
  });

  it.each([
    [0, 0n, 0xef46db3751d8e999n],
    [0, PRIME, 0xac75fda2929b17efn],
    [1, 0n, 0x4fce394cc88952d8n],
    [1, PRIME, 0x739840cb819fa723n],
    [14, 0n, 0xcffa8db881bc3a3dn],
    [14, PRIME, 0x5b9611585efcc9cbn],
    [101, 0n, 0x0eab543384f878adn],
    [101, PRIME, 0xcaa65939306f1e21n],
  ])("of %i bytes with the seed %s is what xxHash's own test says", (length, seed, hash) => {
    expect(big(xxHash64(selfTestBytes(length), halves(seed)))).toBe(hash);
  });

  it('agrees with a plain implementation on 64-bit numbers, for every length up to 200', () => {
    for (let length = 0; length <= 200; length++) {
      const text = selfTestBytes(length + 7).slice(7);
      const seed = (BigInt(length) * 0x9e3779b97f4a7c15n) & MASK;
      expect(big(xxHash64(text, halves(seed)))).toBe(reference(text, seed));
    }
  });

  it('reads bytes: of a character beyond them the lower eight bits count', () => {
    for (const length of [1, 4, 8, 40])
      expect(xxHash64('\u0141'.repeat(length))).toEqual(xxHash64('A'.repeat(length)));
  });

  it.each([
    [['foo', 'bar'], 17745830980996999794n],
    [['foo'], 3728699739546630719n],
  ])("of the texts %j is Envoy's", (texts, hash) => {
    expect(big(xxHash64All(texts))).toBe(hash);
  });
});

describe('hash values', () => {
  const samples = [
    0n,
    1n,
    99n,
    100n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 63n + 12345n,
    MASK,
    0x123456789abcdef0n,
  ];

  it.each(samples)('%d: the remainder is exact', (value) => {
    for (const modulus of [1, 2, 100, 65_537, 2 ** 21, 2 ** 32 - 5, 2 ** 32])
      expect(hashModulo(halves(value), modulus)).toBe(Number(value % BigInt(modulus)));
  });

  it.each(samples)('%d in hexadecimal has sixteen digits', (value) => {
    expect(hashHex(halves(value))).toBe(value.toString(16).padStart(16, '0'));
  });

  it.each(samples)('%d is rotated by one bit before the next is xored in', (value) => {
    const next = 0xfedcba9876543210n;
    const rotated = ((value << 1n) & MASK) | (value >> 63n);
    expect(big(rotateXor(halves(value), halves(next)))).toBe(rotated ^ next);
  });
});

/** The specification, word for word, on numbers of 64 bits. */
function reference(text: string, seed: bigint): bigint {
  const [p1, p2, p3, p4, p5] = [
    0x9e3779b185ebca87n,
    0xc2b2ae3d27d4eb4fn,
    0x165667b19e3779f9n,
    0x85ebca77c2b2ae63n,
    0x27d4eb2f165667c5n,
  ] as const;
  const rotl = (x: bigint, bits: bigint) => ((x << bits) | (x >> (64n - bits))) & MASK;
  const read = (at: number, bytes: number) => {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(text.charCodeAt(at + i) & 0xff);
    return value;
  };
  const round = (acc: bigint, lane: bigint) => (rotl((acc + lane * p2) & MASK, 31n) * p1) & MASK;
  let at = 0;
  let acc: bigint;
  if (text.length >= 32) {
    const accs = [seed + p1 + p2, seed + p2, seed, seed - p1].map((value) => value & MASK);
    for (; at + 32 <= text.length; at += 32)
      for (let i = 0; i < 4; i++) accs[i] = round(accs[i] as bigint, read(at + i * 8, 8));
    const [a, b, c, d] = accs as [bigint, bigint, bigint, bigint];
    acc = (rotl(a, 1n) + rotl(b, 7n) + rotl(c, 12n) + rotl(d, 18n)) & MASK;
    for (const each of accs) acc = ((acc ^ round(0n, each)) * p1 + p4) & MASK;
  } else acc = (seed + p5) & MASK;
  acc = (acc + BigInt(text.length)) & MASK;
  for (; at + 8 <= text.length; at += 8) acc = (rotl(acc ^ round(0n, read(at, 8)), 27n) * p1 + p4) & MASK;
  if (at + 4 <= text.length) {
    acc = (rotl(acc ^ ((read(at, 4) * p1) & MASK), 23n) * p2 + p3) & MASK;
    at += 4;
  }
  for (; at < text.length; at++) acc = (rotl(acc ^ ((read(at, 1) * p5) & MASK), 11n) * p1) & MASK;
  acc = ((acc ^ (acc >> 33n)) * p2) & MASK;
  acc = ((acc ^ (acc >> 29n)) * p3) & MASK;
  return acc ^ (acc >> 32n);
}
