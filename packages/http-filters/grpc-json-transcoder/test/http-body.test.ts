import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema, anyUnpack, fromBinary, UnknownQueryParamsSchema } from '@dragoman/api';
import { GrpcFrameReader } from '@dragoman/grpc-frames';
import { describe, expect, it } from 'vitest';
import { frame, messagesIn, Rig } from './support.ts';

const OK = { 'grpc-status': '0' };
const base64 = (text: string) => Buffer.from(text).toString('base64');
const body = (contentType: string, data: string) =>
  frame('google.api.HttpBody', { ...(contentType === '' ? {} : { contentType }), data: base64(data) });

describe('a request whose body goes on as it came', () => {
  const HEADERS = { headers: { 'content-type': 'text/plain' } };

  it.each<[line: string, type: string, message: object]>([
    [
      'POST /uploads/cover.txt',
      'UploadRequest',
      { name: 'cover.txt', cover: { scan: { contentType: 'text/plain', data: base64('not {json') } } },
    ],
    [
      'POST /uploads/a?cover.title=b&other.content_type=x&other.data=aGk=',
      'UploadRequest',
      {
        name: 'a',
        cover: { title: 'b', scan: { contentType: 'text/plain', data: base64('not {json') } },
        other: { contentType: 'x', data: base64('hi') },
      },
    ],
    // What would be within the body is left out.
    [
      'POST /uploads/a?cover.scan.data=%7b&cover.scan.content_type=x',
      'UploadRequest',
      { name: 'a', cover: { scan: { contentType: 'text/plain', data: base64('not {json') } } },
    ],
    [
      'POST /covers/a',
      'UploadRequest',
      { name: 'a', other: { contentType: 'text/plain', data: base64('not {json') } },
    ],
    ['POST /pages?data=%7b', 'google.api.HttpBody', { contentType: 'text/plain', data: base64('not {json') }],
  ])('%s', (line, type, message) => {
    for (const pieces of [['not {json'], ['not', ' ', '{json'], ['not {json', '']]) {
      const passed = new Rig(line, {}, HEADERS).request({ body: pieces });
      expect(messagesIn(type, passed.body)).toEqual([message]);
      expect(passed.chunks.length).toBe(1);
    }
  });

  it('may be of headers alone, or end with trailers', () => {
    expect(messagesIn('google.api.HttpBody', new Rig('GET /pages').request().body)).toEqual([{}]);
    const trailed = new Rig('POST /pages', {}, HEADERS).request({ body: ['a'], trailers: {} });
    expect(messagesIn('google.api.HttpBody', trailed.body)).toEqual([
      { contentType: 'text/plain', data: base64('a') },
    ]);
    const empty = new Rig('POST /uploads/a').request({ body: [''] });
    expect(messagesIn('UploadRequest', empty.body)).toEqual([{ name: 'a', cover: { scan: {} } }]);
  });

  it('is rejected for a line that does not fit', () => {
    const rig = new Rig('POST /uploads/a?other.data=oops%7b', {}, HEADERS);
    const passed = rig.request({ body: ['x'] });
    expect(rig.rejection).toBe('400 grpc_json_transcode_failure{INVALID_ARGUMENT}');
    expect(passed.headers).toBe(false);
    expect(rig.stream.requestHeaders.path).toBe('/uploads/a?other.data=oops%7b');
  });

  it('is a message a piece when the call is a stream; the first says what they are', () => {
    const passed = new Rig('POST /uploads/a/parts', {}, HEADERS).request({
      body: ['first', ' ', '', 'last'],
    });
    expect(passed.chunks.map((chunk) => messagesIn('UploadRequest', chunk))).toEqual([
      [{ name: 'a', cover: { scan: { contentType: 'text/plain', data: base64('first') } } }],
      [{ cover: { scan: { data: base64(' ') } } }],
      [{ cover: { scan: { data: base64('last') } } }],
    ]);
  });

  it('has one message at least, and none above a mebibyte', () => {
    for (const sent of [{}, { body: [''] }, { body: [], trailers: {} }]) {
      const passed = new Rig('POST /uploads/a/parts').request(sent);
      expect(messagesIn('UploadRequest', passed.body)).toEqual([{ name: 'a', cover: { scan: {} } }]);
    }
    const large = new Rig('POST /uploads/a/parts').request({ body: [Buffer.alloc((5 << 20) + 3, 'x')] });
    const reader = new GrpcFrameReader({ maxMessageBytes: 2 << 20 });
    reader.push(large.body);
    const sizes: number[] = [];
    for (let next = reader.next(); next !== undefined; next = reader.next()) sizes.push(next.message.length);
    expect(sizes.length).toBe(6);
    expect(Math.max(...sizes)).toBeLessThan((1 << 20) + 64);
    expect(sizes.at(-1)).toBeLessThan(64);
  });

  it('tells of unknown parameters when they are captured', () => {
    const over = { captureUnknownQueryParameters: true };
    const line = 'POST /uploads/a/parts?who=x%20y&a.b=1&who=z&cover.title=t';
    const passed = new Rig(line, over).request({ body: ['1', '2'] });
    const expected = create(UnknownQueryParamsSchema, {
      key: { who: { values: ['x y', 'z'] }, 'a.b': { values: ['1'] } },
    });
    expect(passed.chunks.length).toBe(2);
    for (const chunk of passed.chunks) {
      const found = chunk.indexOf(toBinary(UnknownQueryParamsSchema, expected));
      expect(found).toBeGreaterThan(0);
    }
    const url =
      'type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.UnknownQueryParams';
    const at = (passed.chunks[0] as Buffer).indexOf(url) - 2;
    const any = fromBinary(
      AnySchema,
      (passed.chunks[0] as Buffer).subarray(at, at + anyLength(expected, url)),
    );
    expect(anyUnpack(any, UnknownQueryParamsSchema)).toEqual(expected);
  });

  function anyLength(
    value: Parameters<typeof toBinary<typeof UnknownQueryParamsSchema>>[1],
    url: string,
  ): number {
    return 4 + url.length + toBinary(UnknownQueryParamsSchema, value).length;
  }
});

describe('a response that is a google.api.HttpBody', () => {
  function called(line: string): Rig {
    const rig = new Rig(line);
    rig.request();
    return rig;
  }

  it('is its data, with its content type', () => {
    const sent = body('text/html', '<h1>hi</h1>');
    for (const pieces of [[sent], [sent.subarray(0, 9), sent.subarray(9)], [sent, body('a/b', 'second')]]) {
      for (const trailers of [OK, undefined]) {
        const rig = called('GET /pages/1');
        const down = rig.respond({ body: pieces, trailers });
        expect(down.body.toString()).toBe('<h1>hi</h1>');
        expect(rig.response.get('content-type')).toBe('text/html');
        expect(rig.response.get('content-length')).toBe('11');
        expect(rig.response.get('grpc-status')).toBe(trailers === undefined ? undefined : '0');
      }
    }
  });

  it('may be a field of the message', () => {
    const rig = called('GET /covers/1');
    const scan = { contentType: 'image/png', data: base64('png') };
    const down = rig.respond({
      body: [frame('UploadRequest', { name: 'n', cover: { title: 't', scan } })],
      trailers: OK,
    });
    expect([rig.response.get('content-type'), down.body.toString()]).toEqual(['image/png', 'png']);
  });

  it('may be empty: without a type there is none', () => {
    const rig = called('GET /covers/1');
    const down = rig.respond({ body: [frame('UploadRequest', { name: 'n' })], trailers: OK });
    expect(down.body.length).toBe(0);
    expect([rig.response.get('content-type'), rig.response.get('content-length')]).toEqual([undefined, '0']);
    const none = called('GET /pages/1');
    none.respond({ body: [frame('google.api.HttpBody', {})], trailers: OK });
    expect(none.response.get('content-type')).toBe('application/json');
  });

  it('of a stream goes out piece by piece, with the first type', () => {
    const rig = called('GET /pages/1/all');
    const first = body('text/html', 'one');
    const down = rig.respond({
      body: [
        first.subarray(0, 4),
        first.subarray(4),
        Buffer.concat([body('text/plain', 'two'), body('', 'three')]),
      ],
      trailers: OK,
    });
    expect(down.chunks.map(String)).toEqual(['one', 'twothree']);
    expect(rig.response.get('content-type')).toBe('text/html');
    expect([rig.response.get('content-length'), rig.response.get('grpc-status')]).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('of a stream holds its headers until it knows the type', () => {
    const held = called('GET /pages/1/all');
    held.response.status = 200;
    held.response.set('content-type', 'application/grpc');
    expect(held.filter.onResponseHeaders?.(held.response, false)).toBe('collect');
    expect(held.filter.onResponseBody?.(body('text/html', 'one').subarray(0, 6), false)).toBe('collect');
    expect(held.filter.onResponseBody?.(body('text/html', 'one').subarray(6), false)).toEqual(
      Buffer.from('one'),
    );
  });

  it('of a stream without messages has the headers of JSON, and its status when it comes alone', () => {
    const alone = called('GET /pages/1/all');
    expect(alone.respond({}, { 'grpc-status': '5' }).body.length).toBe(0);
    expect([alone.response.status, alone.response.get('content-type')]).toEqual([404, 'application/json']);
    const trailed = called('GET /pages/1/all');
    expect(trailed.respond({ body: [''], trailers: { 'grpc-status': '5' } }).body.length).toBe(0);
    expect([trailed.response.status, trailed.response.get('content-type')]).toEqual([
      200,
      'application/json',
    ]);
  });
});
