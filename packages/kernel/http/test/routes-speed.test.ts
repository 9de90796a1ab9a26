import { create, fromBinary, RouteConfigurationSchema, toBinary } from '@dragoman/api';
import { expect, test } from 'vitest';
import { compileRouteTable } from '../src/routes/index.ts';
import { request, streamInfo, testContext } from './routes-support.ts';

const HOSTS = 2000;
const ROUTES = 10;
const ROUNDS = 9;

/** As long as reading the table out of its binary form: what a machine that is slow, or busy, does slowly too. */
const yardstick = () => fromBinary(RouteConfigurationSchema, bytes);

/**
 * How much longer `work` takes than the yardstick. Of both the shortest of several times counts, taken in turns: what else the
 * machine does only makes them longer. Bounds are five times what was measured: they find what grows with the square, not a slow day.
 */
function compare(work: () => unknown): number {
  let [best, measure] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round++) {
    const begin = performance.now();
    yardstick();
    const between = performance.now();
    work();
    measure = Math.min(measure, between - begin);
    best = Math.min(best, performance.now() - between);
  }
  return best / measure;
}

const config = create(RouteConfigurationSchema, {
  virtualHosts: Array.from({ length: HOSTS }, (_, h) => ({
    name: `host-${h}`,
    domains: [`service-${h}.example.com`],
    routes: Array.from({ length: ROUTES }, (_, r) => ({
      match: { pathSpecifier: { case: 'prefix' as const, value: `/api/v${r}/resource` } },
      action: {
        case: 'route' as const,
        value: { clusterSpecifier: { case: 'cluster' as const, value: `cluster-${h}-${r}` } },
      },
    })),
  })),
});

const bytes = toBinary(RouteConfigurationSchema, config);
const options = { context: testContext(), perFilterConfig: () => undefined };

test('a table is compiled in time that grows with its routes alone', () => {
  const ratio = compare(() => compileRouteTable(config, options));
  expect(ratio).toBeLessThan(5 * 1.6);
});

test('a route is found in time that does not grow with the routes', () => {
  const table = compileRouteTable(config, options);
  const headers = request('/');
  const info = streamInfo();
  let found = 0;
  const ratio = compare(() => {
    for (let i = 0; i < HOSTS * ROUTES; i++) {
      headers.authority = `service-${(i * 7919) % HOSTS}.example.com`;
      headers.path = `/api/v${i % ROUTES}/resource/${i}`;
      if (table.match(headers, info, 0) !== undefined) found++;
    }
  });
  expect(found).toBe(ROUNDS * HOSTS * ROUTES);
  expect(ratio).toBeLessThan(5 * 0.8);
});
