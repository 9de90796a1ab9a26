import {
  FIRST_DYNAMIC_INDEX,
  FrameFlag,
  type FrameConnection,
  FrameType,
  frames,
  HTTP2_PREFACE,
  Http2Code,
  hpack,
  http2Frame,
  requestBlock,
} from '@dragoman/testing';

/**
 * What a server has to do, in the words of RFC 9113 and RFC 7541. `goaway`: a connection error with one of these codes. `reset`: a stream
 * error on stream 1 (or the one that is named); the connection may end instead. `answer`: the response. `silence`: nothing but the
 * answer to what comes behind it.
 */
export type Want =
  | { readonly kind: 'goaway'; readonly codes: readonly number[] }
  | { readonly kind: 'reset'; readonly codes: readonly number[]; readonly streamId: number }
  | { readonly kind: 'answer'; readonly status: number; readonly streamId: number }
  | { readonly kind: 'silence' }
  /** Closed, with a GOAWAY or without. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'seen'; readonly what: (client: FrameConnection) => boolean };

export interface Case {
  /** Section of RFC 9113, RFC 7541 (`hpack`), or `generic`. */
  readonly section: string;
  readonly what: string;
  readonly want: Want;
  /** Sends its frames. SETTINGS have been exchanged, where `raw` does not say otherwise. */
  readonly act: (client: FrameConnection) => void | Promise<void>;
  /** Nothing is sent before. */
  readonly raw?: boolean;
}

/** Below this path the upstream never answers. */
export const HANG = '/hang';

const {
  protocolError: PROTOCOL,
  flowControlError: FLOW,
  streamClosed: CLOSED,
  frameSizeError: SIZE,
  refusedStream: REFUSED,
  compressionError: COMPRESSION,
  cancel: CANCEL,
} = Http2Code;

const goaway = (...codes: number[]): Want => ({ kind: 'goaway', codes });
const reset = (...codes: number[]): Want => ({ kind: 'reset', codes, streamId: 1 });
const resetOf = (streamId: number, ...codes: number[]): Want => ({ kind: 'reset', codes, streamId });
const answer = (streamId = 1, status = 200): Want => ({ kind: 'answer', status, streamId });
const silence: Want = { kind: 'silence' };
const seen = (what: (client: FrameConnection) => boolean): Want => ({ kind: 'seen', what });

type Act = Case['act'];
const send =
  (...bytes: Buffer[]): Act =>
  (client) =>
    void client.send(...bytes);

const block = requestBlock();
const get = (id = 1): Buffer => frames.headers(id, block, { endStream: true });
const post = (id = 1): Buffer => frames.headers(id, requestBlock({ ':method': 'POST' }));
/** Stays half-closed (remote). */
const hanging = (id = 1): Buffer => frames.headers(id, requestBlock({ ':path': HANG }), { endStream: true });
/** Stays open. */
const open = (id = 1): Buffer => frames.headers(id, requestBlock({ ':method': 'POST', ':path': HANG }));
const trailers = frames.headers(1, hpack.block([['x-t', '1']]), { endStream: true });
const withFields = (...fields: (readonly [string, string])[]): Buffer =>
  frames.headers(1, Buffer.concat([block, hpack.block(fields)]), { endStream: true });
const request = (fields: Readonly<Record<string, string>>): Buffer =>
  frames.headers(1, requestBlock(fields), { endStream: true });
const lines = (...fields: (readonly [string, string])[]): Buffer =>
  frames.headers(1, hpack.block(fields), { endStream: true });
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
/** A stream that the server has answered, so that it is closed. */
const done: Act = async (client) => {
  client.send(get());
  await client.complete(1);
};
const then =
  (...acts: readonly (Act | Buffer)[]): Act =>
  async (client) => {
    for (const act of acts) {
      if (Buffer.isBuffer(act)) client.send(act);
      else await act(client);
    }
  };
/** What was sent before has been read. */
const settled: Act = async (client) => void (await client.settled());
const acks = (client: FrameConnection, type: number): number =>
  client.framesOf(type).filter(({ flags }) => (flags & FrameFlag.ack) !== 0).length;
const dataBytes = (client: FrameConnection): number => client.bodyBytes;

const group = (
  section: string,
  cases: readonly (readonly [what: string, want: Want, act: Act | Buffer])[],
): Case[] =>
  cases.map(([what, want, act]) => ({ section, what, want, act: Buffer.isBuffer(act) ? send(act) : act }));

/** The head of a request, whose fields stand in the static table. */
const indexedRequest = [hpack.indexed(2), hpack.indexed(6), hpack.indexed(4), hpack.literal(1, 'a')];
const hpackRequest = (...parts: Buffer[]): Buffer =>
  frames.headers(1, Buffer.concat([...indexedRequest, ...parts]), { endStream: true });

export const CASES: readonly Case[] = [
  {
    section: 'generic',
    what: 'a preface is answered with SETTINGS',
    raw: true,
    want: seen((client) => client.received[0]?.type === FrameType.settings),
    act: (client) => void client.begin(),
  },
  ...group('generic', [
    ['PRIORITY on an idle stream', answer(3), Buffer.concat([frames.priority(1, { dependsOn: 0, weight: 16 }), get(3)])],
    ['WINDOW_UPDATE on a half-closed stream', silence, then(hanging(), frames.windowUpdate(1, 1))],
    ['PRIORITY on a half-closed stream', silence, then(hanging(), frames.priority(1, { dependsOn: 0, weight: 1 }))],
    ['RST_STREAM on a half-closed stream', silence, then(hanging(), frames.rstStream(1))],
    ['PRIORITY on a closed stream', silence, then(done, frames.priority(1, { dependsOn: 0, weight: 1 }))],
    ['DATA in one frame', answer(), then(post(), frames.data(1, 'test', { endStream: true }))],
    ['DATA in several frames', answer(), then(post(), frames.data(1, 'te'), frames.data(1, 'st', { endStream: true }))],
    ['DATA with padding', answer(), then(post(), frames.data(1, 'test', { padding: 6, endStream: true }))],
    ['HEADERS', answer(), get()],
    ['HEADERS with padding', answer(), frames.headers(1, block, { endStream: true, padding: 6 })],
    ['HEADERS with a priority', answer(), frames.headers(1, block, { endStream: true, priority: { dependsOn: 0, weight: 255 } })],
    ['PRIORITY of weight 1', answer(), then(frames.priority(1, { dependsOn: 0, weight: 1 }), get())],
    ['PRIORITY of weight 256', answer(), then(frames.priority(1, { dependsOn: 0, weight: 256 }), get())],
    ['PRIORITY that depends on another stream', answer(), then(frames.priority(1, { dependsOn: 3, weight: 256 }), get())],
    ['PRIORITY that is exclusive', answer(), then(frames.priority(1, { dependsOn: 3, weight: 256, exclusive: true }), get())],
    ['PRIORITY for an idle stream, then a lower one', answer(1), then(frames.priority(3, { dependsOn: 0, weight: 256 }), get(1))],
    ['RST_STREAM', silence, then(open(), frames.rstStream(1))],
    ['SETTINGS are acknowledged', seen((client) => acks(client, FrameType.settings) === 2), frames.settings({ 3: 100 })],
    ['PING is answered', seen((client) => acks(client, FrameType.ping) === 1), frames.ping()],
    ['GOAWAY', { kind: 'closed' }, frames.goaway(0)],
    ['WINDOW_UPDATE on the connection', answer(), then(frames.windowUpdate(0, 1), get())],
    ['WINDOW_UPDATE on a stream', silence, then(open(), frames.windowUpdate(1, 1))],
    ['one CONTINUATION', answer(), frames.block(1, block, { endStream: true }, Math.ceil(block.length / 2))],
    ['several CONTINUATIONs', answer(), frames.block(1, block, { endStream: true }, Math.ceil(block.length / 6))],
    ['GET', answer(), get()],
    ['HEAD', answer(), request({ ':method': 'HEAD' })],
    ['POST', answer(), then(post(), frames.data(1, 'test', { endStream: true }))],
    ['POST with trailers', answer(), then(post(), frames.data(1, 'test'), trailers)],
    ['HPACK: an indexed field', answer(), hpackRequest()],
    ['HPACK: a literal that is indexed, with an indexed name', answer(), hpackRequest(hpack.remembered(58, 'x'))],
    ['HPACK: a literal that is indexed, with a new name', answer(), hpackRequest(hpack.remembered('x-test', 'x'))],
    ['HPACK: a literal that is not indexed, with an indexed name', answer(), hpackRequest(hpack.literal(58, 'x'))],
    ['HPACK: a literal that is not indexed, with a new name', answer(), hpackRequest(hpack.literal('x-test', 'x'))],
    ['HPACK: a literal that is never indexed, with an indexed name', answer(), hpackRequest(hpack.never(58, 'x'))],
    ['HPACK: a literal that is never indexed, with a new name', answer(), hpackRequest(hpack.never('x-test', 'x'))],
    ['HPACK: an indexed field of the dynamic table', answer(), hpackRequest(hpack.remembered('x-test', 'x'), hpack.indexed(FIRST_DYNAMIC_INDEX))],
    ['HPACK: a table size update', answer(), frames.headers(1, Buffer.concat([hpack.tableSize(128), ...indexedRequest]), { endStream: true })],
    ['HPACK: several table size updates', answer(), frames.headers(1, Buffer.concat([hpack.tableSize(128), hpack.tableSize(4096), ...indexedRequest]), { endStream: true })],
  ]),
  { section: '3.4', what: 'the preface', raw: true, want: answer(), act: then((client) => void client.begin(), get()) },
  { section: '3.4', what: 'a preface that is none', raw: true, want: { kind: 'closed' }, act: send(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'), frames.settings()) },
  { section: '3.4', what: 'no SETTINGS behind the preface', raw: true, want: goaway(PROTOCOL), act: send(HTTP2_PREFACE, frames.ping()) },
  ...group('4.1', [
    ['a frame of an unknown type', silence, http2Frame(0x16, 0, 0, 'unknown')],
    ['undefined flags', seen((client) => acks(client, FrameType.ping) === 1), flagged(frames.ping(), 0x16)],
    ['the reserved bit', seen((client) => acks(client, FrameType.ping) === 1), reserved(frames.ping())],
  ]),
  ...group('4.2', [
    ['DATA of 2^14 bytes', answer(), then(post(), frames.data(1, long(16_384), { endStream: true }))],
    ['DATA above SETTINGS_MAX_FRAME_SIZE', reset(SIZE), then(open(), frames.data(1, long(16_385), { endStream: true }))],
    ['HEADERS above SETTINGS_MAX_FRAME_SIZE', goaway(SIZE), frames.headers(1, Buffer.concat([block, hpack.literal('x', 'y'.repeat(16_384))]), { endStream: true })],
    ['SETTINGS above SETTINGS_MAX_FRAME_SIZE', goaway(SIZE), http2Frame(FrameType.settings, 0, 0, long(16_386))],
    ['an unknown frame above SETTINGS_MAX_FRAME_SIZE', goaway(SIZE), http2Frame(0x16, 0, 0, long(16_385))],
  ]),
  ...group('4.3', [
    ['a field block that is none', goaway(COMPRESSION), frames.headers(1, Buffer.from([0x40, 0xff, 0xff, 0xff, 0xff, 0xff]), { endStream: true })],
    ['PRIORITY in the middle of a field block', goaway(PROTOCOL), then(frames.headers(1, block, { endStream: true, endHeaders: false }), frames.priority(1, { dependsOn: 0, weight: 256 }))],
    ['HEADERS of another stream in the middle of a field block', goaway(PROTOCOL), then(frames.headers(1, block, { endStream: true, endHeaders: false }), get(3))],
  ]),
  ...group('5.1', [
    ['idle: DATA', goaway(PROTOCOL), frames.data(1, 'test', { endStream: true })],
    ['idle: RST_STREAM', goaway(PROTOCOL), frames.rstStream(1)],
    ['idle: WINDOW_UPDATE', goaway(PROTOCOL), frames.windowUpdate(1, 100)],
    ['idle: CONTINUATION', goaway(PROTOCOL), frames.continuation(1, block)],
    ['half-closed (remote): DATA', reset(CLOSED), then(hanging(), frames.data(1, 'test', { endStream: true }))],
    ['half-closed (remote): HEADERS', reset(CLOSED), then(hanging(), hanging())],
    ['half-closed (remote): CONTINUATION', reset(CLOSED, PROTOCOL), then(hanging(), frames.continuation(1, block))],
    ['closed by RST_STREAM: DATA', reset(CLOSED), then(open(), frames.rstStream(1), frames.data(1, 'test', { endStream: true }))],
    ['closed by RST_STREAM: HEADERS', reset(CLOSED), then(open(), frames.rstStream(1), hanging())],
    ['closed by RST_STREAM: CONTINUATION', reset(CLOSED, PROTOCOL), then(open(), frames.rstStream(1), frames.continuation(1, block))],
    ['closed: DATA', reset(CLOSED), then(done, frames.data(1, 'test', { endStream: true }))],
    ['closed: HEADERS', goaway(CLOSED, PROTOCOL), then(done, get())],
    ['closed: CONTINUATION', goaway(CLOSED, PROTOCOL), then(done, frames.continuation(1, block))],
    ['closed by us: RST_STREAM, WINDOW_UPDATE and DATA on their way', silence, then(open(), frames.data(1, ''), frames.rstStream(1), frames.rstStream(1))],
    ['RST_STREAM twice', silence, then(open(), frames.rstStream(1), frames.rstStream(1))],
  ]),
  ...group('5.1.1', [
    ['an even stream', goaway(PROTOCOL), get(2)],
    ['a smaller stream', goaway(PROTOCOL), then(hanging(5), hanging(3))],
    ['the largest stream', answer(0x7fff_ffff), get(0x7fff_ffff)],
  ]),
  ...group('5.1.2', [
    ['more streams than SETTINGS_MAX_CONCURRENT_STREAMS', resetOf(201, REFUSED, PROTOCOL), (client) => {
      for (let id = 1; id <= 201; id += 2) client.send(hanging(id));
    }],
  ]),
  ...group('5.3.1', [
    ['HEADERS that depend on themselves', reset(PROTOCOL), frames.headers(1, requestBlock({ ':path': HANG }), { priority: { dependsOn: 1, weight: 256 } })],
    ['PRIORITY that depends on itself', silence, frames.priority(1, { dependsOn: 1, weight: 256 })],
  ]),
  ...group('5.4.1', [
    ['GOAWAY says how far we got', seen((client) => client.goaway?.lastStreamId === 3), then(hanging(1), hanging(3), settled, frames.windowUpdate(0, 0))],
    ['the connection is closed behind GOAWAY', { kind: 'closed' }, frames.windowUpdate(0, 0)],
  ]),
  ...group('5.5', [
    ['an extension frame', seen((client) => acks(client, FrameType.ping) === 1), then(http2Frame(0x99, 0xff, 0, 'x'), frames.ping())],
    ['an extension frame in the middle of a field block', goaway(PROTOCOL), then(frames.headers(1, block, { endHeaders: false }), http2Frame(0x99, 0, 1, 'x'))],
    ['METADATA, ALTSVC, ORIGIN and PRIORITY_UPDATE from a client', seen((client) => acks(client, FrameType.ping) === 1), then(...[0x4d, 0x0a, 0x0c].map((type) => http2Frame(type, 0, 0, 'xxxx')), http2Frame(0x10, 0, 0, Buffer.from([0, 0, 0, 1, 0x75])), frames.ping())],
  ]),
  ...group('6.1', [
    ['DATA on stream 0', goaway(PROTOCOL), frames.data(0, 'test', { endStream: true })],
    ['DATA on a stream that is not open', reset(CLOSED), then(open(), frames.data(1, '', { endStream: true }), settled, frames.data(1, 'test'))],
    ['DATA whose padding is too long', goaway(PROTOCOL), then(open(), http2Frame(FrameType.data, FrameFlag.padded, 1, Buffer.from([6, 0x74, 0x65, 0x73, 0x74])))],
    ['DATA that is all padding', silence, then(open(), frames.data(1, '', { padding: 255 }))],
    ['DATA that is padded, without the byte that says so', goaway(PROTOCOL, SIZE), then(open(), http2Frame(FrameType.data, FrameFlag.padded, 1))],
  ]),
  ...group('6.2', [
    ['HEADERS without END_HEADERS, then another frame', goaway(PROTOCOL), then(frames.headers(1, block, { endHeaders: false }), frames.data(1, 'test'))],
    ['HEADERS without END_HEADERS, then another stream', goaway(PROTOCOL), then(frames.headers(1, block, { endHeaders: false }), get(3))],
    ['HEADERS on stream 0', goaway(PROTOCOL), frames.headers(0, block)],
    ['HEADERS whose padding is too long', goaway(PROTOCOL), http2Frame(FrameType.headers, FrameFlag.padded | FrameFlag.endHeaders, 1, Buffer.concat([Buffer.from([block.length + 1]), block]))],
    ['HEADERS too short for their priority', goaway(SIZE, PROTOCOL), http2Frame(FrameType.headers, FrameFlag.priority | FrameFlag.endHeaders, 1, Buffer.from([0, 0, 0]))],
  ]),
  ...group('6.3', [
    ['PRIORITY on stream 0', goaway(PROTOCOL), frames.priority(0, { dependsOn: 1, weight: 256 })],
    ['PRIORITY of a length that is not 5', reset(SIZE), then(open(), http2Frame(FrameType.priority, 0, 1, Buffer.from([0, 0, 0, 0])))],
  ]),
  ...group('6.4', [
    ['RST_STREAM on stream 0', goaway(PROTOCOL), frames.rstStream(0)],
    ['RST_STREAM on an idle stream', goaway(PROTOCOL), frames.rstStream(1)],
    ['RST_STREAM of a length that is not 4', goaway(SIZE), then(open(), http2Frame(FrameType.rstStream, 0, 1, Buffer.from([0, 0, 0])))],
  ]),
  ...group('6.5', [
    ['SETTINGS with ACK and a payload', goaway(SIZE), http2Frame(FrameType.settings, FrameFlag.ack, 0, Buffer.alloc(6))],
    ['SETTINGS on a stream', goaway(PROTOCOL), http2Frame(FrameType.settings, 0, 1, Buffer.from([0, 3, 0, 0, 0, 0x64]))],
    ['SETTINGS of a length that is no multiple of 6', goaway(SIZE), http2Frame(FrameType.settings, 0, 0, Buffer.from([0, 3, 0]))],
  ]),
  ...group('6.5.2', [
    ['SETTINGS_ENABLE_PUSH that is neither 0 nor 1', goaway(PROTOCOL), frames.settings({ 2: 2 })],
    ['SETTINGS_INITIAL_WINDOW_SIZE above the maximum', goaway(FLOW), frames.settings({ 4: 0x8000_0000 })],
    ['SETTINGS_MAX_FRAME_SIZE below the minimum', goaway(PROTOCOL), frames.settings({ 5: 16_383 })],
    ['SETTINGS_MAX_FRAME_SIZE above the maximum', goaway(PROTOCOL), frames.settings({ 5: 16_777_216 })],
    ['an unknown setting', seen((client) => acks(client, FrameType.ping) === 1), then(frames.settings({ 255: 1 }), frames.ping())],
    ['SETTINGS_HEADER_TABLE_SIZE of 0', answer(), then(frames.settings({ 1: 0 }), get())],
    ['SETTINGS_HEADER_TABLE_SIZE that is huge', answer(), then(frames.settings({ 1: 0xffff_ffff }), get())],
    ['SETTINGS_MAX_CONCURRENT_STREAMS of 0 (it is ours)', answer(), then(frames.settings({ 3: 0 }), get())],
    ['SETTINGS_ENABLE_CONNECT_PROTOCOL that is neither 0 nor 1', goaway(PROTOCOL), frames.settings({ 8: 2 })],
  ]),
  ...group('6.5.3', [
    ['a setting twice: the last one counts', seen((client) => dataBytes(client) === 1), then(frames.settings([[4, 100], [4, 1]]), get(), settled)],
    ['SETTINGS are acknowledged at once', seen((client) => acks(client, FrameType.settings) >= 2), frames.settings()],
    ['several SETTINGS are acknowledged one by one', seen((client) => acks(client, FrameType.settings) === 4), then(frames.settings({ 4: 1 }), frames.settings({ 4: 2 }), frames.settings())],
  ]),
  ...group('6.6', [['PUSH_PROMISE', goaway(PROTOCOL), frames.pushPromise(1, 2, block)]]),
  ...group('6.7', [
    ['PING', seen((client) => client.framesOf(FrameType.ping).some(({ flags, payload }) => flags === 1 && payload.toString() === 'h2specXY')), frames.ping('h2specXY')],
    ['PING with ACK is not answered', silence, frames.ping('12345678', true)],
    ['PING on a stream', goaway(PROTOCOL), http2Frame(FrameType.ping, 0, 1, Buffer.alloc(8))],
    ['PING of a length that is not 8', goaway(SIZE), http2Frame(FrameType.ping, 0, 0, Buffer.alloc(6))],
  ]),
  ...group('6.8', [
    ['GOAWAY on a stream', goaway(PROTOCOL), http2Frame(FrameType.goaway, 0, 1, Buffer.alloc(8))],
    ['GOAWAY that is too short', goaway(SIZE), http2Frame(FrameType.goaway, 0, 0, Buffer.alloc(4))],
  ]),
  ...group('6.9', [
    ['WINDOW_UPDATE of 0 on the connection', goaway(PROTOCOL), frames.windowUpdate(0, 0)],
    ['WINDOW_UPDATE of 0 on a stream', reset(PROTOCOL), then(open(), frames.windowUpdate(1, 0))],
    ['WINDOW_UPDATE of a length that is not 4', goaway(SIZE), http2Frame(FrameType.windowUpdate, 0, 0, Buffer.from([0, 0, 1]))],
  ]),
  ...group('6.9.1', [
    ['a window of 1: one byte comes', seen((client) => dataBytes(client) === 1), then(frames.settings({ 4: 1 }), get(), settled)],
    ['WINDOW_UPDATEs beyond 2^31-1 on the connection', goaway(FLOW), then(frames.windowUpdate(0, 0x7fff_ffff), frames.windowUpdate(0, 0x7fff_ffff))],
    ['WINDOW_UPDATEs beyond 2^31-1 on a stream', reset(FLOW), then(open(), frames.windowUpdate(1, 0x7fff_ffff), frames.windowUpdate(1, 0x7fff_ffff))],
  ]),
  ...group('6.9.2', [
    ['a window that grows after the request', seen((client) => dataBytes(client) === 1), then(frames.settings({ 4: 0 }), get(), settled, frames.settings({ 4: 1 }), settled)],
    ['a window that is negative', seen((client) => dataBytes(client) === 2), then(frames.settings({ 4: 2 }), get(), settled, (client) => client.until(() => client.bodyBytes === 2), frames.settings({ 4: 0 }), frames.windowUpdate(1, 2), settled)],
    ['SETTINGS_INITIAL_WINDOW_SIZE that lifts a window beyond 2^31-1', goaway(FLOW), then(open(), frames.windowUpdate(1, 0x7fff_ffff - 65_535), settled, frames.settings({ 4: 65_536 }))],
  ]),
  ...group('6.10', [
    ['several CONTINUATIONs', answer(), frames.block(1, block, { endStream: true }, 5 + Math.ceil(block.length / 8))],
    ['CONTINUATION, then another frame', goaway(PROTOCOL), then(frames.headers(1, block.subarray(0, 5), { endHeaders: false }), frames.continuation(1, block.subarray(5), false), frames.data(1, 'test'))],
    ['CONTINUATION on stream 0', goaway(PROTOCOL), then(frames.headers(1, block, { endHeaders: false }), frames.continuation(0, block))],
    ['CONTINUATION behind END_HEADERS', goaway(PROTOCOL), then(open(), frames.continuation(1, block))],
    ['CONTINUATION behind a CONTINUATION with END_HEADERS', goaway(PROTOCOL), then(frames.block(1, requestBlock({ ':path': HANG }), {}, 20), frames.continuation(1, block))],
    ['CONTINUATION behind DATA', goaway(PROTOCOL), then(open(), frames.data(1, 'test'), frames.continuation(1, block))],
    ['CONTINUATION of another stream', goaway(PROTOCOL), then(frames.headers(1, block, { endHeaders: false }), frames.continuation(3, block))],
  ]),
  ...group('7', [
    ['an unknown error code in GOAWAY', { kind: 'closed' }, frames.goaway(0, 0xff)],
    ['an unknown error code in RST_STREAM', silence, then(open(), frames.rstStream(1, 0xff))],
  ]),
  ...group('8.1', [
    ['a second HEADERS without END_STREAM', reset(PROTOCOL), then(open(), frames.headers(1, hpack.block([['x-t', '1']])))],
    ['a response before the request ends', answer(1, 404), frames.headers(1, requestBlock({ ':method': 'POST', ':path': '/nowhere' }))],
    ['the request goes on behind its response', silence, then(frames.headers(1, requestBlock({ ':method': 'POST', ':path': '/nowhere' })), (client) => client.until(() => client.response(1).ended), frames.data(1, 'test'))],
  ]),
  ...group('8.2.1', [
    ['a name in upper case', reset(PROTOCOL), withFields(['X-TEST', 'ok'])],
    ['a name with a blank', reset(PROTOCOL), withFields(['x test', 'ok'])],
    ['a name with a colon', reset(PROTOCOL), withFields(['x:test', 'ok'])],
    ['an empty name', reset(PROTOCOL), withFields(['', 'ok'])],
    ['a value with NUL', reset(PROTOCOL), withFields(['x-test', 'a\0b'])],
    ['a value with CR', reset(PROTOCOL), withFields(['x-test', 'a\rb'])],
    ['a value with LF', reset(PROTOCOL), withFields(['x-test', 'a\nb'])],
    ['a value with a leading blank', reset(PROTOCOL), withFields(['x-test', ' a'])],
    ['a value with a trailing tab', reset(PROTOCOL), withFields(['x-test', 'a\t'])],
  ]),
  ...group('8.2.2', [
    ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
      (name) => [name, reset(PROTOCOL), withFields([name, 'x'])] as const,
    ),
    ['te: gzip', reset(PROTOCOL), withFields(['te', 'gzip'])],
    ['te: trailers, deflate', reset(PROTOCOL), withFields(['te', 'trailers, deflate'])],
    ['te: trailers', answer(), withFields(['te', 'trailers'])],
  ]),
  ...group('8.2.3', [['cookies in crumbs', answer(), withFields(['cookie', 'a=1'], ['cookie', 'b=2'])]]),
  ...group('8.3', [
    ['an unknown pseudo-header', reset(PROTOCOL), withFields([':test', 'ok'])],
    ['a pseudo-header of responses', reset(PROTOCOL), withFields([':status', '200'])],
    ['a pseudo-header in trailers', reset(PROTOCOL), then(open(), frames.headers(1, hpack.block([[':method', 'GET']]), { endStream: true }))],
    ['a pseudo-header behind a field', reset(PROTOCOL), lines([':scheme', 'http'], [':authority', 'a'], [':path', '/'], ['x-test', 'ok'], [':method', 'GET'])],
  ]),
  ...group('8.3.1', [
    ['an empty :path', reset(PROTOCOL), lines([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', ''])],
    ['no :method', reset(PROTOCOL), request({ ':method': '' })],
    ['no :scheme', reset(PROTOCOL), request({ ':scheme': '' })],
    ['no :path', reset(PROTOCOL), request({ ':path': '' })],
    ['two :method', reset(PROTOCOL), lines([':method', 'GET'], [':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', '/'])],
    ['two :scheme', reset(PROTOCOL), lines([':method', 'GET'], [':scheme', 'http'], [':scheme', 'http'], [':authority', 'a'], [':path', '/'])],
    ['two :path', reset(PROTOCOL), lines([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', '/'], [':path', '/'])],
    ['two :authority', reset(PROTOCOL), lines([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':authority', 'a'], [':path', '/'])],
    ['a :path without a slash', reset(PROTOCOL), request({ ':path': 'nowhere' })],
    ['host alone', answer(), lines([':method', 'GET'], [':scheme', 'http'], [':path', '/'], ['host', 'a'])],
  ]),
  ...group('8.1.1', [
    ['content-length that one DATA does not keep', reset(PROTOCOL), then(frames.headers(1, requestBlock({ ':method': 'POST', 'content-length': '1' })), frames.data(1, 'test', { endStream: true }))],
    ['content-length that several DATA do not keep', reset(PROTOCOL), then(frames.headers(1, requestBlock({ ':method': 'POST', 'content-length': '1' })), frames.data(1, 'te'), frames.data(1, 'st', { endStream: true }))],
    ['content-length without a body', reset(PROTOCOL), withFields(['content-length', '1'])],
    ['two content-lengths', reset(PROTOCOL), then(frames.headers(1, Buffer.concat([requestBlock({ ':method': 'POST' }), hpack.block([['content-length', '4'], ['content-length', '5']])])), frames.data(1, 'test', { endStream: true }))],
    ['content-length that is no number', reset(PROTOCOL), withFields(['content-length', 'x'])],
    ['content-length that is kept', answer(), then(frames.headers(1, requestBlock({ ':method': 'POST', 'content-length': '4' })), frames.data(1, 'test', { endStream: true }))],
  ]),
  ...group('8.5', [
    ['CONNECT with :path', reset(PROTOCOL), request({ ':method': 'CONNECT' })],
    ['CONNECT without :authority', reset(PROTOCOL), lines([':method', 'CONNECT'])],
    ['CONNECT with :protocol that was not allowed', reset(PROTOCOL), request({ ':method': 'CONNECT', ':protocol': 'websocket' })],
    [':protocol without CONNECT', reset(PROTOCOL), request({ ':protocol': 'websocket' })],
  ]),
  ...group('hpack 2.3.3', [
    ['an index beyond both tables', goaway(COMPRESSION), hpackRequest(hpack.indexed(FIRST_DYNAMIC_INDEX + 8))],
    ['an index beyond both tables as a name', goaway(COMPRESSION), hpackRequest(hpack.literal(FIRST_DYNAMIC_INDEX + 8, 'x'))],
  ]),
  ...group('hpack 4.2', [
    ['a table size update behind a field', goaway(COMPRESSION), hpackRequest(hpack.tableSize(1))],
    ['a table that shrinks forgets', goaway(COMPRESSION), then(frames.headers(1, Buffer.concat([...indexedRequest, hpack.remembered('x', 'y')]), { endStream: true }), settled, frames.headers(3, Buffer.concat([hpack.tableSize(0), ...indexedRequest, hpack.indexed(FIRST_DYNAMIC_INDEX)]), { endStream: true }))],
  ]),
  ...group('hpack 5.1', [
    ['an integer beyond 32 bits', goaway(COMPRESSION), hpackRequest(Buffer.concat([Buffer.from([0xff]), Buffer.alloc(6, 0xff), Buffer.from([0x7f])]))],
    ['an integer that does not end', goaway(COMPRESSION), hpackRequest(Buffer.from([0xff, 0x80]))],
  ]),
  ...group('hpack 5.2', [
    ['Huffman padding of more than 7 bits', goaway(COMPRESSION), hpackRequest(Buffer.from([0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff]))],
    ['Huffman padding of zeros', goaway(COMPRESSION), hpackRequest(Buffer.from([0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90]))],
    ['EOS in a Huffman string', goaway(COMPRESSION), hpackRequest(Buffer.from([0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x87, 0x49, 0x50, 0x9f, 0xff, 0xff, 0xff, 0xd3]))],
    ['a string that ends behind its block', goaway(COMPRESSION), hpackRequest(Buffer.from([0x00, 0x05, 0x78]))],
  ]),
  ...group('hpack 6.1', [['index 0', goaway(COMPRESSION), hpackRequest(hpack.indexed(0))]]),
  ...group('hpack 6.3', [
    ['a table size above the limit', goaway(COMPRESSION), frames.headers(1, Buffer.concat([hpack.tableSize(4097), ...indexedRequest]), { endStream: true })],
  ]),
]; // biome-ignore format: a table

/** Codes by their RFC 9113 names, for what is printed. */
export const CODE_NAMES: Readonly<Record<number, string>> = {
  [Http2Code.noError]: 'NO_ERROR',
  [PROTOCOL]: 'PROTOCOL_ERROR',
  [Http2Code.internalError]: 'INTERNAL_ERROR',
  [FLOW]: 'FLOW_CONTROL_ERROR',
  [CLOSED]: 'STREAM_CLOSED',
  [SIZE]: 'FRAME_SIZE_ERROR',
  [REFUSED]: 'REFUSED_STREAM',
  [CANCEL]: 'CANCEL',
  [COMPRESSION]: 'COMPRESSION_ERROR',
  [Http2Code.enhanceYourCalm]: 'ENHANCE_YOUR_CALM',
};
