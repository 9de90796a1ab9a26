import type { Host, HostSet } from '@dragoman/core';
import { hostSetOf } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choosePriority, DEGRADED_BIT, priorityLoad } from '../src/hosts/priority-load.ts';

/** `healthy/degraded/total` hosts of each priority. */
function sets(...counts: [healthy: number, degraded: number, total: number][]): HostSet[] {
  const list = (count: number) => new Array<Host>(count);
  return counts.map(([healthy, degraded, total], priority) =>
    hostSetOf(list(total), { priority, healthyHosts: list(healthy), degradedHosts: list(degraded) }),
  );
}

describe('priorityLoad', () => {
  // With the factor of 1.4, 72 % healthy hosts carry 100 %, 71 % only 99 %.
  it.each<[string, HostSet[], number[], number[], boolean[]]>([
    ['all healthy', sets([10, 0, 10]), [100], [0], [false]],
    ['72 % healthy', sets([72, 0, 100], [100, 0, 100]), [100, 0], [0, 0], [false, false]],
    ['71 % healthy', sets([71, 0, 100], [100, 0, 100]), [99, 1], [0, 0], [false, false]],
    ['half healthy', sets([50, 0, 100], [100, 0, 100]), [70, 30], [0, 0], [false, false]],
    ['a quarter healthy', sets([25, 0, 100], [100, 0, 100]), [35, 65], [0, 0], [false, false]],
    ['none healthy', sets([0, 0, 100], [100, 0, 100]), [0, 100], [0, 0], [false, false]],
    ['none healthy, little below', sets([0, 0, 100], [72, 0, 100]), [0, 100], [0, 0], [false, false]],
    [
      'both too weak: normalised, each in panic below 50 %',
      sets([25, 0, 100], [25, 0, 100]),
      [50, 50],
      [0, 0],
      [true, true],
    ],
    [
      'one in panic',
      sets([60, 0, 100], [5, 0, 100]),
      // 84 % and 7 % of 91 %, rounded down; what is left goes to the first.
      [93, 7],
      [0, 0],
      [false, true],
    ],
    ['all in panic, uneven', sets([0, 0, 30], [0, 0, 10]), [75, 25], [0, 0], [true, true]],
    ['all in panic, rounding', sets([0, 0, 1], [0, 0, 2]), [34, 66], [0, 0], [true, true]],
    ['no hosts at all', sets([0, 0, 0], [0, 0, 0]), [100, 0], [0, 0], [true, true]],
    ['hosts only in the second', sets([0, 0, 0], [2, 0, 2]), [0, 100], [0, 0], [false, false]],
    ['degraded take the rest', sets([50, 50, 100]), [70], [30], [false]],
    [
      'healthy below go before degraded above',
      sets([25, 75, 100], [100, 0, 100]),
      [35, 65],
      [0, 0],
      [false, false],
    ],
    ['only degraded', sets([0, 10, 10]), [0], [100], [false]],
  ])('%s', (_name, given, healthy, degraded, panic) => {
    expect(priorityLoad(given, 50)).toEqual({ healthy, degraded, panic });
  });

  it('never panics with a threshold of 0', () => {
    expect(priorityLoad(sets([0, 0, 10], [0, 0, 10]), 0)).toEqual({
      healthy: [100, 0],
      degraded: [0, 0],
      panic: [false, false],
    });
    expect(priorityLoad(sets([1, 0, 100]), 0).panic).toEqual([false]);
  });

  it('always adds up to 100, and sends nothing where nothing is usable', () => {
    const priority = fc
      .tuple(fc.nat(20), fc.nat(20), fc.nat(20))
      .map(([healthy, degraded, ill]): [number, number, number] => [
        healthy,
        degraded,
        healthy + degraded + ill,
      ]);
    fc.assert(
      fc.property(fc.array(priority, { minLength: 1, maxLength: 5 }), fc.nat(100), (counts, threshold) => {
        const load = priorityLoad(sets(...counts), threshold);
        const total = [...load.healthy, ...load.degraded].reduce((all, share) => all + share, 0);
        expect(total).toBe(100);
        counts.forEach(([healthy, degraded, all], index) => {
          const idle = counts.every(([one, other, any]) => one + other + any === 0) || all === 0;
          if (load.panic[index] || idle || counts.every(([one, other]) => one + other === 0)) return;
          if (healthy === 0) expect(load.healthy[index]).toBe(0);
          if (degraded === 0) expect(load.degraded[index]).toBe(0);
        });
      }),
    );
  });
});

it('choosePriority draws each in proportion, degraded last', () => {
  const load = { healthy: [50, 20], degraded: [10, 20], panic: [false, false] };
  const counts = new Map<number, number>();
  for (let draw = 0; draw < 1000; draw++) {
    const choice = choosePriority(load, draw);
    counts.set(choice, (counts.get(choice) ?? 0) + 1);
  }
  expect([...counts]).toEqual([
    [0, 500],
    [1, 200],
    [0 | DEGRADED_BIT, 100],
    [1 | DEGRADED_BIT, 200],
  ]);
});
