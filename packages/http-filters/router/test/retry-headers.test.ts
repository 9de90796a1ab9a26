import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig } from './rig.ts';

/** How many tries an upstream gets that always answers `status`. */
function triesOf(
  headers: Readonly<Record<string, string>>,
  policy: JsonObject | undefined,
  status: number,
  answer: Readonly<Record<string, string>> = {},
): number {
  const rig = new Rig({ headers, action: policy === undefined ? {} : { retry_policy: policy } }).request();
  for (;;) {
    const before = rig.tries.length;
    rig.last.ready().respond({ ':status': String(status), ...answer });
    rig.backOff();
    if (rig.tries.length === before) return before;
  }
}

describe('what a trusted caller asks for', () => {
  test.each<
    [
      name: string,
      headers: Record<string, string>,
      policy: JsonObject | undefined,
      status: number,
      tries: number,
      answer?: Record<string, string>,
    ]
  >([
    ['nothing', {}, undefined, 503, 1],
    ['retry-on without a policy: one retry', { 'x-envoy-retry-on': '5xx' }, undefined, 503, 2],
    [
      'grpc-on without a policy',
      { 'x-envoy-retry-grpc-on': 'unavailable' },
      undefined,
      200,
      2,
      { 'grpc-status': '14' },
    ],
    ['retry-on adds to the policy’s', { 'x-envoy-retry-on': 'retriable-4xx' }, { retry_on: '5xx' }, 409, 2],
    ['and leaves the policy’s', { 'x-envoy-retry-on': 'retriable-4xx' }, { retry_on: '5xx' }, 500, 2],
    ['spaces and empty words do not count', { 'x-envoy-retry-on': ' , 5xx ,, nonsense' }, undefined, 503, 2],
    ['words alone that are none', { 'x-envoy-retry-on': 'nonsense' }, undefined, 503, 1],
    [
      'max-retries goes before num_retries',
      { 'x-envoy-max-retries': '4' },
      { retry_on: '5xx', num_retries: 2 },
      503,
      5,
    ],
    ['max-retries of 0', { 'x-envoy-max-retries': '0' }, { retry_on: '5xx', num_retries: 2 }, 503, 1],
    [
      'max-retries that is no number',
      { 'x-envoy-max-retries': '4x' },
      { retry_on: '5xx', num_retries: 2 },
      503,
      3,
    ],
    ['max-retries alone retries nothing', { 'x-envoy-max-retries': '4' }, undefined, 503, 1],
    ['num_retries of 0', {}, { retry_on: '5xx', num_retries: 0 }, 503, 1],
    [
      'status codes add to the policy’s',
      { 'x-envoy-retriable-status-codes': '418, 429,x,' },
      { retry_on: 'retriable-status-codes', retriable_status_codes: [404] },
      429,
      2,
    ],
    [
      'and leave the policy’s',
      { 'x-envoy-retriable-status-codes': '418' },
      { retry_on: 'retriable-status-codes', retriable_status_codes: [404] },
      404,
      2,
    ],
    [
      'status codes need their condition',
      { 'x-envoy-retriable-status-codes': '418' },
      { retry_on: '5xx' },
      418,
      1,
    ],
    [
      'header names add to the policy’s',
      { 'x-envoy-retriable-header-names': 'x-b' },
      { retry_on: 'retriable-headers', retriable_headers: [{ name: 'x-a', present_match: true }] },
      200,
      2,
      { 'x-b': '' },
    ],
    [
      'and leave the policy’s',
      { 'x-envoy-retriable-header-names': 'x-b' },
      { retry_on: 'retriable-headers', retriable_headers: [{ name: 'x-a', string_match: { exact: '1' } }] },
      200,
      2,
      { 'x-a': '1' },
    ],
    [
      'a request header that the policy wants',
      { 'x-idempotent': '1' },
      { retry_on: '5xx', retriable_request_headers: [{ name: 'x-idempotent' }, { name: 'x-other' }] },
      503,
      2,
    ],
    [
      'a request without it',
      {},
      { retry_on: '5xx', retriable_request_headers: [{ name: 'x-idempotent' }] },
      503,
      1,
    ],
    [
      'a request without it gets nothing by header either',
      { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' },
      { retry_on: '5xx', retriable_request_headers: [{ name: 'x-idempotent' }] },
      503,
      1,
    ],
  ])('%s', (_name, headers, policy, status, tries, answer) => {
    expect(triesOf(headers, policy, status, answer)).toBe(tries);
  });

  test('none of it goes upstream, whether it was obeyed or not', () => {
    const headers = {
      'x-envoy-retry-on': '5xx',
      'x-envoy-retry-grpc-on': 'internal',
      'x-envoy-max-retries': '2',
      'x-envoy-retriable-status-codes': '418',
      'x-envoy-retriable-header-names': 'x-a',
      'x-envoy-hedge-on-per-try-timeout': 'false',
      'x-envoy-upstream-rq-per-try-timeout-ms': '100',
      'x-envoy-upstream-rq-timeout-ms': '1000',
    };
    const rig = new Rig({ headers }).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff(25).ready();
    for (const attempt of rig.tries)
      expect(Object.keys(attempt.sent).filter((name) => name.startsWith('x-envoy'))).toEqual([
        'x-envoy-expected-rq-timeout-ms',
      ]);
    expect(rig.tries).toHaveLength(2);
  });
});

describe('which try it is', () => {
  test('is told upstream, downstream and to the log', () => {
    const rig = new Rig({
      virtualHost: { include_request_attempt_count: true, include_attempt_count_in_response: true },
      action: { retry_policy: { retry_on: '5xx', num_retries: 2 } },
      headers: { 'x-envoy-attempt-count': '7' },
    }).request();
    for (let i = 0; i < 2; i++) {
      rig.last.ready().respond({ ':status': '503' });
      rig.backOff();
    }
    rig.last.ready().respond();
    expect(rig.tries.map(({ sent }) => sent['x-envoy-attempt-count'])).toEqual(['1', '2', '3']);
    expect(rig.stream.responseHeaders?.get('x-envoy-attempt-count')).toBe('3');
    expect(rig.stream.info.upstreamRequestAttemptCount).toBe(3);
    expect(rig.stream.info.upstreamHost).toBe(rig.hosts[2]);
    expect(rig.stream.info.earlierUpstreamHosts).toEqual([rig.hosts[0], rig.hosts[1]]);
    expect(rig.stream.info.earlierUpstreamConnectionIds).toEqual([1, 2]);
  });

  test('is told in an answer of the proxy’s own', () => {
    const rig = new Rig({
      virtualHost: { include_attempt_count_in_response: true },
      action: { retry_policy: { retry_on: 'reset' } },
    }).request();
    rig.last.ready().lose();
    rig.backOff().ready().lose();
    expect(rig.replyHeaders().get('x-envoy-attempt-count')).toBe('2');
  });

  test.each([
    ['a timeout', true, (rig: Rig) => rig.clock.advance(100)],
    ['an answer', false, (rig: Rig) => rig.last.respond({ ':status': '503' })],
    ['a reset', false, (rig: Rig) => rig.last.lose()],
  ])('x-envoy-is-timeout-retry after %s: %s', (_name, told, fails) => {
    const rig = new Rig({
      virtualHost: { include_is_timeout_retry_header: true },
      action: { retry_policy: { retry_on: '5xx', per_try_timeout: '0.1s' } },
    }).request();
    rig.last.ready();
    fails(rig);
    rig.backOff().ready();
    expect(rig.tries.map(({ sent }) => sent['x-envoy-is-timeout-retry'])).toEqual([undefined, String(told)]);
  });

  test('is not told without include_is_timeout_retry_header', () => {
    const rig = new Rig({ action: { retry_policy: { retry_on: '5xx' } } }).request();
    rig.last.ready().lose();
    expect(rig.backOff().ready().sent['x-envoy-is-timeout-retry']).toBeUndefined();
  });
});
