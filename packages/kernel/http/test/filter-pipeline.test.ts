import type { BodyVerdict, HeadersVerdict } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { DIRECTIONS, deferred, type Hooks, PipelineRig, settle } from './pipeline-support.ts';

/** What a message brings after its headers. */
type Rest = 'nothing' | 'body' | 'body and trailers';

/** Everything a message brings, and what the sink saw by then. */
function feed(rig: PipelineRig, rest: Rest): string[] {
  const log = rig.headers(rest === 'nothing');
  if (rest !== 'nothing') log.push(...rig.body('ab'), ...rig.body('cd', rest === 'body'));
  if (rest === 'body and trailers') log.push(...rig.trailers());
  return log;
}

const WHOLE: Readonly<Record<Rest, string[]>> = {
  nothing: ['headers!'],
  body: ['headers', 'body:ab', 'body:cd!'],
  'body and trailers': ['headers', 'body:ab', 'body:cd', 'trailers'],
};
const RESTS = Object.keys(WHOLE) as Rest[];

describe.each(DIRECTIONS)('%s pipeline', (direction) => {
  const rig = (hooks: Hooks[], limit?: number) => new PipelineRig(direction, hooks, limit);

  describe('headers verdicts, by place in the chain', () => {
    const places = [0, 1, 2];
    test.each(places.flatMap((place) => RESTS.map((rest) => ({ place, rest }))))(
      'nothing at $place of 3, $rest: all passes at once',
      ({ place, rest }) => {
        const hooks: Hooks[] = [{}, {}, {}];
        const seen: boolean[] = [];
        hooks[place] = { headers: (endStream) => void seen.push(endStream) };
        expect(feed(rig(hooks), rest)).toEqual(WHOLE[rest]);
        expect(seen).toEqual([rest === 'nothing']);
      },
    );

    test.each(places.flatMap((place) => RESTS.map((rest) => ({ place, rest }))))(
      'pause at $place of 3, $rest: nothing passes until it resumes, then all in order',
      ({ place, rest }) => {
        const after: string[] = [];
        const hooks: Hooks[] = [0, 1, 2].map((i) => ({
          headers: () => {
            if (i > place) after.push('headers');
            return i === place ? 'pause' : undefined;
          },
          body: (chunk) => void (i >= place && after.push(`${i}:${chunk}`)),
        }));
        const it = rig(hooks);
        expect(feed(it, rest)).toEqual([]);
        expect(after).toEqual([]);
        expect(it.held(place)).toBe(rest === 'nothing' ? '' : 'abcd');
        expect(it.resume(place)).toEqual(WHOLE[rest]);
        expect(it.held(place)).toBe('');
      },
    );

    test.each(RESTS)('a promise is a pause until it settles: %s', async (rest) => {
      const gate = deferred();
      const it = rig([{ headers: () => gate.promise }, {}]);
      expect(feed(it, rest)).toEqual([]);
      gate.resolve();
      await settle();
      expect(it.sink.take()).toEqual(WHOLE[rest]);
    });

    test('a rejected promise fails the stream by the name of its filter', async () => {
      const gate = deferred();
      const it = rig([{}, { headers: () => gate.promise }]);
      it.headers();
      gate.reject(new Error('no'));
      await settle();
      expect(it.sink.take()).toEqual(['error:f1:no']);
    });

    test('a promise that settles after the stream is over does nothing', async () => {
      for (const end of ['resolve', 'reject'] as const) {
        const gate = deferred();
        const it = rig([{ headers: () => gate.promise }]);
        it.headers();
        it.sink.finished = true;
        gate[end](new Error('late'));
        await settle();
        expect(it.sink.take()).toEqual([]);
      }
    });

    test('a resume overtakes the promise; its settling then resumes nothing of a later hold', async () => {
      const first = deferred();
      const verdicts: BodyVerdict[] = ['pause'];
      const it = rig([{ headers: () => first.promise, body: () => verdicts.shift() }]);
      it.headers();
      expect(it.resume()).toEqual(['headers']);
      expect(it.body('held')).toEqual([]);
      first.resolve();
      await settle();
      expect(it.sink.take()).toEqual([]);
      expect(it.resume()).toEqual(['body:held']);
    });

    test('collect holds the headers while the body goes to the filter that collects', () => {
      const seen: string[] = [];
      const it = rig([
        {
          headers: () => 'collect',
          body: (chunk, endStream) => {
            seen.push(`${chunk}${endStream ? '!' : ''}`);
            return endStream ? undefined : 'collect';
          },
        },
      ]);
      expect(it.headers()).toEqual([]);
      expect(it.body('ab')).toEqual([]);
      expect(it.held()).toBe('ab');
      expect(it.body('cd', true)).toEqual(['headers', 'body:abcd!']);
      expect(seen).toEqual(['ab', 'cd!']);
    });

    test('collect of a filter without a body hook is a pause', () => {
      const it = rig([{ headers: () => 'collect' }]);
      expect(feed(it, 'body and trailers')).toEqual([]);
      expect(it.resume()).toEqual(['headers', 'body:ab', 'body:cd', 'trailers']);
    });

    test('a message without a body that is collected waits for the filter', () => {
      const it = rig([{ headers: () => 'collect', body: () => undefined }]);
      expect(it.headers(true)).toEqual([]);
      expect(it.resume()).toEqual(['headers!']);
    });

    test('two filters that pause: the second one holds what the first lets go', () => {
      const it = rig([{ headers: () => 'pause' }, { headers: () => 'pause' }]);
      expect(feed(it, 'body and trailers')).toEqual([]);
      expect(it.resume(1)).toEqual([]);
      expect(it.resume(0)).toEqual([]);
      expect(it.held(1)).toBe('abcd');
      expect(it.resume(1)).toEqual(WHOLE['body and trailers']);
    });
  });

  describe('body verdicts', () => {
    const run = (verdict: (chunk: Buffer, endStream: boolean) => BodyVerdict, rest: Rest = 'body') => {
      const it = rig([{ body: verdict }, {}]);
      return { it, log: feed(it, rest) };
    };

    test('nothing passes each chunk on', () => {
      expect(run(() => undefined).log).toEqual(['headers', 'body:ab', 'body:cd!']);
    });

    test('a Buffer takes the place of the chunk', () => {
      expect(run((chunk) => Buffer.from(chunk.toString().toUpperCase())).log).toEqual([
        'headers',
        'body:AB',
        'body:CD!',
      ]);
    });

    test('an empty Buffer swallows a chunk, and keeps the end of the stream', () => {
      expect(run(() => Buffer.alloc(0)).log).toEqual(['headers', 'body:!']);
    });

    test('collect keeps chunks and hands them on as one with the next that passes', () => {
      expect(run((_, endStream) => (endStream ? undefined : 'collect')).log).toEqual([
        'headers',
        'body:abcd!',
      ]);
    });

    test('collect, then a Buffer: what was kept comes first', () => {
      expect(run((_, endStream) => (endStream ? Buffer.from('!') : 'collect')).log).toEqual([
        'headers',
        'body:ab!!',
      ]);
    });

    test.each(['collect', 'pause'] as const)('%s to the end waits for the filter', (verdict) => {
      const { it, log } = run(() => verdict);
      expect(log).toEqual(['headers']);
      expect(it.held()).toBe('abcd');
      expect(it.resume()).toEqual(['body:abcd!']);
      expect(it.resume()).toEqual([]);
    });

    test('a filter that collected hears of trailers as the end, and lets its body go before them', () => {
      expect(run(() => 'collect', 'body and trailers').log).toEqual(['headers', 'body:abcd', 'trailers']);
    });

    test('one that paused holds the trailers too', () => {
      const { it, log } = run(() => 'pause', 'body and trailers');
      expect(log).toEqual(['headers']);
      expect(it.resume()).toEqual(['body:abcd', 'trailers']);
    });

    test('while its promise is open the hook sees no other chunk, and no trailers', async () => {
      const gates = [deferred(), deferred()];
      const seen: string[] = [];
      const it = rig([
        {
          body: (chunk) => {
            seen.push(chunk.toString());
            return gates[seen.length - 1]?.promise;
          },
          trailers: () => void seen.push('trailers'),
        },
      ]);
      expect(feed(it, 'body and trailers')).toEqual(['headers']);
      expect(seen).toEqual(['ab']);
      gates[0]?.resolve();
      await settle();
      expect(seen).toEqual(['ab', 'cd']);
      expect(it.sink.take()).toEqual(['body:ab']);
      gates[1]?.resolve();
      await settle();
      expect(it.sink.take()).toEqual(['body:cd', 'trailers']);
      expect(seen).toEqual(['ab', 'cd', 'trailers']);
    });

    test('a rejected promise fails the stream', async () => {
      const it = rig([{ body: () => Promise.reject(new Error('broken')) }]);
      it.headers();
      it.body('ab', true);
      await settle();
      expect(it.sink.take()).toEqual(['error:f0:broken']);
    });
  });

  describe('trailers verdicts', () => {
    test.each(['pause', 'collect'] as const)('%s holds the trailers until the filter resumes', (verdict) => {
      const it = rig([{ trailers: () => verdict }]);
      expect(feed(it, 'body and trailers')).toEqual(['headers', 'body:ab', 'body:cd']);
      expect(it.resume()).toEqual(['trailers']);
    });

    test('a promise likewise', async () => {
      const gate = deferred();
      const it = rig([{ trailers: () => gate.promise }]);
      feed(it, 'body and trailers');
      gate.resolve();
      await settle();
      expect(it.sink.take()).toEqual(['trailers']);
    });

    test('a filter that collected everything goes on from its trailers hook', () => {
      const it = rig([{ headers: () => 'collect', body: () => 'collect', trailers: () => undefined }]);
      expect(feed(it, 'body and trailers')).toEqual(['headers', 'body:abcd', 'trailers']);
    });

    test('or pauses there, and all of it waits', () => {
      const it = rig([{ headers: () => 'collect', body: () => 'collect', trailers: () => 'pause' }]);
      expect(feed(it, 'body and trailers')).toEqual([]);
      expect(it.resume()).toEqual(['headers', 'body:abcd', 'trailers']);
    });
  });

  describe('trailers that a filter adds', () => {
    test('end the body for the filters behind it, and are theirs to see', () => {
      const seen: string[] = [];
      const it: PipelineRig = rig([
        {
          body: (_, endStream) => {
            if (endStream) it.sink.added = {} as never;
          },
        },
        {
          body: (chunk, endStream) => void seen.push(`${chunk}${endStream ? '!' : ''}`),
          trailers: () => void seen.push('trailers'),
        },
      ]);
      expect(feed(it, 'body')).toEqual(['headers', 'body:ab', 'body:cd', 'trailers']);
      expect(seen).toEqual(['ab', 'cd', 'trailers']);
    });

    test('also after the body was held to its end', () => {
      const it = rig([{ body: () => 'pause' }]);
      feed(it, 'body');
      it.sink.added = {} as never;
      expect(it.resume()).toEqual(['body:abcd', 'trailers']);
    });
  });

  describe('limits', () => {
    test('a collected body above the limit overflows, and one at the limit does not', () => {
      const it = rig([{ body: () => 'collect' }], 4);
      it.headers();
      expect(it.body('abcd')).toEqual([]);
      expect(it.body('e')).toEqual(['overflow']);
      expect(it.body('f')).toEqual([]);
    });

    test('a paused one stops the peer instead, once, and lets it go when it has been resumed', () => {
      const it = rig([{ headers: () => 'pause' }], 4);
      it.headers();
      expect(it.pipeline.body(Buffer.from('abcd'), false, true)).toBe(true);
      expect(it.pipeline.body(Buffer.from('e'), false, true)).toBe(false);
      expect(it.pipeline.body(Buffer.from('f'), false, true)).toBe(false);
      expect(it.sink.take()).toEqual(['stop']);
      expect(it.resume()).toEqual(['headers', 'body:abcd', 'body:e', 'body:f', 'go']);
    });

    test('a body hook that pauses above the limit stops the peer too', () => {
      const it = rig([{ body: () => 'pause' }], 4);
      it.headers();
      expect(it.body('abcdef')).toEqual(['stop']);
      expect(it.resume()).toEqual(['body:abcdef', 'go']);
    });

    test('while another filter holds as much, the peer stays stopped', () => {
      const it = rig([{ headers: () => 'pause' }, { headers: () => 'pause' }], 4);
      it.headers();
      expect(it.body('abcdef')).toEqual(['stop']);
      expect(it.resume(0)).toEqual([]);
      expect(it.resume(1)).toEqual(['headers', 'body:abcdef', 'go']);
    });

    test('the limit can be changed while the stream runs', () => {
      const it = rig([{ body: () => 'collect' }], 2);
      it.pipeline.bufferLimit = 10;
      it.headers();
      expect(it.body('abcdef')).toEqual([]);
    });

    test('what the sink answers comes back to the sender', () => {
      const it = rig([{}]);
      it.headers();
      it.sink.room = false;
      expect(it.pipeline.body(Buffer.from('x'), false, true)).toBe(false);
    });
  });

  describe('filters that misbehave', () => {
    const throwing = (): never => {
      throw new Error('bug');
    };
    test.each([
      ['headers', { headers: throwing }],
      ['body', { body: throwing }],
      ['trailers', { trailers: throwing }],
    ] as [string, Hooks][])('a %s hook that throws is reported by name, and nothing goes on', (_, hooks) => {
      const it = rig([{}, hooks, { headers: () => undefined }]);
      const log = feed(it, 'body and trailers');
      expect(log.filter((entry) => entry.startsWith('error'))).toEqual(['error:f1:bug']);
      expect(log.indexOf('trailers')).toBe(-1);
    });

    test('a resume when nothing is held, or of a stranger, does nothing', () => {
      const it = rig([{ headers: () => undefined }]);
      it.headers();
      expect(it.resume()).toEqual([]);
      it.pipeline.resume({});
      expect(it.pipeline.held({})).toEqual([]);
      expect(it.sink.take()).toEqual([]);
    });

    test('a resume after the stream is over hands nothing on', () => {
      const it = rig([{ headers: () => 'pause' as HeadersVerdict }, { headers: () => 'pause' }]);
      feed(it, 'body');
      it.sink.finished = true;
      expect(it.resume().filter((entry) => entry !== 'headers')).toEqual([]);
    });
  });
});
