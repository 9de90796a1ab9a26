import { Trailers } from '@dragoman/core';
import { FrameType, HpackDecoder } from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type RawPeer, RawServer } from './raw-server.ts';
import { ClientRig, type Exchange, requestOf } from './rig.ts';

/** What the peer does on a stream, one thing a turn. */
const peerStep = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('headers', 'data', 'data', 'end') },
  fc.constantFrom('interim', 'trailers', 'reset:0', 'reset:1', 'reset:7', 'reset:8', 'nothing', 'long'),
  { weight: 1, arbitrary: fc.constantFrom('broken', 'goaway', 'fin', 'garbage', 'window') },
);

/** What the sender of a request does, one thing a turn. */
const ownStep = fc.constantFrom(
  'body',
  'body',
  'large',
  'end',
  'trailers',
  'reset',
  'pause',
  'resume',
  'nothing',
);

const script = fc.record({
  /** Whether a broken message costs the connection. */
  lenient: fc.boolean(),
  /** Bytes that the peer takes of a request at first. */
  window: fc.constantFrom(0, 10, 65_535),
  streams: fc.array(
    fc.record({
      wholeAtOnce: fc.boolean(),
      peer: fc.array(peerStep, { maxLength: 8 }),
      own: fc.array(ownStep, { maxLength: 8 }),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** What one stream was sent, and what came of it. */
class Play {
  readonly exchange: Exchange;
  readonly done: Promise<void>;
  /** Of the response, as the peer sent it. */
  sent = '';
  ended = false;
  private begun = false;
  private over = false;

  constructor(rig: ClientRig, wholeAtOnce: boolean, number: number, own: readonly string[]) {
    this.exchange = rig.send(requestOf({ ':method': 'POST', 'x-n': String(number) }), wholeAtOnce);
    this.done = wholeAtOnce ? Promise.resolve() : this.send(own);
  }

  private async send(steps: readonly string[]): Promise<void> {
    const { encoder } = this.exchange;
    for (const step of steps) {
      if (step === 'body') encoder.body(Buffer.from('b'), false, false);
      else if (step === 'large') encoder.body(Buffer.alloc(100_000, 'l'), false, true);
      else if (step === 'end') encoder.body(Buffer.from('e'), true, true);
      else if (step === 'trailers') encoder.trailers(new Trailers());
      else if (step === 'reset') encoder.reset('local-reset');
      else if (step === 'pause') encoder.pauseBody();
      else if (step === 'resume') encoder.resumeBody();
      await turn();
    }
    encoder.resumeBody();
  }

  async answer(peer: RawPeer, id: number, steps: readonly string[]): Promise<void> {
    for (const step of steps) {
      if (peer.socket.destroyed || peer.socket.writableEnded) return;
      this.step(peer, id, step);
      await turn();
    }
  }

  private step(peer: RawPeer, id: number, step: string): void {
    if (step === 'goaway') peer.goAway(id, 0);
    else if (step === 'fin') peer.socket.end();
    else if (step === 'garbage') peer.socket.write('garbage, and enough of it to be a frame');
    else if (step === 'window') peer.window(0, 100_000);
    else if (!this.over) this.message(peer, id, step);
  }

  /** Only what may come in this place: the rest is for the tests of single cases. */
  private message(peer: RawPeer, id: number, step: string): void {
    if (step.startsWith('reset:')) {
      peer.reset(id, Number(step.slice(6)));
      this.over = true;
    } else if (step === 'broken') {
      peer.headers(id, [[':status', 'x']], true);
      this.over = true;
    } else if (!this.begun) {
      if (step === 'interim') peer.headers(id, [[':status', '103']]);
      if (step !== 'headers') return;
      peer.headers(id, [[':status', '200']]);
      this.begun = true;
    } else if (step === 'data' || step === 'long')
      this.data(peer, id, step === 'long' ? 'x'.repeat(16_000) : 'd');
    else if (step === 'end') {
      this.data(peer, id, 'z', true);
      this.over = true;
      this.ended = true;
    } else if (step === 'trailers') {
      peer.headers(id, [['x-t', '1']], true);
      this.over = true;
      this.ended = true;
    }
  }

  private data(peer: RawPeer, id: number, text: string, end = false): void {
    this.sent += text;
    peer.data(id, text, end);
  }

  check(): void {
    const { events, text } = this.exchange;
    const last = events.findIndex((event) => event.endsWith(' end') || event.startsWith('reset'));
    if (last >= 0) expect(last, `${events} goes on after its end`).toBe(events.length - 1);
    expect(this.sent.startsWith(text)).toBe(true);
    if (events.at(-1)?.endsWith(' end')) {
      expect(this.ended, 'what was cut off passes for whole').toBe(true);
      expect(text).toBe(this.sent);
    }
    expect(events.filter((event) => event.startsWith('headers')).length).toBeLessThan(2);
  }
}

async function run({ lenient, window, streams }: Script): Promise<void> {
  const answers: Promise<void>[] = [];
  const plays: Play[] = [];
  const decoder = new HpackDecoder();
  await using server = await RawServer.start({
    onConnection: (peer) => peer.settings(4, window),
    onFrame: (peer, { type, streamId, payload, flags }) => {
      if (type !== FrameType.headers) return;
      const fields = decoder.decode(payload);
      // Trailers have none.
      const number = fields.find(([name]) => name === 'x-n')?.[1];
      const stream = streams[Number(number)];
      if (number === undefined || stream === undefined) return;
      expect(flags & 4).toBe(4);
      answers.push((plays[Number(number)] as Play).answer(peer, streamId, stream.peer));
    },
  });
  const rig = await ClientRig.open(server.port, { streamErrorOnInvalidMessage: lenient });
  for (const [i, { wholeAtOnce, own }] of streams.entries()) plays.push(new Play(rig, wholeAtOnce, i, own));
  await Promise.all(plays.map(({ done }) => done));
  for (let i = 0; i < 12; i++) await turn();
  await Promise.all(answers);
  await rig[Symbol.asyncDispose]();
  await turn();
  for (const play of plays) play.check();
  expect([rig.stat('streams_active'), rig.stat('pending_send_bytes'), rig.codec.activeStreams]).toEqual([
    0, 0, 0,
  ]);
  await rig.until(() => rig.sessions.size === 0);
  expect(rig.clock.pendingTimers).toBe(0);
}

it('whatever both sides do, nothing is lost, invented or left behind', async () => {
  await fc.assert(fc.asyncProperty(script, run), { numRuns: 150, interruptAfterTimeLimit: 15_000 });
}, 30_000);
