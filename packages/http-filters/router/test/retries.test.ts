import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig, type RigOptions, type Try } from './rig.ts';

const on = (retryOn: string, more: JsonObject = {}): RigOptions['action'] => ({
  retry_policy: { retry_on: retryOn, ...more },
});
const answer503 = (attempt: Try): void => attempt.ready().respond({ ':status': '503' });
const lose = (attempt: Try): void => attempt.ready().lose('connection-termination');

/** Lets every try end in the same way, until no other follows. */
function exhaust(rig: Rig, fail: (attempt: Try) => void): Rig {
  for (;;) {
    const { length } = rig.tries;
    fail(rig.last);
    rig.backOff();
    if (rig.tries.length === length) return rig;
  }
}

describe('how retries end', () => {
  test.each<
    [
      name: string,
      options: RigOptions,
      fail: (attempt: Try) => void,
      outcome: string,
      stats: Record<string, number>,
    ]
  >([
    [
      'answers that stay bad: the last one is passed on, URX',
      { action: on('5xx', { num_retries: 2 }) },
      answer503,
      '503 URX via_upstream',
      {
        upstream_rq_retry: 2,
        upstream_rq_retry_limit_exceeded: 1,
        upstream_rq_retry_success: 0,
        upstream_rq_retry_overflow: 0,
        'retry.upstream_rq_503': 2,
        upstream_rq_503: 1,
      },
    ],
    [
      'resets that go on: 503 with the last one’s reason, URX',
      { action: on('reset', { num_retries: 1 }) },
      lose,
      '503 UC,URX upstream_reset_before_response_started{connection_termination}',
      {
        upstream_rq_retry: 1,
        upstream_rq_retry_limit_exceeded: 1,
        upstream_rq_rx_reset: 2,
        upstream_rq_503: 1,
      },
    ],
    [
      'a host that cannot be reached',
      { action: on('connect-failure', { num_retries: 1 }) },
      (attempt) => attempt.fail('remote-connection-failure'),
      '503 UF,URX upstream_reset_before_response_started{remote_connection_failure}',
      { upstream_rq_retry: 1, upstream_rq_retry_limit_exceeded: 1 },
    ],
    [
      'no room in the budget: UO',
      { action: on('5xx'), maxRetries: 0 },
      answer503,
      '503 UO via_upstream',
      { upstream_rq_retry: 0, upstream_rq_retry_overflow: 1, upstream_rq_retry_limit_exceeded: 0 },
    ],
    [
      'retries that runtime has turned off',
      { action: on('5xx'), runtime: { 'upstream.use_retry': '0' } },
      answer503,
      '503 - via_upstream',
      { upstream_rq_retry: 0, upstream_rq_retry_overflow: 0, upstream_rq_retry_limit_exceeded: 0 },
    ],
    [
      'tries that take too long',
      { action: on('5xx', { num_retries: 1, per_try_timeout: '1s' }) },
      (attempt) => void attempt.ready(),
      '504 UT,URX upstream_per_try_timeout',
      {
        upstream_rq_retry: 1,
        upstream_rq_per_try_timeout: 2,
        upstream_rq_tx_reset: 2,
        upstream_rq_504: 1,
        upstream_rq_timeout: 0,
      },
    ],
    [
      'no condition that holds: nothing is counted',
      { action: on('connect-failure') },
      answer503,
      '503 - via_upstream',
      { upstream_rq_retry: 0, upstream_rq_retry_limit_exceeded: 0, upstream_rq_retry_success: 0 },
    ],
  ])('%s', (_name, options, fail, outcome, stats) => {
    const rig = exhaust(new Rig(options).request(), fail);
    expect(rig.outcome).toBe(outcome);
    expect(Object.fromEntries(Object.keys(stats).map((name) => [name, rig.counts(name)[0]]))).toEqual(stats);
    expect(rig.retriesUnderWay).toBe(0);
    rig.complete();
    expect(rig.clock.pendingTimers).toBe(0);
  });

  test('which limit was in the way is logged for those who ask for debug', () => {
    const rig = exhaust(new Rig({ action: on('5xx'), maxRetries: 0 }).request(), answer503);
    expect(rig.lines).toContain(
      'router debug: did not retry (UO): 0 of 0 retries of cluster c are under way; circuit_breakers.thresholds[DEFAULT] limits them by max_retries or retry_budget',
    );
    const high = exhaust(
      new Rig({ action: { ...on('5xx'), priority: 'HIGH' }, maxRetries: 0 }).request(),
      answer503,
    );
    expect(high.lines.some((line) => line.includes('thresholds[HIGH]'))).toBe(true);
  });

  test('the body says that there were retries', () => {
    const once = exhaust(new Rig({ action: on('5xx', { num_retries: 0 }) }).request(), lose);
    expect(once.reply.body).toBe(
      'upstream connect error or disconnect/reset before headers. reset reason: connection termination',
    );
    const twice = exhaust(new Rig({ action: on('5xx') }).request(), lose);
    expect(twice.reply.body).toBe(
      'upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection termination',
    );
  });

  test('a virtual cluster and a route with a stat_prefix count them too', () => {
    const stats = (prefix: string, rig: Rig) =>
      ['', '_success', '_limit_exceeded', '_overflow'].map((name) =>
        rig.stat(`vhost.v.${prefix}.upstream_rq_retry${name}`),
      );
    const options: RigOptions = {
      action: on('5xx'),
      route: { stat_prefix: 'r' },
      virtualHost: {
        virtual_clusters: [{ name: 'vc', headers: [{ name: ':path', string_match: { prefix: '/' } }] }],
      },
    };
    const failed = exhaust(new Rig(options).request(), answer503);
    const saved = new Rig(options).request();
    answer503(saved.last);
    saved.backOff().ready().respond();
    const full = exhaust(new Rig({ ...options, maxRetries: 0 }).request(), answer503);
    for (const prefix of ['vcluster.vc', 'route.r'])
      expect([failed, saved, full].map((rig) => stats(prefix, rig))).toEqual([
        [1, 0, 1, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 1],
      ]);
  });

  test.each([
    ['no host is left', (rig: Rig) => (rig.hasHost = false)],
    ['the cluster is gone', (rig: Rig) => (rig.hasCluster = false)],
  ])('%s when the next try is due: UH', (_name, change) => {
    const rig = new Rig({ action: on('5xx') }).request();
    answer503(rig.last);
    change(rig);
    rig.backOff();
    expect(rig.outcome).toBe('503 UH no_healthy_upstream{cluster:c|hosts:0|healthy:0}');
    expect(rig.retriesUnderWay).toBe(0);
  });

  test('the caller goes away while the next try waits', () => {
    const rig = new Rig({ action: on('5xx') }).request();
    answer503(rig.last);
    rig.complete();
    expect([rig.clock.pendingTimers, rig.retriesUnderWay]).toEqual([0, 0]);
    rig.backOff();
    expect(rig.tries).toHaveLength(1);
  });

  test('nothing is retried once an answer has begun', () => {
    const rig = new Rig({ action: on('5xx,reset') }).request();
    rig.last.ready().respond({}, false);
    rig.last.lose('connection-termination');
    expect(rig.outcome).toBe('200 UC upstream_reset_after_response_started{connection_termination}');
    expect(rig.stream.calls).toEqual(['reset:local-reset']);
    expect(rig.counts('upstream_rq_retry')).toEqual([0]);
  });

  test('nor once a 103 has gone out', () => {
    const rig = new Rig({ action: on('5xx,reset') }).request();
    const attempt = rig.last.ready();
    const hints = rig.stream.informationals;
    attempt.inform(103);
    expect(hints).toEqual([103]);
    attempt.lose();
    expect(rig.outcome).toBe('503 UR upstream_reset_after_response_started{remote_reset}');
    // The 103 was the host's answer, as far as it is counted.
    expect(rig.counts('upstream_rq_103', 'upstream_rq_503')).toEqual([1, 0]);
    expect(attempt.host.stats.rqError.value()).toBe(0);
  });

  test('reset-before-request holds for no try once one has sent something', () => {
    const rig = new Rig({ action: on('reset-before-request,5xx', { num_retries: 3 }) }).request();
    answer503(rig.last);
    rig.backOff().fail('remote-connection-failure');
    expect(rig.counts('upstream_rq_retry')).toEqual([2]);
    const only = new Rig({ action: on('reset-before-request,retriable-4xx', { num_retries: 3 }) }).request();
    only.last.fail('timeout');
    only.backOff().ready().respond({ ':status': '409' });
    only.backOff().fail('timeout');
    expect([only.counts('upstream_rq_retry')[0], only.outcome]).toEqual([
      2,
      '503 UF upstream_reset_before_response_started{connection_timeout}',
    ]);
  });
});

describe('the exchange that is given up', () => {
  test.each<[name: string, complete: boolean, endStream: boolean, events: string[]]>([
    ['goes on being of use when both sides are through', true, true, ['headers end']],
    ['is reset when its answer has a body', true, false, ['headers end', 'reset:local-reset']],
    ['is reset when the request is not through', false, true, ['headers', 'reset:local-reset']],
  ])('%s', (_name, complete, endStream, events) => {
    const rig = new Rig({ action: on('5xx') }).request(complete);
    rig.last.ready().respond({ ':status': '503' }, endStream);
    expect(rig.last.events).toEqual(events);
    expect(rig.counts('upstream_rq_tx_reset')).toEqual([events.length - 1]);
  });

  test('counts as an error of its host, which the next one is not', () => {
    const rig = new Rig({ action: on('5xx') }).request();
    answer503(rig.last);
    rig.backOff().ready().respond();
    const of = ({ stats }: Rig['hosts'][number]) => [stats.rqError.value(), stats.rqSuccess.value()];
    expect(rig.hosts.map(of)).toEqual([
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
  });

  test('leaves nothing behind in the log of the next one', () => {
    const rig = new Rig({ action: on('5xx,reset,connect-failure', { num_retries: 2 }) }).request();
    rig.last.callbacks.onPoolFailure('remote-connection-failure', 'Connection refused', rig.hosts[0]);
    const { info } = rig.stream;
    expect(info.upstreamTransportFailureReason).toBe('delayed connect error: Connection refused');
    rig.backOff().ready().respond();
    expect([info.upstreamTransportFailureReason, info.upstreamConnectionId]).toEqual(['', 2]);
    expect([info.upstreamHost, info.earlierUpstreamHosts]).toEqual([rig.hosts[1], [rig.hosts[0]]]);
  });

  test('is not heard any more', () => {
    const rig = new Rig({ action: on('5xx') }).request();
    const first = rig.last.ready();
    first.respond({ ':status': '503' }, false);
    first.decoder.onBody(Buffer.from('late'), true, true);
    first.decoder.onReset('remote-reset', '');
    rig.backOff().ready().respond();
    expect([rig.outcome, rig.stream.body]).toEqual(['200 - via_upstream', []]);
  });
});

test('a policy that is off makes no retry state: a body is not kept, and nothing is counted', () => {
  const rig = new Rig({ action: on('', { per_try_timeout: '1s' }) }).request(false);
  rig.last.ready();
  rig.body('x'.repeat(2_000_000), true);
  expect(rig.counts('retry_or_shadow_abandoned')).toEqual([0]);
});
