import { readLoose, SlowStartConfigSchema } from '@dragoman/api';
import { emptyRuntime, type Runtime } from '@dragoman/core';
import { FakeClock, testHost } from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SlowStart } from '../src/index.ts';

const WINDOW_MS = 10_000;

function slowStart(config: object, clock = new FakeClock(), runtime: Runtime = emptyRuntime): SlowStart {
  const made = SlowStart.of(
    readLoose(SlowStartConfigSchema, { slow_start_window: '10s', ...config }),
    clock,
    runtime,
  );
  if (made === undefined) throw new Error('there is a window');
  return made;
}

/** The weight of a host of weight 100 at `age`. */
function weightAt(age: number, config: object, runtime?: Runtime): number {
  const clock = new FakeClock();
  const host = testHost('10.0.0.1:80', 100, { healthySince: clock.now() });
  const start = slowStart(config, clock, runtime);
  clock.advance(age);
  return start.scaled(host.weight, host);
}

it.each([
  ['at least 10 percent', {}, 0, 10],
  ['at least 10 percent', {}, 999, 10],
  ['linear', {}, 2_500, 25],
  ['linear', {}, 5_000, 50],
  ['over at the end of the window', {}, WINDOW_MS, 100],
  ['over afterwards', {}, WINDOW_MS * 3, 100],
  ['aggression 2', { aggression: { default_value: 2 } }, 2_500, 50],
  ['aggression 2', { aggression: { default_value: 2 } }, 8_100, 90],
  ['aggression 0.5', { aggression: { default_value: 0.5 } }, 5_000, 25],
  ['a least weight of its own', { min_weight_percent: { value: 40 } }, 100, 40],
  ['a least weight of its own', { min_weight_percent: { value: 40 } }, 6_000, 60],
  ['no least weight', { min_weight_percent: { value: 0 } }, 1_000, 10],
  ['never without any weight', { min_weight_percent: { value: 0 } }, 0, 0.01],
])('%s: %j after %i ms is %f', (_, config, age, weight) => {
  expect(weightAt(age, config)).toBeCloseTo(weight, 9);
});

it.each([0, -1, Number.NaN])('is linear when runtime says that aggression is %f', (value) => {
  const runtime: Runtime = { ...emptyRuntime, getNumber: () => value };
  const aggression = { default_value: 3, runtime_key: 'aggression' };
  expect(weightAt(2_500, { aggression }, runtime)).toBeCloseTo(25, 9);
});

it('follows runtime', () => {
  let value = 1;
  const runtime: Runtime = { ...emptyRuntime, getNumber: (key) => (key === 'aggression' ? value : 99) };
  const clock = new FakeClock();
  const host = testHost('10.0.0.1:80', 100, { healthySince: clock.now() });
  const start = slowStart({ aggression: { default_value: 3, runtime_key: 'aggression' } }, clock, runtime);
  clock.advance(2_500);
  expect(start.scaled(100, host)).toBeCloseTo(25, 9);
  value = 2;
  expect(start.scaled(100, host)).toBeCloseTo(50, 9);
});

it('only rises, and stays between the least weight and the whole', () => {
  const age = fc.integer({ min: 0, max: WINDOW_MS + 10 });
  const aggression = fc.double({ min: 0.1, max: 10, noNaN: true });
  const least = fc.integer({ min: 0, max: 100 });
  fc.assert(
    fc.property(age, age, aggression, least, (one, other, value, percent) => {
      const config = { aggression: { default_value: value }, min_weight_percent: { value: percent } };
      const [early, late] = [weightAt(Math.min(one, other), config), weightAt(Math.max(one, other), config)];
      expect(early).toBeLessThanOrEqual(late);
      expect(early).toBeGreaterThan(0);
      expect(early).toBeGreaterThanOrEqual(percent - 1e-9);
      expect(late).toBeLessThanOrEqual(100);
    }),
  );
});

it('concerns hosts of which one is in its window', () => {
  const clock = new FakeClock();
  const start = slowStart({}, clock);
  const old = testHost('10.0.0.1:80');
  const fresh = testHost('10.0.0.2:80', 1, { healthySince: clock.now() });
  expect(start.concerns([old])).toBe(false);
  expect(start.concerns([old, fresh])).toBe(true);
  clock.advance(WINDOW_MS - 1);
  expect(start.concerns([old, fresh])).toBe(true);
  clock.advance(1);
  expect(start.concerns([old, fresh])).toBe(false);
});

it.each([undefined, {}, { slow_start_window: '0s' }])('does not exist for %j', (config) => {
  const read = config && readLoose(SlowStartConfigSchema, config);
  expect(SlowStart.of(read, new FakeClock(), emptyRuntime)).toBeUndefined();
});
