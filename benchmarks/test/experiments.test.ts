import { afterEach, describe, expect, test } from 'vitest';
import { ableTo, byTurns } from '../src/experiment.ts';
import { hostTable } from '../src/experiments/hosts.ts';
import { verdict } from '../src/experiments/in-thread.ts';
import { epochOf, restartTable } from '../src/experiments/restart.ts';
import { scalingTable, variants } from '../src/experiments/scaling.ts';
import { startUpTable } from '../src/experiments/start-up.ts';
import type { Sample } from '../src/measure.ts';
import { dragoman } from '../src/peers/dragoman.ts';
import { nginx } from '../src/peers/nginx.ts';

function session() {
  const said: string[] = [];
  const kept: [string, readonly unknown[]][] = [];
  return {
    said,
    kept,
    say: (text = '') => void said.push(text),
    keep: (name: string, samples: readonly unknown[]) => void kept.push([name, samples]),
  };
}

/** Cells of a table's rows below its head. */
const cells = (table: string) =>
  table
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

describe('turns', () => {
  afterEach(() => {
    process.exitCode = undefined;
  });

  test('every second round goes the other way round', async () => {
    const order: string[] = [];
    const around = session();
    const samples = await byTurns(around, [{ name: 'a' }, { name: 'b' }], 3, async ({ name }) =>
      order.push(name),
    );
    expect(order.join('')).toBe('abbaab');
    expect(samples).toEqual(
      new Map([
        ['a', [1, 4, 5]],
        ['b', [2, 3, 6]],
      ]),
    );
    expect(around.kept).toEqual([...samples]);
  });

  test('one that fails is left out from then on, and fails the run', async () => {
    const order: string[] = [];
    const around = session();
    const samples = await byTurns(around, [{ name: 'a' }, { name: 'b' }], 2, async ({ name }) => {
      order.push(name);
      if (name === 'a') throw new Error('no such file');
      return 1;
    });
    expect(order.join('')).toBe('abb');
    expect(around.said.join()).toContain('a failed: no such file');
    expect([...samples.keys()]).toEqual(['b']);
    expect(process.exitCode).toBe(1);
  });

  test('who cannot is named', () => {
    const around = session();
    const able = ableTo(around, [{ name: 'a' }, { name: 'b' }], ({ name }) =>
      name === 'a' ? 'not installed' : undefined,
    );
    expect(able).toEqual([{ name: 'b' }]);
    expect(around.said.join()).toContain('skipped: a: not installed');
  });
});

const sample = (fields: Partial<Sample>): Sample => ({
  perSecond: 1000,
  p50: 1,
  p99: 2,
  cpuMicros: 20,
  mainMicros: 0,
  cpuShare: 1,
  rssBytes: 0,
  errors: 0,
  ...fields,
});

test('workers are compared with one of the same proxy', () => {
  const all = variants([dragoman, nginx], [1, 2]);
  const table = scalingTable(
    all,
    new Map([
      ['dragoman, 1', [sample({ perSecond: 100 })]],
      ['dragoman, 2', [sample({ perSecond: 150, cpuMicros: 25, errors: 3 })]],
      ['nginx, 2', [sample({ perSecond: 300 })]],
    ]),
  );
  expect(cells(table)).toEqual([
    ['dragoman', '1', '100', '1.00', '1.00', '2.00', '20.0', '1.00', '1.00', '0'],
    ['dragoman', '2', '150', '1.50', '1.00', '2.00', '25.0', '1.25', '1.00', '3'],
    ['nginx', '2', '300', '-', '1.00', '2.00', '20.0', '-', '1.00', '0'],
  ]);
});

test('memory of a further worker', () => {
  const all = variants([dragoman], [1, 2, 4]);
  const of = (answerMs: number, mib: number) => [{ answerMs, rssBytes: mib * 2 ** 20 }];
  const table = startUpTable(
    all,
    new Map([
      ['dragoman, 1', of(300, 100)],
      ['dragoman, 2', of(310, 120)],
      ['dragoman, 4', of(400, 190)],
    ]),
  );
  expect(cells(table).map((row) => row.slice(1))).toEqual([
    ['1', '300', '100', '-'],
    ['2', '310', '120', '20.0'],
    ['4', '400', '190', '30.0'],
  ]);
});

describe('verdict', () => {
  test.each([
    ['within the wider spread', [30, 31, 32], [28, 30, 34], '+1.00 µs (+3 %), spread ±3.00 µs', 'no'],
    ['beyond it', [40, 41, 42], [28, 30, 34], '+11.0 µs (+37 %), spread ±3.00 µs', 'yes'],
    ['the other way', [20, 21, 22], [29, 30, 31], '−9.00 µs (−30 %), spread ±1.00 µs', 'yes'],
  ])('%s', (_name, threads, inline, difference, beyond) => {
    const text = verdict(threads, inline);
    expect(text).toContain(difference);
    expect(text).toMatch(new RegExp(`beyond the spread: ${beyond}$`));
  });
});

test('host updates: times over all rounds, percentiles as medians', () => {
  const load = { requests: 10, errors: 0, p50: 0.2, p99: 1, p999: 2, max: 3 };
  const table = hostTable(
    new Map([
      ['none', [{ ...load, first: [], last: [] }]],
      [
        'all',
        [
          { ...load, p99: 4, first: [1, 2], last: [5, 6] },
          { ...load, p99: 8, first: [3], last: [9], errors: 1 },
        ],
      ],
    ]),
  );
  expect(cells(table)).toEqual([
    ['none', '0', '-', '-', '-', '0.20', '1.00', '2.00', '0'],
    ['all', '3', '2.00', '6.00', '9.00', '0.20 ±0 %', '6.00 ±33 %', '2.00 ±0 %', '1'],
  ]);
});

describe('restarts', () => {
  test.each([
    ['{"state":"LIVE","command_line_options":{"restart_epoch":3}}', 3],
    ['{"state":"LIVE","command_line_options":{}}', 0],
    ['{"state":"INITIALIZING","command_line_options":{"restart_epoch":3}}', undefined],
  ])('%s: epoch %s is live', (text, epoch) => {
    expect(epochOf(text)).toBe(epoch);
  });

  test('requests and failures are added up', () => {
    const table = restartTable(
      new Map([
        [
          'GET',
          [
            { liveMs: [100, 300], requests: 10, errors: 0 },
            { liveMs: [200], requests: 5, errors: 2 },
          ],
        ],
      ]),
    );
    expect(cells(table)).toEqual([['GET', '3', '200', '300', '15', '2']]);
  });
});
