import { describe, expect, test } from 'vitest';
import { FAST_FAILING, POLICIES, runBrownOut, SLOW, WITH_OUTLIERS } from '../src/resilience/brown-out.ts';
import { failingChart, goodputChart, sharesChart, slowChart } from '../src/resilience/charts.ts';
import type { StudySize } from '../src/resilience/fleet.ts';
import { lineChart } from '../src/resilience/line-chart.ts';
import { RETRIES, runRetryStorm } from '../src/resilience/retry-storm.ts';
import { runScaleOut, SLOW_STARTS } from '../src/resilience/scale-out.ts';
import { brownOutTable, retryTable, scaleOutTable } from '../src/resilience/tables.ts';

const SMALL: StudySize = { hosts: 60, seed: 3 };
const MAX_SVG_BYTES = 60 * 1024;

/** Every element that is opened is closed, in order. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, close, name, empty] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (close === '/') expect(open.pop()).toBe(name);
    else if (empty !== '/') open.push(name);
  }
  expect(open).toEqual([]);
  for (const [, x, y] of svg.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)) {
    expect(Number(x)).toBeLessThanOrEqual(760);
    expect(Number(y)).toBeGreaterThanOrEqual(0);
    expect(Number(y)).toBeLessThanOrEqual(400);
  }
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  expect(Buffer.byteLength(svg)).toBeLessThan(MAX_SVG_BYTES);
}

describe('the study of resilience, small', () => {
  test('brown-outs: bounded by what is known, the same each time, drawn', () => {
    const slow = POLICIES.map((policy) => runBrownOut(policy, SLOW, SMALL));
    const failing = WITH_OUTLIERS.map((policy) => runBrownOut(policy, FAST_FAILING, SMALL));
    const by = new Map(slow.map((result) => [result.name, result]));
    expect(by.get('round_robin')?.badShare).toBeCloseTo(0.1, 2);
    expect(by.get('least_request')?.badShare).toBeLessThan(0.08);
    for (const { calm, requests } of slow) expect(requests).toBeGreaterThan(calm.count);
    const { brown: unwatched } = runBrownOut(POLICIES[0], FAST_FAILING, SMALL);
    expect(unwatched.errorRate).toBeCloseTo(0.09, 1);
    expect(failing[0].brown.errorRate).toBeLessThan(unwatched.errorRate * 0.7);
    expect(runBrownOut(POLICIES[0], SLOW, SMALL).fingerprint).toBe(slow[0].fingerprint);
    expectWellFormed(slowChart(slow));
    expectWellFormed(failingChart(failing));
    expect(brownOutTable(slow).split('\n')).toHaveLength(2 + slow.length);
  });

  test('cold hosts: a slow start gives them less at first', () => {
    const results = SLOW_STARTS.slice(0, 2).map((policy) => runScaleOut(policy, { ...SMALL, hosts: 200 }));
    const [even, slowly] = results.map(({ shares }) => shares[1][1]);
    expect(even).toBeCloseTo(1, 0);
    expect(slowly).toBeLessThan(0.4);
    expectWellFormed(sharesChart(results));
    expect(scaleOutTable(results)).toContain('round_robin, slow start');
  });

  test('retries: without a bound they multiply the load', () => {
    const results = RETRIES.filter(({ name }) => /no bound|20 %/.test(name)).map((retries) =>
      runRetryStorm(retries, SMALL, 10),
    );
    const [unbounded, bounded] = results;
    expect(unbounded.stormLoad).toBeGreaterThan(3);
    expect(unbounded.after.errorRate).toBeGreaterThan(0.5);
    expect(bounded.stormLoad).toBeLessThan(1.2);
    expect(bounded.after.errorRate).toBeLessThan(0.01);
    expectWellFormed(goodputChart(results));
    expect(retryTable(results).split('\n')).toHaveLength(4);
  });
});

describe('line charts', () => {
  const points = [[0, 0.5] as const, [10, 20] as const];

  test('escape what they are told', () => {
    const svg = lineChart({ title: 'a < b & c', x: 'x', y: 'y', series: [{ name: '<i>', points }] });
    expect(svg).toContain('a &lt; b &amp; c');
    expectWellFormed(svg);
  });

  test('have round ticks', () => {
    const ticks = (logarithmic: boolean): string[] =>
      [
        ...lineChart({ title: '', x: '', y: '', series: [{ name: '', points }], logarithmic }).matchAll(
          /"end">([^<]*)</g,
        ),
      ].map(([, text]) => text);
    expect(ticks(false)).toEqual(['0', '5', '10', '15', '20']);
    expect(ticks(true)).toEqual(['0.5', '1', '2', '5', '10', '20']);
  });
});
