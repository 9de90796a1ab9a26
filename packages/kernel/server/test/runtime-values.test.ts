import type { FractionalPercent } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { RuntimeValues } from '../src/runtime-values.ts';

const of = (value: string) => new RuntimeValues(new Map([['k', value]]));

describe('a value', () => {
  it.each<[string, number]>([
    ['5', 5],
    [' 5\n', 5],
    ['3.9', 3],
    ['0', 0],
    ['1e3', 1000],
    ['-1', 7],
    ['', 7],
    ['  ', 7],
    ['x', 7],
    ['Infinity', 7],
    ['true', 7],
  ])('%j is the whole number %d', (text, number) => {
    expect(of(text).getInteger('k', 7)).toBe(number);
  });

  it.each<[string, number]>([
    ['-1.5', -1.5],
    ['', 7],
    ['1,5', 7],
  ])('%j is the number %d', (text, number) => {
    expect(of(text).getNumber('k', 7)).toBe(number);
  });

  it.each<[string, boolean | undefined]>([
    ['true', true],
    ['TRUE\n', true],
    ['False', false],
    ['1', true],
    ['0', false],
    ['-2', true],
    ['0.5', undefined],
    ['yes', undefined],
    ['', undefined],
  ])('%j is the boolean %s', (text, expected) => {
    expect([of(text).getBoolean('k', true), of(text).getBoolean('k', false)]).toEqual(
      expected === undefined ? [true, false] : [expected, expected],
    );
  });

  const whole: FractionalPercent = { numerator: 100, denominator: 100 };
  const million = 1_000_000;
  it.each<[string, number]>([
    ['25', 0.25],
    ['12.9', 0.12],
    ['0', 0],
    ['250', 1],
    ['{"numerator":25,"denominator":"TEN_THOUSAND"}', 0.0025],
    ['{"numerator":25}', 0.25],
    ['{"denominator":"MILLION"}', 0],
    ['{}', 0],
    ['numerator: 3\ndenominator: TEN_THOUSAND', 0.0003],
    ['{ numerator: 7, "denominator": MILLION }', 0.000007],
    // None of these is a fraction: the default holds.
    ['{"numerator":25,"denominator":"DOZEN"}', 1],
    ['{"numerator":25,"denominator":"toString"}', 1],
    ['{"numerator":25,"more":1}', 1],
    ['[25]', 1],
    ['null', 1],
    ['numerator', 1],
    ['', 1],
    ['-5', 1],
  ])('%j draws in the share %d', (text, share) => {
    const values = of(text);
    const enabled = (draw: number) => values.featureEnabled('k', whole, draw);
    // Draws below the share of every denominator pass, and none above it.
    const hits = [100, 10_000, million].map((denominator) => {
      let count = 0;
      for (let draw = 0; draw < denominator; draw += denominator / 100) if (enabled(draw)) count++;
      return count;
    });
    if (share === 0) expect(hits).toEqual([0, 0, 0]);
    else if (share === 1) expect(hits).toEqual([100, 100, 100]);
    else {
      const draws = Array.from({ length: million }, (_, draw) => draw);
      expect(draws.filter(enabled)).toHaveLength(share * million);
    }
  });

  it('is read anew when all of them are replaced', () => {
    const values = of('0');
    expect(values.featureEnabled('k', whole, 5)).toBe(false);
    values.replace(new Map([['k', '50']]));
    expect(values.featureEnabled('k', whole, 5)).toBe(true);
  });
});

it('says with each change that there is another version', () => {
  const values = of('1');
  const { version } = values;
  expect([values.getInteger('k', 0), values.version]).toEqual([1, version]);
  values.replace(new Map([['k', '2']]));
  expect(values.getInteger('k', 0)).toBe(2);
  expect(values.version).not.toBe(version);
});
