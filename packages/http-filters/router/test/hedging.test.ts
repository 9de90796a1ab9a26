import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig, type RigOptions } from './rig.ts';

const hedging = (policy: JsonObject = {}, more: RigOptions = {}): RigOptions => ({
  ...more,
  action: {
    retry_policy: { retry_on: '5xx', num_retries: 2, per_try_timeout: '1s', ...policy },
    hedge_policy: { hedge_on_per_try_timeout: true },
    timeout: '10s',
  },
});

/** One try that takes too long, and the next one beside it. */
function twoTries(options: RigOptions = hedging()): Rig {
  const rig = new Rig(options).request();
  rig.last.ready();
  rig.clock.advance(1000);
  rig.clock.advance(24);
  rig.last.ready();
  expect(rig.tries).toHaveLength(2);
  return rig;
}

describe('a try that takes too long goes on beside the next', () => {
  test('nothing is reset, and no per-try timeout is counted', () => {
    const rig = twoTries();
    expect(rig.tries.map(({ events }) => events)).toEqual([['headers end'], ['headers end']]);
    expect(rig.counts('upstream_rq_per_try_timeout', 'upstream_rq_retry')).toEqual([0, 1]);
    expect(rig.outcome).toBe('- - -');
  });

  test.each([
    ['first', 0],
    ['second', 1],
  ])('the %s answers first: the other is reset', (_name, winner) => {
    const rig = twoTries();
    rig.tries[winner].respond({ 'x-from': String(winner) });
    expect([rig.outcome, rig.stream.responseHeaders?.get('x-from')]).toEqual([
      '200 - via_upstream',
      String(winner),
    ]);
    expect(rig.tries[1 - winner].events).toEqual(['headers end', 'reset:local-reset']);
    const { info } = rig.stream;
    expect([info.upstreamHost, info.upstreamConnectionId]).toEqual([rig.hosts[winner], winner + 1]);
    expect([info.earlierUpstreamHosts, info.earlierUpstreamConnectionIds]).toEqual([
      [rig.hosts[1 - winner]],
      [2 - winner],
    ]);
    expect([rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([0, 0]);
    expect(rig.hosts.map(({ stats }) => stats.rqSuccess.value())).toEqual([1 - winner, winner, 0]);
  });

  test('its body and a later body of the other: only the winner’s is passed on', () => {
    const rig = twoTries();
    const [first, second] = rig.tries;
    first.respond({}, false);
    second.decoder.onHeaders({ status: 200 } as never, false);
    second.decoder.onBody(Buffer.from('no'), false, true);
    first.decoder.onBody(Buffer.from('yes'), true, true);
    expect(rig.stream.body).toEqual(['yes']);
  });

  test('a bad answer of the first waits for the second', () => {
    const rig = twoTries();
    rig.tries[0].respond({ ':status': '503' });
    expect(rig.outcome).toBe('- - -');
    rig.tries[1].respond();
    expect(rig.outcome).toBe('200 - via_upstream');
  });

  test('a bad answer while the next try is yet to begin waits for it', () => {
    const rig = new Rig(hedging()).request();
    rig.last.ready();
    rig.clock.advance(1000);
    rig.tries[0].respond({ ':status': '503' });
    expect(rig.outcome).toBe('- - -');
    rig.backOff(24).ready().respond();
    expect([rig.outcome, rig.tries.length]).toEqual(['200 - via_upstream', 2]);
  });

  test('a good answer while the next try is yet to begin calls it off', () => {
    const rig = new Rig(hedging()).request();
    rig.last.ready();
    rig.clock.advance(1000);
    rig.tries[0].respond();
    expect([rig.outcome, rig.clock.pendingTimers, rig.retriesUnderWay]).toEqual(['200 - via_upstream', 0, 0]);
    rig.backOff();
    expect(rig.tries).toHaveLength(1);
  });

  test('a reset of the first waits for the second', () => {
    const rig = twoTries();
    rig.tries[0].lose();
    expect(rig.outcome).toBe('- - -');
    rig.tries[1].respond();
    expect(rig.outcome).toBe('200 - via_upstream');
  });

  test('the second is lost for good: what is logged is the first, whose answer it is', () => {
    const rig = twoTries(hedging({ num_retries: 1 }));
    rig.tries[1].lose();
    expect(rig.outcome).toBe('- URX -');
    rig.tries[0].respond();
    const { info } = rig.stream;
    expect([rig.outcome, info.upstreamHost, info.earlierUpstreamHosts]).toEqual([
      '200 URX via_upstream',
      rig.hosts[0],
      [rig.hosts[1]],
    ]);
  });

  test('a bad answer of the second is retried, the first goes on', () => {
    const rig = twoTries();
    rig.tries[1].respond({ ':status': '503' });
    rig.backOff(50);
    expect(rig.tries).toHaveLength(3);
    rig.tries[0].respond();
    expect(rig.outcome).toBe('200 - via_upstream');
    expect(rig.tries[2].events).toEqual(['cancelled']);
  });

  test('the last of them that is bad is passed on', () => {
    const rig = twoTries(hedging({ num_retries: 1 }));
    rig.tries[1].respond({ ':status': '503', 'x-from': '1' });
    expect(rig.outcome).toBe('- URX -');
    rig.tries[0].respond({ ':status': '502', 'x-from': '0' });
    expect([rig.outcome, rig.stream.responseHeaders?.get('x-from')]).toEqual(['502 URX via_upstream', '0']);
  });

  test('a try is hedged once; the next one again', () => {
    const rig = twoTries();
    rig.clock.advance(1000);
    rig.clock.advance(50);
    expect(rig.tries).toHaveLength(3);
    rig.last.ready();
    rig.clock.advance(1000);
    expect([rig.tries.length, rig.outcome]).toEqual([3, '- URX -']);
    rig.tries[1].respond();
    expect(rig.tries.map(({ events }) => events.length)).toEqual([2, 1, 2]);
  });

  test('the whole request’s time ends all of them, each a timeout', () => {
    const rig = twoTries();
    rig.clock.advance(10_000);
    expect(rig.outcome).toMatch(/^504 UT(,URX)? response_timeout$/);
    expect(rig.counts('upstream_rq_timeout')).toEqual([rig.tries.length]);
    for (const attempt of rig.tries) expect(attempt.events.at(-1)).toMatch(/reset:local-reset|cancelled/);
  });

  test('the caller goes away: all of them are reset', () => {
    const rig = twoTries();
    rig.complete();
    expect(rig.tries.map(({ events }) => events.at(-1))).toEqual(['reset:local-reset', 'reset:local-reset']);
    expect([rig.counts('upstream_rq_tx_reset'), rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([
      [2],
      0,
      0,
    ]);
  });
});

describe('when there is none', () => {
  test.each<[name: string, options: RigOptions, tries: number]>([
    ['needs no condition, but retries', { action: { ...hedging({ retry_on: 'retriable-4xx' }).action } }, 2],
    [
      'not without a retry policy',
      {
        action: { hedge_policy: { hedge_on_per_try_timeout: true } },
        headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '1000' },
      },
      1,
    ],
    ['not with the budget full', hedging({}, { maxRetries: 0 }), 1],
    [
      'the header turns it on',
      {
        action: { retry_policy: { retry_on: 'retriable-4xx', per_try_timeout: '1s' } },
        headers: { 'x-envoy-hedge-on-per-try-timeout': 'true' },
      },
      2,
    ],
    [
      'the header turns it off',
      hedging({ retry_on: 'retriable-4xx' }, { headers: { 'x-envoy-hedge-on-per-try-timeout': 'false' } }),
      1,
    ],
    [
      'another value leaves it',
      hedging({ retry_on: 'retriable-4xx' }, { headers: { 'x-envoy-hedge-on-per-try-timeout': '1' } }),
      2,
    ],
    [
      'the virtual host’s',
      {
        virtualHost: { hedge_policy: { hedge_on_per_try_timeout: true } },
        action: { retry_policy: { retry_on: 'retriable-4xx', per_try_timeout: '1s' } },
      },
      2,
    ],
    [
      'the route’s goes before the virtual host’s',
      {
        virtualHost: { hedge_policy: { hedge_on_per_try_timeout: true } },
        action: { hedge_policy: {}, retry_policy: { retry_on: 'retriable-4xx', per_try_timeout: '1s' } },
      },
      1,
    ],
  ])('%s', (_name, options, tries) => {
    const rig = new Rig(options).request();
    rig.last.ready();
    rig.clock.advance(1000);
    rig.clock.advance(30);
    expect(rig.tries).toHaveLength(tries);
  });
});

test('the idle time of a try hedges too', () => {
  const rig = new Rig(hedging({ per_try_timeout: '5s', per_try_idle_timeout: '1s' })).request();
  rig.last.ready();
  rig.clock.advance(1000);
  rig.clock.advance(24);
  expect([rig.tries.length, rig.tries[0].events]).toEqual([2, ['headers end']]);
});
