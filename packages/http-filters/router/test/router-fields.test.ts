import { responseFlagsShort, Trailers } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig } from './rig.ts';

describe('strict_check_headers', () => {
  const NUMBERS = [
    'x-envoy-upstream-rq-timeout-ms',
    'x-envoy-upstream-rq-per-try-timeout-ms',
    'x-envoy-max-retries',
  ];
  const ALL = [...NUMBERS, 'x-envoy-retry-on', 'x-envoy-retry-grpc-on'];
  const outcome = (checked: string[], headers: Record<string, string>) => {
    const rig = new Rig({ router: { strict_check_headers: checked }, headers }).request();
    return rig.tries.length === 1 ? 'passed' : `${rig.outcome} | ${rig.reply.body}`;
  };

  test.each([
    ...NUMBERS.flatMap((name) => [
      [name, '1', true],
      [name, '0', true],
      [name, '1.5', false],
      [name, '-1', false],
      [name, 'x', false],
      [name, '', false],
    ]),
    ['x-envoy-retry-on', '5xx', true],
    ['x-envoy-retry-on', '5xx,reset, retriable-headers', true],
    ['x-envoy-retry-on', '5xx,cancelled', false],
    ['x-envoy-retry-on', '6xx', false],
    ['x-envoy-retry-grpc-on', 'cancelled,internal', true],
    ['x-envoy-retry-grpc-on', '5xx', false],
  ] as [name: string, value: string, valid: boolean][])('%s: "%s" passes: %s', (name, value, valid) => {
    expect(outcome(ALL, { [name]: value })).toBe(
      valid
        ? 'passed'
        : `400 IH request_headers_failed_strict_check{${name}} | invalid header '${name}' with value '${value}'`,
    );
    expect(
      outcome(
        ALL.filter((other) => other !== name),
        { [name]: value },
      ),
    ).toBe('passed');
  });

  test('are checked in the order of the config', () => {
    const headers = { 'x-envoy-retry-on': 'a', 'x-envoy-max-retries': 'b' };
    expect(outcome(['x-envoy-max-retries', 'x-envoy-retry-on'], headers)).toContain('{x-envoy-max-retries}');
    expect(outcome(['x-envoy-retry-on', 'x-envoy-max-retries'], headers)).toContain('{x-envoy-retry-on}');
  });

  test('takes no other header', () => {
    expect(() => new Rig({ router: { strict_check_headers: ['x-envoy-force-trace'] } })).toThrow(
      /strict_check_headers\[0\].*"x-envoy-force-trace" is no header that can be checked/,
    );
  });
});

describe('suppress_grpc_request_failure_code_stats', () => {
  test.each<[name: string, type: string, router: JsonObject, counted: [code: number, completed: number]]>([
    ['a gRPC request', 'application/grpc', { suppress_grpc_request_failure_code_stats: true }, [0, 1]],
    ['another request', 'text/plain', { suppress_grpc_request_failure_code_stats: true }, [1, 0]],
    ['a gRPC request without it', 'application/grpc', {}, [1, 0]],
  ])('%s', (_name, type, router, counted) => {
    const rig = new Rig({
      router,
      headers: { 'content-type': type },
      action: { retry_policy: { retry_on: '5xx' } },
    }).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff().ready().respond({ ':status': '503' });
    expect(rig.counts('upstream_rq_503', 'upstream_rq_completed')).toEqual(counted);
    expect(rig.counts('retry.upstream_rq_503', 'retry.upstream_rq_completed')).toEqual(counted);
  });
});

describe('what a gRPC host is credited with', () => {
  test.each<[name: string, act: (rig: Rig) => void, success: number, error: number]>([
    ['status 0 in headers', (rig) => rig.last.respond({ 'grpc-status': '0' }), 1, 0],
    ['status 13 in headers', (rig) => rig.last.respond({ 'grpc-status': '13' }), 0, 1],
    ['status 5: the caller’s fault', (rig) => rig.last.respond({ 'grpc-status': '5' }), 1, 0],
    ['no status at all', (rig) => rig.last.respond({}), 0, 1],
    ['503', (rig) => rig.last.respond({ ':status': '503' }), 0, 1],
    ['status 0 in trailers', (rig) => rig.last.decoder.onTrailers(trailers('0')), 1, 0],
    ['status 14 in trailers', (rig) => rig.last.decoder.onTrailers(trailers('14')), 0, 1],
    ['a body without trailers', (rig) => void rig.last.decoder.onBody(Buffer.from('x'), true, true), 0, 1],
    ['a reset in the middle', (rig) => rig.last.lose(), 0, 1],
  ])('%s', (name, act, success, error) => {
    const rig = new Rig({ headers: { 'content-type': 'application/grpc' } }).request();
    rig.last.ready();
    if (!/in headers|fault|no status|503/.test(name)) rig.last.respond({}, false);
    act(rig);
    const { stats } = rig.hosts[0];
    expect([stats.rqSuccess.value(), stats.rqError.value()]).toEqual([success, error]);
  });

  function trailers(status: string): Trailers {
    const made = new Trailers();
    made.append('grpc-status', status);
    return made;
  }
});

describe('upstream_log', () => {
  const logging = (options: JsonObject = {}): JsonObject => ({
    upstream_log: [{ name: 'l' }],
    upstream_log_options: options,
  });
  const entries = (rig: Rig) =>
    rig.logged.map(
      ({ type, info }) =>
        `${type} ${info.responseCode} ${responseFlagsShort(info.responseFlags)} ${info.upstreamHost?.address.text ?? '-'} ${info.upstreamRequestAttemptCount}`,
    );

  test('has an entry for each try, with what became of it', () => {
    const rig = new Rig({
      router: logging(),
      action: { retry_policy: { retry_on: '5xx', num_retries: 5, per_try_timeout: '1s' } },
    }).request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff(24).fail('timeout');
    rig.backOff(50).ready();
    rig.clock.advance(1000);
    rig.clock.advance(100);
    rig.last.ready().lose();
    rig.backOff(250).ready().respond({ ':status': '200', 'x-own': '1' }, false);
    expect(rig.logged).toHaveLength(4);
    rig.last.decoder.onBody(Buffer.from('four'), true, true);
    rig.complete();
    expect(entries(rig)).toEqual([
      'UpstreamEnd 503 - 10.0.0.1:80 1',
      'UpstreamEnd 0 UF 10.0.0.2:80 2',
      'UpstreamEnd 0 UT 10.0.0.3:80 3',
      'UpstreamEnd 0 UR 10.0.0.1:80 4',
      'UpstreamEnd 200 - 10.0.0.2:80 5',
    ]);
    const { info, response, request } = rig.logged[4];
    expect([info.bytesReceived, info.protocol, info.upstreamConnectionId]).toEqual([4, 'HTTP/1.1', 5]);
    expect([response?.get('x-own'), request]).toEqual(['1', rig.stream.requestHeaders]);
    // What the router adds for the caller is no part of the upstream's answer.
    expect(response?.get('x-envoy-upstream-service-time')).toBeUndefined();
  });

  test('flush_upstream_log_on_upstream_stream: one when there is a connection', () => {
    const rig = new Rig({ router: logging({ flush_upstream_log_on_upstream_stream: true }) }).request();
    expect(rig.logged).toHaveLength(0);
    rig.last.ready();
    expect(entries(rig)).toEqual(['UpstreamPoolReady 0 - 10.0.0.1:80 1']);
  });

  test('upstream_log_flush_interval: one each time, until the try is over', () => {
    const rig = new Rig({ router: logging({ upstream_log_flush_interval: '1s' }) }).request();
    rig.last.ready();
    rig.clock.advance(2500);
    expect(rig.logged.map(({ type }) => type)).toEqual(['UpstreamPeriodic', 'UpstreamPeriodic']);
    rig.last.respond();
    rig.complete();
    rig.clock.advance(5000);
    expect(rig.logged.map(({ type }) => type)).toEqual([
      'UpstreamPeriodic',
      'UpstreamPeriodic',
      'UpstreamEnd',
    ]);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  test('has the tries of a hedged request', () => {
    const rig = new Rig({
      router: logging(),
      action: {
        retry_policy: { retry_on: '5xx', per_try_timeout: '1s' },
        hedge_policy: { hedge_on_per_try_timeout: true },
      },
    }).request();
    rig.last.ready();
    rig.clock.advance(1000);
    rig.clock.advance(24);
    rig.last.ready();
    rig.tries[0].respond();
    rig.complete();
    expect(entries(rig)).toEqual(['UpstreamEnd 0 - 10.0.0.2:80 2', 'UpstreamEnd 200 UT 10.0.0.1:80 1']);
  });
});
