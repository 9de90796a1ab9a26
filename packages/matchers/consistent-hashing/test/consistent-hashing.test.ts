import { ConsistentHashingSchema, type JsonObject, readLoose } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { consistentHashingMatcher } from '../src/index.ts';

const matcher = (json: JsonObject) =>
  consistentHashingMatcher.create(readLoose(ConsistentHashingSchema, json) as never, testContext());

describe('a hash', () => {
  // xxHash64 of 'a' is d24ec4f1a98c6e5b, of '' ef46db3751d8e999 (the values of the specification's own tool).
  it.each<[value: string, hash: bigint]>([
    ['a', 0xd24ec4f1a98c6e5bn],
    ['', 0xef46db3751d8e999n],
  ])('of %j is compared modulo', (value, hash) => {
    for (const modulo of [1, 7, 10, 100, 65_537, 4_294_967_295]) {
      const rest = Number(hash % BigInt(modulo));
      expect(matcher({ threshold: rest, modulo }).matches(value), `${modulo}`).toBe(true);
      if (rest < 4_294_967_295) expect(matcher({ threshold: rest + 1, modulo }).matches(value)).toBe(false);
    }
  });

  it('differs with the seed', () => {
    const values = Array.from({ length: 500 }, (_, i) => `v${i}`);
    const hits = (seed: string) =>
      values.filter((value) => matcher({ threshold: 50, modulo: 100, seed }).matches(value));
    expect(hits('0')).not.toEqual(hits('1'));
    expect(hits('0')).not.toEqual(hits('4294967296'));
    expect(hits('0').length).toBeGreaterThan(200);
    expect(hits('0').length).toBeLessThan(300);
  });

  it('of nothing does not hold', () => {
    expect(matcher({ modulo: 1 }).matches(undefined)).toBe(false);
  });
});

it('needs a modulus', () => {
  expect(() => matcher({ threshold: 1 })).toThrow(/^modulo: must be greater than 0/);
});
