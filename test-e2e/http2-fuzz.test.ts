import type { Socket } from 'node:net';
import {
  eventually,
  FrameConnection,
  FrameType,
  frames,
  Http2Setting,
  HTTP2_PREFACE,
  hpack,
  http2Frame,
  HttpUpstream,
  requestBlock,
  text,
} from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { httpListener, prefixRoute } from './support/config.ts';
import { behindPassthrough, passthroughFilter } from './support/passthrough.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 400);
const SEED = process.env.FUZZ_SEED === undefined ? undefined : Number(process.env.FUZZ_SEED);
const options = { numRuns: RUNS, ...(SEED !== undefined && { seed: SEED }) };

/** A listener with a filter in front, where Node does not read the socket itself. */
const BEHIND = 'behind';
const ROUTES = [
  {
    match: { prefix: '/direct' },
    direct_response: { status: 200, body: { inline_string: 'x'.repeat(1000) } },
  },
  prefixRoute('/', 'upstream', { timeout: '0.2s' }),
];

const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max }).map((some) => Buffer.from(some));
const streamId = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 9 }) },
  { weight: 1, arbitrary: fc.constantFrom(0x7fff_ffff, 0xffff_ffff, 1000) },
);
const path = fc.constantFrom('/', '/direct', '/x', '/%00', '*', '', '/a b');
const fields = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom(
        'cookie',
        'te',
        'connection',
        'host',
        'content-length',
        'x-envoy-retry-on',
        'X',
        '',
        ':path',
        'x_y',
        'grpc-timeout',
      ),
      fc.string({ maxLength: 6 }),
    ),
    fc.oneof(
      fc.constantFrom('trailers', '0', '5', 'a\r\nb', 'a\0', 'x'.repeat(5000)),
      fc.string({ maxLength: 10 }),
    ),
  ),
  { maxLength: 5 },
);
const block = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(path, fc.constantFrom('GET', 'POST', 'HEAD', 'CONNECT', 'OPTIONS'), fields)
      .map(([where, method, more]) =>
        Buffer.concat([requestBlock({ ':method': method, ':path': where }), hpack.block(more)]),
      ),
  },
  { weight: 2, arbitrary: fields.map((more) => hpack.block(more)) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.nat({ max: 70 }), { maxLength: 20 })
      .map((indexes) => Buffer.concat(indexes.map((index) => hpack.indexed(index)))),
  },
  { weight: 1, arbitrary: bytes(60) },
);
const flagsOf = fc.record({
  endStream: fc.boolean(),
  endHeaders: fc.oneof(
    { weight: 8, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
  padding: fc.option(fc.nat({ max: 255 }), { nil: undefined, freq: 6 }),
});

/** A frame that says something, and perhaps at the wrong time. */
const plausible: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(streamId, block, flagsOf)
      .map(([id, payload, flags]) => frames.headers(id, payload, flags)),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(streamId, bytes(300), flagsOf)
      .map(([id, payload, flags]) => frames.data(id, payload, flags)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(streamId, block, fc.boolean())
      .map(([id, payload, end]) => frames.continuation(id, payload, end)),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(streamId, fc.nat({ max: 14 })).map(([id, code]) => frames.rstStream(id, code)),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(0, 1, 65_535, 0x7fff_ffff))
      .map(([id, by]) => frames.windowUpdate(id, by)),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(
        fc.tuple(fc.nat({ max: 9 }), fc.constantFrom(0, 1, 2, 16_384, 65_535, 0x7fff_ffff, 0xffff_ffff)),
        { maxLength: 4 },
      )
      .map((pairs) => frames.settings(pairs)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(bytes(8), fc.boolean())
      .map(([payload, ack]) => frames.ping(Buffer.concat([payload, Buffer.alloc(8)]).subarray(0, 8), ack)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(streamId, fc.nat({ max: 14 }), bytes(10))
      .map(([id, code, debug]) => frames.goaway(id, code, debug)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(streamId, streamId)
      .map(([id, dependsOn]) => frames.priority(id, { dependsOn, weight: 16 })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(streamId, streamId, block)
      .map(([id, promised, payload]) => frames.pushPromise(id, promised, payload)),
  },
);

/** Any frame, with any length in its head. */
const any: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.nat({ max: 20 }),
    fc.nat({ max: 255 }),
    streamId,
    bytes(40),
    fc.option(fc.nat({ max: 0xff_ffff }), { nil: undefined, freq: 6 }),
  )
  .map(([type, flags, id, payload, length]) => http2Frame(type, flags, id, payload, length));

/** What a client that is well-behaved sends. */
const CONVERSATION: readonly Buffer[] = [
  HTTP2_PREFACE,
  frames.settings({ [Http2Setting.initialWindowSize]: 100_000 }),
  frames.windowUpdate(0, 100_000),
  frames.headers(1, requestBlock({ ':path': '/direct' }), { endStream: true }),
  frames.headers(3, requestBlock({ ':method': 'POST', 'content-length': '6' })),
  frames.data(3, 'abc'),
  frames.data(3, 'def', { endStream: true }),
  frames.ping(),
  frames.headers(5, requestBlock({ ':method': 'POST' })),
  frames.data(5, 'abc', { padding: 10 }),
  frames.headers(5, hpack.block([['x-t', '1']]), { endStream: true }),
  frames.block(7, requestBlock({ 'x-long': 'y'.repeat(300) }), { endStream: true }, 100),
  frames.headers(9, Buffer.concat([requestBlock(), hpack.remembered('x-dyn', 'v'), hpack.indexed(62)]), {
    endStream: true,
  }),
  frames.rstStream(9),
  frames.priority(1, { dependsOn: 0, weight: 1 }),
  frames.settingsAck(),
  frames.goaway(0),
];

type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut' | 'repeat'; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Buffer };

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), bit: fc.nat({ max: 7 }) }),
  fc.record({ kind: fc.constantFrom('cut' as const, 'repeat' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), bytes: bytes(20) }),
); // biome-ignore format: tables above

function mutate(all: Buffer, how: Mutation): Buffer {
  const at = how.at % Math.max(1, all.length);
  const [before, after] = [all.subarray(0, at), all.subarray(at)];
  switch (how.kind) {
    case 'flip': {
      const copy = Buffer.from(all);
      copy[at] = (copy[at] as number) ^ (1 << how.bit);
      return copy;
    }
    case 'cut':
      return Buffer.concat([before, after.subarray(how.length)]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, how.length), after]);
    case 'insert':
      return Buffer.concat([before, how.bytes, after]);
  }
}

/** Sends pieces, sees what comes of it, and goes away in one of several ways. */
async function converse(
  port: number,
  pieces: readonly Buffer[],
  leave: 'end' | 'reset' | 'wait',
): Promise<void> {
  await using client = await FrameConnection.connect({ port }, { ackPings: false });
  for (const piece of pieces) {
    if (piece.length > 0) client.send(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (leave === 'wait') client.send(frames.ping('settled?'));
  await Promise.race([
    client
      .until(
        () =>
          client.ended || client.received.some(({ type, flags }) => type === FrameType.ping && flags === 1),
      )
      .catch(() => {}),
    new Promise((resolve) => setTimeout(resolve, 20)),
  ]);
  if (leave === 'end') client.socket.end();
  if (leave === 'reset') (client.socket as Socket).resetAndDestroy();
}

/** Runs sessions against one proxy; somebody else is served all the while. */
async function fuzz(session: (proxy: TestProxy) => Promise<void>): Promise<void> {
  await using upstream = await HttpUpstream.start(text('ok'));
  const manager = {
    http2_protocol_options: { allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'websocket' }],
  };
  const listeners = [behindPassthrough(httpListener({ name: BEHIND, routes: ROUTES, manager }))];
  const setup = { upstream, routes: ROUTES, manager, listeners, extensions: [passthroughFilter] };
  await withProxy(setup, async (proxy) => {
    await using other = await FrameConnection.connect({ port: proxy.port });
    other.begin();
    await other.settled();
    const before = process.memoryUsage().rss;
    await session(proxy);
    other.request(1, { ':path': '/direct' });
    expect((await other.complete(1)).status).toBe(200);
    expect((process.memoryUsage().rss - before) / 1024 ** 2).toBeLessThan(300);
    expect(proxy.loggers.lines.filter((line) => /internal error|failed:/.test(line))).toEqual([]);
    other.socket.destroy();
    await eventually(() => {
      const left = proxy.used(/(cx_http2_active|http2\.streams_active)$/);
      if (Object.keys(left).length > 0) throw new Error(`in flight: ${JSON.stringify(left)}`);
    });
  });
}

it('random frames: nothing crashes, nothing stays, others are served', { timeout: 120_000 }, async () => {
  await fuzz(async (proxy) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 6, arbitrary: plausible }, { weight: 1, arbitrary: any }), {
          maxLength: 40,
          size: 'max',
        }),
        fc.constantFrom('end' as const, 'reset' as const, 'wait' as const),
        fc.constantFrom('http', BEHIND),
        async (some, leave, listener) => {
          const start = Buffer.concat([HTTP2_PREFACE, frames.settings()]);
          await converse(proxy.portOf(listener), [start, ...some], leave);
        },
      ),
      options,
    );
  });
});

it('mutated conversations: nothing crashes, nothing stays, others are served', {
  timeout: 120_000,
}, async () => {
  await fuzz(async (proxy) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: CONVERSATION.length - 1 }), { maxLength: 6 }),
        fc.array(mutation, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 10 }),
        fc.constantFrom('end' as const, 'reset' as const, 'wait' as const),
        fc.constantFrom('http', BEHIND),
        async (again, mutations, cuts, leave, listener) => {
          const whole = Buffer.concat([...CONVERSATION, ...again.map((i) => CONVERSATION[i] as Buffer)]);
          let rest = mutations.reduce(mutate, whole);
          const pieces: Buffer[] = [];
          for (const cut of cuts) {
            pieces.push(rest.subarray(0, cut));
            rest = rest.subarray(cut);
          }
          await converse(proxy.portOf(listener), [...pieces, rest], leave);
        },
      ),
      options,
    );
  });
});
