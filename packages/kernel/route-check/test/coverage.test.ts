import { create, RouteSchema } from '@dragoman/api';
import type { Route } from '@dragoman/core';
import { expect, it } from 'vitest';
import { Coverage } from '../src/coverage.ts';

const routes = (count: number) =>
  Array.from({ length: count }, () => ({ virtualHostName: 'all' }) as unknown as Route);

it.each([
  ['clusterSpecifierPlugin', 'plugin', 100],
  ['inlineClusterSpecifierPlugin', {}, 100],
  ['cluster', 'a', 50],
])('counts the routes of an entry with %s', (specifier, value, percent) => {
  const config = create(RouteSchema, {
    action: { case: 'route', value: { clusterSpecifier: { case: specifier, value } as never } },
  });
  const coverage = new Coverage();
  const [first, second] = routes(2);
  for (const route of [first, second]) coverage.add(route as Route, config, 'virtual_hosts[0].routes[0]');
  expect(coverage.percent).toBe(0);
  coverage.mark(second, 'cluster_name');
  // What an extension names is one route, however many clusters there are; else each is one of its own.
  expect(coverage.percent).toBe(percent);
});
