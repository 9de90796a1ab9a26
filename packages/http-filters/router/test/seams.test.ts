import type { TlsInfo } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig, type RigOptions } from './rig.ts';

/** Tries that take too long go on beside the next. */
const HEDGED: JsonObject = {
  timeout: '10s',
  retry_policy: { retry_on: '5xx', num_retries: 2, per_try_timeout: '1s' },
  hedge_policy: { hedge_on_per_try_timeout: true },
};

const GRPC = { ':method': 'POST', 'content-type': 'application/grpc' };

/** How the proxy may answer itself while the first of two tries is under way. */
const OWN_ANSWERS: readonly [
  name: string,
  options: RigOptions,
  happen: (rig: Rig) => void,
  status: number,
][] = [
  [
    'there is no host for the next try',
    {},
    (rig) => {
      rig.hasHost = false;
      rig.clock.advance(24);
    },
    503,
  ],
  [
    'the cluster is gone when the next try is due',
    {},
    (rig) => {
      rig.hasCluster = false;
      rig.clock.advance(24);
    },
    503,
  ],
  [
    'the next try lasts too long for its cluster, and no other may follow',
    {
      maxStreamDurationMs: 1500,
      action: { ...HEDGED, retry_policy: { ...(HEDGED.retry_policy as JsonObject), num_retries: 1 } },
    },
    (rig) => {
      rig.clock.advance(24);
      rig.last.ready();
      rig.clock.advance(476);
    },
    504,
  ],
];

describe('an answer of the proxy itself ends the tries that go on', () => {
  test.each(OWN_ANSWERS)('%s', (_name, options, happen, status) => {
    const rig = new Rig({ action: HEDGED, ...options }).request();
    const first = rig.last.ready();
    rig.clock.advance(1000);
    happen(rig);
    expect(rig.stream.replies.map((reply) => reply.status)).toEqual([status]);
    // A filter may hold the answer: the stream is not over yet.
    for (const attempt of rig.tries) {
      expect(attempt.events).toEqual(['headers end', 'reset:local-reset']);
    }
    first.respond({}, false);
    first.decoder.onBody(Buffer.from('late'), true, true);
    expect([rig.stream.responseHeaders, rig.stream.body]).toEqual([undefined, []]);
    expect([rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([0, 0]);
    rig.complete();
    expect(rig.hosts.map(({ stats }) => stats.rqSuccess.value())).toEqual([0, 0, 0]);
  });

  test('a handshake that is answered with something else', () => {
    const rig = new Rig({ headers: { connection: 'upgrade', upgrade: 'websocket' } }).request(false);
    rig.last.ready().respond({}, false);
    expect(rig.stream.replies.map((reply) => reply.status)).toEqual([200]);
    rig.last.decoder.onBody(Buffer.from('late'), true, true);
    expect([rig.last.events, rig.stream.body]).toEqual([['headers', 'reset:local-reset'], []]);
  });
});

describe('a WebSocket handshake whose request comes to its end', () => {
  const handshake = (): Rig =>
    new Rig({
      headers: { connection: 'upgrade', upgrade: 'websocket' },
      action: {
        timeout: '10s',
        retry_policy: { retry_on: '5xx', per_try_timeout: '2s', per_try_idle_timeout: '1s' },
      },
    }).request(false);

  test('before the answer: the times that run go on, and there are no others', () => {
    const rig = handshake();
    rig.last.ready();
    const before = rig.clock.pendingTimers;
    rig.body('', true);
    expect(rig.clock.pendingTimers).toBe(before);
    rig.complete();
    expect(rig.clock.pendingTimers).toBe(0);
  });

  test('after the switch: none begins', () => {
    const rig = handshake();
    rig.last.ready().respond({ ':status': '101' }, false);
    rig.body('bye', true);
    expect(rig.clock.pendingTimers).toBe(0);
    rig.clock.advance(60_000);
    expect([rig.outcome, rig.stream.calls]).toEqual(['101 - via_upstream', []]);
  });
});

describe('a redirect is followed only to the scheme that the client came by', () => {
  test.each<[scheme: string, tls: boolean, location: string, followed: boolean]>([
    ['http', false, 'http://other/', true],
    ['http', false, 'https://other/', false],
    ['https', true, 'https://other/', true],
    ['https', true, 'http://other/', false],
    // As x-forwarded-proto has it: the client's own connection is what counts.
    ['https', false, 'https://other/', false],
    ['https', false, 'http://other/', true],
    ['http', true, 'http://other/', true],
  ])('%s, by TLS: %s, to %s: %s', (scheme, tls, location, followed) => {
    const rig = new Rig({
      headers: { ':scheme': scheme },
      action: { internal_redirect_policy: {} },
      restarts: true,
    });
    if (tls) rig.stream.info.connection.tls = {} as TlsInfo;
    rig.request().last.ready().respond({ ':status': '302', location });
    expect(rig.stream.restarted).toEqual(followed ? [''] : []);
    expect(rig.stat('http.test.passthrough_internal_redirect_unsafe_scheme')).toBe(followed ? 0 : 1);
  });
});

test('a redirect that may not be retried is followed, though another try goes on', () => {
  const rig = new Rig({
    action: {
      ...HEDGED,
      retry_policy: {
        retry_on: 'retriable-status-codes',
        retriable_status_codes: [302],
        per_try_timeout: '1s',
      },
      internal_redirect_policy: {},
    },
    restarts: true,
  }).request();
  const first = rig.last.ready();
  rig.clock.advance(1024);
  rig.last.ready();
  first.respond({ ':status': '302', location: 'http://other/' });
  expect([rig.stream.restarted, rig.tries.length]).toEqual([[''], 2]);
  expect(rig.tries[1].events).toEqual(['headers end', 'reset:local-reset']);
  expect([rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([0, 0]);
});

test('a retry that finds no host leaves the last one as the upstream of the request', () => {
  const rig = new Rig({ action: { retry_policy: { retry_on: '5xx' } } }).request();
  rig.last.ready().respond({ ':status': '500' });
  rig.hasHost = false;
  rig.backOff();
  const { info } = rig.stream;
  expect(rig.outcome).toMatch(/^503 UH no_healthy_upstream/);
  expect([info.upstreamHost, info.earlierUpstreamHosts]).toEqual([rig.hosts[0], undefined]);
  expect(info.upstreamRequestAttemptCount).toBe(2);
});

describe('what is counted of an answer', () => {
  test('the first 1xx counts as an answer of its own, and is the only one passed on', () => {
    const rig = new Rig().request();
    rig.last.ready().inform(103);
    rig.last.inform(103);
    rig.last.inform(100);
    expect(rig.counts('upstream_rq_103', 'upstream_rq_200')).toEqual([1, 0]);
    rig.last.respond();
    expect(rig.counts('upstream_rq_103', 'upstream_rq_100', 'upstream_rq_200')).toEqual([1, 0, 1]);
    expect(rig.stream.informationals).toEqual([103]);
  });

  test('that of a health check counts nowhere', () => {
    const rig = new Rig();
    rig.stream.info.healthCheck = true;
    rig.request().last.ready().respond();
    expect(rig.counts('upstream_rq_200', 'upstream_rq_completed')).toEqual([0, 0]);
    expect(rig.outcome).toBe('200 - via_upstream');
  });

  test.each<
    [
      name: string,
      headers: Record<string, string>,
      more: JsonObject,
      end: (rig: Rig) => void,
      resets: number,
      errors: number,
    ]
  >([
    ['a lost one', {}, {}, (rig) => rig.last.lose(), 0, 0],
    ['a lost one of gRPC, which had yet to tell how it went', GRPC, {}, (rig) => rig.last.lose(), 1, 1],
    ['one of gRPC whose time is over', GRPC, {}, (rig) => rig.clock.advance(10_000), 0, 0],
    [
      'one of gRPC that pauses for too long',
      GRPC,
      { retry_policy: { per_try_idle_timeout: '1s' } },
      (rig) => rig.clock.advance(1000),
      1,
      1,
    ],
  ])('%s, begun and cut', (_name, headers, more, end, resets, errors) => {
    const rig = new Rig({ headers, action: { timeout: '10s', ...more } }).request();
    rig.last.ready().respond({}, false);
    end(rig);
    expect(rig.stream.calls).toEqual(['reset:local-reset']);
    const { stats } = rig.last.host;
    expect([rig.stat('http.test.rq_reset_after_downstream_response_started'), stats.rqError.value()]).toEqual(
      [resets, errors],
    );
  });
});
