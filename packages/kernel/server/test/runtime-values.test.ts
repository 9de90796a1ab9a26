import { expect, test } from 'vitest';
import { RuntimeValues } from '../src/runtime-values.ts';

test('another version with each change', () => {
  const values = new RuntimeValues(new Map([['a', '1']]));
  const { version } = values;
  expect([values.getInteger('a', 0), values.version]).toEqual([1, version]);
  values.replace(new Map([['a', '2']]));
  expect(values.getInteger('a', 0)).toBe(2);
  expect(values.version).not.toBe(version);
});

test.each([
  ['5', 5],
  ['-5', -5],
  ['', 9],
  ['x', 9],
  ['1.5', 9],
  ['Infinity', 9],
])('%j as an integer is %d', (text, value) => {
  expect(new RuntimeValues(new Map([['a', text]])).getInteger('a', 9)).toBe(value);
});
