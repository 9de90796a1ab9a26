import type { JsonObject } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { messagesIn, Rig } from './support.ts';

type Config = ConstructorParameters<typeof Rig>[1];

/** `/gallery.v1.Gallery/Method {message}` of the call that a request becomes. */
function call(type: string, line: string, body?: string, over: Config = {}): readonly [string, unknown] {
  const rig = new Rig(line, over);
  const passed = rig.request(body === undefined ? {} : { body: [body] });
  if (rig.rejection !== undefined) throw new Error(`${rig.rejection}: ${rig.reply?.body}`);
  const messages = messagesIn(type, passed.body);
  return [rig.stream.requestHeaders.path.replace('/gallery.v1.Gallery/', ''), messages[0]];
}

describe('a binding', () => {
  it.each<[line: string, body: string | undefined, method: string, type: string, message: JsonObject]>([
    ['GET /v1/rooms', undefined, 'ListRooms', 'google.protobuf.Empty', {}],
    ['GET /v1/rooms/', undefined, 'ListRooms', 'google.protobuf.Empty', {}],
    ['GET /v1/rooms/12', undefined, 'GetRoom', 'GetRoomRequest', { room: '12' }],
    ['GET /v1/rooms/12?floor=2', undefined, 'GetRoom', 'GetRoomRequest', { room: '12', floor: 2 }],
    ['GET /v1/rooms/12?', undefined, 'GetRoom', 'GetRoomRequest', { room: '12' }],
    ['GET /v1/rooms/12?room=13', undefined, 'GetRoom', 'GetRoomRequest', { room: '13' }],
    ['GET /v1/floors/2/rooms/12', undefined, 'GetRoom', 'GetRoomRequest', { room: '12', floor: 2 }],
    ['OPTIONS /v1/rooms/12', undefined, 'GetRoom', 'GetRoomRequest', { room: '12' }],
    ['POST /v1/rooms:lookup', '{"room":"12"}', 'GetRoom', 'GetRoomRequest', { room: '12' }],
    ['DELETE /v1/rooms/12', undefined, 'DeleteRoom', 'GetRoomRequest', { room: '12' }],
    [
      'POST /v1/rooms',
      '{"theme":"sea","id":3,"nobody":[{"knows":"this"}]}',
      'CreateRoom',
      'CreateRoomRequest',
      { room: { id: '3', theme: 'sea' } },
    ],
    ['POST /v1/rooms', undefined, 'CreateRoom', 'CreateRoomRequest', { room: {} }],
    [
      'POST /v1/rooms?room.theme=sea&room.id=3',
      undefined,
      'CreateRoom',
      'CreateRoomRequest',
      { room: { id: '3', theme: 'sea' } },
    ],
    ['PUT /v1/rooms/12', '{"theme":"sea"}', 'ReplaceRoom', 'Room', { id: '12', theme: 'sea' }],
    ['PUT /v1/rooms/12', '{"id":"13"}', 'ReplaceRoom', 'Room', { id: '13' }],
    ['PUT /v1/rooms/12', '{"id":null}', 'ReplaceRoom', 'Room', { id: '12' }],
    ['PUT /v1/rooms/12', '{"id":0}', 'ReplaceRoom', 'Room', {}],
    [
      'PATCH /v1/rooms/12?update_mask=theme,wallColour',
      '{"theme":"sea"}',
      'UpdateRoom',
      'UpdateRoomRequest',
      { room: { id: '12', theme: 'sea' }, updateMask: 'theme,wallColour' },
    ],
    ['POST /gallery.v1.Gallery/Audit', '{"room":1}', 'Audit', 'GetRoomRequest', { room: '1' }],
    // As in Envoy, a body that no binding asks for is the message.
    ['GET /v1/rooms/12', '{"floor":4}', 'GetRoom', 'GetRoomRequest', { room: '12', floor: 4 }],
  ])('%s %s', (line, body, method, type, message) => {
    expect(call(type, line, body, { autoMapping: true })).toEqual([method, message]);
  });

  it('makes the headers those of a gRPC call, and keeps what they were', () => {
    const headers = {
      'content-type': 'application/json',
      'content-length': '2',
      'x-envoy-original-method': 'forged',
      te: 'gzip',
    };
    const rig = new Rig('POST /v1/rooms?room.id=1', {}, { headers });
    rig.request({ body: ['{}'] });
    expect(rig.stream.requestHeaders.entries()).toEqual([
      [':authority', 'test'],
      [':path', '/gallery.v1.Gallery/CreateRoom'],
      [':method', 'POST'],
      [':scheme', 'http'],
      ['content-type', 'application/grpc'],
      ['x-envoy-original-method', 'POST'],
      ['te', 'trailers'],
      ['x-envoy-original-path', '/v1/rooms?room.id=1'],
    ]);
    expect(rig.stream.calls).toEqual(['clearRouteCache']);
  });

  it('keeps the route of the request as it came when it is told to', () => {
    const rig = new Rig('GET /v1/rooms', { matchIncomingRequestRoute: true });
    rig.request();
    expect(rig.stream.calls).toEqual([]);
  });
});

describe('a query parameter', () => {
  it.each<[query: string, fields: JsonObject]>([
    ['name=a%20b%2Fc', { name: 'a b/c' }],
    ['name=', {}],
    ['name=a=b', { name: 'a=b' }],
    ['name=%C3%A9', { name: 'é' }],
    ['name=a+b', { name: 'a+b' }],
    ['name=%zz%4', { name: '%zz%4' }],
    ['words=a&words=b', { words: ['a', 'b'] }],
    ['light=DAY', { light: 'DAY' }],
    ['light=1', { light: 'DAY' }],
    ['light=-7', { light: -7 }],
    ['lights=DAY&lights=2', { lights: ['DAY', 'ARTIFICIAL_WARM'] }],
    ['open=true', { open: true }],
    ['open=false', {}],
    ['open=1', { open: true }],
    ['open=Yes', { open: true }],
    ['on_loan=0', { onLoan: false }],
    ['on_loan=F', { onLoan: false }],
    ['limit=-3', { limit: -3 }],
    ['offset=18446744073709551615', { offset: '18446744073709551615' }],
    ['width=1.5e3', { width: 1500 }],
    ['width=-Infinity', { width: '-Infinity' }],
    ['cursor=aGk', { cursor: 'aGk=' }],
    ['like.title=sea', { like: { title: 'sea' } }],
    ['like.id=1&like.title=sea', { like: { id: '1', title: 'sea' } }],
    ['like.made=2020-02-03T04:05:06Z', { like: { made: '2020-02-03T04:05:06Z' } }],
    ['unlike.id=1&unlike.title=sea', { unlike: [{ id: '1', title: 'sea' }] }],
    ['since=2020-02-03T04:05:06.500Z', { since: '2020-02-03T04:05:06.500Z' }],
    ['age=3.5s', { age: '3.500s' }],
    ['fields=name,likeId', { fields: 'name,likeId' }],
    ['max_age=9007199254740993', { maxAge: '9007199254740993' }],
    ['maxAge=0', { maxAge: '0' }],
    ['max_age.value=3', { maxAge: '3' }],
    ['on_loan=true', { onLoan: true }],
    ['painter=', { painter: '' }],
    ['ascending=name', { ascending: 'name' }],
    ['value=3', { value: '3' }],
    ['shelf=0', { shelf: 0 }],
    ['within.within.name=deep', { within: { within: { name: 'deep' } } }],
    ['odd_name=a', { 'odd%5Bname%5D': 'a' }],
    ['odd%5Bname%5D=a', { 'odd%5Bname%5D': 'a' }],
    ['limit=1&limit=2', { limit: 2 }],
    ['&&name=a&nothing&=b&', { name: 'a' }],
    ['ids=1&ids=2', { ids: ['1', '2'] }],
  ])('%s', (query, fields) => {
    expect(call('SearchRequest', `GET /v1/search?${query}`)).toEqual(['Search', fields]);
  });

  it('has + for a space when it is told to', () => {
    const over = { queryParamUnescapePlus: true };
    expect(call('SearchRequest', 'GET /v1/search?name=a+b%2B', undefined, over)[1]).toEqual({ name: 'a b+' });
  });

  it('is left alone when it is to be ignored, whether or not it is a field', () => {
    const over = { ignoredQueryParameters: ['key', 'limit'] };
    const message = call('SearchRequest', 'GET /v1/search?key=1&limit=2&name=a', undefined, over)[1];
    expect(message).toEqual({ name: 'a' });
  });

  it('that is unknown is ignored when it is told to', () => {
    const over = { ignoreUnknownQueryParameters: true };
    const line = 'GET /v1/search?who=%ff&like.who=1&name.first=b&labels.a=b&name=a';
    expect(call('SearchRequest', line, undefined, over)[1]).toEqual({ name: 'a' });
    expect(call('GetRoomRequest', 'GET /v1/misnamed/3?room=2', undefined, over)[1]).toEqual({ room: '2' });
  });
});

describe('a variable', () => {
  it.each<[path: string, name: string]>([
    ['/v1/floors/1/rooms/2/search', 'floors/1/rooms/2'],
    ['/v1/floors/%2f%23/rooms/%20%2523/search', 'floors/%2f%23/rooms/ %23'],
    ['/v1/search/a', 'a'],
    ['/v1/search/a/b%20c//d/', 'a/b c//d'],
    ['/v1/search/%2f%23/%20%2523', '%2f%23/ %23'],
  ])('of several segments: %s', (path, name) => {
    expect(call('SearchRequest', `GET ${path}`)[1]).toEqual({ name });
  });

  it.each<[spec: number, value: string]>([
    [0, '%2f%23%3F/ %23'],
    [1, '%2f#?/ %23'],
    [2, '/#?/ %23'],
  ])('is unescaped by url_unescape_spec %s', (urlUnescapeSpec, name) => {
    const over = { urlUnescapeSpec: urlUnescapeSpec as 0 };
    expect(call('SearchRequest', 'GET /v1/search/%2f%23%3F/%20%2523', undefined, over)[1]).toEqual({ name });
    // One segment alone is one value.
    expect(call('UploadRequest', 'POST /uploads/%2f%23', '', over)[1]).toMatchObject({ name: '/#' });
  });
});

describe('a body and the line of the request', () => {
  const search = (query: string, body: object, over: Config = {}) =>
    call('SearchRequest', `POST /v1/search?${query}`, JSON.stringify(body), over)[1];

  it.each<[query: string, body: object, fields: JsonObject]>([
    ['name=line', { name: 'body' }, { name: 'body' }],
    ['painter=line', { painter: 'body' }, { painter: 'body' }],
    ['odd_name=line', { 'odd%5Bname%5D': 'body' }, { 'odd%5Bname%5D': 'body' }],
    ['like.title=line', { like: { id: 1 } }, { like: { id: '1', title: 'line' } }],
    ['like.title=line&like.id=2', { like: { id: 1 } }, { like: { id: '1', title: 'line' } }],
    ['max_age=3', { max_age: 4 }, { maxAge: '4' }],
    ['max_age=3', { maxAge: 4 }, { maxAge: '4' }],
    ['words=c&words=d', { words: ['a', 'b'] }, { words: ['a', 'b', 'c', 'd'] }],
    ['words=c', { words: null }, { words: ['c'] }],
    ['words=c', { words: [] }, { words: ['c'] }],
    ['unlike.id=2', { unlike: [{ id: 1 }] }, { unlike: [{ id: '1' }, { id: '2' }] }],
    ['limit=1', { constructor: 1, toString: 2, __proto__: 3 }, { limit: 1 }],
  ])('%s and %j', (query, body, fields) => expect(search(query, body)).toEqual(fields));

  it('puts the body of a repeated field in its place', () => {
    const line = 'POST /v1/search/words?words=c&name=n';
    expect(call('SearchRequest', line, '["a","b"]')[1]).toEqual({ words: ['a', 'b', 'c'], name: 'n' });
  });
});

describe('JSON in a body', () => {
  it.each<[body: string, fields: JsonObject]>([
    ['{"open":"true","on_loan":"false"}', { open: true, onLoan: false }],
    [
      '{"light":"2","lights":["DAY",2,"1"]}',
      { light: 'ARTIFICIAL_WARM', lights: ['DAY', 'ARTIFICIAL_WARM', 'DAY'] },
    ],
    ['{"lamps":{"1":"DAY"}}', { lamps: { 1: 'DAY' } }],
    ['{"offset":18446744073709551615}', { offset: '18446744073709551615' }],
    ['{"ids":[9007199254740993,-9007199254740993]}', { ids: ['9007199254740993', '-9007199254740993'] }],
    [
      '{"maxAge":9007199254740993,"width":9007199254740993}',
      { maxAge: '9007199254740993', width: 9007199254740992 },
    ],
    ['{"value":{"n":[12345678901234567890]}}', { value: { n: [12345678901234567000] } }],
    ['{"value":null}', { value: null }],
    ['{"extra":{"a":[1,{"b":null}]}}', { extra: { a: [1, { b: null }] } }],
    [
      '{"detail":{"@type":"type.googleapis.com/gallery.v1.Room","light":"2","id":9007199254740993}}',
      {
        detail: {
          '@type': 'type.googleapis.com/gallery.v1.Room',
          light: 'ARTIFICIAL_WARM',
          id: '9007199254740993',
        },
      },
    ],
    [
      '{"detail":{"@type":"type.googleapis.com/google.protobuf.BoolValue","value":"true"}}',
      { detail: { '@type': 'type.googleapis.com/google.protobuf.BoolValue', value: true } },
    ],
    ['{"within":{"within":{"open":"true"}}}', { within: { within: { open: true } } }],
    ['\n{ "name" : "\\u00e9\\n" }\t', { name: 'é\n' }],
    ['{"name":null,"words":null,"like":null}', {}],
    ['{"name":"a","name":"b"}', { name: 'b' }],
    ['{"wall_colour":"red"}', {}],
  ])('%s', (body, fields) => {
    expect(call('SearchRequest', 'POST /v1/search', body)[1]).toEqual(fields);
  });

  it('may have enum values in any case when it is told so', () => {
    const over = { caseInsensitiveEnumParsing: true };
    const body = '{"light":"artificial-warm","lights":["day","Artificial_Warm"]}';
    expect(call('SearchRequest', 'POST /v1/search?lights=dAy', body, over)[1]).toEqual({
      light: 'ARTIFICIAL_WARM',
      lights: ['DAY', 'ARTIFICIAL_WARM', 'DAY'],
    });
  });

  it('may be as deep as Envoy lets it be', () => {
    const deep = (levels: number) => `{"value":${'['.repeat(levels - 1)}1${']'.repeat(levels - 1)}}`;
    expect(call('SearchRequest', 'POST /v1/search', deep(98))[0]).toBe('Search');
    const rig = new Rig('POST /v1/search');
    rig.request({ body: [deep(101)] });
    expect([rig.rejection, rig.reply?.body]).toEqual([
      '400 grpc_json_transcode_failure{INVALID_ARGUMENT}',
      'Message too deep: more than 100 arrays and objects within each other.',
    ]);
  });

  it('in pieces of any size is the same', () => {
    const body = Buffer.from('{"name":"sée\\"","words":["a","b"],"limit":3}');
    for (const size of [1, 2, 3, 7, 100]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < body.length; at += size) pieces.push(body.subarray(at, at + size));
      const passed = new Rig('POST /v1/search').request({ body: pieces });
      expect(messagesIn('SearchRequest', passed.body)).toEqual([
        { name: 'sée"', words: ['a', 'b'], limit: 3 },
      ]);
      expect(passed.chunks.length).toBe(1);
    }
  });

  it('may end with trailers', () => {
    const passed = new Rig('POST /v1/search').request({ body: ['{"limit":3}'], trailers: { 'x-end': '1' } });
    expect(messagesIn('SearchRequest', passed.body)).toEqual([{ limit: 3 }]);
    expect(passed.trailers?.get('x-end')).toBe('1');
  });
});
