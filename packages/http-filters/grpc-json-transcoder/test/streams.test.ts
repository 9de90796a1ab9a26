import { describe, expect, it } from 'vitest';
import { frame, messagesIn, Rig } from './support.ts';

const INVALID = '400 grpc_json_transcode_failure{INVALID_ARGUMENT}';

describe('a stream of requests', () => {
  it.each<[line: string, body: string, messages: readonly object[]]>([
    [
      'POST /v1/works:import',
      '[{"room":1,"work":{"title":"a"}}, {"room":"2"} ]',
      [{ room: '1', work: { title: 'a' } }, { room: '2' }],
    ],
    ['POST /v1/works:import', ' [ ] ', []],
    // Envoy takes a comma before the end.
    ['POST /v1/works:import', '[{},\n{},\n]', [{}, {}]],
    [
      'POST /v1/rooms/7/works:import',
      '[{"title":"a"},{"id":2}]',
      [{ room: '7', work: { title: 'a' } }, { work: { id: '2' } }],
    ],
    [
      'POST /v1/rooms/7/titles:import',
      '["a","b]"]',
      [{ room: '7', work: { title: 'a' } }, { work: { title: 'b]' } }],
    ],
    [
      'POST /v1/rooms/7/works:import?work.title=x',
      '[{},{}]',
      [{ room: '7', work: { title: 'x' } }, { work: {} }],
    ],
  ])('%s %s', (line, body, messages) => {
    const rig = new Rig(line);
    const passed = rig.request({ body: [body] });
    expect(rig.rejection).toBeUndefined();
    expect(messagesIn('CreateWorkRequest', passed.body)).toEqual(messages);
  });

  it('goes on message by message, while it comes', () => {
    const passed = new Rig('POST /v1/works:import').request({
      body: ['[{"ro', 'om":1}', ',{"room":2},{"room', '":3}', ']'],
    });
    expect(passed.headers).toBe(true);
    const rooms = passed.chunks.map((chunk) => messagesIn('CreateWorkRequest', chunk));
    expect(rooms).toEqual([[{ room: '1' }], [{ room: '2' }], [{ room: '3' }]]);
  });

  it.each<[body: readonly string[], rejection: string, text: string | RegExp]>([
    [['{}'], INVALID, 'Expected an array instead of an object'],
    [['"a"'], INVALID, 'Expected an array instead of a scalar value.'],
    [['', ''], INVALID, 'Expected an array instead of an object'],
    [['[{}'], INVALID, /^Unexpected end of string/],
    [['[{} {}]'], INVALID, 'Expected , or ] after array value.'],
    [['[,{}]'], INVALID, 'Expected a value.'],
    [['[{}]x'], INVALID, 'Parsing terminated before end of input.'],
    [['[{}][]'], INVALID, 'Parsing terminated before end of input.'],
    [['[{"room":"x"}]'], INVALID, /CreateWorkRequest\.room/],
    [['[1]'], INVALID, /CreateWorkRequest/],
    [['[nothing]'], INVALID, /JSON/],
    [['[}]'], INVALID, /JSON/],
    [['[{]]'], INVALID, /JSON/],
  ])('is rejected: %j', (body, rejection, text) => {
    const rig = new Rig('POST /v1/works:import');
    rig.request({ body });
    expect(rig.rejection).toBe(rejection);
    expect(rig.reply?.body).toMatch(text);
    expect(rig.gauge('request')).toBe(0);
  });

  it('without a body is rejected, early', () => {
    const rig = new Rig('POST /v1/works:import');
    rig.request();
    expect(rig.rejection).toBe('400 early_grpc_json_transcode_failure{INVALID_ARGUMENT}');
  });

  it('is counted by what waits', () => {
    const rig = new Rig('POST /v1/works:import');
    rig.filter.onRequestHeaders?.(rig.stream.requestHeaders, false);
    rig.filter.onRequestBody?.(Buffer.from('[{"room":1},{"ro'), false);
    expect(rig.gauge('request')).toBe(4);
    rig.filter.onComplete?.();
    expect(rig.gauge('request')).toBe(0);
  });
});

describe('streams both ways', () => {
  it('become an array for an array', () => {
    const rig = new Rig('POST /v1/tour');
    const up = rig.request({ body: ['[{"room":1},', '{"room":2}]'] });
    expect(messagesIn('GetRoomRequest', up.body)).toEqual([{ room: '1' }, { room: '2' }]);
    const down = rig.respond({
      body: [frame('Room', { id: 1 }), frame('Room', { id: 2 })],
      trailers: { 'grpc-status': '0' },
    });
    expect(down.body.toString()).toBe('[{"id":"1"},{"id":"2"}]');
  });

  it('may answer before the request is complete', () => {
    const rig = new Rig('POST /v1/tour');
    rig.filter.onRequestHeaders?.(rig.stream.requestHeaders, false);
    rig.filter.onRequestBody?.(Buffer.from('[{"room":1}'), false);
    const down = rig.respond({ body: [frame('Room', { id: 1 })] });
    expect(down.body.toString()).toBe('[{"id":"1"}]');
    const rest = rig.filter.onRequestBody?.(Buffer.from(',{"room":2}]'), true);
    expect(messagesIn('GetRoomRequest', rest as Buffer)).toEqual([{ room: '2' }]);
  });
});
