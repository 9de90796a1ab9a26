import { create, PreviousPrioritiesConfigSchema } from '@dragoman/api';
import type { HostSet, PriorityShares } from '@dragoman/core';
import { retryPriorityConformance, testContext, testHostSet } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { previousPriorities } from '../src/index.ts';

const configOf = (updateFrequency: number) => create(PreviousPrioritiesConfigSchema, { updateFrequency });
const ORIGINAL: PriorityShares = { healthy: [100, 0, 0], degraded: [0, 0, 0] };

retryPriorityConformance(
  { describe, it },
  {
    extension: previousPriorities,
    config: configOf(1),
    invalid: [{ name: 'a frequency of 0', config: configOf(0), path: 'update_frequency' }],
  },
);

/** Healthy shares after each try of a list. */
function afterTries(frequency: number, sets: readonly HostSet[], tries: readonly number[]): string[] {
  const priority = previousPriorities.create(configOf(frequency) as never, testContext())();
  return tries.map((at) => {
    priority.onHostAttempted(sets[at].hosts[0]);
    const { healthy, degraded } = priority.shares(sets, ORIGINAL);
    return `${healthy.join('/')} ${degraded.join('/')}`;
  });
}

const well = [testHostSet(0, 2), testHostSet(1, 2), testHostSet(2, 2)];

it.each<[name: string, frequency: number, sets: readonly HostSet[], tries: number[], shares: string[]]>([
  ['the next priority, each time', 1, well, [0, 1], ['0/100/0 0/0/0', '0/0/100 0/0/0']],
  [
    'all of them again, when all were tried',
    1,
    well,
    [0, 1, 2],
    ['0/100/0 0/0/0', '0/0/100 0/0/0', '100/0/0 0/0/0'],
  ],
  [
    'an update every second try',
    2,
    well,
    [0, 0, 1, 1],
    ['100/0/0 0/0/0', '0/100/0 0/0/0', '0/100/0 0/0/0', '0/0/100 0/0/0'],
  ],
  [
    'shares by what is well in the rest',
    1,
    [testHostSet(0, 2), testHostSet(1, 4, 2), testHostSet(2, 2)],
    [0],
    ['0/70/30 0/0/0'],
  ],
  [
    'degraded hosts of the rest take part',
    1,
    [testHostSet(0, 2), testHostSet(1, 4, 1, 1), testHostSet(2, 2, 0)],
    [0],
    ['0/50/0 0/50/0'],
  ],
  [
    'what rounding leaves goes to the first',
    1,
    [testHostSet(0, 1), testHostSet(1, 7, 1), testHostSet(2, 7, 2)],
    [0],
    ['0/34/66 0/0/0'],
  ],
  ['one priority alone keeps it', 1, [testHostSet(0, 1)], [0, 0], ['100 0', '100 0']],
])('%s', (_name, frequency, sets, tries, shares) => {
  expect(afterTries(frequency, sets, tries)).toEqual(shares);
});

it('goes by the numbers that whoever spreads the requests has for hosts', () => {
  const priority = previousPriorities.create(configOf(1) as never, testContext())();
  priority.onHostAttempted(well[0].hosts[0]);
  expect(priority.shares(well, ORIGINAL, () => 1).healthy).toEqual([100, 0, 0]);
  expect(priority.shares(well, ORIGINAL, () => undefined).healthy).toEqual([100, 0, 0]);
  expect(priority.shares(well, ORIGINAL, () => 0).healthy).toEqual([0, 0, 100]);
});
