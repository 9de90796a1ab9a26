import {
  breakOff,
  echo,
  type HttpBootstrapOptions,
  HttpUpstream,
  inTurn,
  type JsonObject,
  type RawResponse,
  refusedPort,
  reply,
  reset,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type Proxied, startRouter, summary } from './support.ts';

const POLICY = { retry_on: '5xx,reset,connect-failure', num_retries: 4 };
const to = (
  ports: number | readonly number[],
  policy: JsonObject = POLICY,
  more: HttpBootstrapOptions = {},
): HttpBootstrapOptions => ({
  clusters: { c: ports },
  routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s', retry_policy: policy } }],
  ...more,
});

/** Lets every delay between tries pass, until the answer is there. */
async function answered(proxied: Proxied, asked: Promise<RawResponse>): Promise<RawResponse> {
  let done = false;
  const settled = asked.finally(() => {
    done = true;
  });
  while (!done) await proxied.clock.advanceAsync(1);
  return settled;
}

describe('an upstream that fails at first', () => {
  const failing = text('no', 503);
  test.each([
    ['answers', failing],
    ['answers and resets', breakOffWith503()],
    ['resets', reset()],
  ] as const)('%s: the request is sent again with its whole body', async (_name, failure) => {
    await using upstream = await HttpUpstream.start(inTurn(failure, failure, echo()));
    await using proxied = await startRouter(to(upstream.port));
    const body = 'x'.repeat(200_000);
    const response = await answered(proxied, proxied.proxy.send('POST', '/', [], body));
    expect([response.status, response.body.toString() === body]).toEqual([200, true]);
    const entry = await proxied.entry();
    expect([summary(entry), entry.info.upstreamRequestAttemptCount]).toEqual(['200 - via_upstream', 3]);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_retry')).toBe(2);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_retry_success')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_active')).toBe(0);
    expect(proxied.proxy.stat('cluster.c.circuit_breakers.default.rq_retry_open')).toBe(0);
  });

  function breakOffWith503() {
    const broken = breakOff('half', 100);
    return (exchange: Parameters<typeof broken>[0]) => {
      const { response } = exchange;
      const head = response.writeHead.bind(response);
      response.writeHead = ((_status: number, headers: object) => head(503, headers as never)) as never;
      return broken(exchange);
    };
  }

  test('a connection that is through with its answer carries the next try', async () => {
    await using upstream = await HttpUpstream.start(
      inTurn(reply({ status: 503, headers: { 'content-length': '0' } }), text('ok')),
    );
    await using proxied = await startRouter(to(upstream.port));
    const response = await answered(proxied, proxied.proxy.get('/'));
    expect([response.body.toString(), upstream.connectionCount]).toEqual(['ok', 1]);
  });

  test('a host that is down: the next one gets the request', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using proxied = await startRouter(to([await refusedPort(), upstream.port]));
    for (let i = 0; i < 4; i++) expect((await answered(proxied, proxied.proxy.get('/'))).status).toBe(200);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_200')).toBe(4);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_retry')).toBeGreaterThan(0);
  });

  test('the body that is too large to keep is sent once, and its answer passed on', async () => {
    await using upstream = await HttpUpstream.start(async ({ request, response }) => {
      await request.body;
      response.writeHead(503).end('no');
    });
    await using proxied = await startRouter(
      to(upstream.port, POLICY, { listener: { per_connection_buffer_limit_bytes: 1000 } }),
    );
    const response = await answered(proxied, proxied.proxy.send('POST', '/', [], 'x'.repeat(100_000)));
    expect([response.status, response.body.toString(), upstream.requests.length]).toEqual([503, 'no', 1]);
    expect(proxied.proxy.stat('cluster.c.retry_or_shadow_abandoned')).toBe(1);
  });
});

describe('whose wishes are heard', () => {
  const asks = [
    'x-envoy-retry-on: 5xx',
    'x-envoy-retry-grpc-on: internal',
    'x-envoy-retriable-header-names: x-a',
    'x-envoy-max-retries: 3',
    'x-envoy-retriable-status-codes: 418',
    'x-envoy-hedge-on-per-try-timeout: true',
    'x-envoy-upstream-rq-per-try-timeout-ms: 10',
  ];
  const inside = { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] };
  const outside = { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] };
  test.each([
    ['a caller from inside', inside, 4],
    ['a caller from outside', outside, 1],
  ] as const)('%s: %j', async (_name, internal_address_config, tries) => {
    await using upstream = await HttpUpstream.start(reply({ status: 503 }));
    await using proxied = await startRouter({
      clusters: { c: upstream.port },
      routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } }],
      manager: { use_remote_address: true, internal_address_config },
    });
    const response = await answered(proxied, proxied.proxy.get('/', ...asks));
    expect([response.status, upstream.requests.length]).toEqual([503, tries]);
    const names = new Set(asks.map((line) => line.split(':')[0]));
    for (const { rawHeaders } of upstream.requests)
      expect(rawHeaders.filter(([name]) => names.has(name))).toEqual([]);
  });
});

test('the budget is shared by the requests of a cluster', async () => {
  await using upstream = await HttpUpstream.start(text('no', 503));
  await using proxied = await startRouter({
    ...to(upstream.port),
    clusters: {
      c: {
        load_assignment: {
          cluster_name: 'c',
          endpoints: [
            {
              lb_endpoints: [
                {
                  endpoint: {
                    address: { socket_address: { address: '127.0.0.1', port_value: upstream.port } },
                  },
                },
              ],
            },
          ],
        },
        circuit_breakers: { thresholds: [{ max_retries: 1 }] },
      },
    },
  });
  const first = proxied.proxy.get('/');
  await proxied.proxy.untilStat('cluster.c.circuit_breakers.default.rq_retry_open', 1);
  // The first one's retry waits; a second one finds no room.
  expect((await proxied.proxy.get('/')).status).toBe(503);
  expect(summary(await proxied.entry())).toBe('503 UO via_upstream');
  expect(proxied.proxy.stat('cluster.c.upstream_rq_retry_overflow')).toBe(1);
  await answered(proxied, first);
  expect(proxied.proxy.stat('cluster.c.circuit_breakers.default.rq_retry_open')).toBe(0);
});
