import { type JsonObject, readLoose, RuntimeFractionSchema } from '@dragoman/api';
import { drawFraction, emptyRuntime, type Runtime } from '@dragoman/core';
import { testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { runtimeFractionMatcher } from '../src/index.ts';

function matcher(json: JsonObject, runtime: Runtime = emptyRuntime) {
  return runtimeFractionMatcher.create(
    readLoose(RuntimeFractionSchema, json) as never,
    testContext({ runtime }),
  );
}

const fraction = (numerator: number, denominator = 'HUNDRED', seed = '0'): JsonObject => ({
  runtime_fraction: { default_value: { numerator, denominator }, runtime_key: 'k' },
  seed,
});

// xxHash64 of 'a' is d24ec4f1a98c6e5b, of '' ef46db3751d8e999 (the values of the specification's own tool).
const A = Number(0xd24ec4f1a98c6e5bn % 1_000_000n);
const EMPTY = Number(0xef46db3751d8e999n % 1_000_000n);

describe('a share of values', () => {
  it.each<[value: string, draw: number]>([
    ['a', A],
    ['', EMPTY],
  ])('holds for %j exactly above its draw', (value, draw) => {
    expect(matcher(fraction(draw, 'MILLION')).matches(value)).toBe(false);
    expect(matcher(fraction(draw + 1, 'MILLION')).matches(value)).toBe(true);
    expect(matcher(fraction(draw % 100)).matches(value)).toBe(false);
    expect(matcher(fraction((draw % 100) + 1)).matches(value)).toBe(true);
  });

  it('is about as large as it says, and another one with another seed', () => {
    const half = matcher(fraction(50));
    const other = matcher(fraction(50, 'HUNDRED', '18446744073709551615'));
    const values = Array.from({ length: 2000 }, (_, i) => `value-${i}`);
    const share = values.filter((value) => half.matches(value)).length / values.length;
    expect(share).toBeGreaterThan(0.45);
    expect(share).toBeLessThan(0.55);
    const same =
      values.filter((value) => half.matches(value) === other.matches(value)).length / values.length;
    expect(same).toBeLessThan(0.6);
  });

  it('follows the runtime', () => {
    const keys: string[] = [];
    const runtime: Runtime = {
      ...emptyRuntime,
      featureEnabled: (key, _fallback, draw) => {
        keys.push(key);
        return drawFraction({ numerator: 100, denominator: 100 }, draw);
      },
    };
    expect(matcher(fraction(0), runtime).matches('a')).toBe(true);
    expect(keys).toEqual(['k']);
  });

  it('does not hold for what is no text', () => {
    expect(matcher(fraction(100)).matches(undefined)).toBe(false);
    expect(matcher(fraction(100)).takes).toBe('text');
  });
});

it.each<[json: JsonObject, message: RegExp]>([
  [{}, /^runtime_fraction: is required/],
  [{ runtime_fraction: { runtime_key: 'k' } }, /^runtime_fraction\.default_value: is required/],
])('refuses %j', (json, message) => {
  expect(() => matcher(json)).toThrow(message);
});
