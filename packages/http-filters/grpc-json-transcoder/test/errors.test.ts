import { describe, expect, it } from 'vitest';
import { Rig } from './support.ts';

type Config = ConstructorParameters<typeof Rig>[1];

const FAILED = 'grpc_json_transcode_failure';
const INVALID = `400 ${FAILED}{INVALID_ARGUMENT}`;
const INVALID_EARLY = `400 early_${FAILED}{INVALID_ARGUMENT}`;

const STRICT: Config = {
  requestValidationOptions: { rejectUnknownMethod: true, rejectUnknownQueryParameters: true },
};

describe('a request that is for no method', () => {
  it.each<[line: string, headers: Record<string, string>]>([
    ['GET /unknown', {}],
    ['POST /v1/rooms/1', {}],
    ['GET /gallery.v1.Gallery/Audit', {}],
    ['POST /gallery.v1.Gallery/Audit', {}],
    ['GET /v1/rooms/1?who=1', {}],
    ['GET /v1/rooms/1?room.id=1', {}],
    ['GET /v1/search?labels.a=b', {}],
    ['GET /v1/misnamed/3', {}],
    ['GET /v1/rooms/1', { 'content-type': 'application/grpc' }],
    ['GET /v1/rooms/1', { 'content-type': 'application/grpc+proto' }],
    [' ', {}],
  ])('passes: %s %j', (line, headers) => {
    const rig = new Rig(line, {}, { headers });
    const before = rig.stream.requestHeaders.entries();
    const up = rig.request({ body: ['{"a"', ':1}'], trailers: { 'x-end': '1' } });
    expect(up.body.toString()).toBe('{"a":1}');
    expect(up.trailers?.get('x-end')).toBe('1');
    const down = rig.respond({ body: ['x'], trailers: { 'grpc-status': '5' } });
    expect([rig.response.get('content-type'), down.body.toString()]).toEqual(['application/grpc', 'x']);
    expect(rig.stream.requestHeaders.entries()).toEqual(before);
    expect(rig.stream.calls).toEqual([]);
  });

  it.each<[line: string, rejection: string, body: string]>([
    ['GET /caf%C3%A9?x=1', `404 early_${FAILED}{NOT_FOUND}`, 'Could not resolve /caf%C3%A9 to a method.'],
    ['GET /caf\xc3\xa9', `404 early_${FAILED}{NOT_FOUND}`, 'Could not resolve /café to a method.'],
    [
      'GET /v1/rooms/1?who=1',
      INVALID_EARLY,
      'Could not find field "who" in the type "gallery.v1.GetRoomRequest".',
    ],
    ['GET /v1/search?like.who=1', INVALID_EARLY, 'Could not find field "who" in the type "gallery.v1.Work".'],
    [
      'GET /v1/search?name.first=1',
      INVALID_EARLY,
      'Encountered a non-leaf field "name" that is not a message while parsing a field path',
    ],
    [
      'GET /v1/misnamed/3',
      INVALID_EARLY,
      'Could not find field "chamber" in the type "gallery.v1.GetRoomRequest".',
    ],
    [
      `GET /v1/search?${'within.'.repeat(100)}name=1`,
      INVALID_EARLY,
      'The field path has more than 100 names.',
    ],
  ])('is rejected when it is told to: %s', (line, rejection, body) => {
    const rig = new Rig(line, STRICT);
    const up = rig.request({ body: ['{}'] });
    expect([rig.rejection, rig.reply?.body]).toEqual([rejection, body]);
    expect([up.headers, up.body.length]).toEqual([false, 0]);
  });

  it('passes when it is gRPC, however strict the filter is', () => {
    const rig = new Rig('GET /unknown?a=1', STRICT, { headers: { 'content-type': 'application/grpc' } });
    expect(rig.request().headers).toBe(true);
    expect(rig.rejection).toBeUndefined();
  });

  it('is transcoded when unknown parameters are ignored or captured, however strict the filter is', () => {
    for (const over of [{ ignoreUnknownQueryParameters: true }, { captureUnknownQueryParameters: true }]) {
      const rig = new Rig('GET /v1/rooms/1?who=1', { ...STRICT, ...over });
      rig.request();
      expect(rig.rejection).toBeUndefined();
      expect(rig.stream.requestHeaders.path).toBe('/gallery.v1.Gallery/GetRoom');
    }
  });
});

describe('a request that cannot become a message', () => {
  it.each<[line: string, message: string | RegExp]>([
    ['GET /v1/rooms/twelve', /cannot decode field gallery\.v1\.GetRoomRequest\.room from JSON: .*twelve/],
    ['GET /v1/rooms/', ''],
    ['GET /v1/rooms/1?floor=', /GetRoomRequest\.floor/],
    ['GET /v1/rooms/1?floor=2147483648', /GetRoomRequest\.floor/],
    ['GET /v1/rooms/9223372036854775808', /GetRoomRequest\.room/],
    ['GET /v1/rooms/1?floor=1.5', /GetRoomRequest\.floor/],
    ['GET /v1/search?open=maybe', /SearchRequest\.open/],
    ['GET /v1/search?light=NIGHT', 'invalid value "NIGHT" for type gallery.v1.Light'],
    ['GET /v1/search?light=day', 'invalid value "day" for type gallery.v1.Light'],
    ['GET /v1/search?since=yesterday', /google\.protobuf\.Timestamp/],
    ['GET /v1/search?since.seconds=1', /google\.protobuf\.Timestamp/],
    ['GET /v1/search?labels=a', /SearchRequest\.labels/],
    ['GET /v1/search?like=a', /gallery\.v1\.Work/],
    ['GET /v1/search?ascending=a&descending=b', /oneof set multiple times/],
    ['GET /v1/search?cursor=%25', /SearchRequest\.cursor/],
    ['GET /v1/search?extra=a', /google\.protobuf\.Struct/],
  ])('%s', (line, message) => {
    const rig = new Rig(line);
    rig.request();
    if (message === '') expect(rig.rejection).toBeUndefined();
    else {
      expect(rig.rejection).toBe(INVALID_EARLY);
      expect(rig.reply?.body).toMatch(message);
    }
  });

  it('has bytes that are no UTF-8 in its line: that is no unknown name, and does not pass', () => {
    for (const line of ['GET /v1/search?name=%ff', 'GET /v1/search/%ff', 'GET /v1/search/\xc3(']) {
      const rig = new Rig(line);
      rig.request();
      expect([rig.rejection, rig.reply?.body]).toEqual([INVALID_EARLY, 'Encountered non UTF-8 code points.']);
    }
  });

  it.each<[body: string | Buffer, message: string | RegExp]>([
    ['INVALID', /Unexpected token/],
    ['{"theme":"sea"', /JSON/],
    ['{"theme" "sea"}', /JSON/],
    ['{"theme":"sea"}more', /JSON/],
    [' ', /JSON/],
    ["{'theme':'sea'}", /JSON/],
    ['{"id":12,}', /JSON/],
    ['{"id":01}', /JSON/],
    ['{"id":"a"}', /gallery\.v1\.Room\.id/],
    ['{"id":1.5}', /gallery\.v1\.Room\.id/],
    ['{"id":9223372036854775808}', /gallery\.v1\.Room\.id/],
    ['{"theme":1}', /gallery\.v1\.Room\.theme/],
    ['{"theme":12345678901234567890}', /gallery\.v1\.Room\.theme/],
    ['{"open":"maybe"}', /gallery\.v1\.Room\.open/],
    ['{"light":"NIGHT"}', 'invalid value "NIGHT" for type gallery.v1.Light'],
    ['{"doors":"one"}', /gallery\.v1\.Room\.doors/],
    ['{"doors":[null]}', /gallery\.v1\.Room\.doors/],
    ['{"wallColour":"a","wall_colour":"b"}', /set multiple times/],
    ['[]', /gallery\.v1\.Room/],
    ['null', /gallery\.v1\.Room/],
    ['1', /gallery\.v1\.Room/],
    [Buffer.from('{"theme":"\xc3("}', 'latin1'), 'Encountered non UTF-8 code points.'],
    [`{"theme":${'['.repeat(200_000)}`, /^Message too deep/],
  ])('with the body %s', (body, message) => {
    const rig = new Rig('PUT /v1/rooms/1');
    const up = rig.request({ body: [body] });
    expect(rig.rejection).toBe(INVALID);
    expect(rig.reply?.body).toMatch(message);
    expect(up.body.length).toBe(0);
    expect(rig.gauge('request')).toBe(0);
  });

  it('is quoted in part only', () => {
    const long = 'x'.repeat(10_000);
    for (const body of [`{"id":"${long}"}`, `{"light":"${long}"}`]) {
      const rig = new Rig('PUT /v1/rooms/1');
      rig.request({ body: [body] });
      expect(rig.reply?.body).toMatch(/xxx…$/);
      expect(rig.reply?.body?.length).toBe(1025);
    }
  });

  it('is rejected when the body ends with trailers, too', () => {
    const rig = new Rig('PUT /v1/rooms/1');
    rig.request({ body: ['{'], trailers: { 'x-end': '1' } });
    expect(rig.rejection).toBe(INVALID);
  });

  it('is answered as it came: not by the rules of gRPC', () => {
    for (const type of [undefined, 'application/json; charset=utf-8']) {
      const rig = new Rig(
        'PUT /v1/rooms/1',
        {},
        { headers: type === undefined ? {} : { 'content-type': type } },
      );
      rig.request({ body: ['x'] });
      expect(rig.stream.requestHeaders.get('content-type')).toBe(type);
    }
  });
});

describe('values of the body that are not those of the line', () => {
  const refuse: Config = { requestValidationOptions: { rejectBindingBodyFieldCollisions: true } };
  const says = (value: string, field: string, body: string) =>
    `The binding value ${value} of the field ${field} is conflicting with the value ${body} in the body.`;

  it.each<[line: string, body: string, message: string | undefined]>([
    ['PUT /v1/rooms/12', '{"id":"13"}', says('12', 'id', '13')],
    ['PUT /v1/rooms/12', '{"id":13}', says('12', 'id', '13')],
    ['PUT /v1/rooms/12', '{"id":9007199254740993}', says('12', 'id', '9007199254740993')],
    ['PUT /v1/rooms/9007199254740993', '{"id":9007199254740993}', undefined],
    ['PUT /v1/rooms/12', '{"id":12}', undefined],
    ['PUT /v1/rooms/12', '{"id":"12"}', undefined],
    ['PUT /v1/rooms/12', '{"id":null}', undefined],
    ['PUT /v1/rooms/12?theme=sea', '{"id":"12","theme":"sky"}', says('sea', 'theme', 'sky')],
    ['PUT /v1/rooms/12?wallColour=red', '{"wall_colour":"blue"}', says('red', 'wall_colour', 'blue')],
    ['PUT /v1/rooms/12?open=true', '{"open":false}', says('true', 'open', 'false')],
    ['PUT /v1/rooms/12?open=true', '{"open":true}', undefined],
    ['PUT /v1/rooms/12?open=1', '{"open":true}', undefined],
    ['PUT /v1/rooms/12?doors=a', '{"doors":["b"]}', undefined],
    ['POST /v1/search?width=0.1', '{"width":0.10000000001}', undefined],
    ['POST /v1/search?width=0.1', '{"width":0.2}', says('0.1', 'width', '0.2')],
    ['POST /v1/search?width=', '{"width":0}', says('', 'width', '0')],
    ['POST /v1/search?like.title=a', '{"like":{"title":"b"}}', says('a', 'title', 'b')],
  ])('%s with %s', (line, body, message) => {
    const lenient = new Rig(line);
    lenient.request({ body: [body] });
    expect(lenient.rejection).toBeUndefined();
    const strict = new Rig(line, refuse);
    strict.request({ body: [body] });
    expect(strict.rejection).toBe(message === undefined ? undefined : INVALID);
    expect(strict.reply?.body).toBe(message);
  });
});

describe('a body that is too large', () => {
  const TOO_LARGE = `413 ${FAILED}{request_buffer_size_limit_reached}`;
  const TEXT = "Request rejected because the transcoder's internal buffer size exceeds the configured limit.";

  it.each<[line: string, body: readonly string[], rejection: string | undefined]>([
    ['POST /v1/rooms', ['{"id":1}'], undefined],
    ['POST /v1/rooms', ['{"id":12}'], TOO_LARGE],
    ['POST /v1/rooms', ['{"id"', ':12}'], TOO_LARGE],
    ['POST /v1/works:import', ['[{"room":1}]'], TOO_LARGE],
    ['POST /v1/works:import', ['[{},{},{},{},{},{}]'], undefined],
    ['POST /v1/works:import', ['[{"room"'], undefined],
    ['POST /v1/works:import', ['[{"room":1'], TOO_LARGE],
    ['POST /uploads/a', ['12345678'], undefined],
    ['POST /uploads/a', ['1234', '56789'], TOO_LARGE],
    ['POST /uploads/a/parts', ['123456789', '123456789'], undefined],
  ])('%s %j', (line, body, rejection) => {
    for (const [over, bufferLimit] of [
      [{}, 8],
      [{ maxRequestBodySize: 8 }, 1 << 20],
    ] as const) {
      const rig = new Rig(line, over, { bufferLimit });
      rig.request({ body: [...body, ''], trailers: {} });
      if (rejection === undefined) expect(rig.rejection).not.toBe(TOO_LARGE);
      else expect([rig.rejection, rig.reply?.body]).toEqual([rejection, TEXT]);
      rig.filter.onComplete?.();
      expect(rig.gauge('request')).toBe(0);
    }
  });

  it.each([
    [{ maxRequestBodySize: 16 }, 16],
    [{ maxResponseBodySize: 32 }, 32],
    [{ maxRequestBodySize: 4 }, 8],
    [{}, 8],
  ])('the stream may hold what %j asks for', (over, limit) => {
    const rig = new Rig('POST /v1/rooms', over, { bufferLimit: 8 });
    rig.request();
    expect(rig.stream.bufferLimit).toBe(limit);
  });

  it('is counted as long as it waits', () => {
    const rig = new Rig('POST /v1/rooms');
    rig.filter.onRequestHeaders?.(rig.stream.requestHeaders, false);
    rig.filter.onRequestBody?.(Buffer.from('{"id"'), false);
    expect(rig.gauge('request')).toBe(5);
    rig.filter.onRequestBody?.(Buffer.from(':1}'), true);
    expect(rig.gauge('request')).toBe(0);
  });
});
