import type { Counter } from '@dragoman/core';
import { MemoryStats, testHosts } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { Rig, type RigOptions } from './rig.ts';

/** How a request goes, and whether it counts as dropped for the cluster's sake. */
const CASES: readonly [string, RigOptions, (rig: Rig) => void, number][] = [
  ['maintenance mode', { cluster: { maintenanceMode: true } }, () => {}, 1],
  ['a circuit breaker', {}, (rig) => rig.last.fail('overflow'), 1],
  ['a host that cannot be reached', {}, (rig) => rig.last.fail('remote-connection-failure'), 0],
  ['no host', { hosts: [] }, () => {}, 0],
  ['a 503 of the host', {}, (rig) => void rig.last.ready().respond({ ':status': '503' }), 0],
  [
    'a retry that a breaker refuses',
    { action: { retry_policy: { retry_on: '5xx' } } },
    (rig) => {
      rig.last.ready().respond({ ':status': '503' });
      rig.backOff().fail('overflow');
    },
    1,
  ],
  [
    'maintenance mode without dynamic stats',
    { cluster: { maintenanceMode: true }, router: { dynamic_stats: false } },
    () => {},
    0,
  ],
];

test.each(CASES)('%s', (_, options, happen, dropped) => {
  const requestsDropped: Counter = new MemoryStats().counter('dropped');
  const rig = new Rig({ hosts: testHosts(2), ...options, cluster: { ...options.cluster, requestsDropped } });
  rig.request();
  happen(rig);
  expect(requestsDropped.value()).toBe(dropped);
});
