import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { HttpFilter, HttpStream } from '@dragoman/core';
import { SeededRandom, within } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { scripted, scriptedFilter } from './support/extensions.ts';
import { type Peer, withProxy } from './support/proxy.ts';

const SEEDS = [1, 2, 3];
const CONNECTIONS = 40;
const AT_ONCE = 8;
const LIMITS = [4096, 65_536, 1_048_576];

/** Bytes of which every stretch tells where it comes from; each body is a stretch that begins at its id. */
const SOURCE = Buffer.alloc(4 * 1024 * 1024);
for (let i = 0; i < SOURCE.length; i++) SOURCE[i] = (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 0xff;
const bodyOf = (id: number, size: number): Buffer => SOURCE.subarray(id * 64, id * 64 + size);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Dice {
  private readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  below(limit: number): number {
    return Math.floor(this.random.random() * limit);
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  size(): number {
    return this.below([1, 100, 9000, 40_000, 200_000, 900_000][this.below(6)]);
  }

  async pause(): Promise<void> {
    for (let left = this.oneIn(3) ? this.below(6) : 0; left > 0; left--) await turn();
  }

  /** Cut at random, mostly into few pieces. */
  *pieces(data: Buffer): Generator<Buffer> {
    for (let at = 0; at < data.length; ) {
      const size = Math.min(data.length - at, 1 + this.below([20, 5000, 70_000, 300_000][this.below(4)]));
      yield data.subarray(at, at + size);
      at += size;
    }
  }
}

/** Says how the exchange is to go: both sides read it in the path. */
interface Plan {
  readonly id: number;
  /** Bytes of the request's body; −1: a GET. */
  readonly up: number;
  readonly chunkedUp: boolean;
  readonly down: number;
  readonly answer: 'length' | 'chunked' | 'close' | 'early' | 'cut' | 'reset';
}

const ANSWERS: readonly Plan['answer'][] = [
  'length',
  'length',
  'chunked',
  'chunked',
  'close',
  'early',
  'cut',
  'reset',
];

interface Noted {
  readonly faults: string[];
  /** Answers that the upstream sent to their end. */
  readonly answered: Set<number>;
}

async function read(message: IncomingMessage, dice: Dice, { id, up }: Plan, noted: Noted): Promise<void> {
  let at = 0;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      if (!chunk.equals(bodyOf(id, up).subarray(at, at + chunk.length)))
        noted.faults.push(`request ${id} differs at ${at}`);
      at += chunk.length;
      await dice.pause();
    }
    if (message.complete && at !== Math.max(0, up))
      noted.faults.push(`request ${id} has ${at} of ${up} bytes`);
  } catch {
    // Cut.
  }
}

async function answer(response: ServerResponse, dice: Dice, plan: Plan, noted: Noted): Promise<void> {
  const { id, down } = plan;
  const data = bodyOf(id, down);
  const cuts = plan.answer === 'cut' || plan.answer === 'reset';
  const known = plan.answer === 'length' || plan.answer === 'early' || (cuts && id % 2 === 0);
  if (plan.answer === 'close') response.useChunkedEncodingByDefault = false;
  response.writeHead(200, known ? { 'content-length': down } : {});
  const stop = cuts ? dice.below(down) : down;
  let at = 0;
  for (const piece of dice.pieces(data)) {
    if (at >= stop && cuts) break;
    at += piece.length;
    if (response.destroyed) return;
    if (!response.write(piece)) {
      await Promise.race([
        new Promise((resolve) => response.once('drain', resolve)),
        new Promise((resolve) => response.once('close', resolve)),
      ]);
    }
    await dice.pause();
  }
  if (plan.answer === 'cut' && at < down) response.req.socket.end();
  else if (plan.answer === 'reset') response.req.socket.resetAndDestroy();
  else {
    noted.answered.add(id);
    response.end();
  }
}

async function startUpstream(dice: Dice, noted: Noted): Promise<Peer> {
  const server = createServer((message, response) => {
    const plan = JSON.parse(decodeURIComponent(message.url?.slice(1) ?? '')) as Plan;
    message.on('error', () => {});
    response.on('error', () => {});
    void (async () => {
      const reading = read(message, dice, plan, noted);
      if (plan.answer !== 'early') await reading;
      await answer(response, dice, plan, noted);
    })();
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function requestOf(plan: Plan, dice: Dice): Buffer {
  const line = `${plan.up < 0 ? 'GET' : 'POST'} /${encodeURIComponent(JSON.stringify(plan))} HTTP/1.1\r\nhost: a\r\n`;
  if (plan.up < 0) return Buffer.from(`${line}\r\n`);
  const data = bodyOf(plan.id, plan.up);
  if (!plan.chunkedUp) return Buffer.concat([Buffer.from(`${line}content-length: ${plan.up}\r\n\r\n`), data]);
  const parts: Buffer[] = [Buffer.from(`${line}transfer-encoding: chunked\r\n\r\n`)];
  for (const piece of dice.pieces(data))
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  parts.push(Buffer.from('0\r\n\r\n'));
  return Buffer.concat(parts);
}

/** One response at the front of `bytes`: what is there of its body, and whether that is all. */
function parse(
  bytes: Buffer,
  closed: boolean,
): { status: number; body: Buffer; whole: boolean; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(head.slice(9, 12));
  let at = end + 4;
  const length = /content-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    const body = bytes.subarray(at, at + Number(length));
    return { status, body, whole: body.length === Number(length), length: at + body.length };
  }
  if (!head.includes('transfer-encoding: chunked'))
    return { status, body: bytes.subarray(at), whole: closed, length: bytes.length };
  const parts: Buffer[] = [];
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return { status, body: Buffer.concat(parts), whole: false, length: bytes.length };
    const text = bytes.toString('latin1', at, line);
    if (!/^[0-9a-f]+$/.test(text)) throw new Error(`chunk size ${JSON.stringify(text.slice(0, 40))}`);
    const size = Number.parseInt(text, 16);
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 4 + size;
    if (at > bytes.length) return { status, body: Buffer.concat(parts), whole: false, length: bytes.length };
    if (bytes[at - 2] !== 13 || bytes[at - 1] !== 10) throw new Error('no line end behind a chunk');
    if (size === 0) return { status, body: Buffer.concat(parts), whole: true, length: at };
  }
}

class Client {
  readonly plans: Plan[] = [];
  readonly received: Buffer[] = [];
  private readonly socket: Socket;
  private readonly dice: Dice;
  private readonly closed: Promise<void>;
  private aborted = false;
  private ended = false;

  constructor(port: number, dice: Dice) {
    this.dice = dice;
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.on('error', () => {});
    this.socket.on('end', () => {
      this.ended = true;
      this.socket.end();
    });
    this.socket.on('data', (chunk: Buffer) => {
      this.received.push(chunk);
      if (!dice.oneIn(3)) return;
      this.socket.pause();
      void dice.pause().then(() => this.socket.resume());
    });
  }

  async run(plans: readonly Plan[], noted: Noted): Promise<void> {
    const { dice, socket } = this;
    const data = Buffer.concat(plans.map((plan) => requestOf(plan, dice)));
    const abortAt = dice.oneIn(6) ? dice.below(data.length) : data.length;
    this.aborted = abortAt < data.length;
    let at = 0;
    for (const piece of dice.pieces(data)) {
      if (at >= abortAt || socket.destroyed || socket.writableEnded) break;
      at += piece.length;
      if (!socket.write(piece))
        await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), this.closed]);
      await dice.pause();
    }
    if (this.aborted) {
      if (dice.oneIn(2)) socket.resetAndDestroy();
      else socket.end();
    } else if (dice.oneIn(3)) socket.end();
    const done = (async () => {
      while (!socket.destroyed && !this.complete(plans.length)) await Promise.race([turn(), this.closed]);
      socket.end();
      await this.closed;
    })();
    await within(done, `the end of ${JSON.stringify(plans)}`, 15_000);
    this.check(plans, noted);
  }

  private seen = 0;
  private complete(count: number): boolean {
    if (this.received.length === this.seen) return false;
    this.seen = this.received.length;
    let bytes = Buffer.concat(this.received);
    for (let i = 0; i < count; i++) {
      const next = parse(bytes, false);
      if (next === undefined || !next.whole) return false;
      bytes = bytes.subarray(next.length);
    }
    return true;
  }

  private check(plans: readonly Plan[], { faults, answered }: Noted): void {
    let bytes = Buffer.concat(this.received);
    for (const plan of plans) {
      const name = `response to ${JSON.stringify(plan)}`;
      const next = parse(bytes, this.ended);
      if (next === undefined) return;
      bytes = bytes.subarray(next.length);
      if (next.status !== 200) {
        if (next.status !== 503) faults.push(`${name}: ${next.status}`);
        continue;
      }
      if (!next.body.equals(bodyOf(plan.id, next.body.length))) faults.push(`${name} differs`);
      if (next.whole && next.body.length !== plan.down)
        faults.push(`${name} seems whole with ${next.body.length}`);
      if (next.whole) continue;
      if (answered.has(plan.id) && !this.aborted && plan.answer !== 'early')
        faults.push(`${name} is cut at ${next.body.length}`);
      return;
    }
    if (bytes.length > 0) faults.push(`${bytes.length} bytes nobody asked for`);
  }
}

/** Holds requests and responses, or looks at their bodies, as its dice say. */
const meddler =
  (dice: Dice) =>
  (stream: HttpStream): HttpFilter => {
    const hold = (resume: () => void) => (): 'pause' | undefined => {
      if (dice.oneIn(2)) return undefined;
      void turn()
        .then(() => dice.pause())
        .then(resume);
      return 'pause';
    };
    const later = (): Promise<void> | undefined => (dice.oneIn(3) ? dice.pause() : undefined);
    const filter: HttpFilter = {
      onRequestHeaders: hold(() => stream.resumeRequest()),
      onResponseHeaders: hold(() => stream.resumeResponse()),
    };
    if (dice.oneIn(3)) filter.onRequestBody = later;
    if (dice.oneIn(3)) filter.onResponseBody = later;
    return filter;
  };

it.each(
  SEEDS.flatMap((seed) => [
    { seed, filter: false },
    { seed, filter: true },
  ]),
)(
  'seed $seed, filter $filter: what arrives is what was sent, and nothing is left',
  async ({ seed, filter }) => {
    const dice = new Dice(seed);
    const noted: Noted = { faults: [], answered: new Set() };
    const limit = { per_connection_buffer_limit_bytes: LIMITS[seed % 3] };
    const upstream = await startUpstream(dice, noted);
    const setup = {
      upstream,
      listener: limit,
      upstreamFields: limit,
      ...(filter ? { filters: [scripted], extensions: [scriptedFilter(meddler(dice))] } : {}),
    };
    await withProxy(setup, async (proxy) => {
      let lastId = 0;
      let left = CONNECTIONS;
      const worker = async (): Promise<void> => {
        while (left-- > 0) {
          const plans = Array.from(
            { length: 1 + dice.below(5) },
            (): Plan => ({
              id: ++lastId,
              up: dice.oneIn(3) ? -1 : dice.size(),
              chunkedUp: dice.oneIn(2),
              down: 1 + dice.size(),
              answer: ANSWERS[dice.below(ANSWERS.length)],
            }),
          );
          await new Client(proxy.port, dice).run(plans, noted);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      expect(noted.faults).toEqual([]);
      expect(noted.answered.size).toBeGreaterThan(CONNECTIONS / 2);
      await proxy.expectIdle();
      expect(proxy.loggers.lines.filter((line) => /^\w+ (error|critical):/.test(line))).toEqual([]);
    });
  },
  60_000,
);
