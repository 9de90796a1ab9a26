import { Gate, HttpUpstream, refusedPort, reply, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, nameOf, openClient, type Side } from './support/any-protocol.ts';
import { cluster, prefixRoute } from './support/config.ts';
import { type Frame, frame, framesOf, textFramesOf, webAnswerOf } from './support/grpc-bytes.ts';
import {
  connectBridge,
  grpcCluster,
  grpcRoute,
  grpcWeb,
  http1Bridge,
  reverseBridge,
} from './support/grpc-config.ts';
import { GrpcCaller, GrpcPeer, type Handlers, metadata, SERVICE } from './support/grpc-peer.ts';
import { withProxy } from './support/proxy.ts';
import { shareProxy } from './support/shared-proxy.ts';

const SIDES: readonly Side[] = [
  { http: 1, tls: false },
  { http: 2, tls: false },
];
const sides = SIDES.map((side) => [nameOf(side), side] as const);
const NO_PEMS = { ca: '', cert: '', key: '', name: 'any.test' };
const MIB = 1024 * 1024;

/** A client of one protocol for the tests of one `describe`. */
function shareClient(side: Side, port: () => number): { readonly client: Client } {
  const shared: { client: Client } = { client: undefined as unknown as Client };
  beforeAll(() => {
    shared.client = openClient(side, port(), NO_PEMS);
  });
  afterAll(() => shared.client[Symbol.asyncDispose]());
  return shared;
}

function shareCaller(port: () => number): { readonly caller: GrpcCaller } {
  const shared: { caller: GrpcCaller } = { caller: undefined as unknown as GrpcCaller };
  beforeAll(() => {
    shared.caller = new GrpcCaller(port());
  });
  afterAll(() => shared.caller[Symbol.dispose]());
  return shared;
}

/** Answers with metadata in front and behind, and what its own metadata asks for. */
const talkative: Partial<Handlers> = {
  unary(call, done) {
    const code = Number(call.metadata.get('ask-code')[0] ?? 0);
    const details = String(call.metadata.get('ask-message')[0] ?? '');
    const trailing = metadata({ 'x-after': 'trailing', 'after-bin': Buffer.from([1, 2, 3]) });
    const richError = call.metadata.get('ask-details')[0];
    if (richError !== undefined)
      trailing.set('grpc-status-details-bin', Buffer.from(String(richError), 'base64'));
    if (call.metadata.get('ask-headers').length > 0) call.sendMetadata(metadata({ 'x-before': 'leading' }));
    if (code !== 0) done({ code, details, metadata: trailing });
    else done(null, call.request, trailing);
  },
  serverStream(call) {
    const code = Number(call.metadata.get('ask-code')[0] ?? 0);
    for (const word of call.request.toString().split(' ')) call.write(Buffer.from(word));
    if (code === 0) call.end(metadata({ 'x-after': 'trailing' }));
    else
      call.emit('error', {
        code,
        details: 'behind messages',
        metadata: metadata({ 'x-after': 'trailing' }),
      });
  },
};

describe.each(sides)('grpc_web over %s', (_, side) => {
  let peer: GrpcPeer;
  const shared = shareProxy(async () => {
    peer = await GrpcPeer.start(talkative);
    return { upstream: peer, upstreamFields: grpcCluster(), filters: [grpcWeb], routes: [grpcRoute()] };
  });
  const own = shareClient(side, () => shared.proxy.port);

  /** A call in one of the two forms of bodies. */
  async function call(
    form: 'binary' | 'text',
    method: string,
    message: string | Buffer,
    headers: Record<string, string> = {},
  ) {
    const type = form === 'text' ? 'application/grpc-web-text' : 'application/grpc-web+proto';
    const body = frame(message);
    const answer = await own.client.send({
      method: 'POST',
      path: `/${SERVICE}/${method}`,
      headers: { 'content-type': type, accept: type, 'x-grpc-web': '1', ...headers },
      body: form === 'text' ? Buffer.from(body.toString('base64')) : body,
    });
    const frames: Frame[] = form === 'text' ? textFramesOf(answer.body) : framesOf(answer.body);
    return { answer, frames, ...webAnswerOf(frames) };
  }

  describe.each(['binary', 'text'] as const)('%s', (form) => {
    const type = `application/grpc-web${form === 'text' ? '-text' : ''}+proto`;

    test('unary, with metadata on both ends', async () => {
      const { answer, messages, trailers } = await call(form, 'Unary', 'hello', { 'ask-headers': 'yes' });
      expect([answer.status, answer.headers['content-type'], answer.headers['x-before']]).toEqual([
        200,
        type,
        'leading',
      ]);
      expect(messages).toEqual(['hello']);
      expect(trailers).toEqual({
        'grpc-status': '0',
        'grpc-message': 'OK',
        'x-after': 'trailing',
        'after-bin': Buffer.from([1, 2, 3]).toString('base64'),
      });
      expect(answer.trailers).toEqual({});
    });

    test('server streaming', async () => {
      const { answer, messages, trailers } = await call(form, 'ServerStream', 'one two three');
      expect([answer.status, messages, trailers?.['grpc-status']]).toEqual([
        200,
        ['one', 'two', 'three'],
        '0',
      ]);
    });

    test('an error of trailers only stays in the headers', async () => {
      const { answer, frames } = await call(form, 'Unary', '', {
        'ask-code': '5',
        'ask-message': 'not here',
      });
      expect([answer.status, answer.headers['content-type'], frames]).toEqual([200, type, []]);
      expect(answer.headers).toMatchObject({
        'grpc-status': '5',
        'grpc-message': 'not%20here',
        'x-after': 'trailing',
      });
    });

    test('an error behind headers, or messages, is the last frame', async () => {
      const first = await call(form, 'Unary', '', { 'ask-code': '7', 'ask-headers': 'yes' });
      expect([first.answer.status, first.messages, first.trailers?.['grpc-status']]).toEqual([200, [], '7']);
      const second = await call(form, 'ServerStream', 'a b', { 'ask-code': '9' });
      expect([second.messages, second.trailers]).toEqual([
        ['a', 'b'],
        { 'grpc-status': '9', 'grpc-message': 'behind%20messages', 'x-after': 'trailing' },
      ]);
    });

    test('a message of 1 MiB there and back', async () => {
      const message = Buffer.alloc(MIB, 'abcdefg');
      const { frames } = await call(form, 'Unary', message);
      expect(frames[0]?.message.equals(message)).toBe(true);
    });
  });

  test('the answer is binary where the client does not ask for text', async () => {
    const { body, headers } = await own.client.send({
      method: 'POST',
      path: `/${SERVICE}/Unary`,
      headers: { 'content-type': 'application/grpc-web-text+proto' },
      // Two pieces, each encoded for itself.
      body: Buffer.concat(
        [frame('pieces').subarray(0, 7), frame('pieces').subarray(7)].map((piece) =>
          Buffer.from(piece.toString('base64')),
        ),
      ),
    });
    expect(headers['content-type']).toBe('application/grpc-web+proto');
    expect(webAnswerOf(framesOf(body)).messages).toEqual(['pieces']);
  });

  test('a text that is none is refused', async () => {
    const refused = async (body: string) => {
      const { status, headers } = await own.client.send({
        method: 'POST',
        path: `/${SERVICE}/Unary`,
        headers: { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' },
        body: Buffer.from(body),
      });
      return [status, headers['grpc-status'], headers['grpc-message']];
    };
    const inHeaders = [400, '13', 'Bad gRPC-web request, invalid base64 data.'];
    expect(await refused('AAAA!AAA')).toEqual(inHeaders);
    expect(await refused('AAAAA')).toEqual(inHeaders);
  });

  test('is counted by method', () => {
    const counted = shared.proxy.used(/^cluster\.upstream\.grpc-web\./);
    expect(counted).toMatchObject({
      'cluster.upstream.grpc-web.test.Peer.ServerStream.0': 2,
      'cluster.upstream.grpc-web.test.Peer.ServerStream.9': 2,
      'cluster.upstream.grpc-web.test.Peer.ServerStream.failure': 2,
      'cluster.upstream.grpc-web.test.Peer.ServerStream.total': 4,
      'cluster.upstream.grpc-web.test.Peer.Unary.5': 2,
      'cluster.upstream.grpc-web.test.Peer.Unary.7': 2,
    });
  });
});

describe('grpc_web', () => {
  test('messages go out as they come', async () => {
    const gate = new Gate();
    const peer = await GrpcPeer.start({
      async serverStream(call) {
        call.write(Buffer.from('first'));
        await gate.pass();
        call.end();
      },
    });
    const setup = { upstream: peer, upstreamFields: grpcCluster(), filters: [grpcWeb] };
    await withProxy({ ...setup, routes: [grpcRoute()] }, async (proxy) => {
      const answer = await fetch(`http://127.0.0.1:${proxy.port}/${SERVICE}/ServerStream`, {
        method: 'POST',
        headers: { 'content-type': 'application/grpc-web', connection: 'close' },
        body: frame('x'),
      });
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      const first = await within(reader.read(), 'the first message');
      expect(webAnswerOf(framesOf(Buffer.from(first.value as Uint8Array))).messages).toEqual(['first']);
      gate.open();
      const rest: Uint8Array[] = [];
      for (let part = await reader.read(); !part.done; part = await reader.read()) rest.push(part.value);
      expect(webAnswerOf(framesOf(Buffer.concat(rest))).trailers).toMatchObject({ 'grpc-status': '0' });
    });
  });

  test('failures of the proxy, and answers that are not gRPC, have a status', async () => {
    const upstream = await HttpUpstream.start(
      reply({ status: 503, body: 'out of\norder', headers: { 'content-type': 'text/plain' } }),
    );
    const routes = [prefixRoute('/down.', 'down'), prefixRoute('/', 'upstream')];
    const clusters = [cluster('down', [])];
    await withProxy({ upstream, clusters, routes, filters: [grpcWeb] }, async (proxy) => {
      await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
      const send = async (path: string) => {
        const headers = { 'content-type': 'application/grpc-web' };
        const answer = await client.send({ method: 'POST', path, headers, body: frame('x') });
        return [
          answer.status,
          answer.headers['content-type'],
          answer.headers['grpc-status'],
          answer.headers['grpc-message'],
          answer.body.length,
        ];
      };
      const type = 'application/grpc-web+proto';
      expect(await send('/down.Peer/Call')).toEqual([503, type, '14', 'no healthy upstream', 0]);
      expect(await send('/up.Peer/Call')).toEqual([503, type, '14', 'out of%0Aorder', 0]);
    });
  });
});

/** `google.rpc.Status` with one detail of `test.Fact`, in base64. */
const RICH = (() => {
  const field = (tag: number, bytes: Buffer) => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  const any = Buffer.concat([
    field(0x0a, Buffer.from('type.googleapis.com/test.Fact')),
    field(0x12, Buffer.from([8, 42])),
  ]);
  return Buffer.concat([Buffer.from([8, 3]), field(0x1a, any)]).toString('base64');
})();

describe.each(sides)('connect_grpc_bridge over %s', (_, side) => {
  let peer: GrpcPeer;
  const shared = shareProxy(async () => {
    peer = await GrpcPeer.start({
      ...talkative,
      bidi(call) {
        call.on('data', (message: Buffer) => call.write(Buffer.from(`re:${message}`)));
        call.on('end', () => call.end());
      },
    });
    return {
      upstream: peer,
      upstreamFields: grpcCluster(),
      clusters: [cluster('down', [])],
      filters: [connectBridge],
      routes: [prefixRoute('/down.', 'down'), grpcRoute()],
    };
  });
  const own = shareClient(side, () => shared.proxy.port);

  const unary = (body: string | Buffer, headers: Record<string, string> = {}, path = `/${SERVICE}/Unary`) =>
    own.client.send({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/proto', 'connect-protocol-version': '1', ...headers },
      body: Buffer.from(body),
    });
  const streaming = (method: string, body: Buffer, headers: Record<string, string> = {}) =>
    own.client.send({
      method: 'POST',
      path: `/${SERVICE}/${method}`,
      headers: { 'content-type': 'application/connect+proto', ...headers },
      body,
    });

  test('unary POST: bare messages, trailers among the headers', async () => {
    const answer = await unary('hello', { 'ask-headers': 'yes', 'connect-timeout-ms': '60000' });
    expect([answer.status, answer.body.toString()]).toEqual([200, 'hello']);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/proto',
      'x-before': 'leading',
      'trailer-x-after': 'trailing',
      'trailer-after-bin': 'AQID',
    });
    expect(answer.headers['grpc-status']).toBeUndefined();
    expect(answer.trailers).toEqual({});
    expect(peer.calls.at(-1)?.getMap()).not.toHaveProperty('connect-protocol-version');
  });

  test('an empty message, and one of 512 KiB', async () => {
    const empty = await unary('');
    expect([empty.status, empty.body.length]).toEqual([200, 0]);
    const large = Buffer.alloc(MIB / 2, 'abcdefg');
    expect((await unary(large)).body.equals(large)).toBe(true);
  });

  test('unary GET', async () => {
    const message = Buffer.from([0, 250, 251, 252, 62, 63]);
    const query = `connect=v1&encoding=proto&base64=1&message=${message.toString('base64url')}`;
    const answer = await own.client.send({ path: `/${SERVICE}/Unary?${query}` });
    expect([answer.status, answer.headers['content-type'], answer.body.equals(message)]).toEqual([
      200,
      'application/proto',
      true,
    ]);
    const plain = await own.client.send({
      path: `/${SERVICE}/Unary?message=%7B%22a%22%3A%201%7D&encoding=json&connect=v1`,
    });
    expect([plain.status, plain.body.toString()]).toEqual([200, '{"a": 1}']);
  });

  test.each([
    [3, 400, 'invalid_argument'],
    [4, 408, 'deadline_exceeded'],
    [5, 404, 'not_found'],
    [14, 503, 'unavailable'],
    [16, 401, 'unauthenticated'],
  ])('gRPC status %i is %i, %s', async (code, status, name) => {
    const ways: Record<string, string>[] = [{}, { 'ask-headers': 'yes' }];
    for (const asked of ways) {
      const answer = await unary('x', {
        'ask-code': `${code}`,
        'ask-message': 'it failed: 100%',
        'ask-details': RICH,
        ...asked,
      });
      expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/json']);
      expect(JSON.parse(answer.body.toString())).toEqual({
        code: name,
        message: 'it failed: 100%',
        details: [{ type: expect.stringMatching(/test\.Fact$/), value: expect.stringMatching(/^CCo=?$/) }],
      });
    }
  });

  test('a failure of the proxy is no answer of gRPC, and passes as it is', async () => {
    const answer = await unary('x', {}, '/down.Peer/Unary');
    expect([answer.status, answer.headers['content-type'], answer.body.toString()]).toEqual([
      503,
      'text/plain',
      'no healthy upstream',
    ]);
  });

  test('server streaming ends with an envelope', async () => {
    const answer = await streaming('ServerStream', frame('one two three'));
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/connect+proto']);
    const frames = framesOf(answer.body);
    expect(frames.map(({ flags }) => flags)).toEqual([0, 0, 0, 2]);
    expect(frames.slice(0, 3).map(({ message }) => message.toString())).toEqual(['one', 'two', 'three']);
    expect(JSON.parse(String(frames[3]?.message))).toEqual({ metadata: { 'x-after': ['trailing'] } });
    expect(answer.trailers).toEqual({});
  });

  test('server streaming that fails, behind messages and before them', async () => {
    const late = framesOf((await streaming('ServerStream', frame('a'), { 'ask-code': '8' })).body);
    expect(late.map(({ flags }) => flags)).toEqual([0, 2]);
    expect(JSON.parse(String(late[1]?.message))).toEqual({
      error: { code: 'resource_exhausted', message: 'behind messages' },
      metadata: { 'x-after': ['trailing'] },
    });
    const missing = await streaming('Missing', frame('a'));
    const [last, ...others] = framesOf(missing.body);
    expect([missing.status, last?.flags, others]).toEqual([200, 2, []]);
    expect(JSON.parse(String(last?.message)).error.code).toBe('unimplemented');
  });

  test('several messages each way', async () => {
    const answer = await streaming('Bidi', Buffer.concat([frame('a'), frame('b')]));
    const frames = framesOf(answer.body);
    expect(frames.map(({ flags, message }) => [flags, message.toString()])).toEqual([
      [0, 're:a'],
      [0, 're:b'],
      [2, '{}'],
    ]);
  });
});

describe('connect_grpc_bridge', () => {
  test('a timeout becomes that of gRPC', async () => {
    const peer = await GrpcPeer.start({ unary() {} });
    const route = grpcRoute({ max_stream_duration: { grpc_timeout_header_max: '0s' } });
    const setup = { upstream: peer, upstreamFields: grpcCluster(), filters: [connectBridge] };
    await withProxy({ ...setup, routes: [route] }, async (proxy) => {
      await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
      const answer = await client.send({
        method: 'POST',
        path: `/${SERVICE}/Unary`,
        headers: {
          'content-type': 'application/proto',
          'connect-protocol-version': '1',
          'connect-timeout-ms': '50',
        },
        body: Buffer.from('x'),
      });
      expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([408, 'deadline_exceeded']);
    });
  });
});

describe('grpc_http1_bridge', () => {
  let peer: GrpcPeer;
  const shared = shareProxy(async () => {
    peer = await GrpcPeer.start(talkative);
    const filters = [http1Bridge({ upgrade_protobuf_to_grpc: true, ignore_query_parameters: true })];
    return { upstream: peer, upstreamFields: grpcCluster(), filters, routes: [grpcRoute()] };
  });
  const own = shareClient({ http: 1, tls: false }, () => shared.proxy.port);

  const send = (body: Buffer, headers: Record<string, string> = {}, query = '') =>
    own.client.send({
      method: 'POST',
      path: `/${SERVICE}/Unary${query}`,
      headers: { 'content-type': 'application/grpc', ...headers },
      body,
    });

  test('the status of the trailers is in the headers, with the length of the body', async () => {
    const answer = await send(frame('hello'), { 'ask-headers': 'yes' }, '?debug=1');
    expect([answer.status, framesOf(answer.body).map(({ message }) => message.toString())]).toEqual([
      200,
      ['hello'],
    ]);
    expect(answer.headers).toMatchObject({
      'grpc-status': '0',
      'content-length': '10',
      'content-type': expect.stringMatching(/^application\/grpc/),
      'x-before': 'leading',
    });
  });

  test('a call that fails behind its headers is a 503, one of trailers only keeps its 200', async () => {
    const behind = await send(frame('x'), {
      'ask-code': '9',
      'ask-message': 'no, no',
      'ask-headers': 'yes',
    });
    expect([behind.status, behind.headers['grpc-status'], behind.headers['grpc-message']]).toEqual([
      503,
      '9',
      'no,%20no',
    ]);
    const only = await send(frame('x'), { 'ask-code': '9' });
    expect([only.status, only.headers['grpc-status']]).toEqual([200, '9']);
  });

  test('protobuf is framed, and the answer is bare', async () => {
    const message = Buffer.alloc(MIB / 2, 'abcdefg');
    for (const body of [Buffer.from('hello'), message]) {
      const answer = await send(body, { 'content-type': 'application/x-protobuf' });
      expect([answer.status, answer.headers['grpc-status'], answer.body.equals(body)]).toEqual([
        200,
        '0',
        true,
      ]);
    }
  });

  test('an answer above the limit is status 2', async () => {
    const limited = await GrpcPeer.start();
    const setup = {
      upstream: limited,
      upstreamFields: grpcCluster(),
      filters: [http1Bridge()],
      routes: [grpcRoute()],
      listener: { per_connection_buffer_limit_bytes: 50_000 },
    };
    await withProxy(setup, async (proxy) => {
      await using client = openClient({ http: 1, tls: false }, proxy.port, NO_PEMS);
      const answer = await client.send({
        method: 'POST',
        path: `/${SERVICE}/Unary`,
        headers: { 'content-type': 'application/grpc' },
        body: frame(Buffer.alloc(200_000)),
      });
      // To a request of gRPC's, it is a status of gRPC's.
      expect([answer.status, answer.headers['grpc-status']]).toEqual([200, '2']);
      expect((await proxy.log())[0]).toMatchObject({ details: 'response_payload_too_large' });
    });
  });

  test('calls over HTTP/2 pass as they are', async () => {
    using caller = new GrpcCaller(shared.proxy.port);
    const { code, messages, trailers } = await caller.unary('as it is');
    expect([code, messages.map(String), trailers.get('x-after')]).toEqual([0, ['as it is'], ['trailing']]);
  });
});

describe('grpc_http1_reverse_bridge', () => {
  const TYPE = 'application/x-protobuf';
  let upstream: HttpUpstream;
  let plain: GrpcPeer;
  const start = (config: object) => async () => {
    upstream = await HttpUpstream.start();
    plain = await GrpcPeer.start();
    return {
      upstream,
      clusters: [cluster('grpc', [plain.port], grpcCluster()), cluster('refused', [await refusedPort()])],
      filters: [reverseBridge({ content_type: TYPE, ...config })],
      routes: [
        {
          match: { prefix: `/${SERVICE}/ClientStream` },
          route: { cluster: 'grpc' },
          typed_per_filter_config: {
            'envoy.filters.http.grpc_http1_reverse_bridge': {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfigPerRoute',
              disabled: true,
            },
          },
        },
        prefixRoute(`/${SERVICE}/ServerStream`, 'refused'),
        prefixRoute('/', 'upstream'),
      ],
    };
  };

  describe('without frames', () => {
    const shared = shareProxy(start({ withhold_grpc_frames: true }), () => [plain]);
    const own = shareCaller(() => shared.proxy.port);

    test('a bare message there and back', async () => {
      upstream.answer = async ({ request, response }) => {
        response.writeHead(200, { 'content-type': TYPE, 'x-from': 'http' });
        response.end(`re:${await request.body}`);
      };
      const { code, messages, headers } = await own.caller.unary('hello');
      expect([code, messages.map(String), headers?.get('x-from')]).toEqual([0, ['re:hello'], ['http']]);
      const request = upstream.requests.at(-1);
      expect([request?.version, request?.header('content-type'), request?.header('accept')]).toEqual([
        '1.1',
        TYPE,
        TYPE,
      ]);
      expect((await request?.body)?.toString()).toBe('hello');
    });

    test('512 KiB there and back', async () => {
      upstream.answer = ({ message, response }) => {
        response.writeHead(200, { 'content-type': TYPE });
        message.pipe(response);
      };
      const large = Buffer.alloc(MIB / 2, 'abcdefg');
      const { code, messages } = await own.caller.unary(large);
      expect([code, messages[0]?.equals(large)]).toEqual([0, true]);
    });

    test.each([
      [400, 13],
      [401, 16],
      [403, 7],
      [404, 12],
      [503, 14],
      [500, 2],
    ])('%i is status %i', async (status, code) => {
      upstream.answer = reply({ status, headers: { 'content-type': TYPE } });
      expect((await own.caller.unary('x')).code).toBe(code);
    });

    test('an answer of another type is none, the proxy’s own among them', async () => {
      upstream.answer = reply({ body: '<html>', headers: { 'content-type': 'text/html' } });
      const { code, details } = await own.caller.unary('x');
      expect([code, details]).toEqual([
        2,
        'envoy reverse bridge: upstream responded with unsupported content-type text/html, status code 200',
      ]);
      const refused = await own.caller.serverStream('x').outcome;
      expect([refused.code, refused.details]).toEqual([
        2,
        'envoy reverse bridge: upstream responded with unsupported content-type application/grpc, status code 200',
      ]);
    });

    test('a route without it is plain gRPC', async () => {
      const { call, outcome } = own.caller.clientStream();
      call.write(Buffer.from('a'));
      call.write(Buffer.from('b'));
      call.end();
      const { code, messages } = await outcome;
      expect([code, messages.map(String)]).toEqual([0, ['ab']]);
    });
  });

  describe('without frames, with the size in a header', () => {
    const SIZE = 'x-size';
    const config = { withhold_grpc_frames: true, response_size_header: SIZE };
    const shared = shareProxy(start(config), () => [plain]);
    const own = shareCaller(() => shared.proxy.port);

    test('the answer passes as it comes', async () => {
      upstream.answer = reply({
        headers: { 'content-type': TYPE, [SIZE]: '11' },
        body: ['hello', ' ', 'world'],
      });
      const { code, messages } = await own.caller.unary('x');
      expect([code, messages.map(String)]).toEqual([0, ['hello world']]);
    });

    test('no size, or a wrong one', async () => {
      upstream.answer = reply({ headers: { 'content-type': TYPE }, body: 'hello' });
      const none = await own.caller.unary('x');
      expect([none.code, none.details]).toEqual([
        13,
        'envoy reverse bridge: upstream did not set content length',
      ]);
      upstream.answer = reply({ headers: { 'content-type': TYPE, [SIZE]: '6' }, body: 'hello' });
      const wrong = await own.caller.unary('x');
      expect([wrong.code, wrong.messages]).toEqual([13, []]);
    });
  });

  describe('with frames', () => {
    const shared = shareProxy(start({}), () => [plain]);
    const own = shareCaller(() => shared.proxy.port);

    test('bodies pass as they are, and trailers are made', async () => {
      upstream.answer = async ({ request, response }) => {
        response.writeHead(200, { 'content-type': TYPE });
        response.end(await request.body);
      };
      const { code, messages } = await own.caller.unary('framed');
      expect([code, messages.map(String)]).toEqual([0, ['framed']]);
    });
  });
});
