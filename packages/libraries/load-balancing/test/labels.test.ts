import { HealthFlag } from '@dragoman/core';
import { testHost } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { hasLabels, isExcluded, type Label } from '../src/index.ts';

const metadata = new Map([['envoy.lb', { v: '1', list: ['a', { b: 1 }] }]]);
const labelled = testHost('10.0.0.1:80', 1, { metadata });
const bare = testHost('10.0.0.2:80');

it.each<[Label[], boolean, boolean]>([
  [[], true, true],
  [[['v', '1']], true, true],
  [[['v', 1]], false, false],
  [[['constructor', '1']], false, false],
  [[['list', { b: 1 }]], false, true],
  [[['list', ['a', { b: 1 }]]], true, false],
  [
    [
      ['v', '1'],
      ['list', 'x'],
    ],
    false,
    false,
  ],
])('a host has %j: %s, with lists as any %s', (labels, plain, asAny) => {
  expect([hasLabels(labelled, labels, false), hasLabels(labelled, labels, true)]).toEqual([plain, asAny]);
  expect(hasLabels(bare, labels, false)).toBe(labels.length === 0);
});

it('hosts not checked yet are excluded, failed ones are not', () => {
  expect(isExcluded(HealthFlag.pending_active_hc)).toBe(true);
  expect(isExcluded(HealthFlag.excluded_via_immediate_hc_fail | HealthFlag.failed_active_hc)).toBe(true);
  expect(isExcluded(HealthFlag.failed_active_hc)).toBe(false);
});
