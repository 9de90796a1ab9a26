import { type FieldLines, frames, FrameType, Http2Code, Http2Setting, hpack } from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Exchange, responseOf, ServerRig, trailersOf } from './server-rig.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 300);
const WINDOW = 65_535;

/** What one client does on one of its streams, or on the connection. */
type Action =
  | { readonly do: 'open'; readonly end: boolean; readonly fields: readonly (readonly [string, string])[] }
  | {
      readonly do: 'data';
      readonly at: number;
      readonly bytes: number;
      readonly padding: number | undefined;
      readonly end: boolean;
    }
  | { readonly do: 'trailers'; readonly at: number; readonly fields: readonly (readonly [string, string])[] }
  | { readonly do: 'reset'; readonly at: number; readonly code: number }
  | { readonly do: 'window'; readonly at: number; readonly bytes: number }
  | { readonly do: 'ping' | 'settings' | 'priority' | 'unknown' | 'settle' | 'advance' }
  // Of the handler.
  | { readonly do: 'accept'; readonly at: number; readonly value: boolean }
  | { readonly do: 'pause' | 'resume'; readonly at: number }
  | { readonly do: 'headers' | 'finish' | 'abandon'; readonly at: number }
  | {
      readonly do: 'body';
      readonly at: number;
      readonly bytes: number;
      readonly end: boolean;
      readonly holdable: boolean;
    }
  | { readonly do: 'end-trailers'; readonly at: number };

const at = fc.nat({ max: 5 });
const fields = fc.array(fc.tuple(fc.stringMatching(/^x-[a-z]{1,5}$/), fc.stringMatching(/^[!-~]{0,20}$/)), {
  maxLength: 4,
});
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('open' as const), end: fc.boolean(), fields }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('data' as const),
      at,
      bytes: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 16_000 })),
      padding: fc.option(fc.nat({ max: 255 }), { nil: undefined }),
      end: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trailers' as const), at, fields }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reset' as const),
      at,
      code: fc.constantFrom(Http2Code.noError, Http2Code.cancel, Http2Code.refusedStream),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('window' as const), at, bytes: fc.integer({ min: 1, max: 50_000 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('ping' as const, 'settings' as const, 'priority' as const, 'unknown' as const, 'settle' as const, 'advance' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('accept' as const), at, value: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const), at }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('headers' as const, 'finish' as const, 'abandon' as const), at }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('body' as const),
      at,
      bytes: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 100_000 })),
      end: fc.boolean(),
      holdable: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end-trailers' as const), at }) },
); // biome-ignore format: a table

/** One stream as both ends should have seen it. */
interface Expected {
  readonly id: number;
  readonly fields: FieldLines;
  sent: string;
  ended: boolean;
  trailers: FieldLines | undefined;
  /** Reset by the client. */
  reset: boolean;
  /** What the client may still send on it. */
  room: number;
  answered: 'no' | 'headers' | 'ended' | 'abandoned';
  answer: string;
  answerTrailers: boolean;
  /** The handler was told to stop. */
  stopped: boolean;
}

const byte = (n: number): string => String.fromCharCode(97 + (n % 26));

class Run {
  readonly rig: ServerRig;
  readonly streams: Expected[] = [];
  private connectionRoom = 1024 * 1024;
  private tick = 0;

  constructor(initialWindow: number) {
    this.rig = new ServerRig({ settings: { [Http2Setting.initialWindowSize]: initialWindow } });
  }

  /** The exchange of a stream, once it is there. */
  exchangeOf(stream: Expected): Exchange | undefined {
    return this.rig.exchanges.find(({ headers }) => headers?.path === `/${stream.id}`);
  }

  async perform(next: Action): Promise<void> {
    const { rig, streams } = this;
    const { client } = rig;
    const stream = 'at' in next ? streams[next.at % Math.max(1, streams.length)] : undefined;
    if ('at' in next && stream === undefined) return;
    switch (next.do) {
      case 'open': {
        if (streams.length >= 20) return;
        const id = 1 + 2 * streams.length;
        const all: FieldLines = [
          [':method', next.end ? 'GET' : 'POST'],
          [':scheme', 'http'],
          [':path', `/${id}`],
          [':authority', 'a'],
          ...next.fields,
        ];
        client.send(frames.block(id, hpack.block(all), { endStream: next.end }, 20));
        streams.push({
          id,
          fields: next.fields,
          sent: '',
          ended: next.end,
          trailers: undefined,
          reset: false,
          room: WINDOW,
          answered: 'no',
          answer: '',
          answerTrailers: false,
          stopped: false,
        });
        return;
      }
      case 'data': {
        if (stream === undefined || !this.maySend(stream)) return;
        const bytes = Buffer.alloc(next.bytes, byte(this.tick++));
        const cost = bytes.length + (next.padding === undefined ? 0 : next.padding + 1);
        if (cost > stream.room || cost > this.connectionRoom) return;
        stream.room -= cost;
        this.connectionRoom -= cost;
        stream.sent += bytes.toString('latin1');
        stream.ended = next.end;
        client.send(frames.data(stream.id, bytes, { padding: next.padding, endStream: next.end }));
        return;
      }
      case 'trailers':
        if (stream === undefined || !this.maySend(stream) || next.fields.length === 0) return;
        stream.ended = true;
        stream.trailers = next.fields;
        client.send(frames.headers(stream.id, hpack.block(next.fields), { endStream: true }));
        return;
      case 'reset':
        if (stream === undefined || stream.reset || client.response(stream.id).reset !== undefined) return;
        if (stream.ended && client.response(stream.id).ended) return;
        stream.reset = true;
        client.send(frames.rstStream(stream.id, next.code));
        return;
      case 'window':
        client.send(frames.windowUpdate(0, next.bytes));
        if (stream !== undefined) client.send(frames.windowUpdate(stream.id, next.bytes));
        return;
      case 'ping':
        client.send(frames.ping());
        return;
      case 'settings':
        client.send(frames.settings({ [Http2Setting.enablePush]: 0, 119: 1 }));
        return;
      case 'priority':
        client.send(frames.priority(1, { dependsOn: 0, weight: 3 }));
        return;
      case 'unknown':
        client.send(Buffer.from([0, 0, 3, 0x77, 0xff, 0, 0, 0, 1, 1, 2, 3]));
        return;
      case 'settle':
        await rig.settle(6);
        return;
      case 'advance':
        await rig.advance(10);
        return;
    }
    if (stream === undefined) return;
    const exchange = this.exchangeOf(stream);
    if (exchange === undefined) return;
    const { encoder } = exchange;
    switch (next.do) {
      case 'accept':
        exchange.accept = next.value;
        return;
      case 'pause':
        encoder.pauseBody();
        return;
      case 'resume':
        encoder.resumeBody();
        return;
      case 'abandon':
        if (stream.answered === 'ended' || exchange.reset !== undefined) return;
        if (stream.answered !== 'abandoned') stream.answered = 'abandoned';
        encoder.reset('local-reset');
        return;
    }
    if (stream.answered === 'abandoned' || stream.answered === 'ended' || exchange.reset !== undefined)
      return;
    switch (next.do) {
      case 'headers':
        if (stream.answered !== 'no') return;
        stream.answered = 'headers';
        encoder.headers(responseOf(200, { 'x-id': String(stream.id) }), false);
        return;
      case 'finish':
        if (stream.answered !== 'no') return;
        stream.answered = 'ended';
        encoder.headers(responseOf(204), true);
        return;
      case 'body': {
        if (stream.answered !== 'headers' || stream.stopped) return;
        const bytes = Buffer.alloc(next.bytes, byte(this.tick++));
        stream.answer += bytes.toString('latin1');
        if (next.end) stream.answered = 'ended';
        const goOn = encoder.body(bytes, next.end, next.holdable);
        if (!next.holdable) bytes.fill('?');
        if (goOn) return;
        // The chunk is the codec's until it says so.
        stream.stopped = true;
        exchange.onCall = (event) => {
          if (event !== 'writable') return;
          stream.stopped = false;
          bytes.fill('?');
        };
        return;
      }
      case 'end-trailers':
        if (stream.answered !== 'headers') return;
        stream.answered = 'ended';
        stream.answerTrailers = true;
        encoder.trailers(trailersOf({ 'x-t': '1' }));
        return;
    }
  }

  private maySend(stream: Expected): boolean {
    return !stream.ended && !stream.reset && this.rig.client.response(stream.id).reset === undefined;
  }

  /** Lets everything that waits go on, so that each stream comes to its end. */
  async finish(): Promise<void> {
    const { rig } = this;
    await rig.settle();
    for (const exchange of rig.exchanges) {
      exchange.accept = true;
      exchange.encoder.resumeBody();
    }
    for (let i = 0; i < 3; i++) {
      rig.client.send(frames.windowUpdate(0, 100_000_000));
      for (const stream of this.streams)
        if (!stream.reset) rig.client.send(frames.windowUpdate(stream.id, 100_000_000));
      await rig.settle();
      // The ends that wait for a window are looked for in intervals.
      await rig.advance(50);
    }
  }

  check(): void {
    const { rig } = this;
    expect(rig.events.filter((event) => event !== 'stream-complete')).toEqual([]);
    expect(rig.client.goaway).toBeUndefined();
    for (const stream of this.streams) this.checkStream(stream);
    const open = rig.exchanges.filter(({ headers }) => {
      const stream = this.streams.find(({ id }) => headers?.path === `/${id}`);
      return (
        stream !== undefined && !stream.reset && (stream.answered === 'no' || stream.answered === 'headers')
      );
    });
    expect(rig.stat('streams_active')).toBe(open.length);
    expect(rig.codec.activeStreams).toBe(open.length);
  }

  private checkStream(stream: Expected): void {
    const exchange = this.exchangeOf(stream);
    const response = this.rig.client.response(stream.id);
    // A stream that was reset before anybody had seen its headers.
    if (exchange === undefined) {
      expect(stream.reset).toBe(true);
      return;
    }
    const cut = stream.reset || stream.answered === 'abandoned' || stream.answered === 'ended';
    if (!cut) {
      expect(exchange.body).toBe(stream.sent);
      expect(exchange.ends).toBe(stream.ended ? 1 : 0);
      const trailers = exchange.trailers;
      const got = trailers?.names.map((name, i) => [name, trailers.values[i]]);
      expect(got).toEqual(stream.trailers);
    } else {
      expect(stream.sent.startsWith(exchange.body)).toBe(true);
      // A whole request may be reset afterwards.
      expect(exchange.events.filter((event) => event.endsWith('!')).length).toBeLessThanOrEqual(1);
      expect(exchange.events.filter((event) => event.startsWith('reset')).length).toBeLessThanOrEqual(1);
      if (exchange.events.some((event) => event.endsWith('!'))) {
        expect(stream.ended).toBe(true);
        expect(exchange.body).toBe(stream.sent);
      }
    }
    const lines = exchange.headers.names.map((name, i) => [name, exchange.headers.values[i]]);
    expect(lines).toEqual(stream.fields);
    const body = response.body.toString('latin1');
    expect(stream.answer.startsWith(body)).toBe(true);
    if (stream.reset || stream.answered === 'abandoned') return;
    if (stream.answered === 'ended') {
      expect(response).toMatchObject({ ended: true, status: stream.answer === '' && !stream.answerTrailers && response.status === 204 ? 204 : 200 });
      expect(body).toBe(stream.answer);
      expect(response.trailers !== undefined).toBe(stream.answerTrailers);
      expect(response.reset).toBe(stream.ended ? undefined : Http2Code.noError);
    } else expect(response.ended).toBe(false);
  } // biome-ignore format: one line of it is long
}

it('what arrives is what was sent, in order, and ends once, both ways', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 120, size: 'max' }),
      fc.constantFrom(0, 1, 1000, 65_535, 1_000_000),
      async (script, window) => {
        const run = new Run(window);
        await run.rig.settle(4);
        for (const next of script) await run.perform(next);
        await run.finish();
        run.check();
        run.rig.pair.client.close('reset');
        await run.rig.settle(4);
        expect(run.rig.stat('streams_active')).toBe(0);
        expect(run.rig.clock.pendingTimers).toBe(0);
      },
    ),
    { numRuns: RUNS, ...(process.env.FUZZ_SEED !== undefined && { seed: Number(process.env.FUZZ_SEED) }) },
  );
});

it('a Node client and random sizes: bodies echo', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: 200_000 }), fc.nat({ max: 40_000 })), { minLength: 1, maxLength: 8 }),
      async (requests) => {
        const rig = new ServerRig({
          settings: undefined,
          onRequest: ({ encoder }) => encoder.headers(responseOf(200), false),
        });
        const session = rig.nodeClient();
        const answers = requests.map(async ([size, chunk]) => {
          const stream = session.request({ ':method': 'POST', ':path': '/' });
          const sent = Buffer.alloc(size, byte(size));
          for (let from = 0; from < size; from += chunk + 1)
            stream.write(sent.subarray(from, from + chunk + 1));
          stream.end();
          const got: Buffer[] = [];
          for await (const piece of stream) got.push(piece as Buffer);
          expect(Buffer.concat(got).equals(sent)).toBe(true);
        });
        let done = false;
        const all = Promise.all(answers).then(() => {
          done = true;
        });
        const echoed = new Map<Exchange, number>();
        while (!done) {
          await rig.settle(3);
          for (const exchange of rig.exchanges) {
            const before = echoed.get(exchange) ?? 0;
            const ended = exchange.ends > 0;
            if (exchange.bodyBytes === before && !ended) continue;
            if (before < 0) continue;
            exchange.encoder.body(Buffer.from(exchange.body.slice(before), 'latin1'), ended, true);
            echoed.set(exchange, ended ? -1 : exchange.bodyBytes);
          }
        }
        await all;
        expect(rig.client.framesOf(FrameType.goaway)).toEqual([]);
        session.destroy();
        await rig.settle();
        expect(rig.stat('streams_active')).toBe(0);
      },
    ),
    { numRuns: 15 },
  );
});
