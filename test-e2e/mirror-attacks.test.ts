import { createHash } from 'node:crypto';
import {
  BlackHole,
  echo,
  eventually,
  type Exchange,
  HttpUpstream,
  RawUpstream,
  refusedPort,
  silentUpstream,
  text,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { cluster, type Message, prefixRoute } from './support/config.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const digest = (body: Buffer): string => createHash('sha256').update(body).digest('hex');
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const post = (body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`), body]);

const mirrored = (to: readonly string[] = ['mirror'], more: Message = {}): Message[] => [
  prefixRoute('/', 'upstream', {
    timeout: '2s',
    request_mirror_policies: to.map((name) => ({ cluster: name })),
    ...more,
  }),
];

/** Every request, alone and in company, with and without a body, has its own answer; then the mirror is over, too. */
async function expectUnharmed(proxy: TestProxy): Promise<void> {
  const bodies = [0, 1, 100, 70_000, 1_500_000].map((size) => Buffer.alloc(size, size % 251));
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      await using client = await proxy.connect();
      for (const body of bodies) {
        await client.write(post(body));
        const response = await client.readResponse();
        expect([response.status, digest(response.body)]).toEqual([200, digest(body)]);
      }
      await client.write(GET.repeat(10));
      for (const { status } of await client.readResponses(10)) expect(status).toBe(200);
    }),
  );
}

interface Peer extends AsyncDisposable {
  readonly port: number;
}
const LARGE = Buffer.alloc(16 * 1024 * 1024);
const nobody = async (): Promise<Peer> => ({
  port: await refusedPort(),
  [Symbol.asyncDispose]: async () => {},
});
const raw = (answer: string | ((head: string) => string)) => () =>
  RawUpstream.start(async (connection) => {
    for (;;) {
      const head = await connection.readUntil('\r\n\r\n').catch(() => undefined);
      if (head === undefined) break;
      await connection.write(Buffer.from(typeof answer === 'string' ? answer : answer(head), 'latin1'));
    }
    connection.destroy();
  });
const http = (answer: (exchange: Exchange) => void | Promise<void>) => () => HttpUpstream.start(answer);

describe('a mirror cannot harm the request that it is a copy of', () => {
  it.each<[what: string, start: () => Promise<Peer>]>([
    ['that nobody listens at', nobody],
    ['that swallows SYNs', () => BlackHole.start()],
    ['that accepts and says nothing', () => silentUpstream()],
    ['that does not read', () => RawUpstream.start(async (connection) => void connection.pause())],
    ['that resets', () => RawUpstream.start(async (connection) => connection.reset())],
    ['that ends', () => RawUpstream.start(async (connection) => connection.end())],
    ['that resets in the middle of a body', http(({ message, socket }) => void message.once('data', () => socket.resetAndDestroy()))],
    ['that answers before the body', http(({ response }) => void response.end('early'))],
    ['that answers 16 MiB', http(({ response }) => void response.end(LARGE))],
    ['that answers garbage', raw('\0\xff garbage\r\n\r\n')],
    ['that answers twice', raw('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged')],
    ['that answers 101', raw('HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw')],
    ['that answers 100 for ever', raw('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000))],
    ['that redirects', raw('HTTP/1.1 302 Found\r\nlocation: http://a/\r\ncontent-length: 0\r\n\r\n')],
    ['that sends half a head', raw('HTTP/1.1 200 OK\r\nx')],
    ['that sends a head without end', raw(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(50_000)}`)],
    ['that sets cookies', raw('HTTP/1.1 200 OK\r\nset-cookie: forged=1\r\ncontent-length: 0\r\n\r\n')],
    ['that says 503', raw('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n')],
  ])('%s', { timeout: 20_000 }, async (_, start) => {
    await using upstream = await HttpUpstream.start(echo());
    {
      await using mirror = await start();
      const clusters = [cluster('mirror', [mirror.port], { connect_timeout: '0.5s' })];
      await withProxy({ upstream, clusters, routes: mirrored() }, async (proxy) => {
        await expectUnharmed(proxy);
        expect(proxy.stat('http.test.downstream_rq_total')).toBe(60);
        expect(proxy.stat('http.test.downstream_rq_2xx')).toBe(60);
        // A mirror that cannot be reached is as much a request as any.
        await eventually(() => Object.keys(proxy.used(/^cluster\.mirror\.upstream_(rq_total|cx_connect_fail)$/)).length > 0);
        await proxy.expectIdle();
        await mirror[Symbol.asyncDispose]();
      });
    }
  }); // biome-ignore format: a table

  it('that has no host, or is the cluster itself, or ten of them', async () => {
    await using upstream = await HttpUpstream.start(echo());
    const clusters = [cluster('empty', [])];
    const to = ['empty', 'upstream', ...Array.from({ length: 10 }, () => 'upstream')];
    await withProxy({ upstream, clusters, routes: mirrored(to) }, async (proxy) => {
      await expectUnharmed(proxy);
      // A copy is not copied again.
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_total') === 60 * 12);
    });
  });

  it('whose circuit breaker is open', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await using mirror = await silentUpstream();
    const breakers = { circuit_breakers: { thresholds: [{ max_connections: 1, max_pending_requests: 1 }] } };
    const clusters = [cluster('mirror', [mirror.port], breakers)];
    await withProxy({ upstream, clusters, routes: mirrored() }, async (proxy) => {
      await expectUnharmed(proxy);
      expect(proxy.stat('cluster.mirror.upstream_rq_pending_overflow')).toBeGreaterThan(0);
      await proxy.expectIdle();
      await mirror.stop();
    });
  });
});

describe('what a mirror is told', () => {
  const told = async (request: string, policies: readonly Message[]): Promise<HttpUpstream> => {
    const mirror = await HttpUpstream.start(text('x'));
    await using upstream = await HttpUpstream.start(text('ok'));
    const routes = [prefixRoute('/', 'upstream', { request_mirror_policies: policies })];
    const clusters = [cluster('mirror', [mirror.port])];
    await withProxy({ upstream, clusters, routes }, async (proxy) => {
      await proxy.send(request);
      await proxy.expectIdle();
      await mirror.stop();
    });
    return mirror;
  };

  it.each([
    'nowhere',
    '',
    '__proto__',
    'constructor',
    'mirror, upstream',
    'mirror\t',
    '\xff',
    'x'.repeat(10_000),
  ])('cluster_header names %j: one copy, or none', async (name) => {
    const mirror = await told(`GET / HTTP/1.1\r\nhost: a\r\nx-mirror: ${name}\r\n\r\n`, [
      { cluster_header: 'x-mirror' },
    ]);
    expect(mirror.requests.length).toBe(name.trim() === 'mirror' ? 1 : 0);
  });

  it.each([
    ['a', 'a-shadow'],
    ['a:80', 'a-shadow:80'],
    ['[::1]:80', '[::1]-shadow:80'],
    ['[::1]', '[::1]-shadow'],
    ['a:', undefined],
  ])('host %s becomes %s', async (host, expected) => {
    const mirror = await told(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`, [{ cluster: 'mirror' }]);
    if (expected === undefined) expect(mirror.requests.length).toBeLessThan(2);
    else expect(mirror.requests.map((request) => request.header('host'))).toEqual([expected]);
  });
});
