import { hang, type HttpBootstrapOptions, HttpUpstream, refusedPort, text } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { type Proxied, startRouter } from './support.ts';

/** A virtual host with a virtual cluster for /cart, and routes of which one is counted by itself. */
const shop = (port: number, more: HttpBootstrapOptions = {}): HttpBootstrapOptions => ({
  clusters: { c: port },
  virtualHosts: [
    {
      name: 'shop',
      domains: ['*'],
      virtual_clusters: [
        { name: 'cart', headers: [{ name: ':path', string_match: { prefix: '/cart' } }] },
        { name: 'late', headers: [{ name: ':path', string_match: { prefix: '/cart/late' } }] },
      ],
      routes: [
        { match: { prefix: '/cart/reply' }, direct_response: { status: 200 }, stat_prefix: 'reply' },
        { match: { prefix: '/cart' }, route: { cluster: 'c', prefix_rewrite: '/v2' }, stat_prefix: 'cart' },
        { match: { prefix: '/lost' }, route: { cluster: 'nowhere' }, stat_prefix: 'lost' },
        { match: { prefix: '/' }, route: { cluster: 'c' } },
      ],
    },
  ],
  routeConfig: { validate_clusters: false },
  ...more,
});

/** Counters below `vhost.` that are not 0. */
const counted = ({ proxy }: Proxied): Record<string, number> =>
  Object.fromEntries(
    [...proxy.proxy.stats.counters]
      .filter(([name, { value }]) => name.startsWith('vhost.') && value > 0)
      .map(([name, { value }]) => [name.slice('vhost.shop.'.length), value]),
  );

test('responses are counted for the first virtual cluster that matches and for the route', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxied = await startRouter(shop(upstream.port));
  for (const path of ['/cart/1', '/cart/late', '/']) await proxied.proxy.get(path);
  const two = { upstream_rq_200: 2, upstream_rq_2xx: 2, upstream_rq_completed: 2, upstream_rq_total: 2 };
  const one = { upstream_rq_200: 1, upstream_rq_2xx: 1, upstream_rq_completed: 1, upstream_rq_total: 1 };
  const below = (prefix: string, stats: Record<string, number>) =>
    Object.entries(stats).map(([name, value]) => [`${prefix}.${name}`, value] as const);
  expect(counted(proxied)).toEqual(
    Object.fromEntries([
      ...below('vcluster.cart', two),
      ...below('route.cart', two),
      ...below('vcluster.other', one),
    ]),
  );
  expect((await proxied.entry(3)).info.virtualClusterName).toBe('other');
  expect(proxied.logged[0]?.info.virtualClusterName).toBe('cart');
  proxied.proxy.proxy.stats.flush();
  for (const name of ['vcluster.cart', 'route.cart', 'vcluster.other'])
    expect(proxied.proxy.proxy.stats.histograms.get(`vhost.shop.${name}.upstream_rq_time`)?.used).toBe(true);
});

test('what does not go upstream is not counted', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxied = await startRouter(shop(upstream.port));
  expect((await proxied.proxy.get('/cart/reply')).status).toBe(200);
  expect((await proxied.proxy.get('/lost')).status).toBe(503);
  expect(counted(proxied)).toEqual({});
  expect((await proxied.entry(1)).info.virtualClusterName).toBe('');
  expect((await proxied.entry(2)).info.virtualClusterName).toBe('other');
});

test('a try without a connection counts as a response only', async () => {
  await using proxied = await startRouter(shop(await refusedPort()));
  expect((await proxied.proxy.get('/cart')).status).toBe(503);
  const failed = { upstream_rq_503: 1, upstream_rq_5xx: 1, upstream_rq_completed: 1 };
  expect(counted(proxied)).toEqual(
    Object.fromEntries(
      ['vcluster.cart', 'route.cart'].flatMap((prefix) =>
        Object.entries(failed).map(([name, value]) => [`${prefix}.${name}`, value]),
      ),
    ),
  );
});

test('a timeout of the request is counted, one of a try is not', async () => {
  await using upstream = await HttpUpstream.start(hang());
  await using proxied = await startRouter(
    shop(upstream.port, {
      manager: {
        use_remote_address: true,
        internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
      },
    }),
  );
  const asked = proxied.proxy.get('/cart');
  await upstream.request();
  proxied.clock.advance(15_000);
  expect((await asked).status).toBe(504);
  expect(counted(proxied)).toMatchObject({
    'vcluster.cart.upstream_rq_timeout': 1,
    'route.cart.upstream_rq_timeout': 1,
    'route.cart.upstream_rq_504': 1,
  });
  const tried = proxied.proxy.get('/cart', 'x-envoy-upstream-rq-per-try-timeout-ms: 100');
  await upstream.request(2);
  proxied.clock.advance(100);
  expect((await tried).status).toBe(504);
  expect(counted(proxied)).toMatchObject({
    'vcluster.cart.upstream_rq_timeout': 1,
    'route.cart.upstream_rq_timeout': 1,
    'route.cart.upstream_rq_504': 2,
  });
});

test('dynamic_stats: false counts no responses', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxied = await startRouter(shop(upstream.port, { router: { dynamic_stats: false } }));
  await proxied.proxy.get('/cart');
  expect(counted(proxied)).toEqual({
    'vcluster.cart.upstream_rq_total': 1,
    'route.cart.upstream_rq_total': 1,
  });
});
