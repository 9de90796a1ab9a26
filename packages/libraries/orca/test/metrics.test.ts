import type { LoadReport } from '@dragoman/core';
import { expect, it } from 'vitest';
import { maxUtilization, metricReader, unknownMetrics } from '../src/index.ts';

const REPORT: LoadReport = {
  cpuUtilization: 0.1,
  memUtilization: 0.2,
  applicationUtilization: 0.3,
  rpsFractional: 100,
  eps: 4,
  requestCost: new Map([['bytes', 50]]),
  utilization: new Map([
    ['disk', 0.6],
    ['net.in', 0.7],
  ]),
  namedMetrics: new Map([
    ['queue', 0.8],
    ['below', -3],
  ]),
};

it.each([
  [[], 0],
  [['cpu_utilization'], 0.1],
  [['mem_utilization', 'cpu_utilization'], 0.2],
  [['application_utilization'], 0.3],
  [['rps_fractional'], 100],
  [['eps'], 4],
  [['request_cost.bytes'], 50],
  [['utilization.disk'], 0.6],
  [['utilization.net.in', 'utilization.disk'], 0.7],
  [['utilization.*'], 0.7],
  [['named_metrics.queue', 'utilization.*'], 0.8],
  [['named_metrics.below'], 0],
  [['named_metrics.missing', 'request_cost.missing'], 0],
  [['named_metrics', 'named_metrics.', 'queue', '', '.', 'constructor', 'cpuUtilization'], 0],
])('of %j the greatest is %d', (names, greatest) => {
  expect(maxUtilization(REPORT, names)).toBe(greatest);
});

it('of no entries nothing is the greatest', () => {
  expect(maxUtilization({ ...REPORT, utilization: new Map() }, ['utilization.*'])).toBe(0);
});

it.each<[string[], [string, number][]]>([
  [[], []],
  [
    ['cpu_utilization', 'eps'],
    [
      ['cpu_utilization', 0.1],
      ['eps', 4],
    ],
  ],
  [['named_metrics.below'], [['named_metrics.below', -3]]],
  [['named_metrics.missing', 'named_metrics', 'queue', '', 'constructor', 'cpuUtilization'], []],
  [
    ['utilization.*'],
    [
      ['utilization.disk', 0.6],
      ['utilization.net.in', 0.7],
    ],
  ],
  [['request_cost.bytes', 'request_cost.bytes'], [['request_cost.bytes', 50]]],
])('of %j these are read: %j', (names, found) => {
  const read: [string, number][] = [];
  metricReader(names)(REPORT, (name, value) => void read.push([name, value]));
  expect(read).toEqual(found);
});

it('a number counts though it be 0', () => {
  const read: [string, number][] = [];
  metricReader(['eps'])({ ...REPORT, eps: 0 }, (name, value) => void read.push([name, value]));
  expect(read).toEqual([['eps', 0]]);
});

it('tells names that no report can have', () => {
  const names = ['cpu_utilization', 'named_metrics.a', 'utilization.*', 'cpu', 'named_metrics', 'a.b', ''];
  expect(unknownMetrics(names)).toEqual(['cpu', 'named_metrics', 'a.b', '']);
});
