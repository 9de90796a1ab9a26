import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import {
  AggregatedDiscoveryService,
  Authorization,
  CheckRequestSchema,
  CheckResponseSchema,
  create,
  DiscoveryRequestSchema,
  GrpcServiceSchema,
  toBinary,
} from '@dragoman/api';
import {
  defineHttpFilter,
  type Extension,
  type GrpcCall,
  type GrpcCallOptions,
  type GrpcCallStatus,
  type GrpcClient,
  type GrpcReconnectingStream,
  type GrpcStream,
  type HttpFilter,
  type HttpStream,
} from '@dragoman/core';
import { BlackHole, eventually, HttpUpstream, refusedPort, reply, text } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { AuthzPeer, allowed, version } from './support/authz-peer.ts';
import { cluster, type Message } from './support/config.ts';
import { frame } from './support/grpc-bytes.ts';
import { grpcCluster } from './support/grpc-config.ts';
import { metadata } from './support/grpc-peer.ts';
import { answerGrpc, answerStatus, beginGrpc, type Http2Exchange, Http2Peer } from './support/http2-peer.ts';
import { type ProxySetup, type TestProxy, withProxy } from './support/proxy.ts';

const { check } = Authorization.method;
const { streamAggregatedResources } = AggregatedDiscoveryService.method;
const NAME = 'test.grpc_client';
const MIB = 1024 * 1024;
const RESET = 'upstream connect error or disconnect/reset before headers. ';

type Use = (client: GrpcClient, stream: HttpStream) => HttpFilter;

/** A filter that has a client of its own; its config is the service. */
const using = (use: Use): Extension =>
  defineHttpFilter({
    name: NAME,
    config: GrpcServiceSchema,
    create(config, context) {
      const client = context.grpc.create(config);
      return (stream) => use(client, stream);
    },
  });

interface Setup extends ProxySetup {
  /** Hosts of cluster `authz`. */
  readonly authz: readonly number[];
  readonly authzFields?: Message;
  /** Fields of the service. */
  readonly service?: Message;
  readonly use: Use;
}

/** A proxy whose requests are answered by a filter that asks `authz`. */
async function withClient(
  { authz, authzFields = grpcCluster(), service = {}, use, ...more }: Setup,
  body: (proxy: TestProxy) => Promise<void>,
): Promise<void> {
  const typed = {
    '@type': 'type.googleapis.com/envoy.config.core.v3.GrpcService',
    envoy_grpc: { cluster_name: 'authz' },
    ...service,
  };
  await withProxy(
    {
      extensions: [using(use)],
      filters: [{ name: NAME, typed_config: typed }],
      clusters: [cluster('authz', authz, authzFields)],
      ...more,
    },
    body,
  );
}

/** What a call came to, as the client of the proxy sees it. */
type Told = Partial<GrpcCallStatus> & { readonly messages?: readonly string[] };

const tell = (stream: HttpStream, told: Told): void =>
  stream.reply({ status: 200, body: JSON.stringify(told), details: 'told' });

const toldBy = async (proxy: TestProxy, path = '/', headers = ''): Promise<Told> =>
  JSON.parse((await proxy.get(path, headers)).body.toString()) as Told;

/** Asks with a unary call, and answers with what it came to. */
const asking =
  (optionsOf: (stream: HttpStream) => GrpcCallOptions = () => ({})): Use =>
  (client, stream) => {
    let call: GrpcCall | undefined;
    return {
      onRequestHeaders(headers) {
        let answered = false;
        const request = create(CheckRequestSchema, {
          attributes: { contextExtensions: { path: headers.path } },
        });
        call = client.unary(check, request, optionsOf(stream), {
          onSuccess({ status }, _headers, trailers) {
            answered = true;
            tell(stream, { code: 0, message: status?.message ?? '', details: trailers.get('x-after') ?? '' });
          },
          onFailure({ code, message, details }) {
            answered = true;
            tell(stream, { code, message, details });
          },
        });
        return answered ? undefined : 'pause';
      },
      onComplete: () => call?.cancel(),
    };
  };

describe('a unary call of a filter', () => {
  test('has metadata of its config and its own, and reads what comes back', async () => {
    await using peer = await AuthzPeer.start({
      check(call, done) {
        const message = JSON.stringify(call.metadata.getMap());
        const { path } = call.request.attributes?.contextExtensions ?? {};
        const trailing = metadata({ 'x-after': `of ${path}` });
        done(null, allowed(message), trailing);
      },
    });
    const service = {
      initial_metadata: [
        { key: 'x-tenant', value: 'the %REQ(x-tenant)% one' },
        { key: 'x-raw-bin', raw_value: Buffer.from([1, 2]).toString('base64') },
      ],
    };
    const parentOf = (stream: HttpStream): GrpcCallOptions => ({
      metadata: [['x-own', 'mine']],
      parent: {
        info: stream.info,
        request: stream.requestHeaders,
        response: undefined,
        responseTrailers: undefined,
        type: 'DownstreamStart',
      },
    });
    const use = asking(parentOf);
    await withClient({ authz: [peer.port], service, use }, async (proxy) => {
      const told = await toldBy(proxy, '/some', 'x-tenant: blue\r\n');
      expect([told.code, told.details]).toEqual([0, 'of /some']);
      expect(JSON.parse(told.message as string)).toMatchObject({
        'x-tenant': 'the blue one',
        'x-own': 'mine',
        'x-envoy-internal': 'true',
      });
      expect(
        proxy.used(/^(cluster\.authz\.upstream_rq_(200|total|completed)|http\.async-client\.rq_total)$/),
      ).toEqual({
        'cluster.authz.upstream_rq_200': 1,
        'cluster.authz.upstream_rq_total': 1,
        'cluster.authz.upstream_rq_completed': 1,
        'http.async-client.rq_total': 1,
      });
    });
  });

  test('lets the request go on', async () => {
    await using peer = await AuthzPeer.start();
    const upstream = await HttpUpstream.start(text('let in'));
    const use: Use = (client, stream) => ({
      onRequestHeaders() {
        client.unary(check, create(CheckRequestSchema), undefined, {
          onSuccess: () => stream.resumeRequest(),
          onFailure: (status) => tell(stream, status),
        });
        return 'pause';
      },
    });
    await withClient({ authz: [peer.port], upstream, use }, async (proxy) => {
      for (let i = 0; i < 5; i++) expect((await proxy.get()).body.toString()).toBe('let in');
      expect(proxy.stat('cluster.authz.upstream_cx_total')).toBe(1);
    });
  });

  test.each([
    ['a status of the peer', { code: 7, message: 'not you: ☺', details: 'via_upstream' }],
    ['another', { code: 16, message: '', details: 'via_upstream' }],
  ])('%s is its own', async (_, status) => {
    await using peer = await AuthzPeer.start({
      check: (_call, done) => done({ code: status.code, details: status.message }),
    });
    await withClient({ authz: [peer.port], use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toEqual(status);
    });
  });

  test('no cluster, no host, no connection: UNAVAILABLE', async () => {
    const service = { envoy_grpc: { cluster_name: 'nobody' } };
    await withClient({ authz: [], service, use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toMatchObject({ code: 14, details: 'cluster_not_found' });
    });
    await withClient({ authz: [], use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toEqual({
        code: 14,
        message: 'no healthy upstream',
        details: 'no_healthy_upstream',
      });
    });
    await withClient({ authz: [await refusedPort()], use: asking() }, async (proxy) => {
      const told = await toldBy(proxy);
      expect(told.code).toBe(14);
      expect(told.message).toContain(`${RESET}reset reason: remote connection failure`);
    });
    await using hole = await BlackHole.start();
    const authzFields = { ...grpcCluster(), connect_timeout: '0.05s' };
    await withClient({ authz: [hole.port], authzFields, use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toMatchObject({
        code: 14,
        message: `${RESET}reset reason: connection timeout`,
      });
    });
  });

  test('an upstream that misbehaves', async () => {
    const cases: [string, Parameters<typeof Http2Peer.start>[0], object][] = [
      [
        'resets',
        ({ stream }) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
        { code: 14, message: `${RESET}reset reason: remote reset` },
      ],
      [
        'refuses',
        ({ stream }) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
        { code: 14, message: `${RESET}reset reason: remote refused stream reset` },
      ],
      [
        'goes away',
        ({ session }) => session.destroy(),
        { code: 14, message: `${RESET}reset reason: connection termination` },
      ],
      [
        'resets behind its headers',
        ({ stream }) => {
          beginGrpc(stream);
          stream.write(frame(''), () => setImmediate(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR)));
        },
        { code: 13, details: expect.stringMatching(/^upstream_reset_after_response_started\{remote_reset/) },
      ],
      [
        'has no status',
        ({ stream }) => {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
          stream.end(frame(''));
        },
        { code: 2, details: 'via_upstream' },
      ],
      [
        'answers 403',
        ({ stream }) => {
          stream.respond({ ':status': 403 });
          stream.end('no');
        },
        { code: 7, message: 'HTTP status 403' },
      ],
      ['has no message', (exchange) => answerStatus(exchange, 0), { code: 13, details: 'grpc_no_message' }],
      [
        'sends what is no message',
        ({ stream }) => {
          beginGrpc(stream);
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.end(frame(Buffer.from([0xff, 0xff])));
        },
        { code: 13, details: 'grpc_decode_error' },
      ],
      [
        'sends what is no frame',
        ({ stream }) => {
          beginGrpc(stream);
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.end(Buffer.alloc(20, 0x7f));
        },
        { code: 13, details: 'grpc_frame_error' },
      ],
    ];
    for (const [name, script, expected] of cases) {
      await using peer = await Http2Peer.start(script);
      await withClient({ authz: [peer.port], use: asking() }, async (proxy) => {
        expect([name, await toldBy(proxy)]).toMatchObject([name, expected]);
        await eventually(() => proxy.stat('cluster.authz.upstream_rq_active') === 0);
      });
    }
  });

  test('a cluster without HTTP/2 answers like any server of HTTP', async () => {
    await using http = await HttpUpstream.start(reply({ status: 503, body: 'busy' }));
    await withClient({ authz: [http.port], authzFields: {}, use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toMatchObject({ code: 14, message: 'HTTP status 503' });
    });
  });

  test('a message above the limit is RESOURCE_EXHAUSTED', async () => {
    await using peer = await AuthzPeer.start({
      check: (_call, done) => done(null, allowed('x'.repeat(5000))),
    });
    const limit = { envoy_grpc: { cluster_name: 'authz', max_receive_message_length: 1000 } };
    await withClient({ authz: [peer.port], service: limit, use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toMatchObject({ code: 8, details: 'grpc_message_too_large' });
    });
  });

  test('its time runs out: DEADLINE_EXCEEDED, and the upstream is told', async () => {
    let sent: unknown;
    await using peer = await AuthzPeer.start({
      check(call) {
        sent = call.getDeadline();
      },
    });
    const service = { timeout: '0.08s' };
    await withClient({ authz: [peer.port], service, use: asking() }, async (proxy) => {
      const began = Date.now();
      expect(await toldBy(proxy)).toEqual({
        code: 4,
        message: 'upstream request timeout',
        details: 'response_timeout',
      });
      expect((sent as Date).valueOf() - began).toBeGreaterThan(0);
      await eventually(() => peer.cancelled === 1);
      expect(proxy.stat('cluster.authz.upstream_rq_timeout')).toBe(1);
    });
  });

  test('is given up when the downstream goes away', async () => {
    await using peer = await AuthzPeer.start({ check() {} });
    await withClient({ authz: [peer.port], use: asking() }, async (proxy) => {
      for (let i = 1; i <= 3; i++) {
        await using client = await proxy.connect();
        await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
        await eventually(() => peer.calls === i);
        client.reset();
        await eventually(() => peer.cancelled === i);
      }
      expect(proxy.stat('cluster.authz.upstream_rq_tx_reset')).toBe(3);
      const session = connect(`http://127.0.0.1:${proxy.port}`);
      const streams = Array.from({ length: 20 }, () => session.request({ ':path': '/' }));
      for (const stream of streams) stream.on('error', () => {});
      await eventually(() => peer.calls === 23);
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
      await eventually(() => peer.cancelled === 23);
      session.close();
    });
  });

  test('is given up while it waits for a connection', async () => {
    await using hole = await BlackHole.start();
    await withClient({ authz: [hole.port], use: asking() }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await eventually(() => proxy.stat('cluster.authz.upstream_rq_pending_active') === 1);
      client.reset();
      await eventually(() => proxy.stat('cluster.authz.upstream_rq_pending_active') === 0);
    });
  });

  test('is tried again as its policy says', async () => {
    let calls = 0;
    await using peer = await AuthzPeer.start({
      check(_call, done) {
        if (++calls < 3) done({ code: 14, details: 'not now' });
        else done(null, allowed(`try ${calls}`));
      },
    });
    const service = {
      retry_policy: {
        retry_on: 'unavailable,connect-failure',
        num_retries: 5,
        retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
      },
    };
    const authz = [await refusedPort(), peer.port];
    await withClient({ authz, service, use: asking() }, async (proxy) => {
      expect(await toldBy(proxy)).toMatchObject({ code: 0, message: 'try 3' });
      expect(proxy.stat('cluster.authz.upstream_rq_retry')).toBeGreaterThanOrEqual(2);
      expect(proxy.stat('cluster.authz.upstream_rq_retry_success')).toBe(1);
    });
  });

  test('GOAWAY costs no call: at rest it gets a new connection, in flight another try', async () => {
    const answer = (exchange: Http2Exchange) =>
      answerGrpc(exchange, toBinary(CheckResponseSchema, allowed('')));
    await using peer = await Http2Peer.start((exchange) => {
      const { index, session, stream } = exchange;
      if (index < 3) {
        stream.on('close', () => session.goaway());
        answer(exchange);
      } else if (index === 4) {
        // The one before it is covered, this one is not.
        session.goaway(constants.NGHTTP2_NO_ERROR, peer.exchanges[3]?.stream.id);
        answer(peer.exchanges[3] as Http2Exchange);
      } else if (index > 4) answer(exchange);
    });
    const retry_policy = { retry_on: 'refused-stream', retry_back_off: { base_interval: '0.001s' } };
    const setup = { authz: [peer.port], service: { retry_policy }, use: asking() };
    await withClient(setup, async (proxy) => {
      for (let i = 0; i < 3; i++) {
        expect((await toldBy(proxy)).code).toBe(0);
        await eventually(() => proxy.stat('cluster.authz.upstream_cx_active') === 0);
      }
      const covered = toldBy(proxy);
      await eventually(() => peer.exchanges.length === 4);
      const outcomes = await Promise.all([covered, toldBy(proxy)]);
      expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
      expect([peer.connections, proxy.stat('cluster.authz.upstream_rq_retry')]).toEqual([5, 1]);
      await peer.stop();
    });
  });

  test('8 MiB there, and 8 MiB back', async () => {
    const text = 'abcdefgh'.repeat(MIB);
    let received = 0;
    await using peer = await AuthzPeer.start(
      {
        check(call, done) {
          received = call.request.attributes?.contextExtensions['text']?.length ?? 0;
          done(null, allowed(text));
        },
      },
      { options: { 'grpc.max_receive_message_length': -1 } },
    );
    const use: Use = (client, stream) => ({
      onRequestHeaders() {
        const request = create(CheckRequestSchema, { attributes: { contextExtensions: { text } } });
        client.unary(check, request, undefined, {
          onSuccess: ({ status }) => tell(stream, { code: 0, message: String(status?.message === text) }),
          onFailure: (status) => tell(stream, status),
        });
        return 'pause';
      },
    });
    await withClient({ authz: [peer.port], use }, async (proxy) => {
      expect(await toldBy(proxy)).toEqual({ code: 0, message: 'true' });
      expect(received).toBe(text.length);
    });
  });

  test('many at once leave nothing, answered or not', async () => {
    await using peer = await AuthzPeer.start({
      check(call, done) {
        const { path = '' } = call.request.attributes?.contextExtensions ?? {};
        if (!path.endsWith('silent')) done(null, allowed(path));
      },
    });
    const manager = { http2_protocol_options: { max_concurrent_streams: 200 } };
    await withClient({ authz: [peer.port], use: asking(), manager }, async (proxy) => {
      const session = connect(`http://127.0.0.1:${proxy.port}`);
      const one = async (path: string): Promise<string> => {
        const stream = session.request({ ':path': path });
        let body = '';
        stream.setEncoding('utf8');
        stream.on('error', () => {});
        stream.on('data', (chunk: string) => {
          body += chunk;
        });
        const closed = once(stream, 'close');
        if (path.endsWith('silent')) {
          await eventually(() => peer.calls === 200);
          stream.close(constants.NGHTTP2_CANCEL);
        }
        await closed;
        return body;
      };
      const paths = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? `/${i}` : `/${i}/silent`));
      const bodies = await Promise.all(paths.map(one));
      expect(bodies.filter((body) => body.includes('"code":0'))).toHaveLength(100);
      await eventually(() => peer.cancelled === 100);
      session.close();
    });
  });

  test('a callback that throws is logged, and hurts nobody else', async () => {
    await using peer = await AuthzPeer.start();
    const use: Use = (client) => ({
      onRequestHeaders() {
        client.unary(check, create(CheckRequestSchema), undefined, {
          onSuccess() {
            throw new Error('no idea what to do');
          },
          onFailure() {},
        });
        return 'pause';
      },
    });
    const manager = { stream_idle_timeout: '0.1s' };
    await withClient({ authz: [peer.port], use, manager }, async (proxy) => {
      expect((await proxy.get()).status).toBe(504);
      expect(JSON.stringify(proxy.loggers)).toContain('no idea what to do');
    });
  });

  test('google_grpc is refused by name', async () => {
    const service = {
      envoy_grpc: undefined,
      google_grpc: { target_uri: '127.0.0.1:1', stat_prefix: 'authz' },
    };
    await expect(withClient({ authz: [], service, use: asking() }, async () => {})).rejects.toThrow(
      /google_grpc/,
    );
  });
});

/** Sends each piece of the request's body as a message, and answers with the messages that came and the end. */
const chatting: Use = (client, stream) => {
  const messages: string[] = [];
  let grpcStream: GrpcStream<typeof DiscoveryRequestSchema> | undefined;
  return {
    onRequestHeaders() {
      grpcStream = client.stream(streamAggregatedResources, undefined, {
        onMessage: ({ versionInfo }) => void messages.push(versionInfo),
        onEnd: ({ code, message, details }) => tell(stream, { code, message, details, messages }),
      });
      return 'collect';
    },
    onRequestBody(chunk, endStream) {
      if (chunk.length > 0)
        grpcStream?.send(create(DiscoveryRequestSchema, { versionInfo: chunk.toString() }));
      if (endStream) grpcStream?.closeSend();
      return 'pause';
    },
    onComplete: () => grpcStream?.cancel(),
  };
};

const post = (proxy: TestProxy, body: string) =>
  proxy.send(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`, body);

describe('a stream of a filter', () => {
  test('sends and reads messages until both sides are done', async () => {
    await using peer = await AuthzPeer.start();
    await withClient({ authz: [peer.port], use: chatting }, async (proxy) => {
      expect(JSON.parse((await post(proxy, 'hello')).body.toString())).toEqual({
        code: 0,
        message: 'OK',
        details: 'via_upstream',
        messages: ['hello'],
      });
    });
  });

  test('ends with the status of the peer', async () => {
    await using peer = await AuthzPeer.start({
      stream(call) {
        call.once('data', () => {
          call.write(version('one'));
          call.emit('error', { code: 10, details: 'enough' });
        });
      },
    });
    await withClient({ authz: [peer.port], use: chatting }, async (proxy) => {
      expect(JSON.parse((await post(proxy, 'hello')).body.toString())).toEqual({
        code: 10,
        message: 'enough',
        details: 'via_upstream',
        messages: ['one'],
      });
    });
  });

  test.each(['a RST', 'a FIN'])('is cancelled when the downstream goes away with %s', async (how) => {
    await using peer = await AuthzPeer.start({ stream: (call) => void call.on('data', () => {}) });
    await withClient({ authz: [peer.port], use: chatting }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\npart');
      await eventually(() => peer.calls === 1);
      if (how === 'a RST') client.reset();
      else client.destroy();
      await eventually(() => peer.cancelled === 1);
    });
  });

  test('stops a sender and a reader that are too fast', async () => {
    const total = 400;
    await using peer = await AuthzPeer.start();
    let most = 0;
    const use: Use = (client, stream) => ({
      onRequestHeaders() {
        let sent = 0;
        let received = 0;
        let bytes = 0;
        const write = (): void => {
          let goOn = true;
          while (goOn && sent < total) {
            goOn = grpcStream.send(
              create(DiscoveryRequestSchema, { versionInfo: String(sent++).padEnd(20_000, '.') }),
            );
            most = Math.max(most, grpcStream.bufferedBytes);
          }
          if (sent === total) grpcStream.closeSend();
        };
        const grpcStream = client.stream(
          streamAggregatedResources,
          { bufferLimitBytes: 100_000 },
          {
            onMessage({ versionInfo }) {
              expect(Number.parseInt(versionInfo, 10)).toBe(received);
              received++;
              bytes += versionInfo.length;
              if (received % 40 !== 0) return;
              grpcStream.pause();
              setTimeout(() => grpcStream.resume(), 2);
            },
            onWritable: write,
            onEnd: ({ code }) => tell(stream, { code, message: `${received} ${bytes}` }),
          },
        );
        write();
        return 'pause';
      },
    });
    await withClient({ authz: [peer.port], use }, async (proxy) => {
      expect(await toldBy(proxy)).toEqual({ code: 0, message: `${total} ${total * 20_000}` });
      expect(most).toBeLessThan(130_000);
      expect(proxy.stat('cluster.authz.upstream_flow_control_paused_reading_total')).toBeGreaterThan(0);
    });
  });

  test('is opened again when it ends, and when its server has gone and come back', async () => {
    let peer = await AuthzPeer.start({
      stream(call) {
        call.on('data', ({ versionInfo }: { versionInfo: string }) => {
          call.write(version(`${versionInfo}!`));
          if (versionInfo === 'bye') call.end();
        });
      },
    });
    const { port, handlers } = peer;
    const seen: string[] = [];
    let shared: GrpcReconnectingStream<typeof DiscoveryRequestSchema> | undefined;
    const send = (versionInfo: string) =>
      shared?.stream?.send(create(DiscoveryRequestSchema, { versionInfo }));
    const use: Use = (client, stream) => ({
      onRequestHeaders({ path }) {
        if (path === '/close') shared?.close();
        else
          shared ??= client.reconnectingStream(streamAggregatedResources, undefined, {
            onOpen: () => void seen.push('open'),
            onMessage: ({ versionInfo }) => void seen.push(versionInfo),
            onEnd: ({ code }) => void seen.push(`end ${code}`),
          });
        tell(stream, {});
      },
    });
    const retry_back_off = { base_interval: '0.005s', max_interval: '0.02s' };
    const service = { envoy_grpc: { cluster_name: 'authz', retry_policy: { retry_back_off } } };
    await withClient({ authz: [port], service, use }, async (proxy) => {
      await proxy.get('/open');
      send('hello');
      await eventually(() => expect(seen).toEqual(['open', 'hello!']));
      send('bye');
      await eventually(() => expect(seen).toEqual(['open', 'hello!', 'bye!', 'end 0', 'open']));
      await peer.stop();
      await eventually(() => seen.filter((event) => event === 'end 14').length > 0);
      peer = await AuthzPeer.start(handlers, { port });
      await eventually(() => {
        send('again');
        return seen.includes('again!');
      });
      await proxy.get('/close');
      await peer.stop();
    });
    expect(seen.at(-1)).toBe('again!');
  });
});
