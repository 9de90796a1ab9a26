import { type JsonObject, type TestContext, SeededRandom } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { LONGEST_DELAYS, Rig, type RigOptions } from './rig.ts';

/** The delays before each retry of an upstream that always answers the same. */
function delays(options: RigOptions, answer: Readonly<Record<string, string>> = {}): number[] {
  const rig = new Rig(options).request();
  const found: number[] = [];
  for (;;) {
    rig.last.ready().respond({ ':status': '503', ...answer });
    const delay = rig.clock.nextTimerInMs;
    if (rig.stream.responseHeaders !== undefined || delay === undefined) return found;
    found.push(delay);
    rig.clock.advance(delay);
  }
}

const policy = (more: JsonObject = {}): RigOptions['action'] => ({
  retry_policy: { retry_on: '5xx', num_retries: 6, ...more },
});

describe('delays', () => {
  test.each<[name: string, options: RigOptions, longest: number[]]>([
    ['25 ms doubled, at most tenfold', { action: policy() }, [24, 49, 99, 199, 249, 249]],
    [
      'the base by runtime',
      { action: policy(), runtime: { 'upstream.base_retry_backoff_ms': '10' } },
      [9, 19, 39, 79, 99, 99],
    ],
    [
      'a base interval, which goes before the runtime’s',
      {
        action: policy({ retry_back_off: { base_interval: '0.1s' } }),
        runtime: { 'upstream.base_retry_backoff_ms': '10' },
      },
      [99, 199, 399, 799, 999, 999],
    ],
    [
      'a maximum',
      { action: policy({ retry_back_off: { base_interval: '0.1s', max_interval: '0.25s' } }) },
      [99, 199, 249, 249, 249, 249],
    ],
    [
      'less than a millisecond counts as one',
      {
        action: policy({
          num_retries: 2,
          retry_back_off: { base_interval: '0.0001s', max_interval: '0.0005s' },
        }),
      },
      [0, 0],
    ],
  ])('%s', (_name, options, longest) => {
    expect(delays(options)).toEqual(longest);
  });

  test('are drawn anew each time, within their interval, the same for the same seed', () => {
    const drawn = (seed: number) => delays({ action: policy(), random: new SeededRandom(seed) as never });
    expect(drawn(3)).toEqual(drawn(3));
    expect(drawn(3)).not.toEqual(drawn(4));
    for (let seed = 0; seed < 50; seed++)
      drawn(seed).forEach((delay, i) => {
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThan([25, 50, 100, 200, 250, 250][i]);
      });
  });

  test('are counted by their kind', () => {
    const rig = new Rig({ action: policy() }).request();
    rig.last.ready().respond({ ':status': '503' });
    expect(
      rig.counts('upstream_rq_retry_backoff_exponential', 'upstream_rq_retry_backoff_ratelimited'),
    ).toEqual([1, 0]);
  });
});

/** Draws nothing: the shortest of every delay. */
const SHORTEST = { ...LONGEST_DELAYS, next: () => 0 } as TestContext['random'];
/** {@link FakeClock}: 2026-01-01T00:00:00Z, in seconds. */
const NOW = Date.UTC(2026, 0, 1) / 1000;

describe('delays that the upstream asks for', () => {
  const SECONDS = { name: 'Retry-After', format: 'SECONDS' };
  const STAMP = { name: 'X-Reset', format: 'UNIX_TIMESTAMP' };
  test.each<
    [
      name: string,
      resetHeaders: JsonObject[],
      maximum: string | undefined,
      answer: Record<string, string>,
      delay: [number, number],
    ]
  >([
    ['seconds', [SECONDS], undefined, { 'retry-after': '2' }, [2000, 2999]],
    ['a point in time', [STAMP], undefined, { 'x-reset': String(NOW + 4) }, [4000, 5999]],
    ['a point that is over', [STAMP], undefined, { 'x-reset': String(NOW - 1) }, [0, 24]],
    ['this very second', [STAMP], undefined, { 'x-reset': String(NOW) }, [0, 24]],
    ['no number', [SECONDS], undefined, { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }, [0, 24]],
    ['none', [SECONDS], undefined, {}, [0, 24]],
    ['as much as may be: five minutes', [SECONDS], undefined, { 'retry-after': '300' }, [300_000, 449_999]],
    ['more than may be', [SECONDS], undefined, { 'retry-after': '301' }, [0, 24]],
    ['more than a maximum', [SECONDS], '1s', { 'retry-after': '2' }, [0, 24]],
    [
      'the next header, when the first asks for too much',
      [SECONDS, STAMP],
      '5s',
      { 'retry-after': '9', 'x-reset': String(NOW + 3) },
      [3000, 4499],
    ],
    [
      'the first that can be used',
      [SECONDS, STAMP],
      undefined,
      { 'retry-after': '1', 'x-reset': String(NOW + 3) },
      [1000, 1499],
    ],
  ])('%s', (_name, resetHeaders, maximum, answer, [shortest, longest]) => {
    const limited: JsonObject = {
      reset_headers: resetHeaders,
      ...(maximum === undefined ? {} : { max_interval: maximum }),
    };
    const options = (random: TestContext['random']): RigOptions => ({
      action: policy({ num_retries: 1, rate_limited_retry_back_off: limited }),
      random,
    });
    expect(delays(options(SHORTEST), answer)).toEqual([shortest]);
    expect(delays(options(LONGEST_DELAYS), answer)).toEqual([longest]);
  });

  test('count as such, and do not move the others on', () => {
    const rig = new Rig({
      action: policy({ rate_limited_retry_back_off: { reset_headers: [SECONDS] } }),
    }).request();
    rig.last.ready().respond({ ':status': '503', 'retry-after': '1' });
    expect(
      rig.counts('upstream_rq_retry_backoff_exponential', 'upstream_rq_retry_backoff_ratelimited'),
    ).toEqual([0, 1]);
    rig.backOff().ready().respond({ ':status': '503' });
    expect(rig.clock.nextTimerInMs).toBe(24);
  });

  test('do not hold up what is retried at once', () => {
    const rig = new Rig({
      action: policy({
        retry_on: 'retriable-status-codes',
        retriable_status_codes: [425],
        rate_limited_retry_back_off: { reset_headers: [SECONDS] },
      }),
    }).request();
    rig.last.ready().respond({ ':status': '425', 'retry-after': '1' });
    expect(rig.clock.nextTimerInMs).toBe(0);
    expect(
      rig.counts('upstream_rq_retry_backoff_exponential', 'upstream_rq_retry_backoff_ratelimited'),
    ).toEqual([0, 0]);
  });
});
