import { eventually, refusedPort } from '@dragoman/testing';
import { constants } from 'node:http2';
import { describe, expect, test } from 'vitest';
import type { Message } from './support/config.ts';
import { frame, framesOf } from './support/grpc-bytes.ts';
import { grpcCluster, grpcRoute } from './support/grpc-config.ts';
import { GrpcCaller, GrpcPeer, metadata, type UnaryCall } from './support/grpc-peer.ts';
import { answerGrpc, answerStatus, Http2Peer } from './support/http2-peer.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const STATUSES = 'cancelled,deadline-exceeded,internal,resource-exhausted,unavailable';

const retrying = (retryOn: string, policy: Message = {}, action: Message = {}) => ({
  upstreamFields: grpcCluster(),
  routes: [
    grpcRoute({
      retry_policy: {
        retry_on: retryOn,
        num_retries: 3,
        retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
        ...policy,
      },
      ...action,
    }),
  ],
});

const retries = (proxy: TestProxy) => {
  const found = proxy.used(/^cluster\.upstream\.upstream_rq_retry/);
  return Object.fromEntries(
    Object.entries(found).map(([name, value]) => [
      name.replace('cluster.upstream.upstream_rq_retry', ''),
      value,
    ]),
  );
};

/** Fails the first `times` calls. */
function failing(times: number, code: number, settings: { headers?: boolean } = {}): Promise<GrpcPeer> {
  let calls = 0;
  return GrpcPeer.start({
    unary(call: UnaryCall, done) {
      if (++calls > times) return done(null, call.request);
      if (settings.headers === true) call.sendMetadata(metadata({ 'x-try': String(calls) }));
      done({ code, details: `try ${calls}` });
    },
  });
}

describe('retries by status', () => {
  test.each([
    ['cancelled', 1],
    ['deadline-exceeded', 4],
    ['resource-exhausted', 8],
    ['internal', 13],
    ['unavailable', 14],
  ])('%s', async (name, code) => {
    for (const retryOn of [name, STATUSES]) {
      const upstream = await failing(2, code);
      await withProxy({ upstream, ...retrying(retryOn) }, async (proxy) => {
        using caller = new GrpcCaller(proxy.port);
        const { code: ended, messages } = await caller.unary('hello');
        expect([ended, messages.map(String), upstream.calls.length]).toEqual([0, ['hello'], 3]);
        expect(retries(proxy)).toMatchObject({ '': 2, _success: 1, _backoff_exponential: 2 });
      });
    }
  });

  test('no other status, and none behind headers', async () => {
    const cases: [number, { headers?: boolean }][] = [
      [7, {}],
      [2, {}],
      [14, { headers: true }],
    ];
    for (const [code, settings] of cases) {
      const upstream = await failing(1, code, settings);
      await withProxy({ upstream, ...retrying(STATUSES) }, async (proxy) => {
        using caller = new GrpcCaller(proxy.port);
        const { code: ended, details } = await caller.unary('hello');
        expect([ended, details, upstream.calls.length]).toEqual([code, 'try 1', 1]);
        expect(retries(proxy)).toEqual({});
      });
    }
  });

  test('the last failure is the answer when there is no retry left', async () => {
    const upstream = await failing(9, 14);
    await withProxy({ upstream, ...retrying('unavailable') }, async (proxy) => {
      {
        using caller = new GrpcCaller(proxy.port);
        const { code, details } = await caller.unary('hello');
        expect([code, details, upstream.calls.length]).toEqual([14, 'try 4', 4]);
      }
      expect(retries(proxy)).toMatchObject({ '': 3, _limit_exceeded: 1 });
      expect((await proxy.log())[0]).toMatchObject({ status: 200, flags: 'URX', details: 'via_upstream' });
    });
  });

  test('a caller may ask for them', async () => {
    const upstream = await failing(1, 8);
    const manager = {
      use_remote_address: true,
      internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
    };
    const setup = { upstream, upstreamFields: grpcCluster(), routes: [grpcRoute()], manager };
    await withProxy(setup, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const sent = metadata({ 'x-envoy-retry-grpc-on': 'resource-exhausted', 'x-envoy-max-retries': '2' });
      expect((await caller.unary('hello', { metadata: sent })).code).toBe(0);
      expect(upstream.calls.length).toBe(2);
    });
  });

  test('several messages are sent again whole', async () => {
    const bodies: string[] = [];
    let tries = 0;
    const upstream = await GrpcPeer.start({
      clientStream(call, done) {
        const parts: Buffer[] = [];
        call.on('data', (part: Buffer) => parts.push(part));
        call.on('end', () => {
          const body = Buffer.concat(parts);
          bodies.push(body.toString('latin1'));
          if (++tries === 1) done({ code: 14, details: 'not now' });
          else done(null, Buffer.from(String(body.length)));
        });
      },
    });
    await withProxy({ upstream, ...retrying('unavailable') }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { call, outcome } = caller.clientStream();
      for (let i = 0; i < 5; i++) call.write(Buffer.alloc(20_000, String(i)));
      call.end();
      const { code, messages } = await outcome;
      expect([code, messages.map(String)]).toEqual([0, ['100000']]);
      expect(bodies[0]).toBe(bodies[1]);
    });
  });

  test('a try that takes too long', async () => {
    let tries = 0;
    const upstream = await GrpcPeer.start({
      unary(call, done) {
        if (++tries > 1) done(null, call.request);
      },
    });
    const setup = retrying('reset', { per_try_timeout: '0.1s' }, { timeout: '10s' });
    await withProxy({ upstream, ...setup }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      expect((await caller.unary('hello')).code).toBe(0);
      await eventually(() => upstream.cancelled === 1);
      expect(proxy.stat('cluster.upstream.upstream_rq_per_try_timeout')).toBe(1);
    });
  });

  test('a host that refuses connections is not the last word', async () => {
    const upstream = await GrpcPeer.start();
    const hosts = [await refusedPort(), upstream];
    await withProxy({ ...retrying('connect-failure'), upstream: hosts }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      for (let i = 0; i < 4; i++) expect((await caller.unary('hello')).code).toBe(0);
    });
  });
});

describe('retries of streams that were not taken', () => {
  test('REFUSED_STREAM', async () => {
    const upstream = await Http2Peer.start((exchange) => {
      if (exchange.index < 2) exchange.stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else answerGrpc(exchange, 'taken');
    });
    await withProxy({ upstream, ...retrying('refused-stream') }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const { code, messages } = await caller.unary('hello');
      expect([code, messages.map(String), upstream.exchanges.length]).toEqual([0, ['taken'], 3]);
      expect(retries(proxy)).toMatchObject({ '': 2, _success: 1 });
    });
  });

  test('GOAWAY: what it does not cover goes to a new connection, what it covers ends on the old one', async () => {
    const upstream = await Http2Peer.start((exchange) => {
      const [first, second] = upstream.exchanges;
      if (exchange.index === 1) exchange.session.goaway(constants.NGHTTP2_NO_ERROR, first?.stream.id);
      if (exchange.index < 2) return;
      answerGrpc(exchange, `answer on ${exchange.connection}`);
      if (first !== undefined) answerGrpc(first, `answer on ${first.connection}`);
      expect(second?.connection).toBe(0);
    });
    await withProxy({ upstream, ...retrying('refused-stream') }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const one = caller.unary('one');
      await eventually(() => upstream.exchanges.length === 1);
      const two = caller.unary('two');
      const outcomes = await Promise.all([one, two]);
      expect(outcomes.map(({ code, messages }) => [code, ...messages.map(String)])).toEqual([
        [0, 'answer on 0'],
        [0, 'answer on 1'],
      ]);
      expect(proxy.stat('cluster.upstream.upstream_cx_close_notify')).toBe(1);
      expect(retries(proxy)).toMatchObject({ '': 1, _success: 1 });
    });
  });

  test('GOAWAY on a connection at rest: the next call has a new one, without a retry', async () => {
    const upstream = await Http2Peer.start((exchange) => {
      answerGrpc(exchange, String(exchange.connection));
      exchange.stream.on('close', () => exchange.session.goaway());
    });
    await withProxy({ upstream, upstreamFields: grpcCluster(), routes: [grpcRoute()] }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      for (let i = 0; i < 5; i++) {
        const { code, messages } = await caller.unary('hello');
        expect([code, messages.map(String)]).toEqual([0, [String(i)]]);
        await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
      }
    });
  });

  test('a connection that dies takes all its calls to the next', async () => {
    const upstream = await Http2Peer.start((exchange) => {
      if (exchange.connection > 0) answerStatus(exchange, 0);
      else if (upstream.exchanges.length === 10) exchange.session.destroy();
    });
    const { upstreamFields, routes } = retrying('reset');
    const limits = { circuit_breakers: { thresholds: [{ max_retries: 10 }] } };
    const setup = { upstream, upstreamFields: { ...upstreamFields, ...limits }, routes };
    await withProxy(setup, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const outcomes = await Promise.all(Array.from({ length: 10 }, (_, i) => caller.unary(`call ${i}`)));
      expect(outcomes.map(({ code }) => code)).toEqual(Array.from({ length: 10 }, () => 0));
      expect(retries(proxy)).toMatchObject({ '': 10, _success: 10 });
    });
  });

  test('a message that is sent again is the same', async () => {
    const bodies: Buffer[] = [];
    const upstream = await Http2Peer.start((exchange) => {
      const parts: Buffer[] = [];
      exchange.stream.on('data', (part: Buffer) => parts.push(part));
      exchange.stream.on('end', () => {
        bodies.push(Buffer.concat(parts));
        if (exchange.index === 0) exchange.stream.close(constants.NGHTTP2_REFUSED_STREAM);
        else answerGrpc(exchange, 'taken');
      });
    });
    await withProxy({ upstream, ...retrying('refused-stream') }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const message = Buffer.alloc(300_000, 'abcdefg');
      expect((await caller.unary(message)).code).toBe(0);
      expect(bodies.map((body) => body.equals(frame(message)))).toEqual([true, true]);
      expect(framesOf(bodies[1] as Buffer)).toHaveLength(1);
    });
  });
});
