import { type JsonObject, requestHeaders } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { tellTimeouts } from '../src/timeouts.ts';
import { Rig, type RigOptions } from './rig.ts';

const EXPECTED = 'x-envoy-expected-rq-timeout-ms';
const retrying = (policy: JsonObject, more: JsonObject = {}): RigOptions['action'] => ({
  retry_policy: { retry_on: '5xx', num_retries: 3, ...policy },
  ...more,
});

describe('the time of a try', () => {
  test('begins with its connection, once the request is complete', () => {
    const rig = new Rig({ action: retrying({ per_try_timeout: '1s' }) }).request(false);
    rig.clock.advance(5000);
    rig.last.ready();
    rig.clock.advance(5000);
    rig.body('x', true);
    rig.clock.advance(999);
    expect(rig.counts('upstream_rq_per_try_timeout')).toEqual([0]);
    rig.clock.advance(1);
    expect(rig.counts('upstream_rq_per_try_timeout')).toEqual([1]);
  });

  test('does not run while a complete request waits for a connection', () => {
    const rig = new Rig({ action: retrying({ per_try_timeout: '1s' }) }).request();
    rig.clock.advance(5000);
    rig.last.ready();
    rig.clock.advance(999);
    expect(rig.counts('upstream_rq_per_try_timeout')).toEqual([0]);
    rig.clock.advance(1);
    expect([rig.counts('upstream_rq_per_try_timeout', 'upstream_rq_retry'), rig.tries[0].events]).toEqual([
      [1, 1],
      ['headers end', 'reset:local-reset'],
    ]);
    expect(rig.hosts[0].stats.rqTimeout.value()).toBe(1);
  });

  test('is without meaning once the answer has begun', () => {
    const rig = new Rig({ action: retrying({ per_try_timeout: '1s' }) }).request();
    rig.last.ready().respond({}, false);
    rig.clock.advance(10_000);
    rig.last.decoder.onBody(Buffer.from('late'), true, true);
    expect([rig.outcome, rig.stream.body]).toEqual(['200 - via_upstream', ['late']]);
  });

  test('is not less than the whole request’s: then that alone counts', () => {
    const rig = new Rig({ action: retrying({ per_try_timeout: '1s' }, { timeout: '1s' }) }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect(rig.outcome).toBe('504 UT response_timeout');
    expect(rig.counts('upstream_rq_per_try_timeout', 'upstream_rq_timeout', 'upstream_rq_retry')).toEqual([
      0, 1, 0,
    ]);
  });

  test('by header goes before the policy’s', () => {
    const rig = new Rig({
      action: retrying({ per_try_timeout: '1s' }),
      headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '200' },
    }).request();
    rig.last.ready();
    rig.clock.advance(200);
    expect(rig.counts('upstream_rq_per_try_timeout')).toEqual([1]);
  });

  test('without retries ends the request', () => {
    const rig = new Rig({ action: { retry_policy: { per_try_timeout: '1s' } } }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect([rig.outcome, rig.reply.body]).toEqual([
      '504 UT upstream_per_try_timeout',
      'upstream request timeout',
    ]);
  });

  test('x-envoy-upstream-rq-timeout-alt-response makes a 204 of it', () => {
    const rig = new Rig({
      action: { retry_policy: { per_try_timeout: '1s' } },
      headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' },
    }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect([rig.outcome, rig.reply.body]).toEqual(['204 UT upstream_per_try_timeout', undefined]);
    expect(rig.counts('upstream_rq_204')).toEqual([1]);
  });
});

describe('the idle time of a try', () => {
  test('runs from byte to byte', () => {
    const rig = new Rig({ action: retrying({ per_try_idle_timeout: '1s' }) }).request();
    rig.last.ready();
    rig.clock.advance(900);
    rig.last.respond({}, false);
    rig.clock.advance(900);
    rig.last.decoder.onBody(Buffer.from('x'), false, true);
    rig.clock.advance(999);
    expect(rig.counts('upstream_rq_per_try_idle_timeout')).toEqual([0]);
    rig.clock.advance(1);
    expect(rig.counts('upstream_rq_per_try_idle_timeout')).toEqual([1]);
    expect(rig.outcome).toBe('200 UT upstream_per_try_idle_timeout');
    expect(rig.stream.calls).toEqual(['reset:local-reset']);
  });

  test('is retried while nothing has come', () => {
    const rig = new Rig({ action: retrying({ per_try_idle_timeout: '1s' }) }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect(rig.counts('upstream_rq_per_try_idle_timeout', 'upstream_rq_retry')).toEqual([1, 1]);
    rig.backOff(30).ready().respond();
    expect([rig.outcome, rig.clock.pendingTimers]).toEqual(['200 - via_upstream', 0]);
  });

  test('without retries: 504', () => {
    const rig = new Rig({ action: { retry_policy: { per_try_idle_timeout: '1s' } } }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect(rig.outcome).toBe('504 UT upstream_per_try_idle_timeout');
  });
});

describe('the time of the whole request', () => {
  test('runs across its tries', () => {
    const rig = new Rig({ action: retrying({}, { timeout: '1s' }) }).request();
    rig.clock.advance(600);
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff(25).ready();
    rig.clock.advance(374);
    expect(rig.outcome).toBe('- - -');
    rig.clock.advance(1);
    expect(rig.outcome).toBe('504 UT response_timeout');
    expect(rig.last.events).toEqual(['headers end', 'reset:local-reset']);
  });

  test('may end while the next try waits: no try has timed out', () => {
    const rig = new Rig({
      action: retrying({ retry_back_off: { base_interval: '10s' } }, { timeout: '1s' }),
    }).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.clock.advance(1000);
    expect(rig.outcome).toBe('504 UT response_timeout');
    expect([rig.counts('upstream_rq_timeout'), rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([
      [0],
      0,
      0,
    ]);
  });

  test.each<
    [
      name: string,
      action: JsonObject,
      headers: Record<string, string>,
      router: JsonObject,
      told: (string | undefined)[],
    ]
  >([
    ['the route’s', { timeout: '5s' }, {}, {}, ['5000', '4401']],
    ['none', { timeout: '0s' }, {}, {}, [undefined, undefined]],
    [
      'a try’s',
      { timeout: '5s', retry_policy: { retry_on: '5xx', per_try_timeout: '2s' } },
      {},
      {},
      ['2000', '2000'],
    ],
    [
      'what is left, when that is less than a try’s',
      { timeout: '2s', retry_policy: { retry_on: '5xx', per_try_timeout: '1.9s' } },
      {},
      {},
      ['1900', '1401'],
    ],
    [
      'the whole, with hedging',
      {
        timeout: '5s',
        retry_policy: { retry_on: '5xx', per_try_timeout: '2s' },
        hedge_policy: { hedge_on_per_try_timeout: true },
      },
      {},
      {},
      ['5000', '4401'],
    ],
    ['by header', { timeout: '5s' }, { 'x-envoy-upstream-rq-timeout-ms': '3000' }, {}, ['3000', '2401']],
    [
      'that of the proxy before',
      { timeout: '5s' },
      { [EXPECTED]: '3000' },
      { respect_expected_rq_timeout: true },
      ['3000', '2401'],
    ],
    ['not that of the proxy before', { timeout: '5s' }, { [EXPECTED]: '3000' }, {}, ['5000', '4401']],
    [
      'nothing when Envoy’s headers are suppressed',
      { timeout: '5s' },
      {},
      { suppress_envoy_headers: true },
      [undefined, undefined],
    ],
  ])('is told upstream: %s', (_name, action, headers, router, told) => {
    const rig = new Rig({
      action: { retry_policy: { retry_on: '5xx' }, ...action },
      headers,
      router,
    }).request();
    rig.last.ready();
    rig.clock.advance(575);
    rig.last.respond({ ':status': '503' });
    rig.clock.advance(24);
    rig.last.ready();
    expect(rig.tries.map(({ sent }) => sent[EXPECTED])).toEqual(told);
  });

  test('that is over as a try begins is told as 1 ms, since 0 would be none', () => {
    const headers = requestHeaders();
    const timeouts = { globalMs: 1000, perTryMs: 0, perTryIdleMs: 0, hedge: false, tellGrpc: true };
    tellTimeouts(headers, timeouts, 1000, false);
    expect([headers.get(EXPECTED), headers.get('grpc-timeout')]).toEqual(['1', '1m']);
  });
});

describe('grpc-timeout', () => {
  test.each<
    [
      name: string,
      action: JsonObject,
      asked: string | undefined,
      told: string | undefined,
      endsAt: number | undefined,
    ]
  >([
    ['is heeded with a maximum', { max_grpc_timeout: '10s' }, '3S', '3000m', 3000],
    ['is capped', { max_grpc_timeout: '2s' }, '3S', '2000m', 2000],
    ['without end, when the maximum is 0', { max_grpc_timeout: '0s' }, '3S', '3000m', 3000],
    ['that is missing is the maximum', { max_grpc_timeout: '2s' }, undefined, '2000m', 2000],
    [
      'that is missing is none, when the maximum is 0',
      { max_grpc_timeout: '0s' },
      undefined,
      undefined,
      undefined,
    ],
    ['that cannot be read counts as missing', { max_grpc_timeout: '2s' }, '3x', '2000m', 2000],
    ['less an offset', { max_grpc_timeout: '10s', grpc_timeout_offset: '0.5s' }, '3S', '2500m', 2500],
    [
      'an offset that leaves nothing does not count',
      { max_grpc_timeout: '10s', grpc_timeout_offset: '3s' },
      '3S',
      '3000m',
      3000,
    ],
    ['an offset, then the cap', { max_grpc_timeout: '2s', grpc_timeout_offset: '0.5s' }, '3S', '2000m', 2000],
    ['without a maximum is only passed on', { timeout: '1s' }, '3S', '3S', 1000],
    [
      'gives way to max_stream_duration',
      { max_grpc_timeout: '2s', max_stream_duration: {} },
      '3S',
      '3S',
      undefined,
    ],
  ])('%s', (_name, action, asked, told, endsAt) => {
    const rig = new Rig({
      action,
      headers: {
        'content-type': 'application/grpc',
        ...(asked === undefined ? {} : { 'grpc-timeout': asked }),
      },
    }).request();
    expect(rig.last.ready().sent['grpc-timeout']).toBe(told);
    if (endsAt === undefined) {
      expect(rig.clock.pendingTimers).toBe(0);
      return;
    }
    rig.clock.advance(endsAt - 1);
    expect(rig.outcome).toBe('- - -');
    rig.clock.advance(1);
    expect(rig.outcome).toBe('504 UT response_timeout');
  });

  test('of another request is not heeded', () => {
    const rig = new Rig({
      action: { max_grpc_timeout: '10s', timeout: '1s' },
      headers: { 'grpc-timeout': '3S' },
    }).request();
    expect([rig.last.ready().sent['grpc-timeout'], rig.clock.nextTimerInMs]).toEqual(['3S', 1000]);
  });

  test('tells each try what is left', () => {
    const rig = new Rig({
      action: { max_grpc_timeout: '10s', retry_policy: { retry_on: 'unavailable' } },
      headers: { 'content-type': 'application/grpc+proto', 'grpc-timeout': '3S' },
    }).request();
    rig.clock.advance(1000);
    rig.last.ready().respond({ 'grpc-status': '14' });
    rig.clock.advance(24);
    expect(rig.last.ready().sent['grpc-timeout']).toBe('1976m');
  });

  test('max_stream_duration leaves no route timeout', () => {
    const rig = new Rig({
      action: { timeout: '1s', max_stream_duration: { max_stream_duration: '5s' } },
    }).request();
    expect(rig.clock.pendingTimers).toBe(0);
  });
});

describe('max_stream_duration of the cluster', () => {
  test('is a try’s: retried like a reset', () => {
    const rig = new Rig({ action: retrying({ num_retries: 1 }), maxStreamDurationMs: 1000 }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect(rig.counts('upstream_rq_max_duration_reached', 'upstream_rq_retry')).toEqual([1, 1]);
    rig.backOff(25).ready();
    rig.clock.advance(1000);
    expect(rig.outcome).toBe('504 URX,UMSDR upstream_max_stream_duration_reached');
  });
});
