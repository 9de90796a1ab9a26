import {
  FIRST_DYNAMIC_INDEX,
  type FrameConnection,
  FrameType,
  frames,
  Http2Setting,
  hpack,
  http2Frame,
  requestBlock,
} from '@dragoman/testing';

/** What a hostile client sends, bounded in number. */
export interface Attack {
  readonly name: string;
  readonly attack: (client: FrameConnection) => Promise<unknown>;
  /** How it may end: see `Outcome.end`. */
  readonly ends: readonly string[];
  /** A counter below `http.test.` or `http2.` that it must raise. */
  readonly counts?: string;
  /** MiB that the sidecar may grow by meanwhile; default 48. */
  readonly mib?: number;
}

const COUNT = 200_000;
const HANG = { ':path': '/hang' };

/** `count` times the same bytes, in writes of about 16 KiB. */
function* times(bytes: Buffer, count: number): Generator<Buffer> {
  const each = Math.max(1, Math.floor(16_384 / bytes.length));
  const batch = Buffer.concat(Array<Buffer>(each).fill(bytes));
  for (let sent = 0; sent < count; sent += each)
    yield batch.subarray(0, Math.min(each, count - sent) * bytes.length);
}

/** One after another for `count` streams, `each` of them in one write. */
function* streams(make: (id: number) => Buffer, count: number, each: number, from = 1): Generator<Buffer> {
  for (let i = 0; i < count; i += each)
    yield Buffer.concat(
      Array.from({ length: Math.min(each, count - i) }, (_, k) => make(from + 2 * (i + k))),
    );
}

const open = (id: number, endStream = false, fields: Readonly<Record<string, string>> = {}): Buffer =>
  frames.headers(id, requestBlock({ ':method': endStream ? 'GET' : 'POST', ...HANG, ...fields }), {
    endStream,
  });

const GONE = ['GOAWAY INTERNAL_ERROR', 'GOAWAY PROTOCOL_ERROR', 'GOAWAY ENHANCE_YOUR_CALM', 'closed'];

const flood =
  (bytes: Buffer, ...before: Buffer[]): Attack['attack'] =>
  async (client) => {
    if (before.length > 0) client.send(...before);
    await client.pour(times(bytes, COUNT));
  };

/** The same, by a client that does not read. */
const deaf =
  (bytes: Buffer): Attack['attack'] =>
  async (client) => {
    client.socket.pause();
    await client.pour(times(bytes, COUNT));
    client.socket.resume();
  };

/** Opens a stream and has the server reset it, again and again. */
const madeYouReset =
  (bad: (id: number) => Buffer): Attack['attack'] =>
  (client) =>
    client.pour(streams((id) => Buffer.concat([open(id, true), bad(id)]), 20_000, 20));

const large = 'v'.repeat(3900);
const bomb = Buffer.concat([requestBlock(), Buffer.alloc(16_000, hpack.indexed(FIRST_DYNAMIC_INDEX))]);

export const ATTACKS: readonly Attack[] = [
  {
    name: 'rapid reset',
    attack: (client) => client.pour(streams((id) => Buffer.concat([open(id, true), frames.rstStream(id)]), 20_000, 100)),
    ends: GONE,
  },
  {
    name: 'rapid reset, few at a time',
    attack: async (client) => {
      for (const some of streams((id) => Buffer.concat([open(id, true), frames.rstStream(id)]), 2000, 20)) {
        client.send(some);
        if (!(await client.settled())) break;
      }
    },
    ends: ['closed'],
    counts: 'http.test.downstream_rq_too_many_premature_resets',
  },
  {
    name: 'made you reset: WINDOW_UPDATE of 0',
    attack: madeYouReset((id) => frames.windowUpdate(id, 0)),
    ends: ['GOAWAY PROTOCOL_ERROR', 'closed'],
    counts: 'http.test.downstream_cx_protocol_error',
  },
  {
    name: 'made you reset: a window beyond its limit',
    attack: madeYouReset((id) => frames.windowUpdate(id, 0x7fff_ffff)),
    ends: ['GOAWAY FLOW_CONTROL_ERROR', 'GOAWAY INTERNAL_ERROR', 'closed'],
  },
  {
    name: 'made you reset: PRIORITY of a wrong length',
    attack: madeYouReset((id) => http2Frame(FrameType.priority, 0, id, Buffer.alloc(4))),
    ends: ['GOAWAY FRAME_SIZE_ERROR', 'closed'],
  },
  {
    name: 'made you reset: DATA on a half-closed stream',
    attack: madeYouReset((id) => frames.data(id, 'x')),
    ends: ['GOAWAY STREAM_CLOSED', 'closed'],
  },
  {
    name: 'made you reset: HEADERS on a half-closed stream',
    attack: madeYouReset((id) => open(id, true)),
    ends: ['GOAWAY STREAM_CLOSED', 'closed'],
  },
  {
    name: 'made you reset: malformed requests',
    attack: (client) => client.pour(streams((id) => open(id, true, { 'X-UPPER': '1' }), 20_000, 20)),
    ends: GONE,
  },
  {
    name: 'made you reset: malformed requests, few at a time',
    attack: async (client) => {
      for (const some of streams((id) => open(id, true, { 'X-UPPER': '1' }), 2000, 20)) {
        client.send(some);
        if (!(await client.settled())) break;
      }
    },
    ends: ['GOAWAY INTERNAL_ERROR', 'closed'],
  },
  {
    name: 'made you reset: too many fields',
    attack: (client) => {
      const fields = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'v']));
      return client.pour(streams((id) => open(id, true, fields), 20_000, 5));
    },
    ends: ['closed', 'GOAWAY INTERNAL_ERROR'],
  },
  {
    name: 'CONTINUATION without end',
    attack: flood(frames.continuation(1, hpack.literal('x', 'y'.repeat(1000)), false), frames.headers(1, requestBlock(), { endHeaders: false })),
    ends: ['GOAWAY INTERNAL_ERROR', 'closed'],
  },
  {
    name: 'empty CONTINUATION',
    attack: flood(frames.continuation(1, Buffer.alloc(0), false), frames.headers(1, requestBlock(), { endHeaders: false })),
    ends: ['GOAWAY INTERNAL_ERROR', 'closed'],
  },
  { name: 'PING', attack: flood(frames.ping()), ends: GONE },
  { name: 'PING, whose answers are not read', attack: deaf(frames.ping()), ends: GONE },
  { name: 'SETTINGS', attack: flood(frames.settings({ 4: 65_535 })), ends: GONE },
  { name: 'SETTINGS, whose answers are not read', attack: deaf(frames.settings({ 4: 65_535 })), ends: GONE },
  {
    name: 'SETTINGS with many entries',
    attack: flood(frames.settings(Array.from({ length: 33 }, () => [4, 65_535]))),
    ends: ['GOAWAY ENHANCE_YOUR_CALM', 'closed'],
  },
  {
    name: 'SETTINGS that change every window, with 100 streams',
    attack: async (client) => {
      await client.pour(streams((id) => open(id), 100, 10));
      await client.pour(times(Buffer.concat([frames.settings({ 4: 1000 }), frames.settings({ 4: 60_000 })]), 20_000));
    },
    ends: GONE,
  },
  {
    name: 'SETTINGS that change the header table',
    attack: flood(Buffer.concat([frames.settings({ 1: 0 }), frames.settings({ 1: 65_536 })])),
    ends: GONE,
  },
  { name: 'PRIORITY', attack: flood(frames.priority(1, { dependsOn: 0, weight: 3 }), open(1)), ends: GONE },
  {
    name: 'PRIORITY of idle streams',
    attack: (client) => client.pour(streams((id) => frames.priority(id, { dependsOn: id + 2, weight: 1 }), COUNT, 1000)),
    ends: GONE,
  },
  { name: 'frames of unknown types', attack: flood(http2Frame(0x77, 0, 0)), ends: GONE },
  { name: 'empty DATA', attack: flood(frames.data(1, ''), open(1)), ends: GONE },
  { name: 'empty DATA with padding', attack: flood(frames.data(1, '', { padding: 0 }), open(1)), ends: GONE },
  {
    name: 'empty HEADERS',
    attack: (client) => client.pour(streams((id) => frames.headers(id, Buffer.alloc(0), { endStream: true }), 20_000, 100)),
    ends: GONE,
  },
  // No limit, and no need of one: a frame costs less than what the kernel spends on bringing it.
  { name: 'WINDOW_UPDATE on the connection', attack: flood(frames.windowUpdate(0, 1)), ends: ['alive'] },
  { name: 'WINDOW_UPDATE on a stream', attack: flood(frames.windowUpdate(1, 1), open(1)), ends: ['alive'] },
  {
    name: 'DATA of one byte each',
    attack: async (client) => {
      client.send(frames.headers(1, requestBlock({ ':method': 'POST', ':path': '/quick' })));
      await client.pour(times(frames.data(1, 'x'), 50_000));
      client.send(frames.data(1, '', { endStream: true }));
    },
    ends: ['alive'],
  },
  {
    name: 'DATA on a closed stream',
    attack: async (client) => {
      client.request(1, { ':path': '/quick' });
      await client.complete(1);
      await client.pour(times(frames.data(1, 'x'.repeat(100)), 20_000));
    },
    ends: ['alive'],
  },
  {
    name: 'HPACK bomb: references to one large field',
    attack: async (client) => {
      client.send(frames.headers(1, Buffer.concat([requestBlock(), hpack.remembered('x-large', large)]), { endStream: true }));
      await client.pour(streams((id) => frames.headers(id, bomb, { endStream: true }), 200, 1, 3));
    },
    ends: ['alive'],
  },
  {
    name: 'HPACK bomb: cookie crumbs',
    attack: async (client) => {
      client.send(frames.headers(1, Buffer.concat([requestBlock(), hpack.remembered('cookie', large)]), { endStream: true }));
      await client.pour(streams((id) => frames.headers(id, bomb, { endStream: true }), 200, 1, 3));
    },
    ends: ['alive'],
  },
  {
    name: 'HPACK bomb in trailers',
    attack: async (client) => {
      client.send(frames.headers(1, Buffer.concat([requestBlock(), hpack.remembered('x-large', large)]), { endStream: true }));
      const trailers = Buffer.alloc(16_000, hpack.indexed(FIRST_DYNAMIC_INDEX));
      await client.pour(
        streams((id) => Buffer.concat([open(id), frames.headers(id, trailers, { endStream: true })]), 200, 1, 3),
      );
    },
    ends: ['alive'],
    counts: 'http2.header_overflow',
  },
  {
    name: 'thousands of trailers',
    attack: (client) => {
      const trailers = hpack.block(Array.from({ length: 2000 }, (_, i) => [`x-${i}`, '']));
      return client.pour(streams((id) => Buffer.concat([open(id), frames.block(id, trailers, { endStream: true })]), 100, 1));
    },
    ends: ['alive'],
    counts: 'http2.header_overflow',
  },
  {
    name: 'a frame of 16 MiB',
    attack: async (client) => {
      client.send(http2Frame(FrameType.data, 0, 1, Buffer.alloc(0), 0xff_ffff));
      await client.pour(times(Buffer.alloc(16_384), 1024));
    },
    ends: ['GOAWAY FRAME_SIZE_ERROR', 'closed'],
  },
  {
    name: 'a connection window beyond its limit',
    attack: flood(frames.windowUpdate(0, 0x7fff_ffff)),
    ends: ['GOAWAY FLOW_CONTROL_ERROR', 'closed'],
  },
  {
    name: 'more streams than are allowed',
    attack: (client) => client.pour(streams((id) => open(id), 2000, 50)),
    ends: ['GOAWAY PROTOCOL_ERROR', 'closed'],
  },
  {
    name: 'a hundred large responses that are not taken: windows of 0',
    attack: async (client) => {
      client.send(frames.settings({ [Http2Setting.initialWindowSize]: 0 }));
      for (let id = 1; id < 200; id += 2) client.request(id, { ':path': '/large' });
      await client.until(() => client.response(199).status === 200, 'the last response');
    },
    ends: ['alive'],
    mib: 96,
  },
  {
    name: 'a hundred large responses that are not taken: a socket that is not read',
    attack: async (client) => {
      client.send(frames.settings({ [Http2Setting.initialWindowSize]: 0x7fff_ffff }), frames.windowUpdate(0, 0x7000_0000));
      client.socket.pause();
      for (let id = 1; id < 200; id += 2) client.request(id, { ':path': '/large' });
      await new Promise((resolve) => setTimeout(resolve, 700));
      client.socket.destroy();
    },
    ends: ['closed'],
    mib: 96,
  },
  {
    name: 'a hundred uploads that nobody takes',
    attack: async (client) => {
      for (let id = 1; id < 200; id += 2) client.send(open(id));
      await client.settled();
      // As much as windows that stay shut allow.
      for (let id = 1; id < 200; id += 2) await client.pour(times(frames.data(id, Buffer.alloc(16_000)), 4));
    },
    ends: ['alive', 'GOAWAY FLOW_CONTROL_ERROR', 'closed'],
    mib: 64,
  },
]; // biome-ignore format: a table
