import { StructSchema } from '@dragoman/api';
import {
  defineHttpFilter,
  type Extension,
  type HttpFilter,
  type InternalRedirectPredicateExtension,
} from '@dragoman/core';
import {
  type Answer,
  eventually,
  hang,
  type HttpBootstrapOptions,
  HttpUpstream,
  inTurn,
  type JsonObject,
  RawUpstream,
  reply,
  requestText,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type Proxied, startRouter, summary } from './support.ts';

const STRUCT = { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} };

/** Accepts targets on routes of this name only, and notes what it was asked. */
const asked: unknown[] = [];
const onlyTo: InternalRedirectPredicateExtension = {
  category: 'internal-redirect-predicates',
  name: 'only-to-good',
  create: (_config: never, _context: unknown, own: string) => ({
    accepts(_info, route, fromHttps, toHttps) {
      asked.push([own, route, fromHttps, toHttps]);
      return route === 'good';
    },
  }),
};

const redirect = (location: string, status = 302, more: Record<string, string> = {}): Answer =>
  reply({ status, headers: { location, 'content-length': '0', ...more } });

/** Routes `/good…`, `/other…` and the rest, each to the upstream, the latter two with the policy. */
function to(port: number, policy: JsonObject = {}, more: HttpBootstrapOptions = {}): HttpBootstrapOptions {
  const route = (prefix: string, name: string): JsonObject => ({
    name,
    match: { prefix },
    route: { cluster: 'c', internal_redirect_policy: policy },
  });
  return {
    clusters: { c: port },
    virtualHosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [route('/good', 'good'), route('/other', 'other'), route('/first', 'first')],
      },
    ],
    ...more,
  };
}

const passed = (proxied: Proxied, what: string) =>
  proxied.proxy.stat(`http.ingress.passthrough_internal_redirect_${what}`);
const followed = (proxied: Proxied) =>
  proxied.proxy.stat('cluster.c.upstream_internal_redirect_succeeded_total');
const failed = (proxied: Proxied) => proxied.proxy.stat('cluster.c.upstream_internal_redirect_failed_total');

describe('a redirect', () => {
  test('is followed: the client gets the answer of its target', async () => {
    await using upstream = await HttpUpstream.start(
      inTurn(redirect('http://other.test:81/good/x?q=1#part'), text('target')),
    );
    await using proxied = await startRouter(to(upstream.port));
    const response = await proxied.proxy.get('/first?a=b', 'x-own: 1');
    expect([response.status, response.body.toString()]).toEqual([200, 'target']);
    const second = await upstream.request(2);
    expect([second.method, second.path, second.header('host')]).toEqual([
      'GET',
      '/good/x?q=1',
      'other.test:81',
    ]);
    expect(second.header('x-envoy-original-url')).toBe('http://test/first?a=b');
    expect(second.header('x-own')).toBe('1');
    expect([followed(proxied), failed(proxied)]).toEqual([1, 0]);
    expect(summary(await proxied.entry(1))).toBe('302 - internal_redirect');
    expect(summary(await proxied.entry(2))).toBe('200 - via_upstream');
    expect((await proxied.entry(2)).info.route?.routeName).toBe('good');
    expect((await proxied.entry(1)).response?.get('location')).toContain('/good/x');
    expect(proxied.proxy.stat('http.ingress.downstream_rq_3xx')).toBe(0);
    expect(proxied.proxy.stat('http.ingress.downstream_rq_2xx')).toBe(1);
    expect(proxied.proxy.stat('http.ingress.downstream_rq_total')).toBe(2);
    expect(proxied.proxy.stat('http.ingress.downstream_rq_active')).toBe(0);
    expect(() => proxied.proxy.stat('cluster.c.upstream_rq_302')).toThrow();
  });

  test('leaves the connection in order: the next request comes on it', async () => {
    await using upstream = await HttpUpstream.start(
      inTurn(redirect('http://a/good'), text('one'), text('two'), redirect('http://a/good'), text('three')),
    );
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    for (const expected of ['one', 'two', 'three']) {
      await client.write(requestText('GET', '/first'));
      expect((await client.readResponse()).body.toString()).toBe(expected);
    }
  });

  test('hands the client over: a slow one slows the second answer, one that goes ends it', async () => {
    const size = 8 * 1024 * 1024;
    await using upstream = await HttpUpstream.start(
      inTurn(
        redirect('http://a/good'),
        reply({ body: Buffer.alloc(size, 'x') }),
        redirect('http://a/good'),
        hang(),
      ),
    );
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    client.pause();
    await client.write(requestText('GET', '/first'));
    await eventually(() => proxied.proxy.stat('cluster.c.upstream_flow_control_paused_reading_total') > 0);
    client.resume();
    expect((await client.readResponse()).body.length).toBe(size);
    await client.write(requestText('GET', '/first'));
    const last = await upstream.request(4);
    client.reset();
    expect(await last.aborted).toBe(true);
    expect(summary(await proxied.entry(4))).toContain(' DC downstream_remote_disconnect');
    expect(proxied.proxy.stat('http.ingress.downstream_rq_active')).toBe(0);
  });

  test('goes through every filter again, whose changes stay', async () => {
    const passes: string[] = [];
    let completions = 0;
    const filter: Extension = defineHttpFilter({
      name: 'test.pass',
      config: StructSchema,
      create: () => (): HttpFilter => ({
        onRequestHeaders(headers) {
          passes.push(`${headers.path} ${headers.get('x-pass') ?? '-'}`);
          headers.append('x-pass', String(passes.length));
        },
        onComplete: () => void completions++,
      }),
    });
    await using upstream = await HttpUpstream.start(inTurn(redirect('http://a/good'), text('target')));
    await using proxied = await startRouter(
      to(upstream.port, {}, { httpFilters: [{ name: 'test.pass', typed_config: STRUCT }] }),
      [filter],
    );
    expect((await proxied.proxy.get('/first')).status).toBe(200);
    expect(passes).toEqual(['/first -', '/good 1']);
    expect(completions).toBe(2);
  });

  test('sends the body again', async () => {
    await using upstream = await HttpUpstream.start(async (exchange) => {
      const body = (await exchange.request.body).toString();
      if (exchange.request.path === '/first') await redirect('http://a/good', 307)(exchange);
      else exchange.response.end(`${exchange.request.method} ${body}`);
    });
    await using proxied = await startRouter(to(upstream.port, { redirect_response_codes: [307] }));
    const response = await proxied.proxy.send('POST', '/first', [], 'the body');
    expect(response.body.toString()).toBe('POST the body');
    await using client = await proxied.proxy.connect();
    await client.write('PUT /first HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
    await client.write('3\r\none\r\n', '4\r\n two\r\n', '0\r\n\r\n');
    expect((await client.readResponse()).body.toString()).toBe('PUT one two');
  });

  test.each([
    ['POST', 'GET', ''],
    ['HEAD', 'HEAD', ''],
  ])('with 303 to a %s is followed with %s and no body', async (method, then, body) => {
    await using upstream = await HttpUpstream.start(inTurn(redirect('http://a/good', 303), text('target')));
    await using proxied = await startRouter(to(upstream.port, { redirect_response_codes: [303] }));
    await proxied.proxy.send(method, '/first', [], method === 'POST' ? 'the body' : '');
    const second = await upstream.request(2);
    expect([second.method, (await second.body).toString(), second.header('content-length')]).toEqual([
      then,
      body,
      undefined,
    ]);
  });

  test.each<[max: number | undefined, hops: number, status: number, seen: string]>([
    [undefined, 1, 200, 'target'],
    [undefined, 2, 302, ''],
    [3, 3, 200, 'target'],
    [3, 4, 302, ''],
    [0, 1, 302, ''],
  ])('with max_internal_redirects %s and %s of them ends with %s', async (max, hops, status, seen) => {
    await using upstream = await HttpUpstream.start(
      inTurn(...Array.from({ length: hops }, () => redirect('http://a/good')), text('target')),
    );
    const policy: JsonObject = max === undefined ? {} : { max_internal_redirects: max };
    await using proxied = await startRouter(to(upstream.port, policy));
    const response = await proxied.proxy.get('/first');
    expect([response.status, response.body.toString()]).toEqual([status, seen]);
    expect(followed(proxied)).toBe(Math.min(hops, max ?? 1));
    expect(passed(proxied, 'too_many_redirects')).toBe(status === 302 ? 1 : 0);
    expect(failed(proxied)).toBe(status === 302 ? 1 : 0);
  });

  test('takes headers of the redirect along, or clears them', async () => {
    await using upstream = await HttpUpstream.start(
      inTurn(redirect('http://a/good', 302, { 'x-copied': 'new' }), text('target')),
    );
    await using proxied = await startRouter(
      to(upstream.port, { response_headers_to_copy: ['X-Copied', 'x-cleared'] }),
    );
    await proxied.proxy.get('/first', 'x-copied: old', 'x-cleared: old', 'x-kept: old');
    const second = await upstream.request(2);
    expect(['x-copied', 'x-cleared', 'x-kept'].map((name) => second.header(name))).toEqual([
      'new',
      undefined,
      'old',
    ]);
  });

  test.each<[name: string, policy: JsonObject, answer: Answer, stat: string | undefined]>([
    ['of another status', {}, redirect('http://a/good', 301), undefined],
    ['without location', {}, reply({ status: 302, headers: { 'content-length': '0' } }), 'failed'],
    ['with an empty location', {}, redirect(''), 'bad_location'],
    ['to a path alone', {}, redirect('/good'), 'bad_location'],
    ['to something else', {}, redirect('ftp://a/good'), 'bad_location'],
    ['with user information', {}, redirect('http://user@a/good'), 'bad_location'],
    ['with a blank', {}, redirect('http://a/good /x'), 'bad_location'],
    ['without a host', {}, redirect('http:///good'), 'bad_location'],
    ['to another scheme', {}, redirect('https://a/good'), 'unsafe_scheme'],
    ['to no route', {}, redirect('http://a/nowhere'), 'no_route'],
    ['out of its prefix by dots', {}, redirect('http://a/good/../nowhere'), 'no_route'],
    [
      'that a predicate refuses',
      { predicates: [{ name: 'only-to-good', typed_config: STRUCT }] },
      redirect('http://a/other'),
      'predicate',
    ],
  ])('%s goes to the client', async (_, policy, answer, stat) => {
    await using upstream = await HttpUpstream.start(answer);
    await using proxied = await startRouter(
      to(upstream.port, policy, { manager: { normalize_path: true, merge_slashes: true } }),
      [onlyTo],
    );
    const response = await proxied.proxy.get('/first');
    expect(response.status).toBeGreaterThanOrEqual(301);
    expect(response.status).toBeLessThanOrEqual(302);
    expect(upstream.requests).toHaveLength(1);
    expect([followed(proxied), failed(proxied)]).toEqual([0, stat === undefined ? 0 : 1]);
    if (stat !== undefined && stat !== 'failed') expect(passed(proxied, stat)).toBe(1);
    expect(summary(await proxied.entry())).toContain(`${response.status} - via_upstream`);
    expect((await proxied.entry()).info.route?.routeName).toBe('first');
  });

  test('asks its predicates with the routes and schemes', async () => {
    asked.length = 0;
    await using upstream = await HttpUpstream.start(inTurn(redirect('https://a/good'), text('target')));
    await using proxied = await startRouter(
      to(upstream.port, {
        allow_cross_scheme_redirect: true,
        predicates: [{ name: 'only-to-good', typed_config: STRUCT }],
      }),
      [onlyTo],
    );
    expect((await proxied.proxy.get('/first')).status).toBe(200);
    expect(asked).toEqual([['first', 'good', false, true]]);
  });

  test('before the request is complete goes to the client', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('half');
      await connection.write('HTTP/1.1 302 Found\r\nlocation: http://a/good\r\ncontent-length: 0\r\n\r\n');
    });
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    await client.write('POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
    expect((await client.readResponse()).status).toBe(302);
    expect([followed(proxied), failed(proxied)]).toEqual([0, 1]);
  });

  test('with a body too large to be kept goes to the client', async () => {
    await using upstream = await HttpUpstream.start(async (exchange) => {
      await exchange.request.body;
      await redirect('http://a/good')(exchange);
    });
    await using proxied = await startRouter(
      to(upstream.port, {}, { listener: { per_connection_buffer_limit_bytes: 1024 } }),
    );
    const response = await proxied.proxy.send('POST', '/first', [], 'x'.repeat(2000));
    expect(response.status).toBe(302);
    expect([followed(proxied), failed(proxied)]).toEqual([0, 1]);
    expect(proxied.proxy.stat('cluster.c.retry_or_shadow_abandoned')).toBe(1);
  });

  test('that has a body is not read to its end', async () => {
    await using upstream = await HttpUpstream.start(async (exchange) => {
      if (exchange.request.path === '/good') return text('target')(exchange);
      await reply({ status: 302, headers: { location: 'http://a/good' }, body: ['much', 'text'] })(exchange);
    });
    await using proxied = await startRouter(to(upstream.port));
    expect((await proxied.proxy.get('/first')).body.toString()).toBe('target');
    await proxied.proxy.untilStat('cluster.c.upstream_rq_active', 0);
  });

  test('by the deprecated fields is followed too', async () => {
    await using upstream = await HttpUpstream.start(
      inTurn(redirect('http://a/x'), redirect('http://a/y'), text('target')),
    );
    await using proxied = await startRouter({
      clusters: { c: upstream.port },
      routes: [
        {
          match: { prefix: '/' },
          route: {
            cluster: 'c',
            internal_redirect_action: 'HANDLE_INTERNAL_REDIRECT',
            max_internal_redirects: 2,
          },
        },
      ],
    });
    expect((await proxied.proxy.get('/')).body.toString()).toBe('target');
  });

  test('to a target that fails is answered with that', async () => {
    await using upstream = await HttpUpstream.start(redirect('http://a/direct'));
    await using proxied = await startRouter({
      clusters: { c: upstream.port },
      routes: [
        { match: { path: '/direct' }, direct_response: { status: 418, body: { inline_string: 'no' } } },
        { match: { prefix: '/' }, route: { cluster: 'c', internal_redirect_policy: {} } },
      ],
    });
    const response = await proxied.proxy.get('/');
    expect([response.status, response.body.toString()]).toEqual([418, 'no']);
  });
});
