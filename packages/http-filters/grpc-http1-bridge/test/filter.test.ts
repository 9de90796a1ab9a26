import { create, GrpcHttp1BridgeConfigSchema, type MessageInitShape } from '@dragoman/api';
import type { CreateHttpFilter, Protocol } from '@dragoman/core';
import { FilterRun, grpcFrames, inPieces, textOf, trailers } from '@dragoman/grpc-testing';
import { httpFilterConformance, requestHeaders, responseHeaders, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grpcHttp1Bridge } from '../src/index.ts';

type Fields = MessageInitShape<typeof GrpcHttp1BridgeConfigSchema>;
const config = (fields: Fields = {}) => create(GrpcHttp1BridgeConfigSchema, fields) as never;

httpFilterConformance({ describe, it }, { extension: grpcHttp1Bridge, config: config() });

function run(
  fields: Fields,
  request: Record<string, string>,
  protocol: Protocol = 'HTTP/1.1',
  bufferLimit?: number,
): FilterRun {
  const factory = grpcHttp1Bridge.create(config(fields), testContext()) as CreateHttpFilter;
  const made = new FilterRun(factory, {
    request: requestHeaders(request),
    ...(bufferLimit === undefined ? {} : { bufferLimit }),
  });
  made.stream.info.protocol = protocol;
  return made;
}

const GRPC = { 'content-type': 'application/grpc', ':path': '/lyft.users.BadCompanions/GetBadCompanions' };
const PROTOBUF = { 'content-type': 'application/x-protobuf', ':path': '/v1/spotify.Concat/Concat' };
const hello = Buffer.from('hello');

describe('a gRPC request over HTTP/1.1', () => {
  it('gets the status and the length in the headers', () => {
    const bridge = run({}, GRPC);
    expect(textOf(bridge.request({ body: [hello], trailers: trailers({ hello: 'world' }) }).body)).toBe(
      'hello',
    );
    const headers = responseHeaders();
    const passed = bridge.response(headers, { body: [hello], trailers: trailers({ 'grpc-status': '0' }) });
    expect(headers.entries()).toEqual([
      [':status', '200'],
      ['grpc-status', '0'],
      ['content-length', '5'],
    ]);
    expect([textOf(passed.body), passed.trailers?.entries()]).toEqual(['hello', [['grpc-status', '0']]]);
  });

  it.each([
    [{ 'grpc-status': '1', 'grpc-message': 'foo' }, 503, '1', 'foo'],
    [{ 'grpc-status': 'x' }, 503, 'x', undefined],
    [{ 'grpc-status': '' }, 503, '', undefined],
    [{ 'grpc-status': '00' }, 200, '00', undefined],
    [{ 'grpc-message': 'bar' }, 200, undefined, 'bar'],
    [{ hello: 'world' }, 200, undefined, undefined],
  ])('with the trailers %o is a %d', (end, status, grpcStatus, message) => {
    const bridge = run({}, GRPC);
    bridge.request();
    const headers = responseHeaders();
    const passed = bridge.response(headers, { trailers: trailers(end) });
    expect([headers.status, headers.get('grpc-status'), headers.get('grpc-message')]).toEqual([
      status,
      grpcStatus,
      message,
    ]);
    expect([headers.get('content-length'), passed.body.length, passed.ended]).toEqual(['0', 0, true]);
  });

  it('of HTTP/1.0 is bridged too', () => {
    const bridge = run({}, { ...GRPC, 'content-type': 'application/grpc+proto' }, 'HTTP/1.0');
    bridge.request();
    const headers = responseHeaders();
    bridge.response(headers, { trailers: trailers({ 'grpc-status': '2' }) });
    expect(headers.status).toBe(503);
  });

  it('leaves an answer of trailers only as it is', () => {
    const bridge = run({}, GRPC);
    bridge.request();
    const headers = responseHeaders({ 'grpc-status': '1' });
    expect(bridge.response(headers)).toMatchObject({ headers: true, ended: true });
    expect(headers.status).toBe(200);
  });

  it('leaves an answer without trailers as it is', () => {
    const bridge = run({ upgradeProtobufToGrpc: true }, PROTOBUF);
    bridge.request({ body: [hello] });
    const headers = responseHeaders({ ':status': '502' });
    const passed = bridge.response(headers, { body: [hello, Buffer.from(' world')] });
    expect([textOf(passed.body), headers.entries()]).toEqual(['hello world', [[':status', '502']]]);
  });

  it('holds no more of an answer than the limit', () => {
    const bridge = run({}, GRPC, 'HTTP/1.1', 8);
    bridge.request();
    const message = { body: [hello, hello, hello], trailers: trailers({ 'grpc-status': '0' }) };
    expect(bridge.response(responseHeaders(), message)).toMatchObject({ overflow: true, headers: false });
  });
});

describe('what is not bridged', () => {
  it.each([
    ['HTTP/2', GRPC, 'HTTP/2'],
    ['HTTP/2 with +proto', { ...GRPC, 'content-type': 'application/grpc+proto' }, 'HTTP/2'],
    ['another type over HTTP/2', { 'content-type': 'application/foo' }, 'HTTP/2'],
    ['another type over HTTP/1.1', { 'content-type': 'application/foo' }, 'HTTP/1.1'],
    ['no path', { ...GRPC, ':path': '' }, 'HTTP/1.1'],
    ['protobuf, unless told to', PROTOBUF, 'HTTP/1.1'],
  ] as const)('%s', (_, request, protocol) => {
    const bridge = run({}, request, protocol);
    const end = trailers({ hello: 'world' });
    const before = bridge.stream.requestHeaders.entries();
    expect(bridge.request({ body: [hello], trailers: end })).toMatchObject({
      chunks: [hello],
      trailers: end,
    });
    expect(bridge.stream.requestHeaders.entries()).toEqual(before);
    const headers = responseHeaders();
    const answer = { body: [hello], trailers: trailers({ 'grpc-status': '1' }) };
    expect(bridge.response(headers, answer)).toMatchObject({ chunks: [hello], headers: true });
    expect(headers.entries()).toEqual([[':status', '200']]);
  });
});

describe('upgrade_protobuf_to_grpc', () => {
  const options = { upgradeProtobufToGrpc: true };

  it('frames the request and unframes the answer, whatever the pieces', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 12 }));
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.uint8Array(),
        sizes,
        sizes,
        fc.boolean(),
        (ask, answer, cuts, cuts2, end) => {
          const bridge = run(options, { ...PROTOBUF, 'content-length': String(ask.length) });
          const body = inPieces(Buffer.from(ask), cuts);
          const passed = bridge.request(end ? { body, trailers: trailers({ a: 'b' }) } : { body });
          expect(passed.body).toEqual(grpcFrames(ask));
          const { requestHeaders: asked } = bridge.stream;
          expect([asked.get('content-type'), asked.get('content-length')]).toEqual([
            'application/grpc',
            undefined,
          ]);
          expect(bridge.stream.calls).toEqual(['clearRouteCache']);
          const headers = responseHeaders({ 'content-type': 'application/grpc' });
          const wire = {
            body: inPieces(grpcFrames(answer), cuts2),
            trailers: trailers({ 'grpc-status': '0' }),
          };
          expect(bridge.response(headers, wire).body).toEqual(Buffer.from(answer));
          expect(headers.get('content-length')).toBe(String(answer.length));
        },
      ),
    );
  });

  it('takes an answer that is shorter than a frame for an empty one', () => {
    const bridge = run(options, PROTOBUF);
    bridge.request({ body: [hello] });
    const headers = responseHeaders();
    const passed = bridge.response(headers, {
      body: [Buffer.from('abc')],
      trailers: trailers({ 'grpc-status': '13' }),
    });
    expect([passed.body.length, headers.get('content-length')]).toEqual([0, '0']);
  });

  it('holds no more of a request than the limit', () => {
    const bridge = run(options, PROTOBUF, 'HTTP/1.1', 8);
    expect(bridge.request({ body: [hello, hello, hello] })).toMatchObject({ overflow: true });
  });

  it('changes the type alone over HTTP/2', () => {
    const bridge = run(options, PROTOBUF, 'HTTP/2');
    expect(textOf(bridge.request({ body: [hello] }).body)).toBe('hello');
    expect(bridge.stream.requestHeaders.get('content-type')).toBe('application/grpc');
  });
});

describe('ignore_query_parameters', () => {
  it.each([
    [true, '/v1/spotify.Concat/Concat?timestamp=1701678591', '/v1/spotify.Concat/Concat'],
    [true, '/v1/spotify.Concat/Concat', '/v1/spotify.Concat/Concat'],
    [false, '/a/b?c', '/a/b?c'],
  ])('%s: %s becomes %s', (ignoreQueryParameters, path, expected) => {
    const bridge = run({ ignoreQueryParameters }, { ...GRPC, ':path': path });
    bridge.request();
    expect(bridge.stream.requestHeaders.path).toBe(expected);
  });

  it('leaves requests alone that are not bridged', () => {
    const bridge = run({ ignoreQueryParameters: true }, { ...GRPC, ':path': '/a/b?c' }, 'HTTP/2');
    bridge.request();
    expect(bridge.stream.requestHeaders.path).toBe('/a/b?c');
  });
});
