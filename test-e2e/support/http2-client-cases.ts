import {
  FIRST_DYNAMIC_INDEX,
  FrameFlag,
  FrameType,
  frames,
  Http2Code,
  hpack,
  http2Frame,
} from '@dragoman/testing';
import type { UpstreamConnection } from './http2-upstream.ts';

/**
 * What RFC 9113 and RFC 7541 want of a client. `connection`: a connection error with one of these codes. `stream`: a stream error on
 * stream 1, or that. `peace`: neither; the connection goes on. `closed`: the connection ends. `seen`: something else.
 */
export type Want =
  | { readonly kind: 'connection' | 'stream'; readonly codes: readonly number[] }
  | { readonly kind: 'peace' | 'closed' }
  | { readonly kind: 'seen'; readonly what: (upstream: UpstreamConnection) => boolean };

/** What the proxy's own client has to get: all of {@link GOOD}, a failure that it cannot take for a response, or a 204, which has no body. */
export type Outcome = 'whole' | 'failure' | '204 whole ""';

export interface Case {
  /** Section of RFC 9113, RFC 7541 (`hpack`), or `generic`. */
  readonly section: string;
  readonly what: string;
  readonly want: Want;
  readonly outcome: Outcome;
  readonly act: (upstream: UpstreamConnection) => void | Promise<void>;
  /** {@link act} begins with the connection, and nothing is sent before. */
  readonly raw?: boolean;
  /** The request does not end. */
  readonly open?: boolean;
  /** The proxy's client does not read. */
  readonly slow?: boolean;
}

/** The body of every response that is one. */
export const GOOD = 'good';

const {
  noError: NO_ERROR,
  protocolError: PROTOCOL,
  internalError: INTERNAL,
  flowControlError: FLOW,
  streamClosed: CLOSED,
  frameSizeError: SIZE,
  cancel: CANCEL,
  compressionError: COMPRESSION,
  enhanceYourCalm: CALM,
} = Http2Code;

const connection = (...codes: number[]): Want => ({ kind: 'connection', codes });
const stream = (...codes: number[]): Want => ({ kind: 'stream', codes });
const peace: Want = { kind: 'peace' };
const closed: Want = { kind: 'closed' };
const seen = (what: (upstream: UpstreamConnection) => boolean): Want => ({ kind: 'seen', what });

type Act = Case['act'];
type Field = readonly [name: string, value: string];
type Row = readonly [what: string, want: Want, act: Act | Buffer, more?: Partial<Case>];

const rows = (section: string, outcome: Outcome, list: readonly Row[]): Case[] =>
  list.map(([what, want, act, more]) => ({
    section,
    what,
    want,
    outcome,
    act: Buffer.isBuffer(act) ? (upstream) => void upstream.send(act) : act,
    ...more,
  }));

const then =
  (...acts: readonly (Act | Buffer)[]): Act =>
  async (upstream) => {
    for (const act of acts) {
      if (Buffer.isBuffer(act)) upstream.send(act);
      else await act(upstream);
    }
  };
/** What was sent before has been read. */
const settled: Act = async (upstream) => void (await upstream.settled());
const end: Act = (upstream) => void upstream.socket.end();

const OK: Field = [':status', '200'];
const okBlock = hpack.block([OK]);
const head = frames.headers(1, okBlock);
const body = frames.data(1, GOOD, { endStream: true });
const good = Buffer.concat([head, body]);
const trailers = frames.headers(1, hpack.block([['x-t', '1']]), { endStream: true });
const part = Buffer.concat([head, frames.data(1, GOOD.slice(0, 2))]);
const rest = frames.data(1, GOOD.slice(2), { endStream: true });

/** What is wrong, with a good response behind it. */
const before = (...bytes: Buffer[]): Buffer => Buffer.concat([...bytes, good]);
/** What is wrong, in the middle of a good response. */
const amid = (...bytes: Buffer[]): Buffer => Buffer.concat([part, ...bytes, rest]);
/** What is wrong, when the response is complete and the stream closed. */
const after = (...bytes: Buffer[]): Act => then(good, settled, Buffer.concat(bytes));
/** A response of these fields, with a good body. */
const lines = (...fields: Field[]): Buffer => Buffer.concat([frames.headers(1, hpack.block(fields)), body]);
const withFields = (...fields: Field[]): Buffer => lines(OK, ...fields);
const blockOf = (...parts: Buffer[]): Buffer =>
  Buffer.concat([frames.headers(1, Buffer.concat(parts)), body]);
const trailing = (...fields: Field[]): Buffer =>
  Buffer.concat([head, frames.data(1, GOOD), frames.headers(1, hpack.block(fields), { endStream: true })]);
const flagged = (bytes: Buffer, flags: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[4] = (copy[4] as number) | flags;
  return copy;
};
const reserved = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  copy[5] = (copy[5] as number) | 0x80;
  return copy;
};
const long = (size: number): Buffer => Buffer.alloc(size, 'x');
const weight = { dependsOn: 0, weight: 16 };
const requestBlock = hpack.block([
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'test'],
]);
/** A literal whose value is Huffman-coded by these bytes. */
const huffman = (...bytes: number[]): Buffer =>
  Buffer.concat([Buffer.from([0]), hpack.text('x'), Buffer.from([0x80 | bytes.length, ...bytes])]);
const raw = { raw: true } as const;
const open = { open: true } as const;

const PREFACE = [
  ...rows('3.4', 'whole', [
    [
      'the preface of the client says that there is no push',
      seen(
        ({ received, serverSettings }) => received[0]?.type === FrameType.settings && serverSettings[2] === 0,
      ),
      good,
    ],
    [
      'SETTINGS in pieces',
      peace,
      then(
        ...[...frames.settings({ 3: 100 })].map((byte) => Buffer.from([byte])),
        (upstream) => upstream.requested(),
        good,
      ),
      raw,
    ],
  ]),
  ...rows('3.4', 'failure', [
    [
      'PING instead of SETTINGS',
      connection(PROTOCOL),
      Buffer.concat([frames.ping(), frames.settings()]),
      raw,
    ],
    [
      'an ACK instead of SETTINGS',
      connection(PROTOCOL),
      Buffer.concat([frames.settingsAck(), frames.settings()]),
      raw,
    ],
    ['GOAWAY instead of SETTINGS', connection(PROTOCOL), frames.goaway(0), raw],
    ['HTTP/1.1', closed, Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'), raw],
    ['the end instead of SETTINGS', closed, end, raw],
  ]),
];

const FRAMES = [
  ...rows('4.1', 'whole', [
    ['a frame of an unknown type', peace, before(http2Frame(0x16, 0, 0, 'unknown'))],
    ['undefined flags', peace, before(flagged(frames.windowUpdate(0, 1), 0xff))],
    ['the reserved bit', peace, reserved(Buffer.concat([reserved(head), body]))],
    ['a response in pieces', peace, then(...[...good].map((byte) => Buffer.from([byte])))],
  ]),
  ...rows('4.2', 'failure', [
    [
      'DATA above SETTINGS_MAX_FRAME_SIZE',
      stream(SIZE),
      Buffer.concat([head, frames.data(1, long(16_385), { endStream: true })]),
    ],
    [
      'HEADERS above SETTINGS_MAX_FRAME_SIZE',
      connection(SIZE),
      frames.headers(1, Buffer.concat([okBlock, hpack.literal('x', 'y'.repeat(16_384))]), {
        endStream: true,
      }),
    ],
    [
      'an unknown frame above SETTINGS_MAX_FRAME_SIZE',
      connection(SIZE),
      before(http2Frame(0x16, 0, 0, long(16_385))),
    ],
  ]),
  ...rows('4.3', 'failure', [
    [
      'a field block that is none',
      connection(COMPRESSION),
      blockOf(okBlock, Buffer.from([0x40, 0xff, 0xff, 0xff, 0xff, 0xff])),
    ],
    [
      'PRIORITY in the middle of a field block',
      connection(PROTOCOL),
      Buffer.concat([
        frames.headers(1, okBlock, { endHeaders: false }),
        frames.priority(1, weight),
        frames.continuation(1, Buffer.alloc(0)),
        body,
      ]),
    ],
    [
      'HEADERS of another stream in the middle of a field block',
      connection(PROTOCOL),
      Buffer.concat([frames.headers(1, okBlock, { endHeaders: false }), frames.headers(3, okBlock)]),
    ],
    [
      'an extension frame in the middle of a field block',
      connection(PROTOCOL),
      Buffer.concat([
        frames.headers(1, okBlock, { endHeaders: false }),
        http2Frame(0x99, 0, 1, 'x'),
        frames.continuation(1, Buffer.alloc(0)),
        body,
      ]),
    ],
  ]),
];

const STATES = [
  ...rows('5.1', 'failure', [
    ['idle: HEADERS', connection(PROTOCOL), before(frames.headers(3, okBlock))],
    ['idle: DATA', connection(PROTOCOL), before(frames.data(3, 'test'))],
    ['idle: RST_STREAM', connection(PROTOCOL), before(frames.rstStream(3))],
    ['idle: WINDOW_UPDATE', connection(PROTOCOL), before(frames.windowUpdate(3, 1))],
    ['closed by RST_STREAM: DATA', stream(CLOSED), then(part, frames.rstStream(1), rest)],
    ['closed by RST_STREAM: HEADERS', stream(CLOSED), then(frames.rstStream(1), head, body)],
  ]),
  ...rows('5.1', 'whole', [
    ['idle: PRIORITY', peace, before(frames.priority(3, weight))],
    ['half-closed (remote): DATA', stream(CLOSED), Buffer.concat([good, frames.data(1, 'more')]), open],
    ['half-closed (remote): HEADERS', stream(CLOSED), Buffer.concat([good, trailers]), open],
    [
      'half-closed (remote): WINDOW_UPDATE, PRIORITY and RST_STREAM',
      peace,
      Buffer.concat([
        good,
        frames.windowUpdate(1, 1),
        frames.priority(1, weight),
        frames.rstStream(1, NO_ERROR),
      ]),
      open,
    ],
    ['closed: DATA', connection(CLOSED), after(frames.data(1, 'more'))],
    ['closed: HEADERS', connection(CLOSED), after(trailers)],
    ['closed: CONTINUATION', connection(CLOSED, PROTOCOL), after(frames.continuation(1, okBlock))],
    [
      'closed: WINDOW_UPDATE, PRIORITY and RST_STREAM',
      peace,
      after(frames.windowUpdate(1, 1), frames.priority(1, weight), frames.rstStream(1)),
    ],
  ]),
  ...rows('5.1.1', 'failure', [
    ['HEADERS on an even stream', connection(PROTOCOL), before(frames.headers(2, okBlock))],
    [
      'HEADERS with a request on an even stream',
      connection(PROTOCOL),
      before(frames.headers(2, requestBlock, { endStream: true })),
    ],
    ['DATA on an even stream', connection(PROTOCOL), before(frames.data(2, 'test'))],
  ]),
];

const TYPES = [
  ...rows('6.1', 'failure', [
    ['DATA on stream 0', connection(PROTOCOL), amid(frames.data(0, 'test'))],
    [
      'DATA whose padding is too long',
      connection(PROTOCOL),
      amid(http2Frame(FrameType.data, FrameFlag.padded, 1, Buffer.from([6, 0x74, 0x65, 0x73, 0x74]))),
    ],
    [
      'DATA that is padded, without the byte that says so',
      connection(PROTOCOL, SIZE),
      amid(http2Frame(FrameType.data, FrameFlag.padded, 1)),
    ],
  ]),
  ...rows('6.1', 'whole', [['DATA that is all padding', peace, amid(frames.data(1, '', { padding: 255 }))]]),
  ...rows('6.2', 'failure', [
    ['HEADERS on stream 0', connection(PROTOCOL), before(frames.headers(0, okBlock))],
    [
      'HEADERS whose padding is too long',
      connection(PROTOCOL),
      http2Frame(
        FrameType.headers,
        FrameFlag.padded | FrameFlag.endHeaders,
        1,
        Buffer.concat([Buffer.from([okBlock.length + 1]), okBlock]),
      ),
    ],
    [
      'HEADERS too short for their priority',
      connection(SIZE, PROTOCOL),
      http2Frame(FrameType.headers, FrameFlag.priority | FrameFlag.endHeaders, 1, Buffer.from([0, 0, 0])),
    ],
  ]),
  ...rows('6.2', 'whole', [
    [
      'HEADERS with padding and a priority',
      peace,
      Buffer.concat([frames.headers(1, okBlock, { padding: 6, priority: weight }), body]),
    ],
  ]),
  ...rows('6.3', 'failure', [
    ['PRIORITY on stream 0', connection(PROTOCOL), before(frames.priority(0, weight))],
    [
      'PRIORITY of a length that is not 5',
      stream(SIZE),
      before(http2Frame(FrameType.priority, 0, 1, Buffer.alloc(4))),
    ],
  ]),
  ...rows('6.4', 'failure', [
    ['RST_STREAM on stream 0', connection(PROTOCOL), before(frames.rstStream(0))],
    [
      'RST_STREAM of a length that is not 4',
      connection(SIZE),
      before(http2Frame(FrameType.rstStream, 0, 1, Buffer.alloc(3))),
    ],
    ['RST_STREAM before the response', peace, frames.rstStream(1, INTERNAL)],
    ['RST_STREAM in the middle of the body', peace, Buffer.concat([part, frames.rstStream(1, CANCEL)])],
    [
      'RST_STREAM with NO_ERROR in the middle of the body',
      peace,
      Buffer.concat([part, frames.rstStream(1, NO_ERROR)]),
    ],
    [
      'RST_STREAM with an unknown code in the middle of the body',
      peace,
      Buffer.concat([part, frames.rstStream(1, 0xff)]),
    ],
  ]),
  ...rows('6.4', 'whole', [
    ['RST_STREAM with NO_ERROR behind the response', peace, then(good, frames.rstStream(1, NO_ERROR)), open],
  ]),
  ...rows('6.5', 'failure', [
    [
      'SETTINGS with ACK and a payload',
      connection(SIZE),
      before(http2Frame(FrameType.settings, FrameFlag.ack, 0, Buffer.alloc(6))),
    ],
    [
      'SETTINGS on a stream',
      connection(PROTOCOL),
      before(http2Frame(FrameType.settings, 0, 1, Buffer.from([0, 3, 0, 0, 0, 0x64]))),
    ],
    [
      'SETTINGS of a length that is no multiple of 6',
      connection(SIZE),
      before(http2Frame(FrameType.settings, 0, 0, Buffer.alloc(3))),
    ],
  ]),
  ...rows('6.5.2', 'failure', [
    ['SETTINGS_ENABLE_PUSH of 1 from a server', connection(PROTOCOL), before(frames.settings({ 2: 1 }))],
    ['SETTINGS_ENABLE_PUSH that is neither 0 nor 1', connection(PROTOCOL), before(frames.settings({ 2: 2 }))],
    [
      'SETTINGS_INITIAL_WINDOW_SIZE above the maximum',
      connection(FLOW),
      before(frames.settings({ 4: 0x8000_0000 })),
    ],
    [
      'SETTINGS_MAX_FRAME_SIZE below the minimum',
      connection(PROTOCOL),
      before(frames.settings({ 5: 16_383 })),
    ],
    [
      'SETTINGS_MAX_FRAME_SIZE above the maximum',
      connection(PROTOCOL),
      before(frames.settings({ 5: 16_777_216 })),
    ],
    [
      'SETTINGS_ENABLE_CONNECT_PROTOCOL that is neither 0 nor 1',
      connection(PROTOCOL),
      before(frames.settings({ 8: 2 })),
    ],
    [
      'SETTINGS_ENABLE_CONNECT_PROTOCOL of 0 behind 1',
      connection(PROTOCOL),
      before(frames.settings({ 8: 1 }), frames.settings({ 8: 0 })),
    ],
  ]),
  ...rows('6.5.2', 'whole', [
    ['an unknown setting', peace, before(frames.settings({ 255: 1 }))],
    ['SETTINGS_HEADER_TABLE_SIZE that is huge', peace, before(frames.settings({ 1: 0xffff_ffff }))],
  ]),
  ...rows('6.5.3', 'whole', [
    [
      'SETTINGS are acknowledged one by one',
      seen((upstream) => upstream.acks(FrameType.settings) === 3),
      before(frames.settings({ 4: 1 }), frames.settings({ 4: 2 })),
    ],
  ]),
  ...rows('6.6', 'failure', [
    [
      'PUSH_PROMISE, which was disabled',
      connection(PROTOCOL),
      before(frames.pushPromise(1, 2, requestBlock)),
    ],
    ['PUSH_PROMISE on stream 0', connection(PROTOCOL), before(frames.pushPromise(0, 2, requestBlock))],
    ['PUSH_PROMISE of an odd stream', connection(PROTOCOL), before(frames.pushPromise(1, 3, requestBlock))],
  ]),
  ...rows('6.7', 'whole', [
    [
      'PING is answered',
      seen(({ received }) =>
        received.some(
          ({ type, flags, payload }) =>
            type === FrameType.ping && flags === 1 && payload.toString() === 'pingpong',
        ),
      ),
      before(frames.ping('pingpong')),
    ],
    ['PING with ACK that nobody asked for', peace, before(frames.ping('12345678', true))],
  ]),
  ...rows('6.7', 'failure', [
    ['PING on a stream', connection(PROTOCOL), before(http2Frame(FrameType.ping, 0, 1, Buffer.alloc(8)))],
    [
      'PING of a length that is not 8',
      connection(SIZE),
      before(http2Frame(FrameType.ping, 0, 0, Buffer.alloc(6))),
    ],
  ]),
  ...rows('6.8', 'failure', [
    ['GOAWAY on a stream', connection(PROTOCOL), before(http2Frame(FrameType.goaway, 0, 1, Buffer.alloc(8)))],
    [
      'GOAWAY that is too short',
      connection(SIZE),
      before(http2Frame(FrameType.goaway, 0, 0, Buffer.alloc(4))),
    ],
    ['GOAWAY that leaves out the request', closed, frames.goaway(0)],
    ['GOAWAY whose last stream grows', connection(PROTOCOL), before(frames.goaway(1), frames.goaway(3))],
  ]),
  ...rows('6.8', 'whole', [
    ['GOAWAY before the response, which is still to come', closed, before(frames.goaway(1))],
    ['GOAWAY in the middle of the response', closed, amid(frames.goaway(1))],
    ['GOAWAY with an unknown code in the middle of the response', closed, amid(frames.goaway(1, 0xff))],
  ]),
  ...rows('6.9', 'failure', [
    ['WINDOW_UPDATE of 0 on the connection', connection(PROTOCOL), before(frames.windowUpdate(0, 0))],
    ['WINDOW_UPDATE of 0 on a stream', stream(PROTOCOL), before(frames.windowUpdate(1, 0)), open],
    [
      'WINDOW_UPDATE of a length that is not 4',
      connection(SIZE),
      before(http2Frame(FrameType.windowUpdate, 0, 0, Buffer.alloc(3))),
    ],
  ]),
  ...rows('6.9.1', 'failure', [
    [
      'WINDOW_UPDATEs beyond 2^31-1 on the connection',
      connection(FLOW),
      before(frames.windowUpdate(0, 0x7fff_ffff), frames.windowUpdate(0, 0x7fff_ffff)),
    ],
    [
      'WINDOW_UPDATEs beyond 2^31-1 on a stream',
      stream(FLOW),
      before(frames.windowUpdate(1, 0x7fff_ffff), frames.windowUpdate(1, 0x7fff_ffff)),
      open,
    ],
    [
      'DATA beyond the window of the stream',
      stream(FLOW),
      async (upstream) => {
        upstream.send(head);
        await upstream.pour(Array<Buffer>(1024).fill(frames.data(1, long(16_384))));
      },
      { slow: true },
    ],
  ]),
  ...rows('6.9.2', 'failure', [
    [
      'SETTINGS_INITIAL_WINDOW_SIZE that lifts a window beyond 2^31-1',
      connection(FLOW),
      before(frames.windowUpdate(1, 0x7fff_ffff - 65_535), frames.settings({ 4: 65_536 })),
      open,
    ],
  ]),
  ...rows('6.10', 'whole', [
    ['several CONTINUATIONs', peace, Buffer.concat([frames.block(1, okBlock, {}, 3), body])],
  ]),
  ...rows('6.10', 'failure', [
    [
      'CONTINUATION on stream 0',
      connection(PROTOCOL),
      Buffer.concat([
        frames.headers(1, okBlock, { endHeaders: false }),
        frames.continuation(0, Buffer.alloc(0)),
        body,
      ]),
    ],
    [
      'CONTINUATION of another stream',
      connection(PROTOCOL),
      Buffer.concat([
        frames.headers(1, okBlock, { endHeaders: false }),
        frames.continuation(3, Buffer.alloc(0)),
        body,
      ]),
    ],
    [
      'CONTINUATION behind END_HEADERS',
      connection(PROTOCOL),
      Buffer.concat([head, frames.continuation(1, Buffer.alloc(0)), body]),
    ],
    ['CONTINUATION behind DATA', connection(PROTOCOL), amid(frames.continuation(1, okBlock))],
    [
      'CONTINUATION, then DATA',
      connection(PROTOCOL),
      Buffer.concat([
        frames.headers(1, okBlock, { endHeaders: false }),
        frames.continuation(1, Buffer.alloc(0), false),
        body,
      ]),
    ],
    [
      'CONTINUATION without end',
      connection(PROTOCOL, INTERNAL, CALM),
      Buffer.concat([
        frames.headers(1, okBlock, { endHeaders: false }),
        ...Array<Buffer>(1000).fill(frames.continuation(1, Buffer.alloc(0), false)),
      ]),
    ],
  ]),
];

const MESSAGES = [
  ...rows('8.1', 'whole', [
    [
      'an interim response before the final one',
      peace,
      Buffer.concat([frames.headers(1, hpack.block([[':status', '103']])), good]),
    ],
    ['trailers', peace, trailing(['x-t', '1'])],
    ['a response before the request ends', peace, good, open],
    ['fields that stand twice', peace, withFields(['set-cookie', 'a=1'], ['set-cookie', 'b=2'])],
  ]),
  ...rows('8.1', 'failure', [
    ['DATA before HEADERS', stream(PROTOCOL), before(frames.data(1, 'test'))],
    ['END_STREAM on DATA before HEADERS', stream(PROTOCOL), frames.data(1, GOOD, { endStream: true })],
    [
      'DATA behind an interim response',
      stream(PROTOCOL),
      Buffer.concat([frames.headers(1, hpack.block([[':status', '100']])), body]),
    ],
    [
      'an interim response with END_STREAM',
      stream(PROTOCOL),
      frames.headers(1, hpack.block([[':status', '103']]), { endStream: true }),
    ],
    [
      'a second HEADERS without END_STREAM',
      stream(PROTOCOL),
      amid(frames.headers(1, hpack.block([['x-t', '1']]))),
    ],
    ['a second response', stream(PROTOCOL), amid(head)],
    [
      'an interim response in the middle of the final one',
      stream(PROTOCOL),
      amid(frames.headers(1, hpack.block([[':status', '103']]))),
    ],
    ['the end of the connection before the response', closed, end],
    ['the end of the connection in the middle of the response', closed, then(part, end)],
    [
      'GOAWAY, and the end of the connection in the middle of the response',
      closed,
      then(part, frames.goaway(1), end),
    ],
  ]),
  ...rows('8.1.1', 'whole', [['content-length that is kept', peace, withFields(['content-length', '4'])]]),
  ...rows('8.1.1', 'failure', [
    ['content-length above the body', stream(PROTOCOL), withFields(['content-length', '9'])],
    ['content-length below the body', stream(PROTOCOL), withFields(['content-length', '3'])],
    [
      'content-length that several DATA do not keep',
      stream(PROTOCOL),
      Buffer.concat([
        frames.headers(1, hpack.block([OK, ['content-length', '5']])),
        frames.data(1, 'goo'),
        frames.data(1, 'goo', { endStream: true }),
      ]),
    ],
    [
      'content-length without a body',
      stream(PROTOCOL),
      frames.headers(1, hpack.block([OK, ['content-length', '4']]), { endStream: true }),
    ],
    [
      'content-length above the body, before trailers',
      stream(PROTOCOL),
      Buffer.concat([
        frames.headers(1, hpack.block([OK, ['content-length', '9']])),
        frames.data(1, GOOD),
        trailers,
      ]),
    ],
    ['content-length twice', stream(PROTOCOL), withFields(['content-length', '4'], ['content-length', '9'])],
    ['content-length that is no number', stream(PROTOCOL), withFields(['content-length', '4a'])],
    ['content-length that is negative', stream(PROTOCOL), withFields(['content-length', '-4'])],
    ['204 with DATA', stream(PROTOCOL), lines([':status', '204']), { outcome: '204 whole ""' }],
  ]),
  ...rows('8.2.1', 'failure', [
    ['a name in upper case', stream(PROTOCOL), withFields(['X-TEST', 'ok'])],
    ['a name in upper case in trailers', stream(PROTOCOL), trailing(['X-TEST', 'ok'])],
    ['a name with a blank', stream(PROTOCOL), withFields(['x test', 'ok'])],
    ['a name with a colon', stream(PROTOCOL), withFields(['x:test', 'ok'])],
    ['an empty name', stream(PROTOCOL), withFields(['', 'ok'])],
    ['a value with NUL', stream(PROTOCOL), withFields(['x-test', 'a\0b'])],
    ['a value with CR', stream(PROTOCOL), withFields(['x-test', 'a\rb'])],
    ['a value with LF', stream(PROTOCOL), withFields(['x-test', 'a\nb'])],
    ['a value with a leading blank', stream(PROTOCOL), withFields(['x-test', ' a'])],
    ['a value with a trailing tab', stream(PROTOCOL), withFields(['x-test', 'a\t'])],
  ]),
  ...rows('8.2.2', 'failure', [
    ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
      (name): Row => [name, stream(PROTOCOL), withFields([name, 'x'])],
    ),
    ['connection in trailers', stream(PROTOCOL), trailing(['connection', 'x'])],
  ]),
  ...rows('8.3', 'failure', [
    ['an unknown pseudo-header', stream(PROTOCOL), withFields([':unknown', 'x'])],
    ['a pseudo-header of requests', stream(PROTOCOL), withFields([':path', '/'])],
    ['a pseudo-header behind a field', stream(PROTOCOL), lines(['x', 'y'], OK)],
    ['a pseudo-header in trailers', stream(PROTOCOL), trailing(OK)],
  ]),
  ...rows('8.3.2', 'failure', [
    ['no :status', stream(PROTOCOL), lines(['x', 'y'])],
    ['no field at all', stream(PROTOCOL), lines()],
    [':status twice', stream(PROTOCOL), lines(OK, OK)],
    [':status that is empty', stream(PROTOCOL), lines([':status', ''])],
    [':status that is no number', stream(PROTOCOL), lines([':status', 'abc'])],
    [':status of two digits', stream(PROTOCOL), lines([':status', '20'])],
    [':status of four digits', stream(PROTOCOL), lines([':status', '2000'])],
    [':status of 000', stream(PROTOCOL), lines([':status', '000'])],
    [':status of 099', stream(PROTOCOL), lines([':status', '099'])],
  ]),
  ...rows('8.6', 'failure', [
    ['101', stream(PROTOCOL), Buffer.concat([frames.headers(1, hpack.block([[':status', '101']])), good])],
    ['101 as the final response', stream(PROTOCOL), lines([':status', '101'])],
  ]),
];

const HPACK = [
  ...rows('hpack', 'whole', [
    [
      'a field of the dynamic table',
      peace,
      blockOf(okBlock, hpack.remembered('x-test', 'x'), hpack.indexed(FIRST_DYNAMIC_INDEX)),
    ],
    ['a table size update', peace, blockOf(hpack.tableSize(128), okBlock)],
  ]),
  ...rows('hpack', 'failure', [
    [
      '2.3.3: an index beyond the tables',
      connection(COMPRESSION),
      blockOf(okBlock, hpack.indexed(FIRST_DYNAMIC_INDEX + 9)),
    ],
    [
      '2.3.3: a literal whose name is beyond the tables',
      connection(COMPRESSION),
      blockOf(okBlock, hpack.literal(FIRST_DYNAMIC_INDEX + 9, 'x')),
    ],
    ['4.2: a table size update at the end', connection(COMPRESSION), blockOf(okBlock, hpack.tableSize(1))],
    [
      '5.1: an integer that is too large',
      connection(COMPRESSION),
      blockOf(okBlock, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
    ],
    [
      '5.2: padding of Huffman codes that is too long',
      connection(COMPRESSION),
      blockOf(okBlock, huffman(0x1f, 0xff, 0xff)),
    ],
    ['5.2: padding of Huffman codes by zeros', connection(COMPRESSION), blockOf(okBlock, huffman(0x18))],
    ['5.2: EOS in Huffman codes', connection(COMPRESSION), blockOf(okBlock, huffman(0xff, 0xff, 0xff, 0xff))],
    [
      '5.2: a string that ends behind its block',
      connection(COMPRESSION),
      blockOf(okBlock, Buffer.from([0x00, 0x01, 0x78, 0x05, 0x61])),
    ],
    ['6.1: index 0', connection(COMPRESSION), blockOf(okBlock, hpack.indexed(0))],
    [
      '6.3: a table size update beyond the limit',
      connection(COMPRESSION),
      blockOf(hpack.tableSize(4097), okBlock),
    ],
  ]),
];

export const CASES: readonly Case[] = [...PREFACE, ...FRAMES, ...STATES, ...TYPES, ...MESSAGES, ...HPACK];
