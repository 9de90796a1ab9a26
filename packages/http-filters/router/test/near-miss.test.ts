import { type Router, RouterSchema, readLoose } from '@dragoman/api';
import type { Cluster, CreateTerminalHttpFilter, HostSet, TerminalHttpStream } from '@dragoman/core';
import { requestHeaders, TestHttpStream, testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { router } from '../src/index.ts';
import { noClusterDetails, noHostDetails, noRouteDetails } from '../src/near-miss.ts';

test.each([
  [undefined, 'route_not_found'],
  [{ details: 'no_virtual_host', text: '' }, 'route_not_found{no_virtual_host}'],
])('no route: %j', (miss, details) => {
  expect(noRouteDetails(miss)).toBe(details);
});

test('what came nearest is logged for those who ask for debug', () => {
  const context = testContext();
  const create = router.create(readLoose(RouterSchema, {}) as Router as never, context);
  const request = requestHeaders({ ':path': '/x', ':authority': 'a' });
  const stream = Object.assign(new TestHttpStream({ request }), {
    routeMiss: () => ({ details: 'd', text: 'nearest is y' }),
  });
  const filter = (create as CreateTerminalHttpFilter)(stream as unknown as TerminalHttpStream);
  filter.onRequestHeaders(request, true);
  expect(context.loggers.lines).toEqual([
    expect.stringMatching(/^router debug: \[C\d+\]\[S\d+\] no route for GET a\/x: nearest is y$/),
  ]);
});

const NAMES = ['users', 'shop-cart', 'x'];

test.each([
  ['nothing like it', 'ghost', NAMES, 'cluster_not_found{cluster:ghost}'],
  ['one that is near', 'user', NAMES, 'cluster_not_found{cluster:user|nearest:users}'],
  ['no name', '', NAMES, 'cluster_not_found{cluster:-}'],
  ['bytes of a stranger', 'a b\u0000"}\u00ff', [], 'cluster_not_found{cluster:a_b____}'],
  ['a long name', 'n'.repeat(300), [], `cluster_not_found{cluster:${'n'.repeat(64)}}`],
  [
    'only so many are looked at',
    'user',
    [...Array.from({ length: 256 }, (_, i) => `cluster-${i}`), 'users'],
    'cluster_not_found{cluster:user}',
  ],
])('no cluster: %s', (_, name, names, details) => {
  expect(noClusterDetails(name, names)).toBe(details);
});

describe('no host', () => {
  const set = (hosts: number, healthy: number) =>
    ({ hosts: { length: hosts }, healthyHosts: { length: healthy } }) as unknown as HostSet;

  test.each([
    [[], 'no_healthy_upstream{cluster:c|hosts:0|healthy:0}'],
    [[set(3, 0), set(2, 1)], 'no_healthy_upstream{cluster:c|hosts:5|healthy:1}'],
  ])('%#', (hostSets, details) => {
    expect(noHostDetails({ info: { name: 'c' }, hostSets } as unknown as Cluster)).toBe(details);
  });
});
