import {
  BlackHole,
  echo,
  Gate,
  gated,
  type HttpBootstrapOptions,
  HttpUpstream,
  hang,
  type JsonObject,
  RawUpstream,
  type RecordedRequest,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { startRouter, summary } from './support.ts';

function to(
  port: number,
  mirrors: Readonly<Record<string, number>>,
  policies: readonly JsonObject[],
  more: HttpBootstrapOptions & { readonly action?: JsonObject } = {},
): HttpBootstrapOptions {
  const { action = {}, ...options } = more;
  return {
    clusters: { c: port, ...mirrors },
    routes: [
      { match: { prefix: '/' }, route: { cluster: 'c', request_mirror_policies: policies, ...action } },
    ],
    ...options,
  };
}

const body = async (request: RecordedRequest) => (await request.body).toString();

describe('a mirrored request', () => {
  test('goes to both clusters, says what it is, and its answer goes nowhere', async () => {
    await using upstream = await HttpUpstream.start(text('main'));
    await using mirror = await HttpUpstream.start(text('mirror', 500));
    await using proxied = await startRouter(
      to(upstream.port, { m: mirror.port }, [{ cluster: 'm' }], { action: { timeout: '7s' } }),
    );
    const response = await proxied.proxy.send(
      'POST',
      '/path?q=1',
      ['x-own: 1', 'x-forwarded-for: 203.0.113.9'],
      'the body',
    );
    expect([response.status, response.body.toString()]).toEqual([200, 'main']);
    const [main, copy] = [await upstream.request(), await mirror.request()];
    expect([copy.method, copy.path, await body(copy)]).toEqual(['POST', '/path?q=1', 'the body']);
    expect([main.header('host'), copy.header('host')]).toEqual(['test', 'test-shadow']);
    expect([main.header('x-envoy-internal'), copy.header('x-envoy-internal')]).toEqual([undefined, 'true']);
    expect(copy.header('x-own')).toBe('1');
    expect(copy.header('x-envoy-expected-rq-timeout-ms')).toBe('7000');
    expect(copy.header('x-forwarded-for')).toMatch(/^203\.0\.113\.9,\d/);
    await proxied.proxy.untilStat('cluster.m.internal.upstream_rq_500', 1);
    expect(proxied.proxy.stat('cluster.m.upstream_rq_total')).toBe(1);
    expect(proxied.proxy.stat('cluster.m.upstream_rq_5xx')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_total')).toBe(1);
    expect(proxied.proxy.stat('http.ingress.rq_total')).toBe(1);
    expect(proxied.proxy.stat('http.async-client.rq_total')).toBe(1);
    expect(proxied.logged).toHaveLength(1);
    expect(summary(await proxied.entry())).toBe('200 - via_upstream');
  });

  test.each<[name: string, method: string, policy: JsonObject, lines: string[], copies: number]>([
    ['GET', 'GET', { cluster: 'm' }, [], 1],
    ['no luck', 'GET', { cluster: 'm', runtime_fraction: { default_value: { numerator: 0 } } }, [], 0],
    ['a header that names the cluster', 'GET', { cluster_header: 'x-mirror' }, ['x-mirror: m'], 1],
    ['a header that is not there', 'GET', { cluster_header: 'x-mirror' }, [], 0],
    ['a header that names no cluster', 'GET', { cluster_header: 'x-mirror' }, ['x-mirror: none'], 0],
    ['a cluster that does not exist', 'GET', { cluster: 'none' }, [], 0],
    ['an upgrade', 'GET', { cluster: 'm' }, ['connection: upgrade', 'upgrade: other'], 0],
  ])('%s', async (_, method, policy, lines, copies) => {
    await using upstream = await HttpUpstream.start(text('main'));
    await using mirror = await HttpUpstream.start(text('mirror'));
    await using proxied = await startRouter(
      to(upstream.port, { m: mirror.port }, [policy], {
        manager: { upgrade_configs: [{ upgrade_type: 'other' }] },
        routeConfig: { validate_clusters: false },
      }),
    );
    expect((await proxied.proxy.send(method, '/', lines)).status).toBe(200);
    if (copies > 0) await mirror.request(copies);
    expect(mirror.requests).toHaveLength(copies);
    expect(proxied.proxy.stat('http.async-client.rq_total')).toBe(copies);
  });

  test('is not made when the request itself goes nowhere', async () => {
    await using mirror = await HttpUpstream.start();
    await using proxied = await startRouter({
      clusters: { m: mirror.port },
      routeConfig: { validate_clusters: false },
      routes: [
        { match: { prefix: '/' }, route: { cluster: 'none', request_mirror_policies: [{ cluster: 'm' }] } },
      ],
    });
    expect((await proxied.proxy.get('/')).status).toBe(503);
    expect(proxied.proxy.stat('http.async-client.rq_total')).toBe(0);
  });

  test('may go to several, each with headers of its own', async () => {
    await using upstream = await HttpUpstream.start(text('main'));
    await using one = await HttpUpstream.start();
    await using two = await HttpUpstream.start();
    await using proxied = await startRouter(
      to(upstream.port, { one: one.port, two: two.port }, [
        { cluster: 'one', disable_shadow_host_suffix_append: true },
        {
          cluster: 'two',
          host_rewrite_literal: 'two.test',
          request_headers_mutations: [{ remove: 'x-own' }],
        },
      ]),
    );
    await proxied.proxy.get('/', 'x-own: 1');
    const [first, second] = [await one.request(), await two.request()];
    expect([first.header('host'), first.header('x-own')]).toEqual(['test', '1']);
    expect([second.header('host'), second.header('x-own')]).toEqual(['two.test', undefined]);
    expect((await upstream.request()).header('host')).toBe('test');
  });

  test('gets the body as it comes, and its trailers', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await using mirror = await HttpUpstream.start(echo());
    await using proxied = await startRouter(
      to(upstream.port, { m: mirror.port }, [{ cluster: 'm' }], {
        manager: { http_protocol_options: { enable_trailers: true } },
      }),
    );
    await using client = await proxied.proxy.connect();
    await client.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    const copy = await mirror.request();
    await client.write('4\r\nlast\r\n0\r\nx-trailer: t\r\n\r\n');
    expect(await body(copy)).toBe('firstlast');
    expect((await client.readResponse()).status).toBe(200);
  });

  test('has the time of the route, and its own end of it', async () => {
    await using upstream = await HttpUpstream.start(text('main'));
    await using mirror = await HttpUpstream.start(hang());
    await using proxied = await startRouter(
      to(upstream.port, { m: mirror.port }, [{ cluster: 'm' }], { action: { timeout: '2s' } }),
    );
    expect((await proxied.proxy.get('/')).status).toBe(200);
    const copy = await mirror.request();
    proxied.clock.advance(2000);
    expect(await copy.aborted).toBe(true);
    expect(proxied.proxy.stat('cluster.m.upstream_rq_timeout')).toBe(1);
    await proxied.proxy.untilStat('cluster.m.upstream_rq_active', 0);
  });

  test('ends with a request that is broken off', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await using mirror = await HttpUpstream.start(hang());
    await using proxied = await startRouter(to(upstream.port, { m: mirror.port }, [{ cluster: 'm' }]));
    await using client = await proxied.proxy.connect();
    await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
    const copy = await mirror.request();
    client.destroy();
    expect(await copy.aborted).toBe(true);
    await proxied.proxy.untilStat('cluster.m.upstream_rq_active', 0);
  });

  test('outlives a request that is complete', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(text('main'));
    await using mirror = await HttpUpstream.start(gated(gate, text('late')));
    await using proxied = await startRouter(to(upstream.port, { m: mirror.port }, [{ cluster: 'm' }]));
    expect((await proxied.proxy.get('/')).status).toBe(200);
    await gate.reached();
    gate.open();
    await proxied.proxy.untilStat('cluster.m.upstream_rq_200', 1);
    expect(mirror.openConnections).toBe(1);
  });

  test.each<[name: string, start: () => Promise<AsyncDisposable & { readonly port: number }>, stat: string]>([
    [
      'does not read',
      () => RawUpstream.start((connection) => connection.pause()),
      'cluster.m.upstream_rq_tx_reset',
    ],
    ['cannot be reached', () => BlackHole.start(), 'cluster.m.upstream_rq_cancelled'],
  ])('is given up when its upstream %s, and nothing waits for it', async (_, start, stat) => {
    const size = 8 * 1024 * 1024;
    await using upstream = await HttpUpstream.start(async ({ request, response }) => {
      response.end(String((await request.body).length));
    });
    await using mirror = await start();
    await using proxied = await startRouter(
      to(upstream.port, { m: mirror.port }, [{ cluster: 'm' }], {
        listener: { per_connection_buffer_limit_bytes: 65_536 },
      }),
    );
    await using client = await proxied.proxy.connect();
    await client.write(
      `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`,
      Buffer.alloc(size, 'x'),
    );
    expect((await client.readResponse()).body.toString()).toBe(String(size));
    await proxied.proxy.untilStat(stat, 1);
    expect(summary(await proxied.entry())).toBe('200 - via_upstream');
  });

  test.each([
    ['refused', 'cluster.m.upstream_rq_503'],
    ['over the limit', 'cluster.m.upstream_rq_pending_overflow'],
  ])('whose connection is %s harms nobody', async (how, stat) => {
    await using upstream = await HttpUpstream.start(text('main'));
    const gone = await HttpUpstream.start();
    await gone.stop();
    await using proxied = await startRouter(
      to(upstream.port, {}, [{ cluster: 'm' }], {
        clusters: {
          c: upstream.port,
          m: {
            load_assignment: {
              cluster_name: 'm',
              endpoints: [
                {
                  lb_endpoints: [
                    {
                      endpoint: {
                        address: { socket_address: { address: '127.0.0.1', port_value: gone.port } },
                      },
                    },
                  ],
                },
              ],
            },
            ...(how === 'refused' ? {} : { circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] } }),
          },
        },
      }),
    );
    expect((await proxied.proxy.send('POST', '/', [], 'body')).status).toBe(200);
    await proxied.proxy.untilStat(stat, 1);
    expect(proxied.proxy.stat('http.ingress.downstream_rq_5xx')).toBe(0);
  });
});
