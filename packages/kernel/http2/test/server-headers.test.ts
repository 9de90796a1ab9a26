import {
  FIRST_DYNAMIC_INDEX,
  type FieldLines,
  frames,
  Http2Code,
  Http2Setting,
  hpack,
  requestBlock,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type Exchange, responseOf, ServerRig, type ServerRigOptions, trailersOf } from './server-rig.ts';

const HEAD: FieldLines = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a.test'],
];

/** A rig that got one request with these fields besides `HEAD`. */
async function ask(fields: FieldLines, options: ServerRigOptions = {}, head = HEAD): Promise<ServerRig> {
  const rig = new ServerRig(options);
  await rig.settle();
  return await rig.send(frames.block(1, hpack.block([...head, ...fields]), { endStream: true }));
}

const lines = ({ headers }: Exchange): string[] =>
  headers.names.map((name, i) => `${name}: ${headers.values[i]}`);

/** @param details what the handler is told; undefined where nghttp2 refuses the request, which no handler sees */
async function expectRefused(rig: ServerRig, code: number, details?: string): Promise<void> {
  expect(rig.exchanges.map(({ events }) => events)).toEqual(
    details === undefined ? [] : [[`reset:protocol-error:${details}`]],
  );
  rig.exchanges.length = 0;
  expect(rig.client.response(1)).toMatchObject({ reset: code, status: 0, ended: false });
  expect(rig.stat('streams_active')).toBe(0);
  // The connection goes on.
  rig.client.request(3);
  await rig.settle();
  expect(rig.exchanges).toHaveLength(1);
  expect(rig.events.filter((event) => event !== 'stream-complete')).toEqual([]);
}

describe('request headers', () => {
  it('pseudo-headers become fields, lines keep their order and their bytes', async () => {
    const rig = await ask([
      ['x-b', '2'],
      ['accept', 'a/b'],
      ['x-a', ''],
      ['x-b', '\xff\x80 tab\tin'],
      ['x-b', '3'],
    ]);
    const { exchange } = rig;
    expect(exchange.protocol).toBe('HTTP/2');
    expect(exchange.events).toEqual(['headers!']);
    const { headers } = exchange;
    expect([headers.method, headers.scheme, headers.path, headers.authority]).toEqual([
      'GET',
      'http',
      '/',
      'a.test',
    ]);
    expect(lines(exchange)).toEqual(['x-b: 2', 'accept: a/b', 'x-a: ', 'x-b: \xff\x80 tab\tin', 'x-b: 3']);
  });

  it('cookie crumbs are one line again', async () => {
    const rig = await ask([
      ['cookie', 'a=1'],
      ['x', 'y'],
      ['cookie', 'b=2'],
      ['cookie', 'c=3; d=4'],
    ]);
    expect(lines(rig.exchange)).toEqual(['x: y', 'cookie: a=1; b=2; c=3; d=4']);
  });

  it.each<[what: string, head: FieldLines, fields: FieldLines, authority: string]>([
    ['host alone', HEAD.slice(0, 3), [['host', 'h.test']], 'h.test'],
    ['both, and the same', HEAD, [['host', 'a.test']], 'a.test'],
    ['both, and different', HEAD, [['host', 'other.test']], 'a.test'],
  ])('%s: the authority is one, and host is no line', async (_, head, fields, authority) => {
    const rig = await ask(fields, {}, head);
    expect(rig.exchange.headers.authority).toBe(authority);
    expect(lines(rig.exchange)).toEqual([]);
  });

  it('neither host nor :authority: what lies above answers', async () => {
    const rig = await ask([], {}, HEAD.slice(0, 3));
    // nghttp2 asks for one of them.
    expect(rig.client.response(1).reset ?? rig.exchange.headers.authority).toBe(Http2Code.protocolError);
  });

  it('te: trailers passes', async () => {
    expect(lines((await ask([['te', 'trailers']])).exchange)).toEqual(['te: trailers']);
  });

  it.each<[string, string]>([
    ['te', 'gzip'],
    ['te', 'trailers, gzip'],
    ['connection', 'close'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'keep-alive'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'websocket'],
    ['X-Upper', '1'],
    [':authority', ''],
    [':unknown', '1'],
    [':status', '200'],
    [':path', '/two'],
    ['content-length', 'x'],
    ['content-length', '-1'],
  ])('%j: %j is malformed: PROTOCOL_ERROR, that stream alone', async (name, value) => {
    const rig = await ask([[name, value]]);
    await expectRefused(rig, Http2Code.protocolError);
  });

  // RFC 9113 has the request refused. nghttp2 drops the field, and does not say so.
  it.each<[string, string]>([
    ['x-v', 'a\rb'],
    ['x-v', 'a\nb'],
    ['x-v', 'a\0b'],
    ['x-v', 'a\r\nx-smuggled: 1'],
    ['x-v', ' leading'],
    ['x-v', 'trailing\t'],
    ['x y', '1'],
    ['x\0y', '1'],
    ['x\r\ny', '1'],
    ['', '1'],
    ['x:y', '1'],
  ])('%j: %j never reaches the handler', async (name, value) => {
    const rig = await ask([[name, value]]);
    expect(rig.exchanges.flatMap(lines)).toEqual([]);
  });

  it('content-length that the body does not keep resets the stream, and never ends the request', async () => {
    const rig = new ServerRig();
    rig.client.request(1, { ':method': 'POST', 'content-length': '5' }, false);
    await rig.send(frames.data(1, 'abc', { endStream: true }));
    expect(rig.client.response(1).reset).toBe(Http2Code.protocolError);
    expect(rig.exchange.ends).toBe(1);
    expect(rig.exchange.reset).toBe('protocol-error:http2.violation.of.messaging.rule');
    expect([rig.stat('rx_messaging_error'), rig.stat('tx_reset'), rig.stat('rx_reset')]).toEqual([1, 1, 0]);
  });
});

describe('names with underscores', () => {
  const fields: FieldLines = [
    ['x_a', '1'],
    ['x-b', '2'],
    ['x_c', '3'],
  ];

  it('allow: they pass', async () => {
    expect(lines((await ask(fields)).exchange)).toEqual(['x_a: 1', 'x-b: 2', 'x_c: 3']);
  });

  it('drop: they are counted and gone', async () => {
    const rig = await ask(fields, { options: { headersWithUnderscores: 'drop' } });
    expect(lines(rig.exchange)).toEqual(['x-b: 2']);
    expect(rig.stat('dropped_headers_with_underscores')).toBe(2);
  });

  it('reject: the stream is refused', async () => {
    const rig = await ask(fields, { options: { headersWithUnderscores: 'reject' } });
    expect(rig.stat('requests_rejected_with_underscores_in_headers')).toBe(1);
    expect(rig.stat('tx_reset')).toBe(1);
    await expectRefused(rig, Http2Code.internalError, 'http2.unexpected_underscore');
  });

  it.each(['drop', 'reject'] as const)('%s: trailers have none either', async (headersWithUnderscores) => {
    const rig = new ServerRig({ options: { headersWithUnderscores } });
    rig.client.request(1, { ':method': 'POST' }, false);
    await rig.send(
      frames.headers(
        1,
        hpack.block([
          ['x_t', '1'],
          ['x-t', '2'],
        ]),
        { endStream: true },
      ),
    );
    if (headersWithUnderscores === 'drop') expect(rig.exchange.trailers?.names).toEqual(['x-t']);
    else expect(rig.exchange.reset).toMatch(/^protocol-error:http2\.unexpected_underscore/);
    expect(rig.exchange.ends).toBe(1);
  });
});

describe('limits', () => {
  const many = (count: number): FieldLines => Array.from({ length: count }, (_, i) => [`x-${i}`, 'v']);

  it('as many lines as max_headers_count pass, pseudo-headers not counted', async () => {
    expect((await ask(many(100))).exchange.headers.names).toHaveLength(100);
  });

  it.each([101, 102, 107, 150, 1000])('%i lines: the stream is reset and it is counted', async (count) => {
    const rig = await ask(many(count));
    // What is far beyond Node refuses itself, and does not tell.
    const near = count <= 102;
    expect(rig.stat('header_overflow')).toBe(near ? 1 : 0);
    await expectRefused(rig, Http2Code.enhanceYourCalm, near ? 'http2.too_many_headers' : undefined);
  });

  it('as many bytes as max_request_headers_kb pass', async () => {
    const head = HEAD.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    const fits = await ask([['x', 'v'.repeat(60 * 1024 - head - 1)]]);
    expect(fits.exchange.events).toEqual(['headers!']);
    const rig = await ask([['x', 'v'.repeat(60 * 1024 - head)]]);
    expect(rig.stat('header_overflow')).toBe(1);
    await expectRefused(rig, Http2Code.enhanceYourCalm, 'http2.too_many_headers');
  });

  it('decoded bytes count: many references to one large entry are a bomb', async () => {
    const rig = new ServerRig();
    const large = hpack.remembered('x-large', 'v'.repeat(3900));
    rig.client.send(frames.headers(1, Buffer.concat([requestBlock(), large]), { endStream: true }));
    await rig.settle();
    expect(rig.exchanges).toHaveLength(1);
    const bomb = Buffer.concat([requestBlock(), Buffer.alloc(5000, hpack.indexed(FIRST_DYNAMIC_INDEX))]);
    await rig.send(frames.headers(3, bomb, { endStream: true }));
    expect(rig.exchanges).toHaveLength(1);
    expect(rig.client.response(3).reset).toBe(Http2Code.enhanceYourCalm);
    rig.client.request(5);
    await rig.settle();
    expect(rig.exchanges).toHaveLength(2);
  });

  it.each([
    [8, undefined],
    [9, Http2Code.internalError],
  ])('%i CONTINUATIONs', async (count, code) => {
    const rig = new ServerRig();
    const block = Buffer.concat([requestBlock(), hpack.literal('x-pad', 'v'.repeat(1000))]);
    await rig.send(frames.block(1, block, { endStream: true }, Math.ceil(block.length / (count + 1))));
    expect(rig.client.goaway?.code).toBe(code);
    expect(rig.exchanges).toHaveLength(code === undefined ? 1 : 0);
  });

  it('so do cookie crumbs, which become one line', async () => {
    const rig = new ServerRig();
    const crumb = hpack.remembered('cookie', `${'c'.repeat(3000)}=1`);
    rig.client.send(frames.headers(1, Buffer.concat([requestBlock(), crumb]), { endStream: true }));
    const bomb = Buffer.concat([requestBlock(), Buffer.alloc(2000, hpack.indexed(FIRST_DYNAMIC_INDEX))]);
    await rig.send(frames.headers(3, bomb, { endStream: true }));
    expect(rig.exchanges).toHaveLength(1);
    expect(rig.client.response(3).reset).toBe(Http2Code.enhanceYourCalm);
  });

  it('the limits, windows and switches are those that the client is told', async () => {
    const rig = new ServerRig({
      options: {
        maxConcurrentStreams: 7,
        initialStreamWindowSize: 100_000,
        hpackTableSize: 0,
        allowConnect: true,
        customSettings: { 153: 42 },
        maxHeaderBytes: 1000,
        maxHeaderCount: 10,
      },
    });
    await rig.settle();
    expect(rig.client.serverSettings).toEqual({
      [Http2Setting.headerTableSize]: 0,
      [Http2Setting.maxConcurrentStreams]: 7,
      [Http2Setting.initialWindowSize]: 100_000,
      [Http2Setting.maxHeaderListSize]: 1000 + 15 * 32,
      [Http2Setting.enableConnectProtocol]: 1,
      153: 42,
    });
    const [window] = rig.client.framesOf(8, 0);
    expect(window?.payload.readUInt32BE()).toBe(1024 * 1024 - 65_535);
  });

  it('hpack_table_size 0: the response does not use a table either', async () => {
    const rig = new ServerRig({
      options: { hpackTableSize: 0 },
      onRequest: (exchange) => exchange.respond(200, { 'x-same': 'value '.repeat(10) }),
    });
    rig.client.request(1).request(3);
    await rig.settle();
    const [first, second] = [1, 3].map((id) => rig.client.framesOf(1, id)[0]?.payload.length ?? 0);
    expect(second).toBeGreaterThan(40);
    expect(Math.abs((first ?? 0) - (second ?? 0))).toBeLessThan(3);
  });
});

describe('request trailers', () => {
  const post = (rig: ServerRig): ServerRig => {
    rig.client.request(1, { ':method': 'POST' }, false);
    return rig;
  };

  it('end the request', async () => {
    const rig = post(new ServerRig());
    await rig.send(
      frames.data(1, 'abc'),
      frames.headers(1, hpack.block([['x-t', '1']]), { endStream: true }),
    );
    expect(rig.exchange.events).toEqual(['headers', 'body:3', 'trailers!']);
    expect(rig.exchange.trailers?.get('x-t')).toBe('1');
    expect(rig.stat('trailers')).toBe(1);
    rig.exchange.respond();
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ status: 200, ended: true, reset: undefined });
  });

  it('wait for the body that the handler has stopped', async () => {
    const rig = post(new ServerRig());
    await rig.settle();
    rig.exchange.accept = false;
    await rig.send(frames.data(1, 'abc'));
    await rig.send(
      frames.data(1, 'def'),
      frames.headers(1, hpack.block([['x-t', '1']]), { endStream: true }),
    );
    expect(rig.exchange.events).toEqual(['headers', 'body:3']);
    rig.exchange.accept = true;
    rig.exchange.encoder.resumeBody();
    await rig.settle();
    expect(rig.exchange.events).toEqual(['headers', 'body:3', 'body:3', 'trailers!']);
  });

  it('without END_STREAM are malformed', async () => {
    const rig = post(new ServerRig());
    await rig.send(frames.headers(1, hpack.block([['x-t', '1']]), { endStream: false }));
    expect(rig.client.response(1).reset).toBe(Http2Code.protocolError);
    expect(rig.exchange.ends).toBe(1);
  });

  it.each<[string, FieldLines]>([
    ['a pseudo-header', [[':path', '/x']]],
    ['connection', [['connection', 'x']]],
    ['transfer-encoding', [['transfer-encoding', 'chunked']]],
    ['upper case', [['X-T', '1']]],
  ])('with %s are malformed', async (_, fields) => {
    const rig = post(new ServerRig());
    await rig.send(frames.headers(1, hpack.block(fields), { endStream: true }));
    expect(rig.client.response(1).reset).toBe(Http2Code.protocolError);
    expect(rig.exchange.reset).toBe('protocol-error:http2.violation.of.messaging.rule');
    expect(rig.exchange.ends).toBe(1);
  });

  it.each<[string, FieldLines]>([
    ['count', Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'v'] as const)],
    ['count, far', Array.from({ length: 500 }, (_, i) => [`x-${i}`, 'v'] as const)],
    ['size', [['x', 'v'.repeat(61 * 1024)]]],
    ['size, far', Array.from({ length: 30 }, (_, i) => [`x-${i}`, 'v'.repeat(4096)] as const)],
  ])('have the limits of headers: %s', async (what, fields) => {
    const rig = post(new ServerRig());
    await rig.send(frames.block(1, hpack.block(fields), { endStream: true }));
    expect(rig.client.response(1)).toMatchObject({ reset: Http2Code.enhanceYourCalm, ended: false });
    expect(rig.exchange.ends).toBe(1);
    expect(rig.exchange.trailers).toBeUndefined();
    expect(rig.exchange.reset).toBe('protocol-error:http2.too_many_headers');
    expect(rig.stat('header_overflow'), what).toBe(1);
    expect(rig.stat('streams_active')).toBe(0);
  });
});

describe('response headers', () => {
  it('lines of HTTP/1.1 connections, and te, stay behind', async () => {
    const rig = await ask([]);
    const { encoder } = rig.exchange;
    encoder.headers(
      responseOf(200, {
        connection: 'x',
        'keep-alive': '1',
        'proxy-connection': '1',
        'transfer-encoding': 'chunked',
        upgrade: 'h2c',
        te: 'gzip',
        'x-kept': 'yes',
      }),
      true,
    );
    await rig.settle();
    expect(rig.client.response(1).headers).toEqual([
      [':status', '200'],
      ['x-kept', 'yes'],
    ]);
  });

  it('duplicate lines stay apart, and no date is added', async () => {
    const rig = await ask([]);
    const headers = responseOf(200, { 'set-cookie': 'a=1' });
    headers.append('set-cookie', 'b=2');
    headers.append('x', '1');
    headers.append('content-length', '0');
    headers.append('x', '2');
    rig.exchange.encoder.headers(headers, true);
    await rig.settle();
    expect(rig.client.response(1).headers.slice(1)).toEqual([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x', '1'],
      ['content-length', '0'],
      ['x', '2'],
    ]);
  });

  it('what an upstream says twice goes out twice', async () => {
    const rig = await ask([]);
    const headers = responseOf(200);
    for (const name of ['server', 'date', 'etag', 'content-type', 'location', 'age']) {
      headers.append(name, '1');
      headers.append(name, '2');
    }
    rig.exchange.encoder.headers(headers, true);
    await rig.settle();
    expect(rig.client.response(1).headers).toHaveLength(13);
  });

  it.each(['a\r\nb', 'a\0b', 'a\nb'])(
    'a value %j is never sent: 500, and the handler is told',
    async (value) => {
      const rig = await ask([]);
      rig.exchange.encoder.headers(responseOf(200, { x: value, 'x-other': '1' }), false);
      rig.exchange.encoder.body(Buffer.from('late'), true, true);
      await rig.settle();
      expect(rig.client.response(1)).toMatchObject({
        status: 500,
        headers: [[':status', '500']],
        ended: true,
      });
      expect(rig.exchange.events).toEqual(['headers!', 'reset:local-reset:http2.invalid.header.field']);
      expect(rig.stat('streams_active')).toBe(0);
    },
  );

  it.each<[string, string]>([
    ['x y', '1'],
    ['', '1'],
    ['x\r\ny', '1'],
    ['x\0y', '1'],
    ['X-Upper', '1'],
    ['x:y', '1'],
  ])('a name %j is no way to break a message', async (name, value) => {
    const rig = await ask([]);
    const headers = responseOf(200);
    headers.appendParsed(name, -1, value);
    rig.exchange.encoder.headers(headers, true);
    await rig.settle();
    const { status, headers: got, reset } = rig.client.response(1);
    expect(reset ?? status).not.toBe(0);
    for (const [one] of got) expect(one).toMatch(/^:?[a-z0-9-]+$/);
    expect(rig.stat('streams_active')).toBe(0);
    expect(rig.events.filter((event) => event.startsWith('bug'))).toEqual([]);
  });

  it.each([0, 99, 101, 600, 999, 1000])(
    'a status of %i, which Node does not send, becomes 500',
    async (status) => {
      const rig = await ask([]);
      rig.exchange.encoder.headers(responseOf(status), true);
      await rig.settle();
      expect(rig.client.response(1)).toMatchObject({ status: 500, ended: true, reset: undefined });
      expect(rig.exchange.reset).toMatch(/^local-reset/);
      expect(rig.stat('streams_active')).toBe(0);
    },
  );

  it('interim responses come before the final one, and none after it; 101 is none', async () => {
    const rig = await ask([]);
    const { encoder } = rig.exchange;
    encoder.informational(responseOf(100));
    encoder.informational(responseOf(101));
    encoder.informational(responseOf(103, { link: '</a>', connection: 'x' }));
    encoder.headers(responseOf(200), true);
    encoder.informational(responseOf(102));
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ informational: [100, 103], status: 200, ended: true });
  });

  it('trailers go out behind the body, with duplicates, without lines of HTTP/1.1 connections', async () => {
    const rig = await ask([]);
    const { encoder } = rig.exchange;
    encoder.headers(responseOf(200), false);
    encoder.body(Buffer.from('abc'), false, false);
    const trailers = trailersOf({ 'grpc-status': '0', connection: 'x', te: 'gzip' });
    trailers.append('x-t', '1');
    trailers.append('x-t', '2');
    encoder.trailers(trailers);
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({
      ended: true,
      trailers: [
        ['grpc-status', '0'],
        ['x-t', '1'],
        ['x-t', '2'],
      ],
    });
    expect(rig.client.response(1).body.toString()).toBe('abc');
    // Of requests only, as Envoy counts.
    expect(rig.stat('trailers')).toBe(0);
    expect(rig.stat('streams_active')).toBe(0);
  });

  it('trailers behind headers alone, and empty ones', async () => {
    const rig = await ask([]);
    rig.exchange.encoder.headers(responseOf(200), false);
    rig.exchange.encoder.trailers(trailersOf({ 'x-t': '1' }));
    rig.client.request(3);
    await rig.settle();
    rig.exchanges[1]?.encoder.headers(responseOf(200), false);
    rig.exchanges[1]?.encoder.trailers(trailersOf({}));
    await rig.settle();
    expect(rig.client.response(1)).toMatchObject({ ended: true, trailers: [['x-t', '1']] });
    expect(rig.client.response(3)).toMatchObject({ ended: true, status: 200 });
  });

  it.each(['a\r\nb', 'a\0b'])(
    'trailers with %j are not sent; the response ends without them',
    async (value) => {
      const rig = await ask([]);
      rig.exchange.encoder.headers(responseOf(200), false);
      rig.exchange.encoder.trailers(trailersOf({ x: value }));
      await rig.settle();
      expect(rig.client.response(1)).toMatchObject({ trailers: undefined, ended: true });
      expect(rig.events.filter((event) => event.startsWith('bug'))).toEqual([]);
      expect(rig.stat('streams_active')).toBe(0);
    },
  );

  it.each(['', 'x y', 'x:y', 'X', ':path'])('a trailer named %j does no harm', async (name) => {
    const rig = await ask([]);
    const trailers = trailersOf({ 'x-t': '1' });
    trailers.appendParsed(name, -1, '1');
    rig.exchange.encoder.headers(responseOf(200), false);
    rig.exchange.encoder.trailers(trailers);
    await rig.settle();
    const { ended, reset } = rig.client.response(1);
    expect(ended || reset !== undefined).toBe(true);
    expect(rig.events.filter((event) => event.startsWith('bug'))).toEqual([]);
    expect(rig.stat('streams_active')).toBe(0);
    rig.client.request(3);
    await rig.settle();
    expect(rig.exchanges).toHaveLength(2);
  });
});
