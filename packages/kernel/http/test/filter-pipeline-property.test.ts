import type { BodyVerdict, HeadersVerdict } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DIRECTIONS, deferred, type Hooks, PipelineRig, settle } from './pipeline-support.ts';

type Verdict = 'go' | 'pause' | 'collect' | 'promise';
const verdict = fc.constantFrom<Verdict>('go', 'pause', 'collect', 'promise');

/** A filter's verdicts, used up in turn; `go` ever after. `absent` leaves hooks out. */
const plan = fc.record({
  headers: fc.option(verdict, { nil: undefined }),
  body: fc.option(fc.array(verdict, { maxLength: 6 }), { nil: undefined }),
  trailers: fc.option(verdict, { nil: undefined }),
});

const message = fc.record({
  chunks: fc.array(fc.string({ minLength: 0, maxLength: 5, unit: fc.constantFrom(...'abcdefghij') }), {
    maxLength: 6,
  }),
  trailers: fc.boolean(),
});

/** What happens between two pieces of the message: a filter resumes, or a promise settles. */
const interludes = fc.array(fc.nat({ max: 20 }), { maxLength: 12 });

describe.each(DIRECTIONS)('%s pipeline, any verdicts in any order', (direction) => {
  test('hands on what came in: headers, then the body in order, then trailers, one end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plan, { minLength: 1, maxLength: 4 }),
        message,
        interludes,
        async (plans, { chunks, trailers }, order) => {
          const open: (() => void)[] = [];
          const answer = (wanted: Verdict | undefined): HeadersVerdict & BodyVerdict => {
            if (wanted === undefined || wanted === 'go') return undefined;
            if (wanted !== 'promise') return wanted as never;
            const { promise, resolve } = deferred();
            open.push(resolve);
            return promise as never;
          };
          // What each filter itself saw: it must be in order too.
          const seen: string[][] = plans.map(() => []);
          const hooks = plans.map((given, i): Hooks => {
            const body = [...(given.body ?? [])];
            const noted = (what: string, verdict: Verdict | undefined) => {
              seen[i]?.push(what);
              return answer(verdict);
            };
            return {
              ...(given.headers === undefined ? {} : { headers: () => noted('H', given.headers) }),
              ...(given.body === undefined ? {} : { body: (chunk) => noted(`b${chunk}`, body.shift()) }),
              ...(given.trailers === undefined ? {} : { trailers: () => noted('T', given.trailers) }),
            };
          });
          const rig = new PipelineRig(direction, hooks, 1_000_000);
          const interlude = async (): Promise<void> => {
            const next = order.shift();
            if (next === undefined) return;
            if (next % 2 === 0) rig.pipeline.resume(rig.filters[next % rig.filters.length] as never);
            else open.splice(next % Math.max(1, open.length), 1)[0]?.();
            await settle();
          };

          const ends = chunks.length === 0 && !trailers;
          rig.pipeline.headers({} as never, ends);
          for (const [i, chunk] of chunks.entries()) {
            await interlude();
            rig.pipeline.body(Buffer.from(chunk), !trailers && i === chunks.length - 1, true);
          }
          await interlude();
          if (trailers) rig.pipeline.trailers({} as never);
          // In the end everybody lets go, as often as there may be something to let go of.
          for (let round = 0; round < 40; round++) {
            await interlude();
            for (const filter of rig.filters) rig.pipeline.resume(filter);
            for (const resolve of open.splice(0)) resolve();
            if (open.length > 0 || round < 3 || order.length > 0) await settle();
          }

          const log = rig.sink.take();
          const body = log.filter((entry) => entry.startsWith('body:')).map((entry) => entry.slice(5));
          expect(body.join('').replaceAll('!', '')).toBe(chunks.join(''));
          expect(log[0]).toBe(ends ? 'headers!' : 'headers');
          expect(log.filter((entry) => entry.startsWith('headers'))).toHaveLength(1);
          const last = log.at(-1) as string;
          expect(last).toBe(ends ? 'headers!' : trailers ? 'trailers' : `body:${body.at(-1)}`);
          expect(log.filter((entry) => entry.endsWith('!') || entry === 'trailers')).toHaveLength(1);
          for (const own of seen) {
            expect(own.filter((what) => what === 'H').length).toBeLessThanOrEqual(1);
            expect(own.indexOf('H')).toBeLessThanOrEqual(0);
            if (own.includes('T')) expect(own.indexOf('T')).toBe(own.length - 1);
            const text = own.filter((what) => what.startsWith('b')).map((what) => what.slice(1));
            if (text.length > 0) expect(chunks.join('')).toBe(text.join(''));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
