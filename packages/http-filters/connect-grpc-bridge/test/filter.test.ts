import { ConnectGrpcBridgeFilterConfigSchema, create } from '@dragoman/api';
import type { CreateHttpFilter } from '@dragoman/core';
import { FilterRun, grpcFrames, inPieces, type Message, textOf, trailers } from '@dragoman/grpc-testing';
import { httpFilterConformance, requestHeaders, responseHeaders, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectGrpcBridge } from '../src/index.ts';

const config = create(ConnectGrpcBridgeFilterConfigSchema) as never;

httpFilterConformance({ describe, it }, { extension: connectGrpcBridge, config });

const factory = connectGrpcBridge.create(config, testContext()) as CreateHttpFilter;
const bytes = (text: string) => Buffer.from(text, 'latin1');
const UNARY = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
const STREAMING = { 'content-type': 'application/connect+json' };
const ASK = '{"request":1}';
const ANSWER = '{"response":1}';
/** Fields of answers that are no gRPC. */
const BROKEN: readonly Record<string, string>[] = [
  { ':status': '500', 'content-type': 'application/grpc' },
  { 'content-type': 'text/html' },
];
const envelope = (json: string) => {
  const frame = grpcFrames(json);
  frame[0] = 2;
  return frame;
};
const compressed = (message: string) => {
  const frame = grpcFrames(message);
  frame[0] = 1;
  return frame;
};

function run(request: Record<string, string>, path = '/Service/Method', bufferLimit?: number): FilterRun {
  const method = path.includes('?') ? 'GET' : 'POST';
  return new FilterRun(factory, {
    request: requestHeaders({ ':method': method, ':path': path, ...request }),
    ...(bufferLimit === undefined ? {} : { bufferLimit }),
  });
}

function asked(request: Record<string, string>, path?: string): FilterRun {
  const bridge = run(request, path);
  bridge.request(path === undefined ? { body: [bytes(ASK)] } : {});
  return bridge;
}

const grpcAnswer = (fields: Record<string, string> = {}) =>
  responseHeaders({ 'content-type': 'application/grpc', ...fields });
/** Without the pseudo-headers. */
const lines = ({ stream }: FilterRun) => stream.requestHeaders.entries().slice(4);

describe('what is left alone', () => {
  it.each([
    ['a call without a type', { 'connect-protocol-version': '1' }],
    ['another type', { 'connect-protocol-version': '1', 'content-type': 'unsupported' }],
    ['no version', { 'content-type': 'application/json' }],
    ['a stream without a codec', { 'content-type': 'application/connect' }],
    ['gRPC', { 'content-type': 'application/grpc' }],
  ])('%s', (_, fields) => {
    const bridge = run({ ...fields, 'content-length': '5' });
    const before = bridge.stream.requestHeaders.entries();
    const message = { body: [bytes('hello')], trailers: trailers({ a: 'b' }) };
    expect(textOf(bridge.request(message).body)).toBe('hello');
    expect(bridge.stream.requestHeaders.entries()).toEqual(before);
    const headers = grpcAnswer();
    const end = trailers({ 'grpc-status': '13' });
    expect(bridge.response(headers, { body: [bytes('x')], trailers: end })).toMatchObject({ trailers: end });
    expect([headers.entries(), end.size]).toEqual([grpcAnswer().entries(), 1]);
  });

  it.each([
    ['unary', UNARY],
    ['streaming', STREAMING],
  ])('the answer to a %s call that is no gRPC', (_, request) => {
    for (const fields of BROKEN) {
      const headers = responseHeaders({ ...fields, 'content-length': '4' });
      const before = headers.entries();
      const passed = asked(request).response(headers, {
        body: [grpcFrames('x')],
        trailers: trailers({ a: 'b' }),
      });
      expect([passed.body, passed.trailers?.size, headers.entries()]).toEqual([grpcFrames('x'), 1, before]);
    }
  });
});

describe('a unary request', () => {
  it.each([
    ['application/proto', 'application/grpc+proto'],
    ['application/json', 'application/grpc+json'],
    ['application/grpc', 'application/grpc+grpc'],
  ])('of %s becomes one of %s', (type, expected) => {
    const bridge = run({ ...UNARY, 'content-type': type, 'content-length': '1337' });
    bridge.request({ body: [bytes(ASK)] });
    expect(lines(bridge)).toEqual([
      ['content-type', expected],
      ['te', 'trailers'],
    ]);
  });

  it('is framed, whatever the pieces', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.array(fc.integer({ min: 0, max: 9 })),
        fc.boolean(),
        (ask, sizes, end) => {
          const body = inPieces(Buffer.from(ask), sizes);
          const message = end ? { body, trailers: trailers({ a: 'b' }) } : { body };
          expect(run(UNARY).request(message)).toMatchObject({ body: grpcFrames(ask), ended: true });
        },
      ),
    );
  });

  it.each([
    ['nothing', {}],
    ['trailers alone', { trailers: trailers({ a: 'b' }) }],
  ])('of %s is the empty message', (_, message) => {
    expect(run(UNARY).request(message)).toMatchObject({ body: grpcFrames(''), ended: true });
  });

  it.each([
    ['gzip', compressed('fake')],
    ['identity', grpcFrames('fake')],
  ])('encoded in %s keeps what was encoded', (encoding, frame) => {
    const bridge = run({ ...UNARY, 'content-encoding': encoding, 'accept-encoding': 'brotli' });
    expect(bridge.request({ body: [bytes('fake')] }).body).toEqual(frame);
    expect(lines(bridge)).toEqual([
      ['content-type', 'application/grpc+json'],
      ['grpc-encoding', encoding],
      ['grpc-accept-encoding', 'brotli'],
      ['te', 'trailers'],
    ]);
  });

  it('that is too large is refused', () => {
    const bridge = run(UNARY, undefined, 8);
    bridge.request({ body: [bytes('12345678'), bytes('9')] });
    expect(bridge.stream.replies).toEqual([
      {
        status: 413,
        body: "Request rejected because the filter's internal buffer size exceeds the configured limit.",
        details: 'connect_bridge_unary_request_too_large',
      },
    ]);
    expect(run(UNARY, undefined, 8).request({ body: [bytes('12345678')] }).ended).toBe(true);
  });
});

describe('connect-timeout-ms', () => {
  it.each([
    ['10000', '10000m'],
    ['99999999', '99999999m'],
    ['100000000', '100000S'],
    ['32403600000', '32403600S'],
    ['1000000000000', '16666666M'],
    ['10000000000000', '2777777H'],
    [' 5 ', '5m'],
    ['360000000000000', undefined],
    ['99999999999999999999', undefined],
    ['invalid!', undefined],
    ['-1', undefined],
    ['', undefined],
  ])('of %j becomes %j', (ms, expected) => {
    for (const request of [UNARY, STREAMING]) {
      const bridge = asked({ ...request, 'connect-timeout-ms': ms });
      const { requestHeaders: headers } = bridge.stream;
      expect([headers.get('grpc-timeout'), headers.get('connect-timeout-ms')]).toEqual([
        expected,
        expected === undefined ? ms : undefined,
      ]);
    }
  });
});

describe('a unary call in a query', () => {
  const query = (text: string) => `/Service/Method?connect=v1&${text}`;

  it('becomes a POST', () => {
    const path = query('encoding=json&message=%7B%22request%22%3A1%7D');
    const bridge = run({ 'accept-encoding': 'brotli', 'connect-timeout-ms': '1000' }, path);
    expect(bridge.request()).toMatchObject({ body: grpcFrames(ASK), ended: true });
    const { method, path: sent } = bridge.stream.requestHeaders;
    expect([method, sent]).toEqual(['POST', '/Service/Method']);
    expect(lines(bridge)).toEqual([
      ['grpc-encoding', 'identity'],
      ['grpc-accept-encoding', 'brotli'],
      ['content-type', 'application/grpc+json'],
      ['grpc-timeout', '1000m'],
      ['te', 'trailers'],
    ]);
  });

  it('may be in base64, and compressed', () => {
    const bridge = run({}, query('encoding=proto&message=ZmFrZQ&base64=1&compression=gzip'));
    expect(bridge.request().body).toEqual(compressed('fake'));
    expect(bridge.stream.requestHeaders.get('grpc-encoding')).toBe('gzip');
  });

  it('is answered as others are', () => {
    const headers = grpcAnswer();
    const message = {
      body: [grpcFrames(ANSWER)],
      trailers: trailers({ 'grpc-status': '0', 'custom-metadata': 'test' }),
    };
    const passed = asked({}, query('encoding=json')).response(headers, message);
    expect([textOf(passed.body), headers.get('trailer-custom-metadata')]).toEqual([ANSWER, 'test']);
  });

  it('that is too large is refused', () => {
    const bridge = run({}, query('message=123456789'), 8);
    expect(bridge.request().headers).toBe(false);
    expect(bridge.stream.replies[0]).toMatchObject({
      status: 413,
      details: 'connect_bridge_unary_request_too_large',
    });
  });

  it('cannot write headers', () => {
    const bridge = run({}, query('encoding=json%0D%0Ax-evil:%201'));
    bridge.request();
    expect(bridge.stream.replies[0]).toMatchObject({
      status: 400,
      details: 'connect_bridge_invalid_get_request',
    });
    expect([bridge.stream.requestHeaders.method, lines(bridge)]).toEqual(['GET', []]);
  });
});

describe('the answer to a unary call', () => {
  const ok = { 'grpc-status': '0', 'custom-metadata': 'test' };

  it('is the message alone, whatever the pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.integer({ min: 0, max: 9 })), (answer, sizes) => {
        const headers = grpcAnswer({ 'content-length': '99', trailer: 'grpc-status' });
        const end = trailers(ok);
        const wire = { body: inPieces(grpcFrames(answer), sizes), trailers: end };
        const passed = asked(UNARY).response(headers, wire);
        expect([passed.body, end.size]).toEqual([Buffer.from(answer), 0]);
        expect(headers.entries()).toEqual([
          [':status', '200'],
          ['content-type', 'application/proto'],
          ['trailer-custom-metadata', 'test'],
        ]);
      }),
    );
  });

  it.each([
    ['application/grpc', 'application/proto'],
    ['application/grpc+proto', 'application/proto'],
    ['application/grpc+json', 'application/json'],
  ])('of %s becomes one of %s', (type, expected) => {
    const headers = responseHeaders({ 'content-type': type });
    asked(UNARY).response(headers, { body: [grpcFrames(ANSWER)], trailers: trailers(ok) });
    expect(headers.get('content-type')).toBe(expected);
  });

  it.each([
    ['compressed', compressed('test'), 'gzip'],
    ['not compressed', grpcFrames('test'), undefined],
  ])('says how it is encoded, if it is %s', (_, frame, encoding) => {
    const headers = grpcAnswer({ 'grpc-encoding': 'gzip' });
    const passed = asked(UNARY).response(headers, { body: inPieces(frame, [0, 1]) });
    expect([headers.get('content-encoding'), headers.get('grpc-encoding')]).toEqual([encoding, undefined]);
    expect([textOf(passed.body), passed.ended]).toEqual(['test', true]);
  });

  it.each([
    [
      'in the trailers',
      (fields: Record<string, string>) => [grpcAnswer(), { body: [], trailers: trailers(fields) }] as const,
    ],
    [
      'behind a message',
      (fields: Record<string, string>) =>
        [
          grpcAnswer({ 'grpc-encoding': 'gzip' }),
          { body: [compressed('x')], trailers: trailers(fields) },
        ] as const,
    ],
    [
      'in the headers',
      (fields: Record<string, string>) => [grpcAnswer({ ...fields, 'grpc-encoding': 'gzip' }), {}] as const,
    ],
  ])('is an error with a status %s', (_, answer) => {
    const [headers, message] = answer({ 'grpc-status': '14', 'grpc-message': 'so%20sorry' });
    const passed = asked(UNARY).response(headers, message as Message);
    expect(headers.entries()).toEqual([
      [':status', '503'],
      ['content-type', 'application/json'],
    ]);
    expect([textOf(passed.body), passed.ended]).toEqual([
      '{"code":"unavailable","message":"so sorry"}',
      true,
    ]);
  });

  it('has the metadata of an error too', () => {
    const headers = grpcAnswer();
    const end = trailers({ 'grpc-status': '13', 'custom-metadata': 'test' });
    expect(textOf(asked(UNARY).response(headers, { trailers: end }).body)).toBe('{"code":"internal"}');
    expect([headers.status, headers.get('trailer-custom-metadata')]).toEqual([500, 'test']);
  });

  it('of trailers only that tell of no error is empty', () => {
    const headers = grpcAnswer({ 'grpc-status': '0' });
    expect(asked(UNARY).response(headers)).toMatchObject({ chunks: [], ended: true });
    expect(headers.entries()).toEqual([
      [':status', '200'],
      ['content-type', 'application/proto'],
    ]);
  });

  it('that is too large is thrown away', () => {
    const bridge = run(UNARY, undefined, 8);
    bridge.request({ body: [bytes('1')] });
    const body = inPieces(grpcFrames('123456789'), [7, 3]);
    expect(bridge.response(grpcAnswer(), { body }).headers).toBe(false);
    expect(bridge.stream.replies).toEqual([
      {
        status: 500,
        body: "Response discarded because the filter's internal buffer size exceeds the configured limit.",
        details: 'connect_bridge_unary_response_too_large',
      },
    ]);
  });

  it('is held up to the limit, in any pieces', () => {
    const bridge = run(UNARY, undefined, 8);
    bridge.request({ body: [bytes('1')] });
    const body = inPieces(grpcFrames('12345678'), [1, 1, 1, 1, 1, 1, 1]);
    const passed = bridge.response(grpcAnswer(), { body, trailers: trailers({ 'grpc-status': '0' }) });
    expect([textOf(passed.body), passed.overflow]).toEqual(['12345678', false]);
  });
});

describe('a stream', () => {
  it('passes both ways, and ends with an envelope', () => {
    const bridge = run({
      ...STREAMING,
      'connect-protocol-version': '1',
      'connect-content-encoding': 'gzip',
      'connect-accept-encoding': 'brotli',
      'content-length': '9',
    });
    const body = [grpcFrames(ASK), grpcFrames(ASK)];
    expect(bridge.request({ body }).chunks).toEqual(body);
    expect(lines(bridge)).toEqual([
      ['content-type', 'application/grpc+json'],
      ['grpc-encoding', 'gzip'],
      ['grpc-accept-encoding', 'brotli'],
      ['te', 'trailers'],
    ]);
    const headers = responseHeaders({
      'content-type': 'application/grpc+json',
      'grpc-encoding': 'gzip',
      'grpc-accept-encoding': 'brotli',
    });
    const end = trailers({ 'grpc-status': '0', 'custom-metadata': 'test' });
    const passed = bridge.response(headers, { body: [grpcFrames(ANSWER)], trailers: end });
    expect(headers.entries()).toEqual([
      [':status', '200'],
      ['content-type', 'application/connect+json'],
      ['connect-content-encoding', 'gzip'],
      ['connect-accept-encoding', 'brotli'],
    ]);
    const last = envelope('{"metadata":{"custom-metadata":["test"]}}');
    expect([passed.chunks, end.size]).toEqual([[grpcFrames(ANSWER), last], 0]);
  });

  it.each([
    [{ 'grpc-status': '13' }, '{"error":{"code":"internal"}}'],
    [{ 'grpc-status': '0' }, '{}'],
  ])('that ends with its headers, %o', (fields, json) => {
    const headers = grpcAnswer({ ...fields, 'grpc-message': '', 'x-other': 'y' });
    const passed = asked(STREAMING).response(headers);
    expect([passed.body, passed.ended]).toEqual([envelope(json), true]);
    expect(headers.entries()).toEqual([
      [':status', '200'],
      ['content-type', 'application/connect+proto'],
      ['x-other', 'y'],
    ]);
  });

  it('is not held, however long it is', () => {
    const bridge = run(STREAMING, undefined, 8);
    const body = [grpcFrames('0123456789'), grpcFrames('0123456789')];
    expect(bridge.request({ body }).ended).toBe(true);
    const passed = bridge.response(grpcAnswer(), { body, trailers: trailers({ 'grpc-status': '0' }) });
    expect(passed.body).toEqual(Buffer.concat([...body, envelope('{}')]));
  });
});
