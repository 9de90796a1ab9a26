import { describe, expect, test } from 'vitest';
import { openClient } from './support/any-protocol.ts';
import { cluster, type Message, prefixRoute } from './support/config.ts';
import { frame } from './support/grpc-bytes.ts';
import { connectBridge, grpcCluster, grpcRoute, grpcStats, grpcWeb } from './support/grpc-config.ts';
import { GrpcCaller, GrpcPeer, type Handlers, metadata, SERVICE } from './support/grpc-peer.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const NO_PEMS = { ca: '', cert: '', key: '', name: 'any.test' };

/** Ends with the status that the metadata asks for, behind headers or without any. */
const asked: Partial<Handlers> = {
  unary(call, done) {
    const code = Number(call.metadata.get('ask-code')[0] ?? 0);
    if (call.metadata.get('ask-headers').length > 0) call.sendMetadata(metadata({ 'x-before': 'leading' }));
    const trailing = metadata({ 'x-after': 'trailing' });
    if (code === 0) done(null, call.request, trailing);
    else done({ code, details: 'as asked: ☺', metadata: trailing });
  },
};

const setup = (peer: GrpcPeer, filters: readonly Message[]) => ({
  upstream: peer,
  upstreamFields: grpcCluster(),
  filters,
  routes: [grpcRoute()],
});

const grpcCounters = (proxy: TestProxy) =>
  Object.fromEntries(
    Object.entries(proxy.used(/^cluster\.upstream\.grpc\./)).map(([name, value]) => [
      name.slice('cluster.upstream.grpc.'.length),
      value,
    ]),
  );

async function callAll(proxy: TestProxy): Promise<void> {
  using caller = new GrpcCaller(proxy.port);
  await caller.unary('a');
  await caller.unary('a', { metadata: metadata({ 'ask-code': '5' }) });
  await caller.unary('a', { metadata: metadata({ 'ask-code': '5', 'ask-headers': 'yes' }) });
  await caller.serverStream('one two three').outcome;
  const up = caller.clientStream();
  for (const word of ['a', 'b', 'c', 'd']) up.call.write(Buffer.from(word));
  up.call.end();
  await up.outcome;
  const both = caller.bidi();
  both.call.write(Buffer.alloc(100_000));
  both.call.write(Buffer.alloc(0));
  both.call.end();
  await both.outcome;
}

describe('grpc_stats', () => {
  test('counts every method, its statuses and messages', async () => {
    const peer = await GrpcPeer.start(asked);
    const filters = [grpcStats({ stats_for_all_methods: true, enable_upstream_stats: true })];
    await withProxy(setup(peer, filters), async (proxy) => {
      await callAll(proxy);
      expect(grpcCounters(proxy)).toEqual({
        'test.Peer.Unary.0': 1,
        'test.Peer.Unary.5': 2,
        'test.Peer.Unary.success': 1,
        'test.Peer.Unary.failure': 2,
        'test.Peer.Unary.total': 3,
        'test.Peer.Unary.request_message_count': 3,
        'test.Peer.Unary.response_message_count': 1,
        'test.Peer.ServerStream.0': 1,
        'test.Peer.ServerStream.success': 1,
        'test.Peer.ServerStream.total': 1,
        'test.Peer.ServerStream.request_message_count': 1,
        'test.Peer.ServerStream.response_message_count': 3,
        'test.Peer.ClientStream.0': 1,
        'test.Peer.ClientStream.success': 1,
        'test.Peer.ClientStream.total': 1,
        'test.Peer.ClientStream.request_message_count': 4,
        'test.Peer.ClientStream.response_message_count': 1,
        'test.Peer.Bidi.0': 1,
        'test.Peer.Bidi.success': 1,
        'test.Peer.Bidi.total': 1,
        'test.Peer.Bidi.request_message_count': 2,
        'test.Peer.Bidi.response_message_count': 2,
      });
      const names = [...proxy.proxy.stats.histograms.keys()].filter((name) => name.includes('.grpc.'));
      expect(names.sort()).toEqual(
        ['Bidi', 'ClientStream', 'ServerStream', 'Unary'].map(
          (method) => `cluster.upstream.grpc.test.Peer.${method}.upstream_rq_time`,
        ),
      );
    });
  });

  test('counts methods that are listed under their names, all others together', async () => {
    const peer = await GrpcPeer.start(asked);
    const list = { services: [{ name: SERVICE, method_names: ['ServerStream'] }] };
    await withProxy(setup(peer, [grpcStats({ individual_method_stats_allowlist: list })]), async (proxy) => {
      await callAll(proxy);
      expect(grpcCounters(proxy)).toMatchObject({
        'test.Peer.ServerStream.total': 1,
        'test.Peer.ServerStream.response_message_count': 3,
        0: 3,
        5: 2,
        success: 3,
        failure: 2,
        total: 5,
        request_message_count: 9,
        response_message_count: 4,
      });
    });
  });

  test('failures of the proxy count for the cluster that the call was for', async () => {
    const peer = await GrpcPeer.start(asked);
    const filters = [grpcStats({ stats_for_all_methods: true })];
    const routes = [prefixRoute(`/${SERVICE}/Unary`, 'down'), grpcRoute()];
    await withProxy({ ...setup(peer, filters), routes, clusters: [cluster('down', [])] }, async (proxy) => {
      using caller = new GrpcCaller(proxy.port);
      expect((await caller.unary('a')).code).toBe(14);
      expect(proxy.used(/^cluster\.down\.grpc\./)).toMatchObject({
        'cluster.down.grpc.test.Peer.Unary.14': 1,
        'cluster.down.grpc.test.Peer.Unary.failure': 1,
      });
    });
  });

  test('calls of gRPC-Web and Connect are counted on either side of their bridge', async () => {
    const stats = grpcStats({ stats_for_all_methods: true });
    const calls: [string, readonly Message[], Record<string, string>, Buffer][] = [
      ['grpc-web', [grpcWeb, stats], { 'content-type': 'application/grpc-web' }, frame('a')],
      [
        'connect, behind',
        [connectBridge, stats],
        { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
        Buffer.from('a'),
      ],
      [
        'connect, in front',
        [stats, connectBridge],
        { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
        Buffer.from('a'),
      ],
    ];
    for (const [name, filters, headers, body] of calls) {
      const peer = await GrpcPeer.start(asked);
      await withProxy(setup(peer, filters), async (proxy) => {
        await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
        await client.send({ method: 'POST', path: `/${SERVICE}/Unary`, headers, body });
        const failing = { ...headers, 'ask-code': '7' };
        await client.send({ method: 'POST', path: `/${SERVICE}/Unary`, headers: failing, body });
        expect([name, grpcCounters(proxy)]).toMatchObject([
          name,
          {
            'test.Peer.Unary.success': 1,
            'test.Peer.Unary.failure': 1,
            'test.Peer.Unary.total': 2,
            'test.Peer.Unary.request_message_count': 2,
          },
        ]);
      });
    }
  });
});

const FIELDS = {
  path: '%REQ(:PATH)%',
  status: '%GRPC_STATUS%',
  camel: '%GRPC_STATUS(CAMEL_STRING)%',
  snake: '%GRPC_STATUS(SNAKE_STRING)%',
  number: '%GRPC_STATUS(NUMBER)%',
  statusNumber: '%GRPC_STATUS_NUMBER%',
  code: '%RESPONSE_CODE%',
  before: '%RESP(x-before)%',
  after: '%TRAILER(x-after)%',
  cut: '%TRAILER(x-after):4%',
  message: '%TRAILER(grpc-message)%',
  messageInHeaders: '%RESP(grpc-message)%',
  counts: '%FILTER_STATE(envoy.filters.http.grpc_stats)%',
  plain: '%FILTER_STATE(envoy.filters.http.grpc_stats:PLAIN)%',
  protocol: '%PROTOCOL%',
} as const;

type Line = Record<keyof typeof FIELDS, unknown>;

describe('the access log', () => {
  const logOf = async (
    more: Parameters<typeof withProxy>[0],
    lines: number,
    body: (caller: GrpcCaller, proxy: TestProxy) => Promise<void>,
  ): Promise<Line[]> => {
    const peer = await GrpcPeer.start(asked);
    let log: Line[] = [];
    const filters = [grpcStats({ emit_filter_state: true })];
    await withProxy(
      { ...setup(peer, filters), logFormat: { json_format: FIELDS }, ...more },
      async (proxy) => {
        {
          using caller = new GrpcCaller(proxy.port);
          await body(caller, proxy);
        }
        log = (await proxy.log(lines)) as unknown as Line[];
      },
    );
    return log;
  };

  test('has the status of trailers, and the counts of grpc_stats', async () => {
    const [ok, failed, stream] = await logOf({}, 3, async (caller) => {
      await caller.unary('a', { metadata: metadata({ 'ask-headers': 'yes' }) });
      await caller.unary('a', { metadata: metadata({ 'ask-code': '5', 'ask-headers': 'yes' }) });
      await caller.serverStream('one two three').outcome;
    });
    expect(ok).toEqual({
      path: '/test.Peer/Unary',
      status: 'OK',
      camel: 'OK',
      snake: 'OK',
      number: 0,
      statusNumber: 0,
      code: 200,
      before: 'leading',
      after: 'trailing',
      cut: 'trai',
      message: 'OK',
      messageInHeaders: null,
      counts: { request_message_count: '1', response_message_count: '1' },
      plain: '1,1',
      protocol: 'HTTP/2',
    });
    expect(failed).toMatchObject({
      status: 'NotFound',
      camel: 'NotFound',
      snake: 'NOT_FOUND',
      number: 5,
      statusNumber: 5,
      code: 200,
      message: encodeURI('as asked: ☺'),
      plain: '1,0',
    });
    expect(stream).toMatchObject({ statusNumber: 0, plain: '1,3' });
  });

  test('has the status of an answer that is trailers only', async () => {
    const [line] = await logOf({}, 1, async (caller) => {
      await caller.unary('a', { metadata: metadata({ 'ask-code': '16' }) });
    });
    expect(line).toMatchObject({
      status: 'Unauthenticated',
      snake: 'UNAUTHENTICATED',
      statusNumber: 16,
      after: null,
      message: null,
      messageInHeaders: encodeURI('as asked: ☺'),
    });
  });

  test('has the status of answers of the proxy, and none for what is no gRPC', async () => {
    const routes = [
      { match: { path: '/plain' }, direct_response: { status: 200 } },
      { match: { path: '/test.Peer/Unary' }, direct_response: { status: 403 } },
    ];
    const [refused, unrouted, plain] = await logOf({ routes }, 3, async (caller, proxy) => {
      expect((await caller.unary('a')).code).toBe(7);
      expect((await caller.serverStream('a').outcome).code).toBe(12);
      await proxy.get('/plain');
    });
    expect(refused).toMatchObject({ snake: 'PERMISSION_DENIED', statusNumber: 7, code: 200 });
    expect(unrouted).toMatchObject({ snake: 'UNIMPLEMENTED', statusNumber: 12, code: 200 });
    expect(plain).toMatchObject({ snake: null, statusNumber: null, code: 200, counts: null });
  });

  test('can be of some statuses alone', async () => {
    const log = { filter: { grpc_status_filter: { statuses: ['NOT_FOUND', 'INTERNAL'] } } };
    const lines = await logOf({ log }, 2, async (caller) => {
      for (const code of ['0', '5', '7', '13'])
        await caller.unary('a', { metadata: metadata({ 'ask-code': code, 'ask-headers': 'yes' }) });
    });
    expect(lines.map(({ statusNumber }) => statusNumber)).toEqual([5, 13]);
  });
});
