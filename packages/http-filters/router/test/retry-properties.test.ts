import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rig, type Try } from './rig.ts';

type Step = (rig: Rig, attempt: Try) => void;

/** What may happen next; what an attempt can no longer do is left out by {@link possible}. */
const STEPS: Readonly<Record<string, Step>> = {
  ready: (_rig, attempt) => void attempt.ready(),
  'pool overflow': (_rig, attempt) => attempt.fail('overflow'),
  'connect failure': (_rig, attempt) => attempt.fail('remote-connection-failure'),
  '200': (_rig, attempt) => attempt.respond(),
  '200 with a body': (_rig, attempt) => attempt.respond({}, false),
  '503': (_rig, attempt) => attempt.respond({ ':status': '503' }),
  '503 with a body': (_rig, attempt) => attempt.respond({ ':status': '503' }, false),
  '103': (_rig, attempt) => attempt.inform(103),
  body: (_rig, attempt) => void attempt.decoder.onBody(Buffer.from('b'), false, true),
  'last of the body': (_rig, attempt) => void attempt.decoder.onBody(Buffer.from('b'), true, true),
  reset: (_rig, attempt) => attempt.lose(),
  '10 ms': (rig) => rig.clock.advance(10),
  '40 ms': (rig) => rig.clock.advance(40),
  '200 ms': (rig) => rig.clock.advance(200),
  'request body': (rig) => void (rig.stream.requestComplete || rig.body('xxxx')),
  'request end': (rig) => void (rig.stream.requestComplete || rig.body('y', true)),
};
const ANY_TIME = new Set(['10 ms', '40 ms', '200 ms', 'request body', 'request end']);

/** What a peer can do in the state that its exchange is in. */
class Peer {
  private state: 'waiting' | 'open' | 'answering' | 'over' = 'waiting';

  possible(step: string, attempt: Try): boolean {
    if (ANY_TIME.has(step)) return true;
    if (attempt.events.some((event) => event.startsWith('reset') || event === 'cancelled')) return false;
    if (step === 'ready') return this.move('waiting', 'open');
    if (step === 'pool overflow' || step === 'connect failure') return this.move('waiting', 'over');
    if (step === '103') return this.state === 'open';
    if (step === 'reset')
      return this.state === 'open' ? this.move('open', 'over') : this.move('answering', 'over');
    if (step === 'body') return this.state === 'answering';
    if (step === 'last of the body') return this.move('answering', 'over');
    return this.move('open', step.endsWith('body') ? 'answering' : 'over');
  }

  private move(from: typeof this.state, to: typeof this.state): boolean {
    if (this.state !== from) return false;
    this.state = to;
    return true;
  }
}

const scripts = fc.record({
  hedge: fc.boolean(),
  maxRetries: fc.constantFrom(0, 1, 1000),
  numRetries: fc.integer({ min: 0, max: 4 }),
  complete: fc.boolean(),
  steps: fc.array(fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(5)), { maxLength: 60 }),
});

test('whatever happens in whatever order: one answer, no try too many, nothing left behind', () => {
  fc.assert(
    fc.property(scripts, ({ hedge, maxRetries, numRetries, complete, steps }) => {
      const rig = new Rig({
        bufferLimit: 20,
        maxRetries,
        action: {
          timeout: '0.5s',
          retry_policy: {
            retry_on: '5xx,reset,connect-failure',
            num_retries: numRetries,
            per_try_timeout: '0.05s',
            per_try_idle_timeout: '0.04s',
          },
          hedge_policy: { hedge_on_per_try_timeout: hedge },
        },
      }).request(complete);
      const peers: Peer[] = [];
      for (const [step, pick] of steps) {
        // The manager tells a terminal filter nothing once the stream is over.
        const over =
          rig.stream.replies.length > 0 ||
          rig.stream.ended ||
          rig.stream.calls.some((call) => call.startsWith('reset'));
        if (over) break;
        const at = pick % rig.tries.length;
        peers[at] ??= new Peer();
        const attempt = rig.tries[at];
        if (peers[at].possible(step, attempt)) STEPS[step](rig, attempt);
      }
      const answers = () => rig.stream.replies.length + (rig.stream.responseHeaders === undefined ? 0 : 1);
      expect(answers()).toBeLessThanOrEqual(1);
      if (rig.stream.requestComplete) {
        // A complete request has its answer when its time is over, whatever the upstream does.
        rig.clock.advance(1000);
        expect(answers()).toBe(1);
      }
      expect(rig.tries.length).toBeLessThanOrEqual(numRetries + 1);
      expect(rig.retriesUnderWay).toBeLessThanOrEqual(1);
      rig.complete();
      expect([rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([0, 0]);
      const { length } = rig.tries;
      rig.clock.advance(100_000);
      expect(rig.tries).toHaveLength(length);
      const [granted, limit, overflow] = rig.counts(
        'upstream_rq_retry',
        'upstream_rq_retry_limit_exceeded',
        'upstream_rq_retry_overflow',
      );
      expect(length - 1).toBeLessThanOrEqual(granted);
      if (maxRetries === 0) expect(granted).toBe(0);
      // A hedged try may ask twice: when its time is over, and when it fails after that.
      expect(limit + overflow).toBeLessThanOrEqual(2 * length);
    }),
    { numRuns: 3000 },
  );
});
