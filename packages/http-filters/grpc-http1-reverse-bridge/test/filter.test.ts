import {
  create,
  FilterConfigPerRouteSchema,
  GrpcHttp1ReverseBridgeFilterConfigSchema,
  type MessageInitShape,
} from '@dragoman/api';
import type { CreateHttpFilter } from '@dragoman/core';
import { FilterRun, grpcFrames, inPieces, textOf, trailers } from '@dragoman/grpc-testing';
import { httpFilterConformance, requestHeaders, responseHeaders, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grpcHttp1ReverseBridge } from '../src/index.ts';

type Fields = MessageInitShape<typeof GrpcHttp1ReverseBridgeFilterConfigSchema>;
const PROTOBUF = 'application/x-protobuf';
const config = (fields: Fields = {}) =>
  create(GrpcHttp1ReverseBridgeFilterConfigSchema, {
    contentType: PROTOBUF,
    withholdGrpcFrames: true,
    ...fields,
  }) as never;

httpFilterConformance({ describe, it }, { extension: grpcHttp1ReverseBridge, config: config() });

it('warns of a size that nobody reads', () => {
  const warnings = (fields: Fields) => {
    const context = testContext();
    grpcHttp1ReverseBridge.create(config(fields), context);
    return context.warnings;
  };
  expect(warnings({ withholdGrpcFrames: false, responseSizeHeader: 'x-size' })).toEqual([
    'response_size_header: has no effect without withhold_grpc_frames: true',
  ]);
  expect(warnings({ responseSizeHeader: 'x-size' })).toEqual([]);
});

const GRPC = { 'content-type': 'application/grpc', ':path': '/testing.ExampleService/SendData' };
const bytes = (text: string) => Buffer.from(text, 'latin1');

function run(fields: Fields = {}, request: Record<string, string> = GRPC, disabled?: boolean): FilterRun {
  const context = testContext();
  const factory = grpcHttp1ReverseBridge.create(config(fields), context) as CreateHttpFilter;
  const route = create(FilterConfigPerRouteSchema, { disabled: disabled === true });
  const perRoute =
    disabled === undefined ? [] : [grpcHttp1ReverseBridge.createPerRoute?.(route as never, context)];
  return new FilterRun(factory, { request: requestHeaders(request), perRoute });
}

/** With its request done. */
function asked(fields: Fields = {}): FilterRun {
  const bridge = run(fields);
  bridge.request({ body: [bytes('abcdefgh')] });
  return bridge;
}

const answer = (fields: Record<string, string> = {}) =>
  responseHeaders({ 'content-type': PROTOBUF, ...fields });

describe('the request', () => {
  it.each([
    ['application/grpc', '25', '20'],
    ['application/grpc+proto', undefined, undefined],
    ['application/grpc', '4', undefined],
  ])('of %s becomes one of the other type', (type, length, expected) => {
    const fields = {
      ...GRPC,
      'content-type': type,
      ...(length === undefined ? {} : { 'content-length': length }),
    };
    const bridge = run({}, fields);
    const end = trailers({ a: 'b' });
    const passed = bridge.request({ body: [bytes('abcdefgh'), bytes('abcdefgh')], trailers: end });
    const headers = bridge.stream.requestHeaders;
    expect([headers.get('content-type'), headers.get('accept'), headers.get('content-length')]).toEqual([
      PROTOBUF,
      PROTOBUF,
      expected,
    ]);
    expect([textOf(passed.body), passed.trailers]).toEqual(['fghabcdefgh', end]);
    expect(bridge.stream.calls).toEqual(['clearRouteCache']);
  });

  it('loses its five bytes whatever the pieces', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 5 }),
        fc.array(fc.integer({ min: 0, max: 4 })),
        (body, sizes) => {
          expect(run().request({ body: inPieces(Buffer.from(body), sizes) }).body).toEqual(
            Buffer.from(body).subarray(5),
          );
        },
      ),
    );
  });

  it.each([
    ['a short body', { body: [bytes('ab'), bytes('c')] }],
    ['an empty body', { body: [bytes('')] }],
    ['trailers behind a short body', { body: [bytes('abc')], trailers: trailers({ a: 'b' }) }],
  ])('fails with %s', (_, message) => {
    const bridge = run();
    bridge.request(message);
    expect(bridge.stream.replies).toEqual([
      { status: 200, body: 'invalid request body', grpcStatus: 2, details: 'grpc_bridge_data_too_small' },
    ]);
    // The reply passes as it is.
    expect(
      bridge.filter.onResponseHeaders?.(responseHeaders({ 'content-type': 'application/grpc' }), true),
    ).toBe(undefined);
    expect(bridge.stream.replies).toHaveLength(1);
  });

  it('keeps its frames when they are not withheld', () => {
    const bridge = run({ withholdGrpcFrames: false }, { ...GRPC, 'content-length': '25' });
    expect(textOf(bridge.request({ body: [bytes('abcdefgh')] }).body)).toBe('abcdefgh');
    const headers = bridge.stream.requestHeaders;
    expect([headers.get('content-type'), headers.get('content-length')]).toEqual([PROTOBUF, '25']);
  });
});

describe('what is left alone', () => {
  it.each([
    ['a request without a body', GRPC, undefined, []],
    ['another type', { ...GRPC, 'content-type': 'application/json' }, undefined, [bytes('test')]],
    ['no path', { ...GRPC, ':path': '' }, undefined, [bytes('test')]],
    ['a route that switches the filter off', GRPC, true, [bytes('test')]],
  ])('%s', (_, request, disabled, body) => {
    const bridge = run({}, { ...request, 'content-length': '25' }, disabled);
    const before = bridge.stream.requestHeaders.entries();
    expect(bridge.request({ body }).chunks).toEqual(body);
    expect(bridge.stream.requestHeaders.entries()).toEqual(before);
    const headers = responseHeaders({ 'content-type': 'application/grpc', 'content-length': '20' });
    const end = trailers({ 'grpc-status': '3' });
    const passed = bridge.response(headers, { body: [bytes('abc')], trailers: end });
    expect(headers.entries()).toEqual([
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['content-length', '20'],
    ]);
    expect([textOf(passed.body), passed.trailers?.entries()]).toEqual(['abc', [['grpc-status', '3']]]);
    expect([bridge.stream.calls, bridge.stream.replies]).toEqual([[], []]);
  });

  it('a route that does not switch the filter off changes nothing', () => {
    const bridge = run({}, GRPC, false);
    bridge.request({ body: [bytes('abcdefgh')] });
    expect(bridge.stream.requestHeaders.get('content-type')).toBe(PROTOBUF);
  });
});

describe('the answer', () => {
  it.each([
    ['200', '0'],
    ['400', '13'],
    ['401', '16'],
    ['403', '7'],
    ['404', '12'],
    ['429', '14'],
    ['500', '2'],
    ['503', '14'],
    ['204', '2'],
  ])('with %s has the status %s behind one message', (status, grpcStatus) => {
    const bridge = asked();
    const headers = answer({ ':status': status, 'content-length': '30' });
    const passed = bridge.response(headers, { body: [bytes('abc\0'), bytes('def\0'), bytes('ghj\0')] });
    expect(headers.entries()).toEqual([
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['content-length', '35'],
    ]);
    expect(passed.body).toEqual(grpcFrames('abc\0def\0ghj\0'));
    expect(passed.trailers?.entries()).toEqual([['grpc-status', grpcStatus]]);
  });

  it('keeps its trailers', () => {
    const end = trailers({ foo: 'bar', 'grpc-status': '9' });
    const passed = asked().response(answer(), { body: [bytes('abc\0'), bytes('def\0')], trailers: end });
    expect(passed.body).toEqual(grpcFrames('abc\0def\0'));
    expect(passed.trailers?.entries()).toEqual([
      ['foo', 'bar'],
      ['grpc-status', '0'],
    ]);
  });

  it('without a body is the empty message', () => {
    const bridge = asked();
    const headers = answer({ 'content-length': '0' });
    const passed = bridge.response(headers);
    expect([headers.get('content-type'), headers.get('content-length')]).toEqual(['application/grpc', '5']);
    expect([passed.body, passed.trailers?.entries()]).toEqual([grpcFrames(''), [['grpc-status', '0']]]);
  });

  it('is framed whatever the pieces', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.array(fc.integer({ min: 0, max: 9 })),
        fc.boolean(),
        (body, sizes, end) => {
          const message = { body: inPieces(Buffer.from(body), sizes) };
          const passed = asked().response(
            answer(),
            end ? { ...message, trailers: trailers({ a: 'b' }) } : message,
          );
          expect([passed.body, passed.trailers?.get('grpc-status')]).toEqual([grpcFrames(body), '0']);
        },
      ),
    );
  });

  it('is held up to the limit', () => {
    const bridge = asked();
    bridge.stream.bufferLimit = 5;
    expect(bridge.response(answer(), { body: [bytes('abc'), bytes('def'), bytes('g')] }).overflow).toBe(true);
  });

  it('keeps its frames when they are not withheld', () => {
    const bridge = asked({ withholdGrpcFrames: false });
    const headers = answer({ 'content-length': '30' });
    const passed = bridge.response(headers, { body: [bytes('abc'), bytes('ghj')] });
    expect([headers.get('content-type'), headers.get('content-length')]).toEqual(['application/grpc', '30']);
    expect([passed.chunks.map(textOf), passed.trailers?.entries()]).toEqual([
      ['abc', 'ghj'],
      [['grpc-status', '0']],
    ]);
  });

  it.each([
    [{ ':status': '404' }, [['grpc-status', '12']]],
    [{ ':status': '404', 'grpc-status': '5' }, undefined],
  ])('without a body, when frames are not withheld: %o', (fields, end) => {
    const passed = asked({ withholdGrpcFrames: false }).response(answer(fields));
    expect([passed.body.length, passed.trailers?.entries()]).toEqual([0, end]);
  });

  it.each([
    [
      responseHeaders({ ':status': '400' }),
      'envoy reverse bridge: upstream responded with no content-type header, status code 400',
    ],
    [
      responseHeaders({ ':status': '400', 'content-type': 'application/json' }),
      'envoy reverse bridge: upstream responded with unsupported content-type application/json, status code 400',
    ],
    [
      responseHeaders({ 'content-type': `${PROTOBUF}; a="\xfc"` }),
      `envoy reverse bridge: upstream responded with unsupported content-type ${PROTOBUF}; a="\xfc", status code 200`,
    ],
  ])('of another type is refused', (headers, message) => {
    const bridge = asked();
    bridge.response(headers, { body: [bytes('abc')] });
    const [{ body, ...reply } = {}, ...more] = bridge.stream.replies;
    expect(textOf(Buffer.from(body ?? ''))).toBe(message);
    expect(reply).toEqual({ status: 200, grpcStatus: 2, details: 'grpc_bridge_content_type_wrong' });
    expect(more).toEqual([]);
  });
});

describe('response_size_header', () => {
  const fields = { responseSizeHeader: 'Custom-Content-Length' };
  const wrong = {
    status: 200,
    body: 'envoy reverse bridge: upstream set incorrect content length',
    grpcStatus: 13,
    details: 'grpc_bridge_content_length_wrong',
  };

  it('lets the answer pass as it comes', () => {
    const bridge = asked(fields);
    const headers = answer({ 'custom-content-length': '8' });
    const passed = bridge.response(headers, { body: [bytes('abc\0'), bytes('ghj\0')] });
    expect(headers.get('content-length')).toBe('13');
    expect(passed.chunks.map((chunk) => chunk.length)).toEqual([9, 4]);
    expect([passed.body, passed.trailers?.entries()]).toEqual([
      grpcFrames('abc\0ghj\0'),
      [['grpc-status', '0']],
    ]);
  });

  it.each([
    [{ 'custom-content-length': '3, 7' }, [bytes('abc')], undefined],
    [{ 'custom-content-length': '3' }, [bytes(''), bytes('a'), bytes('bc')], { a: 'b' }],
    [{ 'custom-content-length': '0' }, [], { a: 'b' }],
    [{ 'custom-content-length': '0' }, [], undefined],
  ])('takes %o for right', (more, body, end) => {
    const bridge = asked(fields);
    const passed = bridge.response(answer(more), {
      body,
      trailers: end === undefined ? undefined : trailers(end),
    });
    expect(passed.body).toEqual(grpcFrames(Buffer.concat(body)));
    expect([passed.trailers?.get('grpc-status'), bridge.stream.replies]).toEqual(['0', []]);
  });

  it.each([
    {},
    { 'custom-content-length': '' },
    { 'custom-content-length': 'x' },
    { 'custom-content-length': '-1' },
    { 'custom-content-length': '4294967296' },
  ])('refuses an answer with %o', (more) => {
    const bridge = asked(fields);
    bridge.response(answer(more as Record<string, string>), { body: [bytes('abc')] });
    expect(bridge.stream.replies).toEqual([
      {
        status: 200,
        body: 'envoy reverse bridge: upstream did not set content length',
        grpcStatus: 13,
        details: 'grpc_bridge_content_length_missing',
      },
    ]);
  });

  it.each([
    ['too little', { body: [bytes('abc'), bytes('def')] }],
    ['too little, and trailers', { body: [bytes('abc')], trailers: trailers({ a: 'b' }) }],
    ['nothing', {}],
    ['too much', { body: [bytes('0123456789'), bytes('more')] }],
  ])('fails with %s', (_, message) => {
    const bridge = asked(fields);
    bridge.response(answer({ 'custom-content-length': '8' }), message);
    expect(bridge.stream.replies).toEqual([wrong]);
  });

  it('does not act when frames are not withheld', () => {
    const bridge = asked({ ...fields, withholdGrpcFrames: false });
    expect(textOf(bridge.response(answer(), { body: [bytes('abc')] }).body)).toBe('abc');
  });
});
