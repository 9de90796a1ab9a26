import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  breakOff,
  FakeClock,
  Gate,
  gated,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  reply,
  requestText,
  startProxy,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { adaptiveConcurrency } from '../src/index.ts';

const FILTER: JsonObject = {
  name: 'envoy.filters.http.adaptive_concurrency',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency',
    gradient_controller_config: {
      concurrency_limit_params: { concurrency_update_interval: '0.1s' },
      min_rtt_calc_params: {
        interval: '60s',
        request_count: 2,
        min_concurrency: 2,
        jitter: { value: 0 },
        buffer: { value: 0 },
      },
    },
    concurrency_limit_exceeded_status: { code: 429 },
  },
};

const PREFIX = 'http.ingress.adaptive_concurrency.gradient_controller.';

async function start(upstream: HttpUpstream) {
  const clock = new FakeClock();
  const proxy = await startProxy(httpBootstrap({ clusters: { web: upstream.port }, httpFilters: [FILTER] }), {
    clock,
    extensions: [
      httpConnectionManager,
      router,
      roundRobin,
      staticDiscovery,
      uuidRequestId,
      adaptiveConcurrency,
    ],
  });
  const stat = (name: string) => proxy.stat(PREFIX + name);
  return { proxy, clock, stat };
}

/** Sends `count` requests, and lets the upstream answer them when `latencyMs` have passed. */
async function slow(
  count: number,
  latencyMs: number,
  { proxy, clock, upstream }: { proxy: TestProxy; clock: FakeClock; upstream: HttpUpstream },
): Promise<number[]> {
  const gate = new Gate();
  upstream.answer = gated(gate, text('late'));
  const before = upstream.requests.length;
  const answers = Array.from({ length: count }, () => proxy.get('/'));
  await upstream.request(before + count);
  clock.advance(latencyMs);
  gate.open();
  return (await Promise.all(answers)).map(({ status }) => status);
}

describe('in a proxy', () => {
  test('a slow upstream gets fewer requests at a time', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    const { proxy, clock, stat } = await start(upstream);
    await using running = proxy;
    const parts = { proxy: running, clock, upstream };
    await slow(2, 10, parts);
    expect([stat('min_rtt_msecs'), stat('concurrency_limit')]).toEqual([10, 2]);
    // As fast as can be: the limit grows.
    for (const limit of [3, 4, 6, 8]) {
      await slow(1, 10, parts);
      clock.advance(90);
      expect(stat('concurrency_limit')).toBe(limit);
    }
    // Five times as slow: 8/2 and its root, then 6/2 and its root.
    for (const limit of [6, 4]) {
      await slow(1, 50, parts);
      clock.advance(50);
      expect([stat('concurrency_limit'), stat('gradient')]).toEqual([limit, 500]);
    }
    const gate = new Gate();
    const before = upstream.requests.length;
    upstream.answer = gated(gate, text('late'));
    const held = Array.from({ length: 4 }, () => running.get('/'));
    await upstream.request(before + 4);
    const refused = await running.get('/');
    expect([refused.status, refused.body.toString()]).toEqual([429, 'reached concurrency limit']);
    expect([upstream.requests.length - before, stat('rq_blocked')]).toEqual([4, 1]);
    gate.open();
    await Promise.all(held);
    expect((await running.get('/')).status).toBe(200);
  });

  test('an answer with a body is a sample at its end, one that breaks off is none, and both make room', async () => {
    await using upstream = await HttpUpstream.start(reply({ body: ['a', 'b', 'c'] }));
    const { proxy, stat } = await start(upstream);
    await using running = proxy;
    await running.get('/');
    upstream.answer = breakOff('half', 100);
    for (let i = 0; i < 5; i++)
      await running.exchange(requestText('GET', '/', ['connection: close'])).catch(() => '');
    expect(stat('min_rtt_calculation_active')).toBe(1);
    upstream.answer = reply({ body: ['a', 'b', 'c'], trailers: { 'x-end': '1' } });
    await running.get('/');
    expect([stat('min_rtt_calculation_active'), stat('rq_blocked')]).toEqual([0, 0]);
  });
});
