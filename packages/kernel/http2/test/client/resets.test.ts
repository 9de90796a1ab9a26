import { constants } from 'node:http2';
import { FrameType } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ClientRig, requestOf } from './rig.ts';
import { type RawPeer, RawServer } from './raw-server.ts';

const OK = [[':status', '200']] as const;
const {
  NGHTTP2_CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants;

/** What becomes of a GET that is answered so; and what of the connection. */
async function outcome(
  answer: (peer: RawPeer, id: number) => void,
  options: Parameters<typeof ClientRig.open>[1] = {},
) {
  await using server = await RawServer.start({ onRequest: answer });
  await using rig = await ClientRig.open(server.port, options);
  const exchange = await rig.get();
  await new Promise(setImmediate);
  return {
    events: exchange.events,
    text: exchange.text,
    told: [...rig.told],
    stat: (name: string) => rig.stat(name),
  };
}

describe('a reset by the peer', () => {
  const CODES = [
    NGHTTP2_NO_ERROR,
    NGHTTP2_PROTOCOL_ERROR,
    NGHTTP2_INTERNAL_ERROR,
    NGHTTP2_CANCEL,
    NGHTTP2_ENHANCE_YOUR_CALM,
    constants.NGHTTP2_HTTP_1_1_REQUIRED,
    99,
  ];
  it.each(CODES)('%d before the response', async (code) => {
    const { events, told, stat } = await outcome((peer, id) => peer.reset(id, code));
    expect(events).toEqual(['reset:remote-reset']);
    expect(told).toEqual(['complete']);
    expect([stat('rx_reset'), stat('tx_reset'), stat('streams_active')]).toEqual([1, 0, 0]);
  });

  it.each(CODES)('%d in the middle of the body, which may not pass for whole', async (code) => {
    const { events } = await outcome((peer, id) => peer.headers(id, OK).data(id, 'part').reset(id, code));
    expect(events).toEqual(['headers:200', 'reset:remote-reset']);
  });

  it('that refuses the stream is told apart', async () => {
    const { events } = await outcome((peer, id) => peer.reset(id, NGHTTP2_REFUSED_STREAM));
    expect(events).toEqual(['reset:max-requests']);
  });

  it('behind a complete response is none', async () => {
    const { events, text, stat } = await outcome((peer, id) =>
      peer.headers(id, OK).data(id, 'whole', true).reset(id, NGHTTP2_NO_ERROR),
    );
    expect([events, text]).toEqual([['headers:200', 'body end'], 'whole']);
    expect(stat('streams_active')).toBe(0);
  });

  it('behind a complete response leaves that to a slow reader, and the request unfinished', async () => {
    await using server = await RawServer.start({
      onRequest: (peer, id) => peer.headers(id, OK).data(id, 'whole', true).reset(id, NGHTTP2_NO_ERROR),
    });
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(requestOf({ ':method': 'POST' }), false);
    exchange.onResponse = () => exchange.encoder.pauseBody();
    await rig.until(() => exchange.headers !== undefined);
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect(exchange.events).toEqual(['headers:200']);
    exchange.encoder.resumeBody();
    await exchange.over();
    expect([exchange.events, exchange.text]).toEqual([['headers:200', 'body end'], 'whole']);
    exchange.encoder.reset('local-reset');
    expect([rig.stat('streams_active'), rig.told]).toEqual([0, ['complete']]);
  });
});

describe('a response that breaks HTTP/2', () => {
  const BROKEN: readonly [string, (peer: RawPeer, id: number) => void, string][] = [
    ['no status', (p, id) => p.headers(id, [['x', 'y']], true), 'http2.invalid.header.field'],
    [
      'a status that is none',
      (p, id) => p.headers(id, [[':status', 'abc']], true),
      'http2.invalid.header.field',
    ],
    [
      'a header of HTTP/1.1',
      (p, id) => p.headers(id, [...OK, ['connection', 'close']], true),
      'http2.invalid.header.field',
    ],
    [
      'an upper-case name',
      (p, id) => p.headers(id, [...OK, ['X-A', 'b']], true),
      'http2.invalid.header.field',
    ],
    [
      'status behind others',
      (p, id) => p.headers(id, [['x', 'y'], ...OK], true),
      'http2.invalid.header.field',
    ],
    ['101', (p, id) => p.headers(id, [[':status', '101']]), 'http2.invalid.header.field'],
    [
      'less body than it says',
      (p, id) => p.headers(id, [...OK, ['content-length', '9']]).data(id, 'abc', true),
      'http2.violation.of.messaging.rule',
    ],
    [
      'a status in trailers',
      (p, id) => p.headers(id, OK).data(id, 'a').headers(id, OK, true),
      'http2.violation.of.messaging.rule',
    ],
    [
      'trailers that are not the end',
      (p, id) =>
        p
          .headers(id, OK)
          .data(id, 'a')
          .headers(id, [['x', 'y']]),
      'http2.violation.of.messaging.rule',
    ],
  ];

  it.each(BROKEN)('%s costs the connection', async (_name, answer, details) => {
    const { events, told, stat } = await outcome(answer);
    expect(events.at(-1)).toBe(`reset:protocol-error:${details}`);
    expect(told.slice(0, 2)).toEqual(['complete', 'protocol-error:http2.protocol_error']);
    expect([stat('rx_messaging_error'), stat('tx_reset'), stat('rx_reset')]).toEqual([1, 1, 0]);
  });

  it.each(BROKEN)('%s costs its stream only, where that is asked for', async (_name, answer, details) => {
    const { events, told } = await outcome(answer, { streamErrorOnInvalidMessage: true });
    expect(events.at(-1)).toBe(`reset:protocol-error:${details}`);
    expect(told).toEqual(['complete']);
  });

  it.each<[string, (peer: RawPeer, id: number) => void]>([
    ['another protocol', (p) => void p.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a frame that is too large', (p) => void p.socket.write(Buffer.from('ffffff0001000000010000', 'hex'))],
    ['body before headers', (p, id) => p.data(id, 'abc')],
    ['more body than it says', (p, id) => p.headers(id, [...OK, ['content-length', '1']]).data(id, 'abc')],
    ['a window of nothing', (p, id) => p.window(id, 0)],
    ['a window beyond all', (p, id) => p.window(id, 0x7fffffff)],
    [
      'a broken header block',
      (p, id) => p.send(FrameType.headers, 4, id, Buffer.from('ff'.repeat(20), 'hex')),
    ],
    ['a stream that is nobody’s', (p) => p.headers(77, OK)],
    ['CONTINUATION out of place', (p, id) => p.send(FrameType.continuation, 4, id, Buffer.alloc(1))],
  ])('%s: nothing more can be read', async (_name, answer) => {
    const { events, told } = await outcome(answer);
    expect(events.at(-1)).toBe('reset:protocol-error:http2.protocol_error');
    expect(told[0]).toBe('protocol-error:http2.protocol_error');
  });

  it('takes the other streams along', async () => {
    await using server = await RawServer.start({
      onRequest: (peer, id) => (id === 1 ? undefined : peer.headers(id, [[':status', 'x']], true)),
    });
    await using rig = await ClientRig.open(server.port);
    const [first, second] = [rig.send(), rig.send()];
    await Promise.all([first.over(), second.over()]);
    expect(first.events).toEqual(['reset:protocol-error:http2.protocol_error']);
    await rig.until(() => rig.closed);
    expect(rig.stat('streams_active')).toBe(0);
  });
});

describe('headers without end', () => {
  const many = (count: number, size: number) =>
    Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(size)] as const);
  it.each<[string, number, number]>([
    ['one too many', 101, 1],
    ['far too many', 400, 1],
    ['a little too large', 10, 7000],
    ['far too large', 2, 60_000],
  ])('%s', async (_name, count, size) => {
    const { events, stat } = await outcome((peer, id) =>
      peer.headers(id, [...OK, ...many(count, size)], true),
    );
    expect(events).toEqual(['reset:remote-reset:http2.too_many_headers']);
    expect(stat('header_overflow')).toBe(1);
  });

  it('in trailers', async () => {
    const { events } = await outcome((peer, id) => {
      peer.headers(id, OK).data(id, 'a');
      peer.headers(id, many(101, 1), true);
    });
    expect(events).toEqual(['headers:200', 'reset:remote-reset:http2.too_many_headers']);
  });

  it('up to the limit pass', async () => {
    const { events } = await outcome((peer, id) => peer.headers(id, [...OK, ...many(100, 500)], true));
    expect(events).toEqual(['headers:200 end']);
  });
});

describe('what goes to the peer', () => {
  it.each([
    ['local-reset', NGHTTP2_CANCEL],
    ['protocol-error', NGHTTP2_PROTOCOL_ERROR],
    ['overload', NGHTTP2_ENHANCE_YOUR_CALM],
  ] as const)('%s', async (reason, code) => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(requestOf({ ':method': 'POST' }), false);
    await rig.until(() => server.peer.of(FrameType.headers).length === 1);
    exchange.encoder.reset(reason);
    await rig.until(() => server.peer.of(FrameType.rstStream).length === 1);
    expect(server.peer.of(FrameType.rstStream)[0]?.payload.readUInt32BE(0)).toBe(code);
    expect([exchange.events, rig.told, rig.stat('tx_reset')]).toEqual([[], ['complete'], 1]);
  });

  it.each([false, true])(
    'nothing that would make a part of the request pass for all of it (window: %s)',
    async (open) => {
      await using server = await RawServer.start({
        onConnection: (peer) => peer.settings(...(open ? [] : [4, 0])),
      });
      await using rig = await ClientRig.open(server.port);
      const exchange = rig.send(requestOf({ ':method': 'POST' }), false);
      exchange.encoder.body(Buffer.from('part'), false, true);
      await rig.until(() => server.peer.of(open ? FrameType.data : FrameType.headers).length === 1);
      exchange.encoder.body(Buffer.from('more'), false, true);
      exchange.encoder.reset('local-reset');
      await rig.until(() => server.peer.of(FrameType.rstStream).length === 1);
      for (let i = 0; i < 5; i++) await new Promise(setImmediate);
      const ends = server.peer.received.filter(
        ({ type, flags }) => (type === FrameType.data || type === FrameType.headers) && (flags & 1) !== 0,
      );
      expect([ends.length, server.peer.of(FrameType.rstStream).length]).toEqual([0, 1]);
    },
  );

  it('an unfinished request that has its answer: no error', async () => {
    await using server = await RawServer.start({ onRequest: (peer, id) => peer.headers(id, OK, true) });
    await using rig = await ClientRig.open(server.port);
    const exchange = rig.send(requestOf({ ':method': 'POST' }), false);
    await exchange.over();
    expect(rig.told).toEqual([]);
    exchange.encoder.reset('local-reset');
    await rig.until(() => server.peer.of(FrameType.rstStream).length === 1);
    expect(server.peer.of(FrameType.rstStream)[0]?.payload.readUInt32BE(0)).toBe(NGHTTP2_NO_ERROR);
    expect(rig.told).toEqual(['complete']);
  });

  it('nothing, when the request never went out', async () => {
    await using server = await RawServer.start({});
    await using rig = await ClientRig.open(server.port);
    rig.send(requestOf({ ':method': 'POST' }), false).encoder.reset('local-reset');
    await rig.get(requestOf({ 'x-a': 'a\nb' }));
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
    expect([server.peer.of(FrameType.headers), rig.told]).toEqual([[], ['complete', 'complete']]);
  });
});
