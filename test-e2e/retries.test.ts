import { createHash } from 'node:crypto';
import { type Exchange, HttpUpstream, rawClient, refusedPort, SeededRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './support/config.ts';
import { withProxy } from './support/proxy.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const HOST_PREDICATE = {
  name: 'envoy.retry_host_predicates.previous_hosts',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
  },
};

const retrying = (policy: Message = {}, more: Message = {}): Message =>
  prefixRoute('/', 'upstream', {
    retry_policy: {
      retry_on: '5xx,reset,connect-failure',
      num_retries: 20,
      retry_back_off: { base_interval: '0.001s', max_interval: '0.004s' },
      ...policy,
    },
    ...more,
  });

const digest = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

/** Answers with a digest of the body, but fails, in every way that it can, as often as `random` says. */
function flaky(random: SeededRandom, share: number) {
  return async ({ request, response, socket, message }: Exchange): Promise<void> => {
    if (random.random() < share) {
      const how = random.next() % 5;
      if (how === 0) return void socket.resetAndDestroy();
      if (how === 1) return void response.writeHead(503, { 'content-length': '0' }).end();
      if (how === 2) return void response.writeHead(500).end('half of an answer');
      if (how === 3) return void socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => socket.destroy());
      // Somewhere in the middle of the body.
      message.once('data', () => socket.resetAndDestroy());
      message.once('end', () => socket.resetAndDestroy());
      return;
    }
    const body = await request.body.catch(() => undefined);
    if (body !== undefined) response.end(digest(body));
  };
}

describe('an upstream that fails a third of the time', () => {
  it('is never seen to: every request has its answer, every body arrives whole, nothing is left', async () => {
    const random = new SeededRandom(11);
    const upstreams = [await HttpUpstream.start(), await HttpUpstream.start(), await HttpUpstream.start()];
    for (const upstream of upstreams) upstream.answer = flaky(random, 1 / 3);
    const upstreamFields = { circuit_breakers: { thresholds: [{ max_retries: 1000 }] } };
    const down = await refusedPort();
    const routes = [
      retrying(
        { retry_host_predicate: [HOST_PREDICATE], host_selection_retry_max_attempts: 3 },
        { timeout: '60s' },
      ),
    ];
    await withProxy({ upstream: [...upstreams, down], upstreamFields, routes }, async (proxy) => {
      const one = async (i: number): Promise<void> => {
        const body = Buffer.alloc([0, 10, 5000, 100_000][i % 4], i);
        const head = `POST /${i} HTTP/1.1\r\nhost: test\r\ncontent-length: ${body.length}\r\n\r\n`;
        const response = await proxy.send(head, body);
        expect([i, response.status, response.body.toString()]).toEqual([i, 200, digest(body)]);
      };
      const runs = Array.from({ length: 8 }, async (_, run) => {
        for (let i = 0; i < 25; i++) await one(run * 25 + i);
      });
      await Promise.all(runs);
      const count = (name: string) => proxy.stat(`cluster.upstream.upstream_rq_${name}`);
      expect(count('200')).toBe(200);
      expect(count('retry')).toBeGreaterThan(80);
      expect(count('retry_limit_exceeded')).toBe(0);
      expect(count('retry_success')).toBeGreaterThan(50);
      expect(proxy.stat('cluster.upstream.upstream_cx_connect_fail')).toBeGreaterThan(0);
      expect(proxy.stat('cluster.upstream.circuit_breakers.default.rq_retry_open')).toBe(0);
      await proxy.log(200);
    });
  });
});

describe('an upstream that is slow at first', () => {
  const slowFirst = () => {
    let requests = 0;
    return HttpUpstream.start(({ response }) => {
      if (requests++ > 0) response.end('second');
      else response.once('close', () => {});
    });
  };

  it('gets a second try beside the first, whose answer nobody waits for', async () => {
    await using upstream = await slowFirst();
    const routes = [
      retrying({ per_try_timeout: '0.05s' }, { hedge_policy: { hedge_on_per_try_timeout: true } }),
    ];
    await withProxy({ upstream, routes }, async (proxy) => {
      const response = await proxy.get();
      expect(response.body.toString()).toBe('second');
      expect(await (await upstream.request(1)).aborted).toBe(true);
      expect(proxy.stat('cluster.upstream.upstream_rq_per_try_timeout')).toBe(0);
    });
  });

  it('gets a second try in its place', async () => {
    await using upstream = await slowFirst();
    await withProxy({ upstream, routes: [retrying({ per_try_timeout: '0.05s' })] }, async (proxy) => {
      expect((await proxy.get()).body.toString()).toBe('second');
      expect(proxy.stat('cluster.upstream.upstream_rq_per_try_timeout')).toBe(1);
      const [line] = await proxy.log();
      expect(line).toMatchObject({ status: 200, flags: '-', details: 'via_upstream' });
    });
  });
});

describe.skipIf(skipUnbuilt)(`the command with several workers${UNBUILT}`, () => {
  it('keeps one budget of retries for all of them', async () => {
    await using upstream = await HttpUpstream.start(({ response }) => {
      response.writeHead(503, { 'content-length': '0' }).end();
    });
    const routes = [retrying({ num_retries: 3, retry_back_off: { base_interval: '0.02s' } })];
    const limits = { circuit_breakers: { thresholds: [{ max_retries: 2, track_remaining: true }] } };
    const config = bootstrap([httpListener({ routes })], [cluster('upstream', [upstream.port], limits)]);
    await using sidecar = await Sidecar.serve(config, ['--concurrency', '3']);
    const port = await sidecar.port();
    const statuses = await Promise.all(
      Array.from({ length: 30 }, async () => {
        await using client = await rawClient({ port });
        await client.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n');
        return (await client.readResponse()).status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([503]));
    const text = (await sidecar.admin('/stats?filter=cluster.upstream')).body.toString();
    const value = (name: string) =>
      Number(new RegExp(`^cluster\\.upstream\\.${name}: (\\d+)$`, 'm').exec(text)?.[1]);
    // A worker may exceed the budget by one in the same instant; retries that were refused are counted.
    expect(value('upstream_rq_retry_overflow')).toBeGreaterThan(0);
    expect(value('upstream_rq_retry') + 30).toBe(upstream.requests.length);
    expect([
      value('circuit_breakers.default.rq_retry_open'),
      value('circuit_breakers.default.remaining_retries'),
    ]).toEqual([0, 2]);
  });
});
