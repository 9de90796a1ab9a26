import { BlackHole, eventually, HttpUpstream, refusedPort, reply, text } from '@dragoman/testing';
import { connect, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { describe, expect, test } from 'vitest';
import { LOG_FIELDS, type LogLine, type Message, prefixRoute } from './support/config.ts';
import { frame } from './support/grpc-bytes.ts';
import { grpcCluster, grpcRoute } from './support/grpc-config.ts';
import { GrpcCaller, GrpcPeer, metadata, type Outcome, SERVICE } from './support/grpc-peer.ts';
import { answerGrpc, beginGrpc, Http2Peer } from './support/http2-peer.ts';
import { type ProxySetup, type TestProxy, withProxy } from './support/proxy.ts';

const RESET = 'upstream connect error or disconnect/reset before headers. reset reason: ';
const logFormat = { json_format: { ...LOG_FIELDS, grpc: '%GRPC_STATUS_NUMBER%' } };

/** One unary call, and its line in the log. */
async function callOnce(
  setup: ProxySetup,
  settings: Parameters<GrpcCaller['unary']>[1] = {},
  look: (proxy: TestProxy) => unknown = () => {},
): Promise<{ outcome: Outcome; line: LogLine & { grpc: number } }> {
  let found: { outcome: Outcome; line: LogLine & { grpc: number } } | undefined;
  await withProxy(
    { upstreamFields: grpcCluster(), routes: [grpcRoute()], logFormat, ...setup },
    async (proxy) => {
      let outcome: Outcome;
      {
        using caller = new GrpcCaller(proxy.port);
        outcome = await caller.unary('hello', settings);
      }
      const [line] = await proxy.log();
      found = { outcome, line: line as LogLine & { grpc: number } };
      await look(proxy);
    },
  );
  return found as NonNullable<typeof found>;
}

describe('a call that the proxy cannot carry', () => {
  test('no host', async () => {
    const { outcome, line } = await callOnce({ upstream: [] });
    expect([outcome.code, outcome.details, outcome.headers]).toEqual([14, 'no healthy upstream', undefined]);
    expect(line).toMatchObject({ status: 200, grpc: 14, flags: 'UH' });
  });

  test('connect refused', async () => {
    const { outcome, line } = await callOnce({ upstream: await refusedPort() });
    expect([outcome.code, outcome.details]).toEqual([
      14,
      expect.stringContaining(`${RESET}remote connection failure`),
    ]);
    expect(line).toMatchObject({ grpc: 14, flags: 'UF' });
    expect(line.details).toMatch(/^upstream_reset_before_response_started\{remote_connection_failure\|/);
  });

  test('connect timeout', async () => {
    await using hole = await BlackHole.start();
    const { outcome, line } = await callOnce({
      upstream: hole.port,
      upstreamFields: { ...grpcCluster(), connect_timeout: '0.05s' },
    });
    expect([outcome.code, outcome.details]).toEqual([14, `${RESET}connection timeout`]);
    expect(line).toMatchObject({ grpc: 14, flags: 'UF' });
  });

  test('no route, no such cluster', async () => {
    const nowhere = await callOnce({ routes: [prefixRoute('/other', 'upstream')] });
    expect([nowhere.outcome.code, nowhere.line.flags]).toEqual([12, 'NR']);
    expect(nowhere.line.details).toMatch(/^route_not_found/);
    const unknown = await callOnce(
      { routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } }] },
      { metadata: metadata({ 'x-cluster': 'nobody' }) },
    );
    expect([unknown.outcome.code, unknown.line.flags]).toEqual([14, 'NC']);
    expect(unknown.line.details).toBe('cluster_not_found{cluster:nobody}');
  });

  test('too many requests', async () => {
    const peer = await GrpcPeer.start({ unary() {} });
    const upstreamFields = {
      ...grpcCluster(),
      circuit_breakers: { thresholds: [{ max_requests: 1 }] },
    };
    await withProxy({ upstream: peer, upstreamFields, routes: [grpcRoute()] }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      const first = caller.unary('x');
      await eventually(() => peer.calls.length === 1);
      const second = await caller.unary('x');
      expect([second.code, second.details]).toEqual([14, `${RESET}overflow`]);
      expect(second.trailers.get('x-envoy-overloaded')).toEqual(['true']);
      first.call.cancel();
      expect((await first).code).toBe(1);
      const [line, cancelled] = await proxy.log(2);
      expect([line?.flags, line?.details]).toEqual([
        'UO',
        'upstream_reset_before_response_started{overflow}',
      ]);
      expect([cancelled?.flags, cancelled?.details]).toEqual(['DR', 'http2.remote_reset']);
    });
  });

  test.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [503, 14],
    [418, 2],
  ])('a direct response of %i is status %i', async (status, code) => {
    const routes = [
      {
        match: { prefix: '/' },
        direct_response: { status, body: { inline_string: 'because\nI say so: ☺' } },
      },
    ];
    const { outcome, line } = await callOnce({ routes });
    expect([outcome.code, outcome.details]).toEqual([code, 'because\nI say so: ☺']);
    expect(line).toMatchObject({ grpc: code, details: 'direct_response' });
  });
});

describe('an upstream that fails', () => {
  test.each([
    ['resets', constants.NGHTTP2_INTERNAL_ERROR, 'remote reset', 'UR', 'remote_reset'],
    [
      'refuses',
      constants.NGHTTP2_REFUSED_STREAM,
      'remote refused stream reset',
      'UR',
      'remote_refused_stream_reset',
    ],
    ['cancels', constants.NGHTTP2_CANCEL, 'remote reset', 'UR', 'remote_reset'],
  ])('before its headers: it %s the stream', async (_, rst, reason, flags, details) => {
    const upstream = await Http2Peer.start(({ stream }) => stream.close(rst));
    const { outcome, line } = await callOnce({ upstream }, {}, (proxy) => {
      expect(proxy.stat('cluster.upstream.upstream_rq_rx_reset')).toBe(1);
    });
    expect([outcome.code, outcome.details]).toEqual([14, `${RESET}${reason}`]);
    expect(line).toMatchObject({ status: 200, grpc: 14, flags });
    expect(line.details).toMatch(new RegExp(`^upstream_reset_before_response_started\\{${details}`));
  });

  test('before its headers: it closes the connection', async () => {
    const upstream = await Http2Peer.start(({ session }) => session.destroy());
    const { outcome, line } = await callOnce({ upstream });
    expect([outcome.code, outcome.details]).toEqual([14, `${RESET}connection termination`]);
    expect(line).toMatchObject({ grpc: 14, flags: 'UC' });
  });

  test('it speaks HTTP/1.1', async () => {
    const upstream = await HttpUpstream.start(text('what?'));
    const { outcome, line } = await callOnce({ upstream });
    expect(outcome.code).toBe(14);
    expect(outcome.details).toMatch(/^upstream connect error or disconnect\/reset before headers/);
    expect(line.details).toMatch(/^upstream_reset_before_response_started/);
  });

  test('it answers with a status of HTTP', async () => {
    const upstream = await HttpUpstream.start(reply({ status: 429, body: 'slow down' }));
    const { outcome, line } = await callOnce({ upstream, upstreamFields: {} });
    expect([outcome.code, outcome.details]).toEqual([14, 'Received HTTP status code 429']);
    expect(line).toMatchObject({ status: 429, grpc: 14, flags: '-', details: 'via_upstream' });
  });

  test.each([
    [
      'it resets the stream',
      'UR',
      ({ stream }: { stream: import('node:http2').ServerHttp2Stream }) => stream.close(2),
    ],
    [
      'it closes the connection',
      'UC',
      ({ session }: { session: import('node:http2').ServerHttp2Session }) => session.destroy(),
    ],
  ])('behind its headers: %s', async (_, flags, fail) => {
    const upstream = await Http2Peer.start((exchange) => {
      beginGrpc(exchange.stream);
      exchange.stream.write(frame('half of it'), () => setImmediate(() => fail(exchange)));
    });
    const { outcome, line } = await callOnce({ upstream }, {}, (proxy) => {
      expect(proxy.stat('http.test.downstream_rq_tx_reset')).toBe(1);
      expect(proxy.stat('http.test.rq_reset_after_downstream_response_started')).toBe(1);
    });
    expect([outcome.code, outcome.messages.map(String)]).toEqual([13, ['half of it']]);
    expect(outcome.details).toMatch(/^Received RST_STREAM/);
    expect(line).toMatchObject({ status: 200, flags });
    expect(line.details).toMatch(/^upstream_reset_after_response_started\{/);
  });

  test('it ends without a status', async () => {
    const upstream = await Http2Peer.start(({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.end(frame('all of it'));
    });
    const { outcome, line } = await callOnce({ upstream });
    expect(outcome.code).toBe(13);
    expect(line).toMatchObject({ status: 200, flags: '-', details: 'via_upstream' });
  });
});

describe('time', () => {
  const silent = () => GrpcPeer.start({ unary() {} });

  test('the route’s timeout', async () => {
    const upstream = await silent();
    const { outcome, line } = await callOnce(
      { upstream, routes: [grpcRoute({ timeout: '0.05s' })] },
      {},
      (proxy) => {
        expect(proxy.stat('cluster.upstream.upstream_rq_timeout')).toBe(1);
        return eventually(() => upstream.cancelled === 1);
      },
    );
    expect([outcome.code, outcome.details]).toEqual([14, 'upstream request timeout']);
    expect(line).toMatchObject({ grpc: 14, flags: 'UT', details: 'response_timeout' });
  });

  test('without max_grpc_timeout, grpc-timeout changes nothing', async () => {
    const upstream = await GrpcPeer.start();
    const sent = { metadata: metadata({ 'grpc-timeout': '1n' }) };
    const { outcome } = await callOnce({ upstream }, sent);
    expect(outcome.code).toBe(0);
  });

  test.each([
    ['max_grpc_timeout: 0s', { max_grpc_timeout: '0s' }, '50m'],
    ['max_grpc_timeout below it', { max_grpc_timeout: '0.05s' }, '5S'],
    ['max_grpc_timeout, grpc_timeout_offset', { max_grpc_timeout: '0s', grpc_timeout_offset: '4.95s' }, '5S'],
  ])('grpc-timeout takes the place of the route’s: %s', async (_, action, timeout) => {
    const upstream = await silent();
    const routes = [grpcRoute({ timeout: '10s', ...action })];
    const sent = { metadata: metadata({ 'grpc-timeout': timeout }) };
    const { outcome, line } = await callOnce({ upstream, routes }, sent, () =>
      eventually(() => upstream.cancelled === 1),
    );
    expect([outcome.code, outcome.details]).toEqual([14, 'upstream request timeout']);
    expect(line).toMatchObject({ flags: 'UT', details: 'response_timeout' });
  });

  test('what is left of grpc-timeout goes upstream', async () => {
    let seen: unknown;
    const upstream = await Http2Peer.start((exchange) => {
      seen = exchange.headers['grpc-timeout'];
      answerGrpc(exchange, 'yes');
    });
    const routes = [grpcRoute({ max_grpc_timeout: '3s' })];
    const { outcome } = await callOnce(
      { upstream, routes },
      { metadata: metadata({ 'grpc-timeout': '1H' }) },
    );
    expect([outcome.code, seen]).toEqual([0, '3000m']);
  });

  test.each([
    ['grpc_timeout_header_max: 0s', { grpc_timeout_header_max: '0s' }, '50m'],
    ['grpc_timeout_header_max below it', { grpc_timeout_header_max: '0.05s' }, '5S'],
    [
      'grpc_timeout_header_offset',
      { grpc_timeout_header_max: '0s', grpc_timeout_header_offset: '4.95s' },
      '5S',
    ],
    ['max_stream_duration alone', { max_stream_duration: '0.05s' }, '5S'],
  ])('the longest duration of a stream: %s', async (_, duration, timeout) => {
    const upstream = await silent();
    const routes = [grpcRoute({ max_stream_duration: duration })];
    const sent = { metadata: metadata({ 'grpc-timeout': timeout }) };
    const { outcome, line } = await callOnce({ upstream, routes }, sent, async (proxy) => {
      expect(proxy.stat('http.test.downstream_rq_max_duration_reached')).toBe(1);
      await eventually(() => upstream.cancelled === 1);
    });
    expect([outcome.code, outcome.details]).toEqual([4, 'downstream duration timeout']);
    expect(line).toMatchObject({ grpc: 4, flags: '-', details: 'max_duration_timeout' });
  });

  test('the longest duration cuts an answer that has begun', async () => {
    const upstream = await Http2Peer.start(({ stream }) => {
      beginGrpc(stream);
      stream.write(frame('begun'));
    });
    const routes = [grpcRoute({ max_stream_duration: { max_stream_duration: '0.1s' } })];
    const { outcome, line } = await callOnce({ upstream, routes });
    expect([outcome.code, outcome.messages.map(String)]).toEqual([13, ['begun']]);
    expect(line).toMatchObject({ status: 200, flags: '-', details: 'max_duration_timeout' });
  });

  test('stream_idle_timeout, before an answer and in one', async () => {
    const manager: Message = { stream_idle_timeout: '0.1s' };
    const upstream = await silent();
    const before = await callOnce({ upstream, manager });
    expect([before.outcome.code, before.outcome.details]).toEqual([14, 'stream timeout']);
    expect(before.line).toMatchObject({ grpc: 14, flags: 'SI', details: 'stream_idle_timeout' });
    const begun = await Http2Peer.start(({ stream }) => {
      beginGrpc(stream);
      stream.write(frame('begun'));
    });
    const after = await callOnce({ upstream: begun, manager });
    expect([after.outcome.code, after.outcome.messages.map(String)]).toEqual([13, ['begun']]);
    expect(after.line).toMatchObject({ status: 200, flags: 'SI', details: 'stream_idle_timeout' });
  });

  test('the client’s own deadline cancels the call upstream', async () => {
    const upstream = await silent();
    const { outcome, line } = await callOnce({ upstream }, { deadlineMs: 60 }, () =>
      eventually(() => upstream.cancelled === 1),
    );
    expect(outcome.code).toBe(4);
    expect(line).toMatchObject({ flags: 'DR', details: 'http2.remote_reset' });
  });

  test('the cluster’s longest duration', async () => {
    const upstream = await silent();
    const options = grpcCluster()['typed_extension_protocol_options'] as Record<string, Message>;
    const [name, value] = Object.entries(options)[0] as [string, Message];
    const upstreamFields = {
      typed_extension_protocol_options: {
        [name]: { ...value, common_http_protocol_options: { max_stream_duration: '0.05s' } },
      },
    };
    const { outcome, line } = await callOnce({ upstream, upstreamFields });
    expect([outcome.code, line.flags, line.details]).toEqual([
      14,
      'UMSDR',
      'upstream_max_stream_duration_reached',
    ]);
  });
});

describe('a client that goes away', () => {
  test('cancels its calls upstream, one by one or with its connection', async () => {
    const upstream = await GrpcPeer.start({
      unary() {},
      bidi() {},
      serverStream: (call) => void call.write(Buffer.from('x')),
    });
    const setup = { upstream, upstreamFields: grpcCluster(), routes: [grpcRoute()] };
    await withProxy(setup, async (proxy) => {
      {
        using caller = new GrpcCaller(proxy.port);
        const unary = caller.unary('x');
        const both = caller.bidi();
        both.call.write(Buffer.from('x'));
        const stream = caller.serverStream('x');
        await eventually(() => upstream.calls.length === 3);
        for (const { call } of [unary, both, stream]) call.cancel();
        const outcomes = await Promise.all([unary, both.outcome, stream.outcome]);
        expect(outcomes.map(({ code }) => code)).toEqual([1, 1, 1]);
        await eventually(() => upstream.cancelled === 3);
      }
      const socket = connectTcp(proxy.port, '127.0.0.1');
      const session = connect('http://test', { createConnection: () => socket });
      session.on('error', () => {});
      for (const method of ['Unary', 'ServerStream', 'Bidi']) {
        const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
        const stream = session.request({ ...headers, ':path': `/${SERVICE}/${method}` });
        stream.on('error', () => {});
        stream.write(frame('x'));
        if (method !== 'Bidi') stream.end();
      }
      await eventually(() => upstream.calls.length === 6);
      socket.destroy();
      await eventually(() => upstream.cancelled === 6);
      const lines = await proxy.log(6);
      expect(lines.map(({ flags }) => flags)).toEqual(['DR', 'DR', 'DR', 'DC', 'DC', 'DC']);
    });
  });
});
