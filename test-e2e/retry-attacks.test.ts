import { createHash } from 'node:crypto';
import { eventually, type Exchange, HttpUpstream, rawClient, refusedPort, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './support/config.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const digest = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

const retrying = (policy: Message = {}, more: Message = {}): Message =>
  prefixRoute('/', 'upstream', {
    timeout: '20s',
    retry_policy: {
      retry_on: '5xx,reset,connect-failure',
      num_retries: 3,
      retry_back_off: { base_interval: '0.001s', max_interval: '0.004s' },
      ...policy,
    },
    ...more,
  });

const limits = (threshold: Message): Message => ({
  circuit_breakers: {
    thresholds: [
      {
        max_connections: 5000,
        max_pending_requests: 5000,
        max_requests: 5000,
        track_remaining: true,
        ...threshold,
      },
    ],
  },
});

const fail503 = ({ response }: Exchange): void => {
  response.writeHead(503, { 'content-length': '0' }).end();
};

/** `count` requests at once, each on a connection of its own: the statuses, one for each. */
async function storm(
  port: number,
  count: number,
  request: string | Buffer = GET,
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  await Promise.all(
    Array.from({ length: count }, async () => {
      await using client = await rawClient({ port });
      await client.write(request);
      const { status } = await client.readResponse();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      // Nothing may come behind the answer.
      expect(client.socket.readableLength).toBe(0);
    }),
  );
  return statuses;
}

describe('a thousand requests that fail at once', () => {
  const retries = (proxy: TestProxy, name = ''): number =>
    proxy.stat(`cluster.upstream.upstream_rq_retry${name}`);

  it.each<[what: string, threshold: Message, atOnce: number]>([
    ['max_retries 0', { max_retries: 0 }, 0],
    ['max_retries 3, the default', {}, 3],
    ['max_retries 20', { max_retries: 20 }, 20],
  ])(
    '%s: every one is answered once, and no more retries are under way than that',
    async (_, threshold, atOnce) => {
      let most = 0;
      await using upstream = await HttpUpstream.start(fail503);
      const setup = { upstream, upstreamFields: limits(threshold), routes: [retrying()] };
      await withProxy(setup, async (proxy) => {
        const watch = setInterval(() => {
          const remaining =
            proxy.used(/remaining_retries$/)['cluster.upstream.circuit_breakers.default.remaining_retries'] ??
            0;
          most = Math.max(most, atOnce - remaining);
        }, 1);
        const statuses = await storm(proxy.port, 1000);
        clearInterval(watch);
        expect([...statuses]).toEqual([[503, 1000]]);
        expect(upstream.requests.length).toBe(1000 + retries(proxy));
        expect(retries(proxy, '_overflow')).toBeGreaterThan(0);
        expect(most).toBeLessThanOrEqual(atOnce);
        const remaining = 'cluster.upstream.circuit_breakers.default.remaining_retries';
        expect(proxy.used(/remaining_retries$/)[remaining] ?? 0).toBe(atOnce);
        await proxy.log(1000);
      });
    },
  );

  it('retry_budget: retries stay a part of what is under way', async () => {
    await using upstream = await HttpUpstream.start(fail503);
    const budget = { retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 1 } };
    const setup = { upstream, upstreamFields: limits(budget), routes: [retrying()] };
    await withProxy(setup, async (proxy) => {
      expect([...(await storm(proxy.port, 1000))]).toEqual([[503, 1000]]);
      // Each request and each retry under way lets a fifth of one more begin.
      expect(retries(proxy)).toBeLessThan(1000);
      expect(retries(proxy, '_overflow')).toBeGreaterThan(0);
      expect(upstream.requests.length).toBe(1000 + retries(proxy));
    });
  });

  it.each<[what: string, answer: (exchange: Exchange) => void]>([
    ['resets', ({ socket }) => void socket.resetAndDestroy()],
    ['ends', ({ socket }) => void socket.end()],
    ['half a head', ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nx', () => socket.destroy())],
    ['garbage', ({ socket }) => void socket.write('\0\0\0\r\n\r\n')],
  ])('by %s: all are answered, the budget is whole again', async (_, answer) => {
    await using upstream = await HttpUpstream.start(answer);
    const setup = {
      upstream,
      upstreamFields: limits({ max_retries: 10 }),
      routes: [retrying({ num_retries: 2 })],
    };
    await withProxy(setup, async (proxy) => {
      const statuses = await storm(proxy.port, 300);
      expect([...statuses.values()].reduce((sum, n) => sum + n)).toBe(300);
      for (const status of statuses.keys()) expect([502, 503]).toContain(status);
      expect(proxy.stat('cluster.upstream.circuit_breakers.default.remaining_retries')).toBe(10);
    });
  });

  it('with nobody at the address', async () => {
    const setup = {
      upstream: await refusedPort(),
      upstreamFields: limits({ max_retries: 10 }),
      routes: [retrying()],
    };
    await withProxy(setup, async (proxy) => {
      expect([...(await storm(proxy.port, 300))]).toEqual([[503, 300]]);
      expect(proxy.stat('cluster.upstream.circuit_breakers.default.remaining_retries')).toBe(10);
    });
  });

  it('whose clients go away while they are tried again: nothing is tried for nobody', async () => {
    await using upstream = await HttpUpstream.start(fail503);
    const routes = [retrying({ retry_back_off: { base_interval: '30s', max_interval: '30s' } })];
    const setup = { upstream, upstreamFields: limits({ max_retries: 1000 }), routes };
    await withProxy(setup, async (proxy) => {
      const clients = await Promise.all(Array.from({ length: 200 }, () => proxy.connect()));
      await Promise.all(clients.map((client) => client.write(GET)));
      // Delays are drawn from nothing up to 30 s: a few are over soon.
      await eventually(() => retries(proxy) >= 200);
      for (const client of clients) client.reset();
      await proxy.expectIdle();
      expect(upstream.requests.length).toBeLessThan(250);
      expect(proxy.stat('cluster.upstream.circuit_breakers.default.remaining_retries')).toBe(1000);
    });
  });
});

describe.skipIf(skipUnbuilt)(`a storm over two workers${UNBUILT}`, () => {
  it('ends: every request has one answer, no worker dies', { timeout: 30_000 }, async () => {
    let requests = 0;
    await using upstream = await HttpUpstream.start((exchange) => {
      requests++;
      if (requests % 3 === 0) exchange.socket.resetAndDestroy();
      else fail503(exchange);
    });
    const config = bootstrap(
      [httpListener({ routes: [retrying()] })],
      [cluster('upstream', [upstream.port], limits({ max_retries: 8 }))],
    );
    await using sidecar = await Sidecar.serve(config, ['--concurrency', '2']);
    const statuses = await storm(await sidecar.port(), 1000);
    expect([...statuses]).toEqual([[503, 1000]]);
    const stats = (await sidecar.admin('/stats')).body.toString();
    const value = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats)?.[1]);
    expect(value('server.worker_deaths')).toBe(0);
    expect(value('cluster.upstream.upstream_rq_retry') + 1000).toBe(requests);
    expect(value('cluster.upstream.circuit_breakers.default.remaining_retries')).toBe(8);
    expect(value('cluster.upstream.upstream_rq_active')).toBe(0);
  });
});

describe('bodies around the limit of what is kept for a retry', () => {
  const LIMIT = 16_384;
  const post = (body: Buffer, chunked: boolean): Buffer => {
    const head = 'POST / HTTP/1.1\r\nhost: a\r\n';
    if (!chunked) return Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]);
    const pieces: Buffer[] = [Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`)];
    for (let at = 0; at < body.length; at += 1000) {
      const piece = body.subarray(at, at + 1000);
      pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    }
    return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
  };

  it.each([
    [LIMIT - 1, true],
    [LIMIT, true],
    [LIMIT + 1, false],
    [LIMIT * 4, false],
    [0, true],
    [1, true],
  ])('%i bytes: tried again %s, and never with half of it', async (size, again) => {
    for (const chunked of [false, true]) {
      const bodies: string[] = [];
      await using upstream = await HttpUpstream.start(async ({ request, response }) => {
        bodies.push(digest(await request.body));
        response.writeHead(bodies.length === 1 ? 503 : 200, { 'content-length': '0' }).end();
      });
      const virtualHosts = [
        { name: 'v', domains: ['*'], request_body_buffer_limit: LIMIT, routes: [retrying()] },
      ];
      await withProxy({ upstream, virtualHosts }, async (proxy) => {
        const body = Buffer.alloc(size, 'x');
        const { status } = await proxy.send(post(body, chunked));
        expect([status, bodies.length]).toEqual(again ? [200, 2] : [503, 1]);
        expect(new Set(bodies)).toEqual(new Set([digest(body)]));
        const abandoned = proxy.stat('cluster.upstream.retry_or_shadow_abandoned');
        expect(abandoned).toBe(again ? 0 : 1);
      });
    }
  });

  it('of a hundred uploads at once that are hedged: each arrives whole, each is answered once', async () => {
    let requests = 0;
    const seen: string[] = [];
    await using upstream = await HttpUpstream.start(async ({ request, response }) => {
      const slow = requests++ % 2 === 0;
      const body = await request.body.catch(() => undefined);
      if (body === undefined) return;
      seen.push(digest(body));
      // The first tries take for ever, the next ones answer.
      if (!slow || request.header('x-envoy-attempt-count') !== '1') response.end('ok');
    });
    const body = Buffer.alloc(500_000, 'h');
    const route = retrying(
      { per_try_timeout: '0.1s', num_retries: 5 },
      { hedge_policy: { hedge_on_per_try_timeout: true } },
    );
    const virtualHosts = [
      { name: 'v', domains: ['*'], include_request_attempt_count: true, routes: [route] },
    ];
    const setup = { upstream, upstreamFields: limits({ max_retries: 1000 }), virtualHosts };
    await withProxy(setup, async (proxy) => {
      const statuses = await storm(
        proxy.port,
        100,
        Buffer.concat([
          Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`),
          body,
        ]),
      );
      expect([...statuses]).toEqual([[200, 100]]);
      expect(new Set(seen)).toEqual(new Set([digest(body)]));
      await proxy.log(100);
    });
  });
});

describe('what a stranger writes into the headers of retries and times', () => {
  const NAMES = [
    'x-envoy-retry-on',
    'x-envoy-retry-grpc-on',
    'x-envoy-max-retries',
    'x-envoy-retriable-status-codes',
    'x-envoy-retriable-header-names',
    'x-envoy-upstream-rq-timeout-ms',
    'x-envoy-upstream-rq-per-try-timeout-ms',
    'x-envoy-upstream-rq-timeout-alt-response',
    'x-envoy-upstream-alt-stat-name',
    'x-envoy-expected-rq-timeout-ms',
    'x-envoy-hedge-on-per-try-timeout',
    'x-envoy-original-url',
    'x-envoy-original-path',
    'x-envoy-original-host',
    'x-envoy-ip-tags',
    'x-envoy-force-trace',
    'x-envoy-internal',
    'x-envoy-decorator-operation',
    'x-envoy-downstream-service-cluster',
    'x-envoy-downstream-service-node',
  ];
  const SPELLINGS: readonly [string, (name: string) => string][] = [
    ['as it is', (name) => name],
    ['in capitals', (name) => name.toUpperCase()],
    ['in mixed case', (name) => name.replace(/(?:^|-)./g, (letter) => letter.toUpperCase())],
    ['with _', (name) => name.replaceAll('-', '_')],
    ['with one _', (name) => name.replace(/-([^-]*)$/, '_$1')],
    ['with another _', (name) => name.replace('-', '_')],
    ['in capitals with _', (name) => name.replaceAll('-', '_').toUpperCase()],
    ['twice', (name) => `${name}: 1\r\n${name}`],
    ['twice, spelled in two ways', (name) => `${name.replaceAll('-', '_')}: 1\r\n${name}`],
  ];
  const VALUES: Readonly<Record<string, string>> = {
    'x-envoy-retry-on': '5xx,reset,gateway-error,retriable-status-codes',
    'x-envoy-max-retries': '1000',
    'x-envoy-retriable-status-codes': '503',
    'x-envoy-retriable-header-names': 'x-any',
    'x-envoy-retry-grpc-on': 'internal,unavailable',
    'x-envoy-hedge-on-per-try-timeout': 'true',
  };

  it.each(SPELLINGS)('%s: nothing is tried again for it, nothing of it goes on', async (_, spell) => {
    await using upstream = await HttpUpstream.start(fail503);
    const manager = { use_remote_address: true, xff_num_trusted_hops: 1 };
    await withProxy({ upstream, manager }, async (proxy) => {
      const forged = NAMES.map((name) => `${spell(name)}: ${VALUES[name] ?? '1'}\r\n`).join('');
      const response = await proxy.get('/', `x-forwarded-for: 203.0.113.9\r\n${forged}`);
      expect(response.status).toBe(503);
      expect(upstream.requests.length).toBe(1);
      const [request] = upstream.requests;
      const left = request?.rawHeaders.filter(
        ([name, value]) => /^x[-_]envoy/i.test(name) && value !== '15000' && value !== '203.0.113.9',
      );
      expect(left).toEqual([]);
    });
  });

  it.each([
    '',
    ' ',
    '0S',
    '-1S',
    '+1S',
    '1',
    'S',
    '1s',
    '1X',
    '1 S',
    '1.5S',
    '1e3S',
    '0x10S',
    '99999999H',
    '999999999H',
    '99999999999999999999H',
    '1S, 2S',
    '１S',
    '\xff\xfe',
    '1S\t',
    `${'9'.repeat(5000)}S`,
    'NaNm',
    'Infinitym',
  ])('grpc-timeout: %j breaks nothing', async (value) => {
    const policies: Message[] = [
      { max_grpc_timeout: '5s' },
      { max_grpc_timeout: '0s' },
      { max_grpc_timeout: '0s', grpc_timeout_offset: '1s' },
      { max_stream_duration: { grpc_timeout_header_max: '5s', grpc_timeout_header_offset: '1s' } },
      { max_stream_duration: { grpc_timeout_header_max: '0s' } },
    ];
    for (const policy of policies) {
      await using upstream = await HttpUpstream.start(text('ok'));
      await withProxy({ upstream, routes: [prefixRoute('/', 'upstream', policy)] }, async (proxy) => {
        const bytes = Buffer.from(value).toString('latin1');
        await using client = await proxy.connect();
        await client.write(
          `POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ngrpc-timeout: ${bytes}\r\ncontent-length: 0\r\n\r\n`,
        );
        const { status } = await client.readResponse();
        // 0 is no time at all: Envoy gives it the offset's or the cap's. What is no value is as if it were not there.
        expect([status, policy]).toEqual([200, policy]);
        const told = upstream.requests[0]?.rawHeaders.filter(
          ([name]) => name === 'x-envoy-expected-rq-timeout-ms',
        );
        for (const [, ms] of told ?? []) expect(ms).toMatch(/^[1-9]\d*$/);
      });
    }
  });
});

describe('cookies that a hash policy makes', () => {
  const cookies = (count: number): Message[] =>
    Array.from({ length: count }, (_, i) => ({ cookie: { name: `c${i}`, ttl: '60s', path: '/' } }));

  it('many of them, a hostile cookie header, and a try that fails: one set-cookie for each, once', async () => {
    let requests = 0;
    await using upstream = await HttpUpstream.start((exchange) => {
      if (requests++ % 2 === 0) fail503(exchange);
      else exchange.response.end('ok');
    });
    const route = retrying({}, { hash_policy: cookies(50) });
    await withProxy({ upstream, upstreamFields: { lb_policy: 'MAGLEV' }, routes: [route] }, async (proxy) => {
      for (const cookie of [
        'a=b',
        ';;;;====',
        'c0',
        'c0=; c1==; c2="',
        `x=${'y'.repeat(10_000)}`,
        '; '.repeat(5000),
        '__proto__=1; constructor=2',
        '\xff\xfe=\x80',
      ]) {
        const started = performance.now();
        const { status, headers } = await proxy.get('/', `cookie: ${cookie}\r\n`);
        expect(performance.now() - started, 'milliseconds').toBeLessThan(2000);
        expect([cookie.slice(0, 20), status]).toEqual([cookie.slice(0, 20), 200]);
        const made = headers
          .filter(([name]) => name === 'set-cookie')
          .map(([, value]) => value.split('=')[0]);
        expect(new Set(made).size).toBe(made.length);
        expect(made.length).toBeGreaterThan(45);
        for (const [name, value] of headers)
          if (name === 'set-cookie')
            expect(value).toMatch(/^c\d+="[\da-f]+"; Max-Age=60; Path=\/; HttpOnly$/);
      }
    });
  });
});
