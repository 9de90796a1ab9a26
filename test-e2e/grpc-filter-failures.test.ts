import { gunzipSync, gzipSync } from 'node:zlib';
import { constants, connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { eventually, Gate, within } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { nameOf, openClient, type Side } from './support/any-protocol.ts';
import { BOOKSTORE, Bookstore, DESCRIPTORS } from './support/bookstore.ts';
import type { Message } from './support/config.ts';
import { frame, framesOf, textFramesOf, webAnswerOf } from './support/grpc-bytes.ts';
import {
  connectBridge,
  grpcCluster,
  grpcRoute,
  grpcStats,
  grpcWeb,
  http1Bridge,
  jsonTranscoder,
  reverseBridge,
} from './support/grpc-config.ts';
import { GrpcCaller, GrpcPeer, metadata, SERVICE } from './support/grpc-peer.ts';
import { beginGrpc, Http2Peer } from './support/http2-peer.ts';
import { type ProxySetup, type TestProxy, withProxy } from './support/proxy.ts';

const SIDES: readonly Side[] = [
  { http: 1, tls: false },
  { http: 2, tls: false },
];
const NO_PEMS = { ca: '', cert: '', key: '', name: 'any.test' };
const MIB = 1024 * 1024;

const setupOf = (
  upstream: ProxySetup['upstream'],
  filters: readonly Message[],
  more: ProxySetup = {},
): ProxySetup => ({ upstream, upstreamFields: grpcCluster(), routes: [grpcRoute()], filters, ...more });

const transcoder = (more: Message = {}) =>
  jsonTranscoder({
    proto_descriptor_bin: DESCRIPTORS.toString('base64'),
    services: [BOOKSTORE],
    convert_grpc_status: true,
    ...more,
  });

/** A request of each protocol, and the filter that it needs. */
const CALLS: [string, Message, string, Record<string, string>, Buffer][] = [
  ['grpc-web', grpcWeb, `/${SERVICE}/ServerStream`, { 'content-type': 'application/grpc-web' }, frame('x')],
  [
    'grpc-web-text',
    grpcWeb,
    `/${SERVICE}/ServerStream`,
    { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' },
    Buffer.from(frame('x').toString('base64')),
  ],
  [
    'connect streaming',
    connectBridge,
    `/${SERVICE}/ServerStream`,
    { 'content-type': 'application/connect+proto' },
    frame('x'),
  ],
  ['transcoder', transcoder(), '/v1/shelves/1/books', {}, Buffer.alloc(0)],
];

describe.each(SIDES.map((side) => [nameOf(side), side] as const))('over %s', (_, side) => {
  test.each(CALLS)(
    '%s: an answer that is cut off is no complete one',
    async (_name, filter, path, headers, body) => {
      for (const how of ['resets', 'closes'] as const) {
        const upstream = await Http2Peer.start(({ stream, session }) => {
          beginGrpc(stream);
          stream.write(frame(Buffer.from([0x12, 1, 0x61])), () =>
            setImmediate(() =>
              how === 'resets' ? stream.close(constants.NGHTTP2_INTERNAL_ERROR) : session.destroy(),
            ),
          );
        });
        await withProxy(setupOf(upstream, [filter]), async (proxy) => {
          await using client = openClient(side, proxy.port, NO_PEMS);
          const method = body.length === 0 ? 'GET' : 'POST';
          const sent = client.send({ method, path, headers, ...(body.length === 0 ? {} : { body }) });
          await expect(within(sent, 'the end of it')).rejects.toThrow();
          expect((await proxy.log())[0]?.details).toMatch(/^upstream_reset_after_response_started/);
        });
      }
    },
  );

  test.each(CALLS)(
    '%s: a server that is cancelled, when the client goes away',
    async (_name, filter, path, headers, body) => {
      let closed = 0;
      const upstream = await Http2Peer.start(({ stream }) => {
        stream.on('close', () => closed++);
        beginGrpc(stream);
        stream.write(frame(Buffer.from([0x12, 1, 0x61])));
      });
      await withProxy(setupOf(upstream, [filter]), async (proxy) => {
        const method = body.length === 0 ? 'GET' : 'POST';
        if (side.http === 1) {
          await using client = await proxy.connect();
          const lines = Object.entries({ host: 'a', 'content-length': body.length + 1, ...headers });
          const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
          await client.write(`${method} ${path} HTTP/1.1\r\n${head}\r\n`, body);
          await eventually(() => upstream.exchanges.length === 1);
          // A FIN might be a half-close.
          client.reset();
        } else {
          await using client = openClient(side, proxy.port, NO_PEMS);
          const upload = client.begin({ method, path, headers });
          if (body.length > 0) upload.write(body);
          await eventually(() => upstream.exchanges.length === 1);
          upload.cut();
        }
        await eventually(() => closed === 1);
      });
    },
  );

  test('unary answers that are cut off are failures', async () => {
    const calls: [string, Message, string, Record<string, string>, Buffer, unknown[]][] = [
      [
        'connect',
        connectBridge,
        `/${SERVICE}/Unary`,
        { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
        Buffer.from('x'),
        [503, 'text/plain'],
      ],
      [
        'transcoder',
        transcoder(),
        '/v1/shelves/1/books',
        { 'content-type': 'application/json' },
        Buffer.from('{}'),
        [503, 'text/plain'],
      ],
      [
        'http1 bridge',
        http1Bridge(),
        `/${SERVICE}/Unary`,
        { 'content-type': 'application/grpc' },
        frame('x'),
        [200, 'application/grpc'],
      ],
    ];
    for (const [name, filter, path, headers, body, expected] of calls) {
      if (name === 'http1 bridge' && side.http === 2) continue;
      const upstream = await Http2Peer.start(({ stream }) => {
        beginGrpc(stream);
        stream.write(frame(Buffer.from([0x12, 1, 0x61])), () =>
          setImmediate(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR)),
        );
      });
      await withProxy(setupOf(upstream, [filter]), async (proxy) => {
        await using client = openClient(side, proxy.port, NO_PEMS);
        const answer = await client.send({ method: 'POST', path, headers, body });
        expect([name, answer.status, answer.headers['content-type']]).toEqual([name, ...expected]);
      });
    }
  });
});

test('bodies that come byte by byte', async () => {
  const peer = await GrpcPeer.start();
  const filters = [grpcWeb, connectBridge, http1Bridge({ upgrade_protobuf_to_grpc: true })];
  await withProxy(setupOf(peer, filters), async (proxy) => {
    await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
    const drip = async (headers: Record<string, string>, body: Buffer) => {
      const upload = client.begin({
        method: 'POST',
        path: `/${SERVICE}/Unary`,
        headers: { 'content-length': body.length, ...headers },
      });
      for (const byte of body) {
        upload.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return await within(upload.answer, 'the answer');
    };
    const web = await drip({ 'content-type': 'application/grpc-web' }, frame('hello'));
    expect(webAnswerOf(framesOf(web.body)).messages).toEqual(['hello']);
    const text = await drip(
      { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' },
      Buffer.from(frame('hello').toString('base64')),
    );
    expect(webAnswerOf(textFramesOf(text.body)).messages).toEqual(['hello']);
    const connect = await drip(
      { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
      Buffer.from('hello'),
    );
    expect(connect.body.toString()).toBe('hello');
    const upgraded = await drip({ 'content-type': 'application/x-protobuf' }, Buffer.from('hello'));
    expect(upgraded.body.toString()).toBe('hello');
  });
});

/** One request over HTTP/2 whose sides a test moves by itself. */
async function withHttp2(
  proxy: TestProxy,
  path: string,
  headers: Record<string, string>,
  body: (stream: ClientHttp2Stream, next: () => Promise<Buffer>) => Promise<void>,
): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${proxy.port}`);
  const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers', ...headers });
  stream.on('error', () => {});
  const reader = stream[Symbol.asyncIterator]();
  const next = async () => {
    const part = (await within(reader.next(), 'more of the answer')) as IteratorResult<Buffer>;
    return part.done === true ? Buffer.alloc(0) : part.value;
  };
  await body(stream, next);
  session.destroy();
}

describe('both directions at once', () => {
  test('connect', async () => {
    const peer = await GrpcPeer.start();
    await withProxy(setupOf(peer, [connectBridge]), async (proxy) => {
      const headers = { 'content-type': 'application/connect+proto' };
      await withHttp2(proxy, `/${SERVICE}/Bidi`, headers, async (stream, next) => {
        for (const word of ['one', 'two', 'three']) {
          stream.write(frame(word));
          expect(framesOf(await next()).map(({ message }) => message.toString())).toEqual([word]);
        }
        stream.end();
        const [end] = framesOf(await next());
        expect([end?.flags, end?.message.toString()]).toEqual([2, '{}']);
      });
    });
  });

  test('grpc-web and its text', async () => {
    const peer = await GrpcPeer.start();
    await withProxy(setupOf(peer, [grpcWeb]), async (proxy) => {
      const binary = { 'content-type': 'application/grpc-web' };
      await withHttp2(proxy, `/${SERVICE}/Bidi`, binary, async (stream, next) => {
        for (const word of ['one', 'two', 'three']) {
          stream.write(frame(word));
          expect(webAnswerOf(framesOf(await next())).messages).toEqual([word]);
        }
        stream.end();
        expect(webAnswerOf(framesOf(await next())).trailers).toMatchObject({ 'grpc-status': '0' });
      });
      const text = { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' };
      await withHttp2(proxy, `/${SERVICE}/Bidi`, text, async (stream, next) => {
        for (const word of ['one', 'two', 'three']) {
          stream.write(frame(word).toString('base64'));
          expect(webAnswerOf(textFramesOf(await next())).messages).toEqual([word]);
        }
        stream.end();
        expect(webAnswerOf(textFramesOf(await next())).trailers).toMatchObject({ 'grpc-status': '0' });
      });
    });
  });

  test('JSON', async () => {
    const store = await Bookstore.start();
    await withProxy(setupOf(store, [transcoder()]), async (proxy) => {
      const headers = { 'content-type': 'application/json' };
      await withHttp2(proxy, '/v1/books:price', headers, async (stream, next) => {
        let got = '';
        const until = async (text: string) => {
          while (!got.includes(text)) {
            const more = await next();
            if (more.length === 0) throw new Error(`the answer ends with ${got}`);
            got += more.toString();
          }
        };
        stream.write('[{"tit');
        stream.write('le":"a"}');
        await until('"price":1}');
        stream.write(',{"title":"bb"}');
        await until('"price":2}');
        stream.end(']');
        await until(']');
        expect(JSON.parse(got)).toEqual([
          { title: 'a', price: 1 },
          { title: 'bb', price: 2 },
        ]);
      });
    });
  });
});

describe('a slow reader of', () => {
  const total = 32;
  test.each([
    ['grpc-web', grpcWeb, { 'content-type': 'application/grpc-web' }],
    [
      'grpc-web-text',
      grpcWeb,
      { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' },
    ],
    ['connect', connectBridge, { 'content-type': 'application/connect+proto' }],
  ])('%s stops the server', async (name, filter, headers) => {
    let sent = 0;
    const peer = await GrpcPeer.start({
      serverStream(call) {
        for (let i = 0; i < total * 16; i++) {
          call.write(Buffer.alloc(MIB / 16, 'a'), () => {
            sent += MIB / 16;
          });
        }
        call.end();
      },
    });
    const windows = { initial_stream_window_size: 65_535, initial_connection_window_size: 65_535 };
    const setup = setupOf(peer, [filter], {
      upstreamFields: { ...grpcCluster(windows), per_connection_buffer_limit_bytes: 65_536 },
      listener: { per_connection_buffer_limit_bytes: 65_536 },
    });
    await withProxy(setup, async (proxy) => {
      const body = name === 'grpc-web-text' ? Buffer.from(frame('x').toString('base64')) : frame('x');
      const session = connectHttp2(`http://127.0.0.1:${proxy.port}`);
      const stream = session.request({ ':method': 'POST', ':path': `/${SERVICE}/ServerStream`, ...headers });
      stream.on('error', () => {});
      stream.end(body);
      await new Promise((resolve) => stream.once('response', resolve));
      let before = -1;
      let same = 0;
      await eventually(() => {
        same = sent === before ? same + 1 : 0;
        before = sent;
        return sent > 0 && same > 50;
      });
      expect(sent).toBeLessThan(4 * MIB);
      let received = 0;
      for await (const chunk of stream) received += (chunk as Buffer).length;
      expect(received).toBeGreaterThan(total * MIB);
      session.close();
    });
  });
});

describe('filters together', () => {
  test('a chain of all of them carries calls of every protocol', async () => {
    const peer = await GrpcPeer.start();
    const filters = [
      grpcStats({ stats_for_all_methods: true, emit_filter_state: true }),
      grpcWeb,
      connectBridge,
      http1Bridge({ upgrade_protobuf_to_grpc: true }),
      transcoder(),
    ];
    await withProxy(setupOf(peer, filters), async (proxy) => {
      const path = `/${SERVICE}/Unary`;
      {
        await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
        const send = async (headers: Record<string, string>, body: Buffer) =>
          (await client.send({ method: 'POST', path, headers, body })).body;
        const web = await send({ 'content-type': 'application/grpc-web+proto' }, frame('a'));
        expect(webAnswerOf(framesOf(web)).messages).toEqual(['a']);
        const connect = { 'content-type': 'application/proto', 'connect-protocol-version': '1' };
        expect((await send(connect, Buffer.from('b'))).toString()).toBe('b');
        const upgraded = await send({ 'content-type': 'application/x-protobuf' }, Buffer.from('c'));
        expect(upgraded.toString()).toBe('c');
        const bridged = await send({ 'content-type': 'application/grpc' }, frame('d'));
        expect(framesOf(bridged).map(({ message }) => message.toString())).toEqual(['d']);
        using caller = new GrpcCaller(proxy.port);
        const { code, messages } = await caller.unary('e');
        expect([code, messages.map(String)]).toEqual([0, ['e']]);
      }
    });
  });

  test('from gRPC to HTTP/1.1 and back to gRPC', async () => {
    const peer = await GrpcPeer.start({
      unary(call, done) {
        const code = Number(call.metadata.get('ask-code')[0] ?? 0);
        call.sendMetadata(metadata({ 'x-before': 'leading' }));
        if (code === 0) done(null, Buffer.from(`re:${call.request}`));
        else done({ code, details: 'as asked' });
      },
    });
    await withProxy(setupOf(peer, [http1Bridge()]), async (inner) => {
      // Its connection to the server is not the outer one's to end.
      await using client = openClient({ http: 1, tls: false }, inner.port, NO_PEMS);
      const headers = { 'content-type': 'application/grpc' };
      await client.send({ method: 'POST', path: `/${SERVICE}/Unary`, headers, body: frame('x') });
      const bridge = reverseBridge({ content_type: 'application/grpc+proto' });
      await withProxy(setupOf(inner.port, [bridge], { upstreamFields: {} }), async (outer) => {
        using caller = new GrpcCaller(outer.port);
        const ok = await caller.unary('hello');
        expect([ok.code, ok.messages.map(String), ok.headers?.get('x-before')]).toEqual([
          0,
          ['re:hello'],
          ['leading'],
        ]);
        // The status that the inner bridge has put into the headers goes before that of its 503.
        const failed = await caller.unary('hello', { metadata: metadata({ 'ask-code': '7' }) });
        expect([failed.code, failed.messages]).toEqual([7, []]);
      });
    });
  });

  test('compressed messages pass, and are known to Connect', async () => {
    let encoding: unknown;
    const peer = await Http2Peer.start((exchange) => {
      const { stream, headers } = exchange;
      encoding = headers['grpc-encoding'];
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const [request] = framesOf(Buffer.concat(parts));
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc+proto', 'grpc-encoding': 'gzip' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        const message = request?.flags === 1 ? gunzipSync(request.message) : request?.message;
        stream.end(frame(gzipSync(`re:${message}`), 1));
      });
    });
    await withProxy(setupOf(peer, [connectBridge]), async (proxy) => {
      await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
      const answer = await client.send({
        method: 'POST',
        path: `/${SERVICE}/Unary`,
        headers: {
          'content-type': 'application/proto',
          'connect-protocol-version': '1',
          'content-encoding': 'gzip',
          'accept-encoding': 'gzip',
        },
        body: gzipSync('hello'),
      });
      expect([answer.status, encoding, answer.headers['content-encoding']]).toEqual([200, 'gzip', 'gzip']);
      expect(gunzipSync(answer.body).toString()).toBe('re:hello');
    });
  });

  test('calls through bridges are retried', async () => {
    const calls: [string, Message, Record<string, string>, Buffer, string][] = [
      ['grpc-web', grpcWeb, { 'content-type': 'application/grpc-web' }, frame('hello'), 'hello'],
      [
        'connect',
        connectBridge,
        { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
        Buffer.from('hello'),
        'hello',
      ],
      [
        'http1 bridge',
        http1Bridge({ upgrade_protobuf_to_grpc: true }),
        { 'content-type': 'application/x-protobuf' },
        Buffer.from('hello'),
        'hello',
      ],
    ];
    for (const [name, filter, headers, body, expected] of calls) {
      let tries = 0;
      const peer = await GrpcPeer.start({
        unary(call, done) {
          if (++tries < 3) done({ code: 14, details: 'not now' });
          else done(null, call.request);
        },
      });
      const retry_policy = {
        retry_on: 'unavailable',
        num_retries: 3,
        retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
      };
      await withProxy(setupOf(peer, [filter], { routes: [grpcRoute({ retry_policy })] }), async (proxy) => {
        await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
        const answer = await client.send({ method: 'POST', path: `/${SERVICE}/Unary`, headers, body });
        expect([name, tries, answer.status]).toEqual([name, 3, 200]);
        expect(answer.body.toString('latin1')).toContain(expected);
      });
    }
  });

  test('an upload through a bridge stops at a server that does not read', async () => {
    const gate = new Gate();
    let received = 0;
    const peer = await GrpcPeer.start({
      async clientStream(call, done) {
        await gate.pass();
        call.on('data', (message: Buffer) => {
          received += message.length;
        });
        call.on('end', () => done(null, Buffer.from(String(received))));
      },
    });
    await withProxy(setupOf(peer, [grpcWeb]), async (proxy) => {
      const headers = { 'content-type': 'application/grpc-web-text' };
      await withHttp2(proxy, `/${SERVICE}/ClientStream`, headers, async (stream, next) => {
        let sent = 0;
        const message = frame(Buffer.alloc(30_000, 'a')).toString('base64');
        for (let i = 0; i < 500; i++)
          stream.write(message, () => {
            sent += 30_000;
          });
        stream.end();
        await eventually(() => proxy.stat('http.test.downstream_flow_control_paused_reading_total') > 0);
        expect(sent).toBeLessThan(10 * MIB);
        gate.open();
        expect(webAnswerOf(framesOf(await next())).messages).toEqual([String(500 * 30_000)]);
      });
    });
  });
});
