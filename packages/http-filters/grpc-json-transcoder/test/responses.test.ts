import { describe, expect, it } from 'vitest';
import { frame, message, Rig } from './support.ts';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';

type Config = ConstructorParameters<typeof Rig>[1];

const ROOM = { id: '12', theme: 'sea', light: 'DAY' };
const ROOM_JSON = '{"id":"12","theme":"sea","light":"DAY"}';
const OK = { 'grpc-status': '0' };

/** A rig whose request is on its way. */
function called(line: string, over: Config = {}, options: ConstructorParameters<typeof Rig>[2] = {}): Rig {
  const rig = new Rig(line, over, options);
  rig.request();
  if (rig.rejection !== undefined) throw new Error(rig.rejection);
  return rig;
}

/** The headers of the response that a client sees, without those that a test does not ask for. */
function head(rig: Rig): Record<string, string | undefined> {
  const names = [':status', 'content-type', 'content-length', 'grpc-status', 'grpc-message'];
  return Object.fromEntries(
    names.map((name) => [name, rig.response.get(name)] as const).filter(([, value]) => value !== undefined),
  );
}

describe('the response of a unary call', () => {
  it('is the message as JSON, with the status of the call', () => {
    const rig = called('GET /v1/rooms/12');
    const sent = frame('Room', ROOM);
    const down = rig.respond(
      { body: [sent.subarray(0, 3), sent.subarray(3)], trailers: { ...OK, 'grpc-message': 'fine%20' } },
      { 'content-length': String(sent.length), trailer: 'grpc-status' },
    );
    expect(down.body.toString()).toBe(ROOM_JSON);
    expect(down.chunks.length).toBe(1);
    expect(head(rig)).toEqual({
      ':status': '200',
      'content-type': 'application/json',
      'content-length': String(ROOM_JSON.length),
      'grpc-status': '0',
      'grpc-message': 'fine%20',
    });
    expect(down.trailers?.get('grpc-status')).toBe('0');
    expect(rig.response.get('trailer')).toBeUndefined();
    expect(rig.gauge('response')).toBe(0);
  });

  it('keeps the trailer header for clients of HTTP/2', () => {
    const rig = called('GET /v1/rooms/12');
    rig.stream.info.protocol = 'HTTP/2';
    rig.respond({ body: [frame('Room', ROOM)], trailers: OK }, { trailer: 'grpc-status' });
    expect(rig.response.get('trailer')).toBe('grpc-status');
  });

  it.each<[body: readonly Buffer[], json: string]>([
    [[], ''],
    [[Buffer.alloc(0)], ''],
    [[frame('Room', {})], '{}'],
    [[frame('Room', ROOM), frame('Room', { id: 13 })], ROOM_JSON],
    [[Buffer.concat([frame('Room', ROOM), Buffer.from('rest')])], ROOM_JSON],
  ])('has one message, or none: %#', (body, json) => {
    const rig = called('GET /v1/rooms/12');
    const down = rig.respond({ body, trailers: OK });
    expect(down.body.toString()).toBe(json);
    expect(head(rig)['content-length']).toBe(String(json.length));
  });

  it('may end without trailers: then nothing tells of the status', () => {
    const rig = called('GET /v1/rooms/12');
    const down = rig.respond({ body: [frame('Room', ROOM)] });
    expect([down.body.toString(), down.ended]).toEqual([ROOM_JSON, true]);
    expect(head(rig)).toEqual({
      ':status': '200',
      'content-type': 'application/json',
      'content-length': String(ROOM_JSON.length),
    });
  });

  it('leaves out fields that are not in the descriptor set', () => {
    const extra = Buffer.concat([message('Room', ROOM), Buffer.from([0xba, 0x3e, 2, 1, 2])]);
    const down = called('GET /v1/rooms/12').respond({ body: [encodeGrpcFrame(extra)], trailers: OK });
    expect(down.body.toString()).toBe(ROOM_JSON);
  });

  it.each<[status: string | undefined, http: string]>([
    ['0', '200'],
    ['1', '499'],
    ['2', '500'],
    ['3', '400'],
    ['4', '504'],
    ['5', '404'],
    ['6', '409'],
    ['7', '403'],
    ['8', '429'],
    ['9', '400'],
    ['10', '409'],
    ['11', '400'],
    ['12', '501'],
    ['13', '500'],
    ['14', '503'],
    ['15', '500'],
    ['16', '401'],
    ['17', '500'],
    ['1024', '500'],
    ['', '503'],
    ['-1', '503'],
    ['five', '503'],
    [undefined, '503'],
  ])('has for grpc-status %s the status %s', (status, http) => {
    const trailers: Record<string, string> = status === undefined ? {} : { 'grpc-status': status };
    const rig = called('GET /v1/rooms/12');
    rig.respond({ body: [Buffer.alloc(0)], trailers });
    const known = /^\d+$/.test(status ?? '') ? { 'grpc-status': status } : {};
    expect(head(rig)).toEqual({
      ':status': http,
      'content-type': 'application/json',
      'content-length': '0',
      ...known,
    });
  });

  it('of headers alone has the status of the call, and no body', () => {
    const rig = called('GET /v1/rooms/12');
    const down = rig.respond({}, { 'grpc-status': '5', 'grpc-message': 'no such room' });
    expect([down.ended, down.body.length]).toEqual([true, 0]);
    // As Envoy leaves it.
    expect(head(rig)).toEqual({
      ':status': '404',
      'content-type': 'application/grpc',
      'content-length': '0',
      'grpc-status': '5',
      'grpc-message': 'no such room',
    });
  });

  it.each<[headers: Record<string, string>, body: readonly string[]]>([
    [{ ':status': '504', 'content-type': 'text/plain' }, ['timeout']],
    [{ 'content-type': 'text/plain' }, ['hello']],
    [{ ':status': '404', 'content-type': 'application/grpc' }, ['x']],
    [{ 'content-type': 'application/grpc-web' }, ['x']],
    [{ ':status': '200' }, []],
    [{ ':status': '503', 'content-type': 'text/plain' }, []],
  ])('passes as it is when it is not gRPC: %j', (headers, body) => {
    const rig = called('GET /v1/rooms/12');
    const down = rig.respond({ body, ...(body.length > 1 ? { trailers: OK } : {}) }, headers);
    expect(down.body.toString()).toBe(body.join(''));
    expect(rig.response.get('content-type')).toBe(headers['content-type'] ?? 'application/grpc');
    expect(rig.response.get('content-length')).toBeUndefined();
  });
});

describe('the response of a stream', () => {
  const WORKS = [frame('Work', { id: 1, title: 'a' }), frame('Work', { id: 2 })];
  const A = '{"id":"1","title":"a"}';
  const B = '{"id":"2"}';

  it.each<
    [name: string, options: NonNullable<Config>['printOptions'], type: string, chunks: readonly string[]]
  >([
    ['a JSON array', {}, 'application/json', [`[${A}`, `,${B}`, ']']],
    ['lines', { streamNewlineDelimited: true }, 'application/json', [`${A}\n`, `${B}\n`]],
    [
      'server-sent events',
      { streamSseStyleDelimited: true, streamNewlineDelimited: true },
      'text/event-stream',
      [`data: ${A}\n\n`, `data: ${B}\n\n`],
    ],
    [
      'server-sent events of several lines',
      { streamSseStyleDelimited: true, addWhitespace: true },
      'text/event-stream',
      [
        'data: {\ndata:  "id": "1",\ndata:  "title": "a"\ndata: }\n\n',
        'data: {\ndata:  "id": "2"\ndata: }\n\n',
      ],
    ],
  ])('goes out message by message, as %s', (_name, printOptions, type, chunks) => {
    const rig = called('GET /v1/rooms/12/works', { printOptions });
    const down = rig.respond({ body: WORKS, trailers: OK }, { 'content-length': '40' });
    expect(down.chunks.map(String)).toEqual(chunks);
    expect(head(rig)).toEqual({ ':status': '200', 'content-type': type });
    expect(down.trailers?.get('grpc-status')).toBe('0');
  });

  it('does not hold its headers', () => {
    const rig = called('GET /v1/rooms/12/works');
    const down = rig.respond({ body: [WORKS[0].subarray(0, 4), Buffer.alloc(0)], trailers: undefined });
    expect(down.headers).toBe(true);
  });

  it('may have many messages in one piece, and one in many', () => {
    const all = Buffer.concat(WORKS);
    const whole = called('GET /v1/rooms/12/works').respond({ body: [all], trailers: OK });
    expect(whole.chunks.map(String)).toEqual([`[${A},${B}`, ']']);
    const bytes = Array.from(all, (byte) => Buffer.from([byte]));
    const pieces = called('GET /v1/rooms/12/works').respond({ body: bytes, trailers: OK });
    expect(pieces.chunks.map(String)).toEqual([`[${A}`, `,${B}`, ']']);
    const untrailed = called('GET /v1/rooms/12/works').respond({ body: WORKS });
    expect(untrailed.chunks.map(String)).toEqual([`[${A}`, `,${B}]`]);
  });

  it.each<[name: string, options: NonNullable<Config>['printOptions'], body: string, type: string]>([
    ['a JSON array', {}, '[]', 'application/json'],
    ['lines', { streamNewlineDelimited: true }, '', 'application/json'],
    ['server-sent events', { streamSseStyleDelimited: true }, '', 'text/event-stream'],
  ])('without messages is empty: %s', (_name, printOptions, body, type) => {
    const alone = called('GET /v1/rooms/12/works', { printOptions });
    const down = alone.respond({}, { 'grpc-status': '5', 'grpc-message': 'gone' });
    expect(down.body.toString()).toBe(body);
    expect(head(alone)).toEqual({
      ':status': '404',
      'content-type': type,
      'grpc-status': '5',
      'grpc-message': 'gone',
    });
    const trailed = called('GET /v1/rooms/12/works', { printOptions });
    expect(trailed.respond({ body: [''], trailers: { 'grpc-status': '5' } }).body.toString()).toBe(body);
    expect(trailed.response.status).toBe(200);
  });

  it('tells of an error behind its messages in trailers only', () => {
    const rig = called('GET /v1/rooms/12/works');
    const down = rig.respond({ body: [WORKS[0]], trailers: { 'grpc-status': '13' } });
    expect(down.body.toString()).toBe(`[${A}]`);
    expect([rig.response.status, down.trailers?.get('grpc-status')]).toEqual([200, '13']);
  });
});

describe('print options', () => {
  it.each<[options: NonNullable<Config>['printOptions'], json: string]>([
    [{}, '{"id":"12","light":"DAY","wallColour":"red"}'],
    [{ addWhitespace: true }, '{\n "id": "12",\n "light": "DAY",\n "wallColour": "red"\n}\n'],
    [{ alwaysPrintEnumsAsInts: true }, '{"id":"12","light":1,"wallColour":"red"}'],
    [{ preserveProtoFieldNames: true }, '{"id":"12","light":"DAY","wall_colour":"red"}'],
    [
      { alwaysPrintPrimitiveFields: true },
      '{"id":"12","theme":"","light":"DAY","wallColour":"red","doors":[],"open":false}',
    ],
  ])('%j', (printOptions, json) => {
    const rig = called('GET /v1/rooms/12', { printOptions });
    const down = rig.respond({
      body: [frame('Room', { id: 12, light: 1, wallColour: 'red' })],
      trailers: OK,
    });
    expect(down.body.toString()).toBe(json);
  });

  it('all types of fields are written as proto3 JSON has them, and read back', () => {
    const fields = {
      name: 'é\u0000"',
      words: ['a', ''],
      lights: ['DAY', 7],
      offset: '18446744073709551615',
      width: 'NaN',
      cursor: '/+8=',
      since: '2020-02-03T04:05:06.000000007Z',
      age: '-3.500s',
      fields: 'name,likeId',
      maxAge: '0',
      onLoan: false,
      labels: { a: 'b' },
      extra: { a: [1, null, { b: true }] },
      value: null,
      detail: { '@type': 'type.googleapis.com/gallery.v1.Room', id: '1' },
      lamps: { '-5': 'DAY' },
      shelf: 0,
    };
    const down = called('GET /v1/search').respond({ body: [frame('SearchRequest', fields)], trailers: OK });
    expect(JSON.parse(down.body.toString())).toEqual(fields);
    expect(down.body.toString()).toContain(
      '"detail":{"@type":"type.googleapis.com/gallery.v1.Room","id":"1"}',
    );
  });
});

describe('response_body', () => {
  const FIRST = { work: { id: 1, title: 'a' }, count: 3, titles: ['a', 'b'] };
  it.each<[line: string, sent: object, json: string]>([
    ['GET /v1/rooms/1/works/first', FIRST, '{"id":"1","title":"a"}'],
    ['GET /v1/rooms/1/works/first', {}, '{}'],
    ['GET /v1/rooms/1/works/count', FIRST, '3'],
    ['GET /v1/rooms/1/works/count', {}, '0'],
    ['GET /v1/rooms/1/works/titles', FIRST, '["a","b"]'],
    ['GET /v1/rooms/1/works/titles', {}, '[]'],
  ])('%s of %j is %s', (line, sent, json) => {
    const down = called(line).respond({ body: [frame('FirstWorkResponse', sent as never)], trailers: OK });
    expect(down.body.toString()).toBe(json);
  });
});

describe('convert_grpc_status', () => {
  const CONVERT: Config = { convertGrpcStatus: true };
  const TYPE = 'type.googleapis.com/google.rpc.ErrorInfo';
  const details = (json: object) => message('google.rpc.ErrorInfo', json as never);
  /** A google.rpc.Status: code 5, message `gone`, and one detail. */
  function status(type: string, value: Buffer): string {
    const any = Buffer.concat([
      Buffer.from([0x0a, type.length]),
      Buffer.from(type),
      Buffer.from([0x12, value.length]),
      value,
    ]);
    const head = Buffer.from([0x08, 5, 0x12, 4, ...Buffer.from('gone'), 0x1a, any.length]);
    return Buffer.concat([head, any]).toString('base64').replace(/=+$/, '');
  }
  const GOOD = status(TYPE, details({ reason: 'SOLD' }));

  it.each<[name: string, end: Record<string, string>, http: string, body: string]>([
    [
      'from status and message',
      { 'grpc-status': '5', 'grpc-message': 'no%20room%3a %c3%a9' },
      '404',
      '{"code":5,"message":"no room: é"}',
    ],
    ['from the status alone', { 'grpc-status': '16' }, '401', '{"code":16}'],
    ['of a server of its own', { 'grpc-status': '1024' }, '500', '{"code":1024}'],
    [
      'from its details',
      { 'grpc-status': '5', 'grpc-message': 'unused', 'grpc-status-details-bin': GOOD },
      '404',
      `{"code":5,"message":"gone","details":[{"@type":"${TYPE}","reason":"SOLD"}]}`,
    ],
    [
      'from its details with padding',
      { 'grpc-status': '5', 'grpc-status-details-bin': 'CAU=' },
      '404',
      '{"code":5}',
    ],
    ['not from bad base64', { 'grpc-status': '5', 'grpc-status-details-bin': '*' }, '404', '{"code":5}'],
    ['not from bad bytes', { 'grpc-status': '5', 'grpc-status-details-bin': 'CgU' }, '404', '{"code":5}'],
  ])('%s', (_name, end, http, body) => {
    const alone = called('GET /v1/rooms/12', CONVERT);
    const first = alone.respond({}, { ...end, trailer: 'x' });
    expect(first.body.toString()).toBe(body);
    expect(head(alone)).toEqual({
      ':status': http,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    });
    expect(alone.response.get('grpc-status-details-bin')).toBeUndefined();
    expect(alone.response.get('trailer')).toBeUndefined();
    const trailed = called('GET /v1/rooms/12', CONVERT);
    const second = trailed.respond({ body: [''], trailers: end });
    expect(second.body.toString()).toBe(body);
    expect(head(trailed)).toEqual(head(alone));
    expect(second.trailers?.get('grpc-status')).toBe(end['grpc-status']);
  });

  it('leaves a status whose details have a type that is not known', () => {
    const rig = called('GET /v1/rooms/12', CONVERT);
    const unknown = status('type.googleapis.com/nobody.Knows', Buffer.from([8, 1]));
    const down = rig.respond({}, { 'grpc-status': '5', 'grpc-status-details-bin': unknown });
    expect(down.body.length).toBe(0);
    expect(head(rig)).toMatchObject({ ':status': '404', 'grpc-status': '5', 'content-length': '0' });
  });

  it('leaves what is no error, or has no status', () => {
    for (const end of [{ 'grpc-status': '0' }, { 'grpc-status': 'x' }]) {
      const rig = called('GET /v1/rooms/12', CONVERT);
      expect(rig.respond({}, end).body.length).toBe(0);
    }
  });

  it('leaves a response that has a body', () => {
    const rig = called('GET /v1/rooms/12', CONVERT);
    const down = rig.respond({ body: [frame('Room', ROOM)], trailers: { 'grpc-status': '5' } });
    expect(down.body.toString()).toBe(ROOM_JSON);
    expect(rig.response.status).toBe(404);
  });

  it('is done for streams, too, with the status in time when nothing has gone out', () => {
    const alone = called('GET /v1/rooms/12/works', CONVERT);
    expect(alone.respond({}, { 'grpc-status': '5' }).body.toString()).toBe('{"code":5}');
    expect(head(alone)).toEqual({
      ':status': '404',
      'content-type': 'application/json',
      'content-length': '10',
    });
    const raw = called('GET /pages/12/all', CONVERT);
    expect(raw.respond({ body: [], trailers: { 'grpc-status': '5' } }).body.toString()).toBe('{"code":5}');
    expect(raw.response.status).toBe(404);
    const late = called('GET /v1/rooms/12/works', CONVERT);
    expect(late.respond({ body: [], trailers: { 'grpc-status': '5' } }).body.toString()).toBe('{"code":5}');
    expect(head(late)).toEqual({ ':status': '200', 'content-type': 'application/json' });
  });

  it('writes as the print options say', () => {
    const rig = called('GET /v1/rooms/12', { ...CONVERT, printOptions: { addWhitespace: true } });
    expect(rig.respond({}, { 'grpc-status': '5' }).body.toString()).toBe('{\n "code": 5\n}\n');
  });
});

describe('a response that cannot be transcoded', () => {
  const BAD = '502 grpc_json_transcode_failure{INTERNAL}';
  const LARGE = '500 grpc_json_transcode_failure{response_buffer_size_limit_reached}';

  it.each<[name: string, line: string, body: readonly Buffer[], text: string | RegExp]>([
    ['bad bytes', 'GET /v1/rooms/1', [encodeGrpcFrame(Buffer.from([0x0a]))], /./],
    [
      'a compressed message',
      'GET /v1/rooms/1',
      [encodeGrpcFrame(message('Room', ROOM), 1)],
      'Unsupported gRPC frame flag: 1 (the message is compressed)',
    ],
    [
      'other flags',
      'GET /v1/rooms/1',
      [encodeGrpcFrame(Buffer.alloc(1), 0x80)],
      'Unsupported gRPC frame flag: 128',
    ],
    [
      'half a message',
      'GET /v1/rooms/1',
      [frame('Room', ROOM).subarray(0, 7)],
      'Incomplete gRPC frame: 7 bytes at the end',
    ],
    [
      'half a header',
      'GET /v1/rooms/1/works',
      [Buffer.from([0, 0])],
      'Incomplete gRPC frame: 2 bytes at the end',
    ],
    [
      'an Any of a type that is not known',
      'GET /v1/search',
      [encodeGrpcFrame(Buffer.from([0xba, 1, 7, 0x0a, 5, ...Buffer.from('a/b.C')]))],
      /"a\/b\.C" is not in the type registry/,
    ],
    [
      'a date that is none',
      'GET /v1/search',
      [encodeGrpcFrame(Buffer.from([0x62, 7, 8, 0x80, 0xf0, 0xe0, 0x9d, 0xf9, 7]))],
      /Timestamp/,
    ],
    [
      'what is no HttpBody',
      'GET /pages/1',
      [encodeGrpcFrame(Buffer.from([0x10, 0x80]))],
      "the upstream's message is no google.api.HttpBody",
    ],
    [
      'a content type with a line break',
      'GET /pages/1',
      [frame('google.api.HttpBody', { contentType: 'a\r\nset-cookie: b', data: 'aGk=' })],
      'the content type of the HttpBody has control characters',
    ],
  ])('%s', (_name, line, body, text) => {
    for (const trailers of [OK, undefined]) {
      const rig = called(line);
      rig.respond({ body, trailers });
      expect(rig.rejection).toBe(BAD);
      expect(rig.reply?.body).toMatch(text);
      expect(rig.gauge('response')).toBe(0);
    }
  });

  it('nests deeper than it may', () => {
    let deep = Buffer.alloc(0);
    for (let i = 0; i < 300; i++) {
      const length = deep.length < 128 ? [deep.length] : [(deep.length & 127) | 128, deep.length >> 7];
      deep = Buffer.concat([Buffer.from([0xc2, 1, ...length]), deep]);
    }
    const rig = called('GET /v1/search');
    rig.respond({ body: [encodeGrpcFrame(deep)], trailers: OK });
    expect([rig.rejection, rig.reply?.body]).toEqual([BAD, expect.stringContaining('recursion depth')]);
  });

  it.each<
    [line: string, body: readonly Buffer[], over: Config, bufferLimit: number, rejection: string | undefined]
  >([
    ['GET /v1/rooms/1', [Buffer.alloc(30)], {}, 29, LARGE],
    ['GET /v1/rooms/1', [Buffer.alloc(30)], { maxResponseBodySize: 29 }, 1024, LARGE],
    ['GET /v1/rooms/1', [Buffer.alloc(30)], {}, 30, undefined],
    ['GET /v1/rooms/1', [Buffer.alloc(30)], { maxResponseBodySize: 30 }, 10, undefined],
    ['GET /v1/rooms/1', [Buffer.from([0, 0, 0, 0, 99]), Buffer.alloc(1)], {}, 30, LARGE],
    [
      'GET /v1/rooms/1',
      [frame('Room', ROOM).subarray(0, 10), frame('Room', ROOM).subarray(10)],
      {},
      13,
      LARGE,
    ],
    ['GET /pages/1', [Buffer.alloc(30)], {}, 29, LARGE],
    // Messages of a stream count one by one.
    ['GET /v1/rooms/1/works', [frame('Work', { id: 1 }), frame('Work', { id: 2 })], {}, 8, undefined],
    ['GET /v1/rooms/1/works', [frame('Work', { id: 1 }), Buffer.alloc(9)], {}, 8, LARGE],
  ])('is too large: %s %#', (line, body, over, bufferLimit, rejection) => {
    const rig = called(line, over, { bufferLimit });
    rig.respond({ body, trailers: OK });
    expect(rig.rejection).toBe(rejection);
    if (rejection === undefined) return;
    expect(rig.reply?.body).toBe(
      "Response not transcoded because the transcoder's internal buffer size exceeds the configured limit.",
    );
    expect(rig.gauge('response')).toBe(0);
  });

  it('is counted as long as it waits', () => {
    const rig = called('GET /v1/rooms/1');
    const sent = frame('Room', ROOM);
    rig.respond({ body: [sent.subarray(0, 8)] });
    rig.filter.onComplete?.();
    expect(rig.gauge('response')).toBe(0);
    const open = called('GET /v1/rooms/1');
    open.filter.onResponseHeaders?.(openHeaders(open), false);
    open.filter.onResponseBody?.(sent.subarray(0, 8), false);
    expect(open.gauge('response')).toBe(8);
    open.filter.onResponseBody?.(sent.subarray(8), false);
    expect(open.gauge('response')).toBe(ROOM_JSON.length);
    open.filter.onComplete?.();
    expect(open.gauge('response')).toBe(0);
  });
});

function openHeaders(rig: Rig) {
  rig.response.status = 200;
  rig.response.set('content-type', 'application/grpc');
  return rig.response;
}
