import { create, GrpcWebSchema } from '@dragoman/api';
import type { ClusterInfo, CreateHttpFilter } from '@dragoman/core';
import { FilterRun, grpcFrames, inPieces, type Message, textOf, trailers } from '@dragoman/grpc-testing';
import {
  httpFilterConformance,
  requestHeaders,
  responseHeaders,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grpcWeb } from '../src/index.ts';

const config = create(GrpcWebSchema) as never;

httpFilterConformance({ describe, it }, { extension: grpcWeb, config });

const BINARY = ['application/grpc-web', 'application/grpc-web+proto'];
const TEXT = ['application/grpc-web-text', 'application/grpc-web-text+proto'];
const PATH = '/lyft.users.BadCompanions/GetBadCompanions';
const bytes = (text: string) => Buffer.from(text, 'latin1');

function run(request: Record<string, string>, context: TestContext = testContext()): FilterRun {
  const web = new FilterRun(grpcWeb.create(config, context) as CreateHttpFilter, {
    request: requestHeaders({ ':method': 'POST', ':path': PATH, ...request }),
  });
  const statsScope = context.stats.scope('cluster.c');
  web.stream.info.upstreamClusterInfo = { statsScope } as Partial<ClusterInfo> as ClusterInfo;
  return web;
}

function asked(accept = 'application/grpc-web', context?: TestContext): FilterRun {
  const web = run({ 'content-type': 'application/grpc-web', accept }, context);
  web.request({ body: [grpcFrames('ask')] });
  return web;
}

describe('the request', () => {
  it.each([...BINARY, ...TEXT])('of %s becomes one of gRPC', (type) => {
    const web = run({ 'content-type': type, 'content-length': '8' });
    web.request();
    expect(web.stream.requestHeaders.entries().slice(4)).toEqual([
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['grpc-accept-encoding', 'identity'],
    ]);
  });

  it('keeps the encodings that the client takes', () => {
    const web = run({ 'content-type': 'application/grpc-web', 'grpc-accept-encoding': 'foo', te: 'x' });
    web.request();
    const headers = web.stream.requestHeaders;
    expect([headers.getAll('grpc-accept-encoding'), headers.getAll('te')]).toEqual([['foo'], ['trailers']]);
  });

  it.each([
    [{ 'content-type': 'unsupported' }],
    [{ 'content-type': 'application/grpc-web+json' }],
    [{ 'content-type': 'application/grpc' }],
    [{}],
    [{ 'content-type': 'application/grpc-web', ':path': '' }],
  ])('with %o is left alone, and its answer', (fields) => {
    const web = run(fields as Record<string, string>);
    const before = web.stream.requestHeaders.entries();
    const message = { body: [bytes('****')], trailers: trailers({ a: 'b' }) };
    expect(textOf(web.request(message).body)).toBe('****');
    expect(web.stream.requestHeaders.entries()).toEqual(before);
    const headers = responseHeaders({ ':status': '500', 'content-length': '4' });
    const passed = web.response(headers, {
      body: [bytes('body')],
      trailers: trailers({ 'grpc-status': '1' }),
    });
    expect([textOf(passed.body), passed.trailers?.size, headers.size]).toEqual(['body', 1, 1]);
  });

  it('is decoded when it is text, whatever the pieces', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), sizes, fc.boolean(), (parts, cuts, end) => {
        const text = parts.map((part) => Buffer.from(part).toString('base64')).join('');
        const body = inPieces(Buffer.from(text), cuts);
        const web = run({ 'content-type': 'application/grpc-web-text' });
        const passed = web.request(end ? { body, trailers: trailers({ a: 'b' }) } : { body });
        expect(passed.body).toEqual(Buffer.concat(parts));
        expect([passed.ended, web.stream.replies]).toEqual([true, []]);
      }),
    );
  });

  it('may have padding in the middle', () => {
    const web = run({ 'content-type': 'application/grpc-web-text' });
    const text = grpcFrames('bc').toString('base64') + grpcFrames('a').toString('base64');
    expect(text).toMatch(/=.*[A-Z]/);
    expect(web.request({ body: [bytes(text)] }).body).toEqual(grpcFrames('bc', 'a'));
  });

  it.each([
    ['no base64', ['****'], 'grpc_base_64_decode_failed'],
    ['no base64 at first', ['****', 'AAAA'], 'grpc_base_64_decode_failed'],
    ['no padding', ['AAAAABJncnBjLXdlYi10ZXh0LWRhdGE'], 'grpc_base_64_decode_failed_bad_size'],
    ['no padding at the end', ['AAAA', 'A'], 'grpc_base_64_decode_failed_bad_size'],
  ])('is refused with %s', (_, chunks, details) => {
    const web = run({ 'content-type': 'application/grpc-web-text' });
    web.request({ body: chunks.map(bytes) });
    expect(web.stream.replies).toEqual([
      { status: 400, body: 'Bad gRPC-web request, invalid base64 data.', details },
    ]);
  });
});

describe('the answer', () => {
  const ok = trailers({ 'grpc-status': '0', 'grpc-message': 'ok' });
  const TRAILERS = bytes('\x80\0\0\0\x20grpc-status:0\r\ngrpc-message:ok\r\n');
  const fields = { 'content-type': 'application/grpc', 'content-length': '123' };

  it.each([...BINARY, 'application/grpc-web-text, */*', 'x'])(
    'for %s has its trailers in a frame',
    (accept) => {
      const headers = responseHeaders(fields);
      const message = { body: inPieces(grpcFrames('grpc-web-bin-data'), [1, 2, 3]), trailers: trailers({}) };
      message.trailers.appendAll(ok);
      const passed = asked(accept).response(headers, message);
      expect(headers.entries()).toEqual([
        [':status', '200'],
        ['content-type', 'application/grpc-web+proto'],
      ]);
      expect(passed.body).toEqual(Buffer.concat([grpcFrames('grpc-web-bin-data'), TRAILERS]));
      expect([passed.trailers?.size, passed.ended]).toEqual([0, true]);
    },
  );

  it.each(TEXT)('for %s is text', (accept) => {
    const headers = responseHeaders(fields);
    const message = { body: inPieces(grpcFrames('grpc-web-text-data'), [1, 2, 3]), trailers: trailers({}) };
    message.trailers.appendAll(ok);
    const passed = asked(accept).response(headers, message);
    expect(headers.get('content-type')).toBe('application/grpc-web-text+proto');
    expect(textOf(passed.body)).toBe(`AAAAABJncnBjLXdlYi10ZXh0LWRhdGE=${TRAILERS.toString('base64')}`);
    expect(passed.trailers?.size).toBe(0);
  });

  it('is decoded to what it was, whatever the pieces', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 0, max: 9 })), fc.boolean(), (parts, cuts, text) => {
        const web = asked(text ? 'application/grpc-web-text' : 'application/grpc-web');
        const wire = { body: inPieces(grpcFrames(...parts), cuts), trailers: trailers({ 'x-\xe9': '\xff' }) };
        const { body } = web.response(responseHeaders({ 'content-type': 'application/grpc' }), wire);
        const plain = text
          ? Buffer.concat((textOf(body).match(/.{4}/g) ?? []).map((group) => Buffer.from(group, 'base64')))
          : body;
        expect(textOf(plain)).toBe(`${textOf(grpcFrames(...parts))}\x80\0\0\0\x07x-\xe9:\xff\r\n`);
      }),
    );
  });

  it('keeps the end of a body that breaks off', () => {
    const web = asked('application/grpc-web-text');
    const cut = { body: [grpcFrames('abcd').subarray(0, 7)] };
    expect(textOf(web.response(responseHeaders(fields), cut).body)).toBe(cut.body[0]?.toString('base64'));
  });

  it.each([
    'application/grpc-web',
    'application/grpc-web+proto; version=1',
    'Application/Grpc-Web    ; a=b; c=d',
    'APPLICATION/GRPC-WEB+PROTO; ok=1; great=1',
  ])('of %s is gRPC-Web already', (type) => {
    const message = { body: [grpcFrames('a'), TRAILERS] };
    const headers = responseHeaders({ 'content-type': type });
    expect(asked().response(headers, message).body).toEqual(Buffer.concat(message.body));
    const texts = asked(TEXT[0]).response(responseHeaders({ 'content-type': type }), message);
    expect(textOf(texts.body)).toBe(grpcFrames('a').toString('base64') + TRAILERS.toString('base64'));
  });

  it('of trailers only keeps them in the headers', () => {
    const headers = responseHeaders({ ...fields, 'grpc-status': '5' });
    const passed = asked().response(headers);
    expect([passed.ended, headers.get('grpc-status'), headers.get('content-type')]).toEqual([
      true,
      '5',
      'application/grpc-web+proto',
    ]);
  });
});

describe('an answer that is no gRPC', () => {
  const error = (fields: Record<string, string>, message: Message) => {
    const headers = responseHeaders(fields);
    const passed = asked('application/grpc-web-text').response(headers, message);
    return { headers, passed };
  };

  it.each([
    ['400', '13'],
    ['401', '16'],
    ['403', '7'],
    ['404', '12'],
    ['429', '14'],
    ['503', '14'],
    ['500', '2'],
    ['200', '2'],
  ])('with %s has the status %s, and its body as the message', (status, grpcStatus) => {
    const { headers, passed } = error(
      { ':status': status, 'content-type': 'text/plain', 'content-length': '11' },
      { body: [bytes('hello '), bytes('100%\n')] },
    );
    expect(headers.entries()).toEqual([
      [':status', status],
      ['content-type', 'application/grpc-web-text+proto'],
      ['grpc-message', 'hello 100%25%0A'],
      ['grpc-status', grpcStatus],
      ['content-length', '0'],
    ]);
    expect([passed.body.length, passed.ended]).toEqual([0, true]);
  });

  it.each([
    'application/grpc-web+json',
    'application/grpc-web+thrift',
    'application/grpc-web-text',
    'application/grpc-web-text+proto',
    'Invalid; ok=1',
    '',
  ])('is one of %j', (type) => {
    expect(error({ 'content-type': type }, { body: [bytes('x')] }).headers.get('grpc-message')).toBe('x');
  });

  it.each(['application/grpc', 'application/grpc-web+proto'])('is one of %s without 200', (type) => {
    const { headers } = error({ ':status': '500', 'content-type': type }, { body: [bytes('x')] });
    expect(headers.get('grpc-status')).toBe('2');
  });

  it('keeps its trailers', () => {
    const end = trailers({ 'grpc-status': '0' });
    const { headers, passed } = error(
      { ':status': '400' },
      { body: [bytes('hello'), bytes('hello')], trailers: end },
    );
    expect(headers.get('grpc-message')).toBe('hellohello');
    expect([passed.body.length, passed.trailers?.entries()]).toEqual([0, [['grpc-status', '0']]]);
  });

  it('is kept up to 16 KiB', () => {
    const chunk = bytes('a'.repeat(10_000));
    const web = asked();
    web.stream.bufferLimit = 20_000;
    const headers = responseHeaders({ ':status': '503' });
    const passed = web.response(headers, { body: [chunk, chunk, chunk, chunk] });
    expect([headers.get('grpc-message')?.length, passed.body.length, passed.overflow]).toEqual([
      16_384,
      0,
      false,
    ]);
    const alone = error({ ':status': '503' }, { body: [bytes('a'.repeat(20_000))] });
    expect(alone.headers.get('grpc-message')?.length).toBe(16_384);
  });

  it('without a body stays as it is', () => {
    const { headers } = error({ ':status': '503' }, {});
    expect(headers.entries()).toEqual([
      [':status', '503'],
      ['content-type', 'application/grpc-web-text+proto'],
    ]);
  });
});

describe('stats', () => {
  const name = (stat: string) => `cluster.c.grpc-web.lyft.users.BadCompanions.GetBadCompanions.${stat}`;

  it.each([
    ['0', 'success'],
    ['1', 'failure'],
  ])('count the status %s as a %s, wherever it stands', (status, outcome) => {
    const expected = { [name(status)]: 1, [name(outcome)]: 1, [name('total')]: 1 };
    const inTrailers = testContext();
    const message = { body: [grpcFrames('hello')], trailers: trailers({ 'grpc-status': status }) };
    asked(undefined, inTrailers).response(responseHeaders({ 'content-type': 'application/grpc' }), message);
    expect(inTrailers.stats.used()).toEqual(expected);
    const inHeaders = testContext();
    asked(undefined, inHeaders).response(responseHeaders({ 'grpc-status': status }));
    expect(inHeaders.stats.used()).toEqual(expected);
  });

  it('count nothing without a status, a call or a cluster', () => {
    const context = testContext();
    asked(undefined, context).response(responseHeaders({ ':status': '503' }), { body: [bytes('x')] });
    const noCall = run({ 'content-type': 'application/grpc-web', ':path': '/' }, context);
    noCall.request();
    noCall.response(responseHeaders({ 'grpc-status': '0' }));
    const noCluster = asked(undefined, context);
    noCluster.stream.info.upstreamClusterInfo = undefined;
    noCluster.response(responseHeaders({ 'grpc-status': '0' }));
    expect(context.stats.used()).toEqual({});
  });
});
