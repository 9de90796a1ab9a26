import { GrpcRetryOn, RETRY_WORDS } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { Rig, type Try } from './rig.ts';

/** What an upstream may do with the first try, and the conditions that make another one of it. */
interface Deed {
  readonly name: string;
  readonly does: (attempt: Try, rig: Rig) => void;
  readonly retriedFor: readonly string[];
  /** Of the policy beside the condition. */
  readonly policy?: Readonly<Record<string, string | number | readonly number[]>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const answers =
  (status: number, fields: Readonly<Record<string, string>> = {}) =>
  (attempt: Try) =>
    attempt.ready().respond({ ':status': String(status), ...fields });
const grpc = (status: number) =>
  answers(200, { 'content-type': 'application/grpc', 'grpc-status': String(status) });
/** A reset is a 503 to the caller. */
const ANY_RESET = ['5xx', 'gateway-error', 'reset'];

const DEEDS: readonly Deed[] = [
  { name: '200', does: answers(200), retriedFor: [] },
  { name: '302', does: answers(302), retriedFor: [] },
  { name: '400', does: answers(400), retriedFor: [] },
  { name: '404', does: answers(404), retriedFor: [] },
  { name: '409', does: answers(409), retriedFor: ['retriable-4xx'] },
  { name: '429', does: answers(429), retriedFor: [] },
  { name: '500', does: answers(500), retriedFor: ['5xx'] },
  { name: '501', does: answers(501), retriedFor: ['5xx'] },
  { name: '502', does: answers(502), retriedFor: ['5xx', 'gateway-error'] },
  { name: '503', does: answers(503), retriedFor: ['5xx', 'gateway-error'] },
  { name: '504', does: answers(504), retriedFor: ['5xx', 'gateway-error'] },
  { name: '505', does: answers(505), retriedFor: ['5xx'] },
  { name: '599', does: answers(599), retriedFor: ['5xx'] },
  { name: '600', does: answers(600), retriedFor: [] },
  {
    name: '418 that is listed',
    does: answers(418),
    policy: { retriable_status_codes: [418] },
    retriedFor: ['retriable-status-codes'],
  },
  {
    name: '425 that is listed',
    does: answers(425),
    policy: { retriable_status_codes: [425] },
    retriedFor: ['retriable-status-codes'],
  },
  {
    name: '425 to a request that came as early data itself',
    does: answers(425),
    policy: { retriable_status_codes: [425] },
    headers: { 'early-data': '1' },
    retriedFor: [],
  },
  {
    name: '503 that is listed',
    does: answers(503),
    policy: { retriable_status_codes: [503] },
    retriedFor: ['5xx', 'gateway-error', 'retriable-status-codes'],
  },
  {
    name: 'a header that is named',
    does: answers(200, { 'x-again': 'yes' }),
    headers: { 'x-envoy-retriable-header-names': 'x-other, X-Again' },
    retriedFor: ['retriable-headers'],
  },
  {
    name: '503, rate limited by a proxy',
    does: answers(503, { 'x-envoy-ratelimited': 'true' }),
    retriedFor: ['envoy-ratelimited'],
  },
  {
    name: '429, rate limited by a proxy',
    does: answers(429, { 'x-envoy-ratelimited': 'true' }),
    retriedFor: ['envoy-ratelimited'],
  },
  {
    name: '503 of an overloaded proxy',
    does: answers(503, { 'x-envoy-overloaded': 'true' }),
    retriedFor: ['5xx', 'gateway-error'],
  },
  { name: 'grpc-status 0', does: grpc(0), retriedFor: [] },
  { name: 'grpc-status 1', does: grpc(1), retriedFor: ['cancelled'] },
  { name: 'grpc-status 2', does: grpc(2), retriedFor: [] },
  { name: 'grpc-status 4', does: grpc(4), retriedFor: ['deadline-exceeded'] },
  { name: 'grpc-status 8', does: grpc(8), retriedFor: ['resource-exhausted'] },
  { name: 'grpc-status 13', does: grpc(13), retriedFor: ['internal'] },
  { name: 'grpc-status 14', does: grpc(14), retriedFor: ['unavailable'] },
  {
    name: 'grpc-status 14 behind 503',
    does: answers(503, { 'grpc-status': '14' }),
    retriedFor: ['5xx', 'gateway-error', 'unavailable'],
  },
  { name: 'grpc-status that is none', does: answers(200, { 'grpc-status': 'toString' }), retriedFor: [] },
  {
    name: 'a refused connection',
    does: (attempt) => attempt.fail('remote-connection-failure'),
    retriedFor: ['connect-failure', ...ANY_RESET, 'reset-before-request'],
  },
  {
    name: 'a connection that this side could not make',
    does: (attempt) => attempt.fail('local-connection-failure'),
    retriedFor: ['connect-failure', ...ANY_RESET, 'reset-before-request'],
  },
  {
    name: 'a connect timeout',
    does: (attempt) => attempt.fail('timeout'),
    retriedFor: ['connect-failure', ...ANY_RESET, 'reset-before-request'],
  },
  { name: 'no room in the pool', does: (attempt) => attempt.fail('overflow'), retriedFor: [] },
  {
    name: 'a lost connection',
    does: (attempt) => attempt.ready().lose('connection-termination'),
    retriedFor: ANY_RESET,
  },
  { name: 'a reset', does: (attempt) => attempt.ready().lose('remote-reset'), retriedFor: ANY_RESET },
  {
    name: 'a stream that was refused',
    does: (attempt) => attempt.ready().lose('max-requests'),
    retriedFor: [...ANY_RESET, 'refused-stream'],
  },
  {
    name: 'an answer that breaks HTTP',
    does: (attempt) => attempt.ready().lose('protocol-error'),
    retriedFor: ANY_RESET,
  },
  {
    name: 'nothing within the time of a try',
    does: (attempt, rig) => {
      attempt.ready();
      rig.clock.advance(50);
    },
    policy: { per_try_timeout: '0.05s' },
    retriedFor: ANY_RESET,
  },
  {
    name: 'nothing within the idle time of a try',
    does: (attempt, rig) => {
      attempt.ready();
      rig.clock.advance(50);
    },
    policy: { per_try_idle_timeout: '0.05s' },
    retriedFor: ANY_RESET,
  },
];

const CELLS = DEEDS.flatMap((deed) => RETRY_WORDS.map((word) => ({ deed, word })));

describe.each(DEEDS)('$name', (deed) => {
  test.each(RETRY_WORDS)('and retry_on: %s', (word) => {
    const rig = new Rig({
      action: { retry_policy: { retry_on: word, ...deed.policy } },
      headers: {
        ...deed.headers,
        ...(deed.name.startsWith('grpc') ? { 'content-type': 'application/grpc' } : {}),
      },
    }).request();
    deed.does(rig.last, rig);
    const retried = deed.retriedFor.includes(word);
    expect(rig.stat('cluster.c.upstream_rq_retry')).toBe(retried ? 1 : 0);
    if (!retried) {
      expect(rig.tries).toHaveLength(1);
      expect(rig.stream.replies.length + (rig.stream.responseHeaders === undefined ? 0 : 1)).toBe(1);
      return;
    }
    expect(rig.outcome).toBe('- - -');
    rig.backOff().ready().respond();
    expect([rig.tries.length, rig.outcome]).toEqual([2, '200 - via_upstream']);
    expect(rig.stat('cluster.c.upstream_rq_retry_success')).toBe(1);
    expect(rig.retriesUnderWay).toBe(0);
  });
});

test('the matrix has every condition, and each but HTTP/3’s makes a difference somewhere', () => {
  const heeded = new Set(
    CELLS.filter(({ deed, word }) => deed.retriedFor.includes(word)).map(({ word }) => word),
  );
  expect([...heeded].sort()).toEqual(
    RETRY_WORDS.filter((word) => word !== 'http3-post-connect-failure').sort(),
  );
});

test.each(Object.keys(GrpcRetryOn))(
  'x-envoy-retry-on does not know %s, x-envoy-retry-grpc-on does',
  (word) => {
    const status = {
      cancelled: 1,
      'deadline-exceeded': 4,
      'resource-exhausted': 8,
      internal: 13,
      unavailable: 14,
    }[word];
    const retries = (header: string) => {
      const rig = new Rig({ headers: { [header]: word } }).request();
      grpc(status as number)(rig.last);
      return rig.stats.value('http.test.rq_total') === 1 && rig.outcome === '- - -';
    };
    expect([retries('x-envoy-retry-on'), retries('x-envoy-retry-grpc-on')]).toEqual([false, true]);
  },
);
