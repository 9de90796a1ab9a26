import { type HealthCheckResult, ResponseHeaders, Trailers } from '@dragoman/core';
import { type HealthScene, responseHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { checkerFor, type Config, plainScene, text } from './scene.ts';

const SUCCESSES = [{ start: 200n, end: 300n }];
const RETRIED = [
  { start: 429n, end: 430n },
  { start: 500n, end: 600n },
];

function begun(config: Config, scene: HealthScene = plainScene()): HealthScene {
  scene.check(scene.session(checkerFor(config, scene.context)));
  scene.lastHttp.handler.onReady();
  return scene;
}

function answer(
  scene: HealthScene,
  headers: Record<string, string>,
  ...body: string[]
): HealthCheckResult | undefined {
  const { decoder } = scene.lastHttp.last;
  decoder.onHeaders(responseHeaders(headers), body.length === 0);
  for (const [i, part] of body.entries()) decoder.onBody(Buffer.from(part), i === body.length - 1, false);
  return scene.results[0];
}

const active = (reason: string, retriable: boolean, immediate = false) => ({
  ok: false,
  kind: 'active',
  reason,
  retriable,
  immediate,
});

describe('status and headers', () => {
  it.each<[string, Config, Record<string, string>, unknown]>([
    ['200', {}, {}, { ok: true }],
    ['204', {}, { ':status': '204' }, active('status 204', false)],
    ['expected', { expectedStatuses: SUCCESSES }, { ':status': '299' }, { ok: true }],
    [
      'the end is outside',
      { expectedStatuses: SUCCESSES },
      { ':status': '300' },
      active('status 300', false),
    ],
    ['200 not listed', { expectedStatuses: RETRIED }, {}, active('status 200', false)],
    ['retriable', { retriableStatuses: RETRIED }, { ':status': '503' }, active('status 503', true)],
    ['not retriable', { retriableStatuses: RETRIED }, { ':status': '404' }, active('status 404', false)],
    [
      'both: expected wins',
      { expectedStatuses: RETRIED, retriableStatuses: RETRIED },
      { ':status': '500' },
      { ok: true },
    ],
    ['degraded', {}, { 'x-envoy-degraded': '' }, { ok: true, degraded: true }],
    [
      'immediate',
      {},
      { ':status': '503', 'x-envoy-immediate-health-check-fail': 'true' },
      active('status 503', false, true),
    ],
    [
      'immediate means nothing of an answer that is well',
      {},
      { 'x-envoy-immediate-health-check-fail': 'true' },
      { ok: true },
    ],
    ['above 599', {}, { ':status': '799' }, active('status 799', false)],
  ])('%s', (_name, config, headers, expected) => {
    expect(answer(begun(config), headers)).toEqual(expected);
  });

  it.each<[string, number, string | undefined, unknown, number]>([
    ['its name', 100, 'locations-prod', { ok: true }, 1],
    ['another', 100, 'users', { ok: false, kind: 'active', reason: 'service name mismatch: "users"' }, 1],
    ['none', 100, undefined, { ok: false, kind: 'active', reason: 'service name mismatch: ""' }, 1],
    ['not asked', 0, 'users', { ok: true }, 0],
  ])('service name: %s', (_name, percent, name, expected, verified) => {
    const runtime = {
      featureEnabled: (key: string) => key === 'health_check.verify_cluster' && percent === 100,
    } as never;
    const scene = begun(
      { serviceNameMatcher: { matchPattern: { case: 'prefix', value: 'locations' } } },
      plainScene({ context: { runtime } }),
    );
    const headers: Record<string, string> =
      name === undefined ? {} : { 'x-envoy-upstream-healthchecked-cluster': name };
    expect(answer(scene, headers)).toEqual(expected);
    expect(scene.context.stats.value('cluster.test.health_check.verify_cluster')).toBe(verified);
  });
});

describe('payload', () => {
  const receive = [text('hello'), text('world')];
  it.each<[string, Config, string[], boolean]>([
    ['found', { receive }, ['hello, world'], true],
    ['in pieces', { receive }, ['say hel', 'lo ', 'wor', 'ld'], true],
    ['in the wrong order', { receive }, ['world hello'], false],
    ['no body', { receive }, [''], false],
    ['within the default size', { receive }, ['x'.repeat(1014), 'helloworld'], true],
    ['a byte beyond it', { receive }, ['x'.repeat(1015), 'helloworld'], false],
    ['no limit', { receive, responseBufferSize: 0n }, ['x'.repeat(100_000), 'helloworld'], true],
    ['a limit of its own', { receive, responseBufferSize: 11n }, ['xhelloworld'], true],
    ['beyond that', { receive, responseBufferSize: 10n }, ['xhelloworld'], false],
  ])('%s', (_name, config, body, expected) => {
    const result = answer(begun(config), {}, ...body);
    expect(result).toEqual(
      expected
        ? { ok: true }
        : { ok: false, kind: 'active', reason: 'payload mismatch (status 200)', immediate: false },
    );
  });

  it('counts before the status, and is never retriable', () => {
    const scene = begun({ receive, retriableStatuses: RETRIED });
    expect(answer(scene, { ':status': '503' }, 'x')).toMatchObject({
      reason: 'payload mismatch (status 503)',
    });
  });

  it('is complete with trailers', () => {
    const scene = begun({ receive });
    answer(scene, {}, 'helloworld', '');
    const other = begun({});
    other.lastHttp.last.decoder.onHeaders(responseHeaders(), false);
    other.lastHttp.last.decoder.onTrailers(new Trailers());
    expect([scene.results, other.results]).toEqual([[{ ok: true }], [{ ok: true }]]);
  });
});

describe('GOAWAY and resets', () => {
  it('lets a check finish, and takes another connection for the next', () => {
    const scene = plainScene();
    const session = scene.session(checkerFor({ codecClientType: 1 }, scene.context));
    scene.check(session);
    const first = scene.lastHttp;
    expect(first.protocol).toBe('http2');
    first.handler.onReady();
    first.handler.onClosed('GOAWAY');
    expect(scene.results).toEqual([]);
    expect(answer(scene, {})).toEqual({ ok: true });
    expect(first.closed).toBe(true);
    scene.check(session);
    expect(scene.http.length).toBe(2);
  });

  it('is unreachable after a reset, and goes on with the connection while it takes requests', () => {
    const scene = begun({});
    scene.lastHttp.last.decoder.onReset('remote-reset', 'rst');
    expect(scene.results).toEqual([
      { ok: false, kind: 'network', reason: 'stream reset: remote-reset (rst)' },
    ]);
    expect(scene.lastHttp.closed).toBe(false);
  });

  it.each(['connection refused', ''])('is unreachable when no connection comes about: %j', (reason) => {
    const scene = plainScene();
    scene.check(scene.session(checkerFor({}, scene.context)));
    scene.lastHttp.handler.onClosed(reason);
    expect(scene.results).toEqual([{ ok: false, kind: 'network', reason: reason || 'connection closed' }]);
  });

  it('opens another connection when the kept one takes no more, but only one', () => {
    const scene = plainScene();
    const session = scene.session(checkerFor({}, scene.context));
    scene.check(session);
    scene.lastHttp.handler.onReady();
    answer(scene, {});
    scene.lastHttp.full = true;
    scene.check(session);
    expect(scene.http.length).toBe(2);
    scene.lastHttp.full = true;
    scene.lastHttp.handler.onReady();
    expect(scene.results[1]).toMatchObject({ kind: 'network', reason: 'the connection takes no requests' });
  });

  it('hears nothing of a check that was given up', () => {
    const scene = plainScene();
    const session = scene.session(checkerFor({}, scene.context));
    scene.check(session);
    scene.lastHttp.handler.onReady();
    const { decoder } = scene.lastHttp.last;
    session.cancel();
    decoder.onHeaders(new ResponseHeaders(), true);
    decoder.onReset('local-reset', '');
    scene.lastHttp.handler.onClosed('');
    expect(scene.results).toEqual([]);
    expect(scene.lastHttp.closed).toBe(true);
  });
});

describe('the request', () => {
  it.each<[string, Config, string, string]>([
    ['the cluster', {}, '', 'test'],
    ['configured', { host: 'api.test' }, '', 'api.test'],
    ['of the host', { host: 'api.test' }, 'one.test', 'one.test'],
  ])('authority: %s', (_name, config, hostname, expected) => {
    const scene = plainScene({ secure: true });
    scene.check(scene.session(checkerFor(config, scene.context), { hostname }));
    scene.lastHttp.handler.onReady();
    expect(scene.lastHttp.last.headers.entries()).toEqual([
      [':authority', expected],
      [':path', '/healthz'],
      [':method', 'GET'],
      [':scheme', 'https'],
      ['user-agent', 'Envoy/HC'],
    ]);
  });

  it('has the headers of the config, worked out for each check', () => {
    const scene = plainScene();
    const session = scene.session(
      checkerFor(
        {
          requestHeadersToAdd: [
            { header: { key: 'x-at', value: '%START_TIME(%s)%' } },
            { header: { key: 'x-host', value: '%UPSTREAM_REMOTE_ADDRESS%%PROTOCOL%' } },
          ],
          requestHeadersToRemove: ['user-agent'],
        },
        scene.context,
      ),
    );
    scene.check(session);
    scene.lastHttp.handler.onReady();
    answer(scene, {});
    (scene.context.clock as { advance?(ms: number): void }).advance?.(5000);
    scene.check(session);
    const [first, second] = scene.lastHttp.requests.map(({ headers }) => headers);
    expect(first?.has('user-agent')).toBe(false);
    expect(first?.get('x-host')).toContain('HTTP/1.1');
    expect(Number(second?.get('x-at')) - Number(first?.get('x-at'))).toBe(5);
  });
});

describe('configs that are refused', () => {
  it.each<[Config, string]>([
    [{ path: 'healthz' }, 'path: "healthz" is no path'],
    [{ path: '/a b' }, 'path: may not contain spaces'],
    [{ host: 'a\r\nb' }, 'host: may not contain'],
    [{ method: 6 }, 'method: CONNECT cannot check a host'],
    [{ send: text('x') }, 'send: a request with method GET has no body'],
    [{ method: 3, send: { payload: { case: 'text', value: 'xyz' } } }, 'send.text: invalid hex string'],
    [{ codecClientType: 2 }, 'codec_client_type: HTTP3 is not supported'],
    [{ receive: [text('hello')], responseBufferSize: 4n }, 'receive: has 5 bytes'],
    [{ expectedStatuses: [{ start: 200n, end: 200n }] }, 'expected_statuses[0]: expected start < end'],
    [
      { expectedStatuses: [{ start: 99n, end: 200n }] },
      'expected_statuses[0].start: expected a status from 100',
    ],
    [{ retriableStatuses: [{ start: 500n, end: 601n }] }, 'retriable_statuses[0].end: expected at most 600'],
    [
      { requestHeadersToAdd: [{ header: { key: ':path', value: 'x' } }] },
      'request_headers_to_add[0].header.key',
    ],
    [{ requestHeadersToRemove: ['host'] }, 'request_headers_to_remove[0]'],
    [{ serviceNameMatcher: {} }, 'service_name_matcher: needs one of'],
  ])('%o', (config, message) => {
    expect(() => checkerFor(config, plainScene().context)).toThrow(message);
  });
});
