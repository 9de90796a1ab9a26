import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFormatterFactory } from '@dragoman/access-log';
import { emptyRuntime, type ForwardAction, RequestHeaders, ResponseHeaders } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import {
  clusterFor,
  forwarded,
  request,
  routeFor,
  streamInfo,
  tableOf,
  tableOfRoutes,
  testContext,
} from './routes-support.ts';

function forward(routeYaml: string): ForwardAction {
  const { action } = routeFor(tableOfRoutes(`[{ match: { prefix: / }, route: ${routeYaml} }]`), request('/'));
  if (action.kind !== 'forward') throw new Error(action.kind);
  return action;
}

describe('forwarding', () => {
  it("has Envoy's defaults", () => {
    expect(forward('{ cluster: a }')).toMatchObject({
      kind: 'forward',
      priority: 'default',
      timeoutMs: 15_000,
      idleTimeoutMs: undefined,
      maxStreamDurationMs: undefined,
      clusterNotFoundStatus: 503,
      autoHostRewrite: false,
      appendForwardedHost: false,
      includeAttemptCountInRequest: false,
      includeAttemptCountInResponse: false,
      metadataMatch: undefined,
    });
  });

  it('reads what is set', () => {
    const action = forward(`{
      cluster: a, timeout: 0s, idle_timeout: 1.5s, priority: HIGH, cluster_not_found_response_code: NOT_FOUND,
      max_stream_duration: { max_stream_duration: 2s }, auto_host_rewrite: true, append_x_forwarded_host: true,
      metadata_match: { filter_metadata: { envoy.lb: { stage: canary }, other: { a: b } } } }`);
    expect(action).toMatchObject({
      timeoutMs: 0,
      idleTimeoutMs: 1500,
      priority: 'high',
      clusterNotFoundStatus: 404,
      maxStreamDurationMs: 2000,
      autoHostRewrite: true,
      appendForwardedHost: true,
      metadataMatch: { stage: 'canary' },
    });
  });

  it('takes the cluster from a header', () => {
    const table = tableOfRoutes('[{ match: { prefix: / }, route: { cluster_header: X-Cluster } }]');
    expect(clusterFor(table, request('/', { 'x-cluster': 'b' }))).toBe('b');
    expect(clusterFor(table, request('/'))).toBe('');
  });

  it('reads attempt counts, metadata and the decorator', () => {
    const table = tableOf(`
      virtual_hosts:
      - name: vh
        domains: ["*"]
        include_request_attempt_count: true
        include_attempt_count_in_response: true
        routes:
        - { name: r, match: { prefix: / }, route: { cluster: a }, metadata: { filter_metadata: { ns: { k: 1 } } }, decorator: { operation: op } }
    `);
    const route = routeFor(table, request('/'));
    expect([route.routeName, route.virtualHostName, route.decoratorOperation]).toEqual(['r', 'vh', 'op']);
    expect(route.metadata.get('ns')).toEqual({ k: 1 });
    expect(route.action).toMatchObject({
      includeAttemptCountInRequest: true,
      includeAttemptCountInResponse: true,
    });
  });
});

describe('weighted clusters', () => {
  const yaml = (more = '') => `
    - match: { prefix: / }
      request_headers_to_add: [{ header: { key: x-from, value: route } }]
      route:
        metadata_match: { filter_metadata: { envoy.lb: { a: 1, b: 1 } } }
        weighted_clusters:
          ${more}
          clusters:
          - { name: a, weight: 30, host_rewrite_literal: a.internal, request_headers_to_add: [{ header: { key: x-from, value: cluster } }] }
          - { name: b, weight: 0 }
          - { name: c, weight: 60, metadata_match: { filter_metadata: { envoy.lb: { b: 2 } } }, response_headers_to_add: [{ header: { key: x-c, value: "1" } }] }
          - { cluster_header: x-cluster, weight: 10 }
  `;

  it.each([
    [0, 'a'],
    [29, 'a'],
    [30, 'c'],
    [89, 'c'],
    [90, 'by-header'],
    [99, 'by-header'],
    [100, 'a'],
  ])('the draw %d goes to %s', (random, cluster) => {
    expect(clusterFor(tableOfRoutes(yaml()), request('/', { 'x-cluster': 'by-header' }), random)).toBe(
      cluster,
    );
  });

  it('has edits, host and criteria of the cluster that was drawn', () => {
    const table = tableOfRoutes(yaml());
    const headers = forwarded(table, request('/'));
    expect(headers.authority).toBe('a.internal');
    expect(headers.getAll('x-from')).toEqual(['cluster', 'route']);
    const third = routeFor(table, request('/'), 50);
    expect(third.action).toMatchObject({ metadataMatch: { a: 1, b: 2 } });
    const response = new ResponseHeaders();
    third.finalizeResponseHeaders(response, streamInfo(), request('/'));
    expect(response.get('x-c')).toBe('1');
  });

  it.each([
    ['95', 'by-header'],
    ['18446744073709551615', 'a'],
    ['18446744073709551616', 'c'],
    ['+95', 'by-header'],
    ['000000000000000000000000000095', 'by-header'],
    ['-1', 'c'],
    ['9.5', 'c'],
    ['x', 'c'],
  ])('draws with the header %s: %s', (value, cluster) => {
    // 2^64 - 1 leaves 15 of 100.
    const table = tableOfRoutes(yaml('header_name: x-draw'));
    expect(clusterFor(table, request('/', { 'x-draw': value, 'x-cluster': 'by-header' }), 50)).toBe(cluster);
  });

  it('lets the runtime override weights', () => {
    const weights: Record<string, number> = { 'w.a': 0, 'w.c': 1, 'w.': 0 };
    const runtime = {
      ...emptyRuntime,
      getInteger: (key: string, fallback: number) => weights[key] ?? fallback,
    };
    const table = tableOfRoutes(yaml('runtime_key_prefix: w'), { context: testContext({ runtime }) });
    expect(clusterFor(table, request('/'), 0)).toBe('c');
  });

  describe('with weights of the runtime', () => {
    const compiled = (weights: Record<string, number>) => {
      const getInteger = (key: string, fallback: number) => weights[key] ?? fallback;
      const context = testContext({ runtime: { ...emptyRuntime, getInteger } });
      return tableOfRoutes(
        `
        - match: { prefix: / }
          route:
            weighted_clusters:
              runtime_key_prefix: w
              clusters: [{ name: a, weight: 1 }, { name: b, weight: 0 }]
        - { match: { prefix: / }, route: { cluster: next } }`,
        { context },
      );
    };

    it.each<[what: string, weights: Record<string, number>, cluster: string]>([
      ['as they are', {}, 'a'],
      ['that shift everything', { 'w.a': 0, 'w.b': 7 }, 'b'],
      ['that are all 0', { 'w.a': 0 }, 'next'],
      ['of which one is no weight', { 'w.a': -5 }, 'a'],
      ['that are more than 32 bits hold', { 'w.a': 2 ** 32 - 1, 'w.b': 1 }, 'next'],
      ['that just fit', { 'w.a': 2 ** 32 - 2, 'w.b': 1 }, 'a'],
    ])('%s the request goes to another', (_what, later, cluster) => {
      const weights: Record<string, number> = {};
      const table = compiled(weights);
      Object.assign(weights, later);
      expect(clusterFor(table, request('/'), 0)).toBe(cluster);
    });

    it('says what was missed when there are none', () => {
      const weights: Record<string, number> = {};
      const table = compiled(weights);
      weights['w.a'] = 0;
      expect(table.miss(request('/'), streamInfo(), 0).details).toBe(
        'virtual_host:all|nearest:routes[0]|failed:route.weighted_clusters',
      );
    });

    it('asks the runtime when it is compiled, as Envoy does', () => {
      expect(() => compiled({ 'w.a': 0 })).toThrow(/the sum of the weights must be greater than 0/);
      expect(clusterFor(compiled({ 'w.a': 0, 'w.b': 1 }), request('/'), 0)).toBe('b');
    });
  });

  it('tells that total_weight counts for nothing', () => {
    const warned: string[] = [];
    const context = testContext({ warn: (path, message) => warned.push(`${path}: ${message}`) });
    const table = tableOfRoutes(yaml('total_weight: 99'), { context });
    expect(clusterFor(table, request('/', { 'x-cluster': 'h' }), 99)).toBe('h');
    expect(warned).toEqual([
      'weighted_clusters.total_weight: is not used: the weights add up to 100, which counts',
    ]);
  });

  it.each([['random_value_specifier: 1', /random_value_specifier/]])('refuses %s', (more, message) => {
    expect(() => tableOfRoutes(yaml(more))).toThrow(message);
  });
});

describe('rewrites', () => {
  it.each([
    ['{ prefix: /api/ }', '{ cluster: a, prefix_rewrite: / }', '/api/v1?x=/api/', '/v1?x=/api/'],
    ['{ prefix: /api }', '{ cluster: a, prefix_rewrite: /new }', '/api', '/new'],
    ['{ prefix: /API, case_sensitive: false }', '{ cluster: a, prefix_rewrite: /new }', '/Api/x', '/new/x'],
    ['{ path: /one }', '{ cluster: a, prefix_rewrite: /two }', '/one?q', '/two?q'],
    ['{ path_separated_prefix: /a/b }', '{ cluster: a, prefix_rewrite: /c }', '/a/b/d', '/c/d'],
    ['{ safe_regex: { regex: "/v[0-9]+/.*" } }', '{ cluster: a, prefix_rewrite: /all }', '/v1/x?q', '/all?q'],
    [
      '{ prefix: / }',
      '{ cluster: a, regex_rewrite: { pattern: { regex: "^/service/([^/]+)(/.*)$" }, substitution: "\\\\2/instance/\\\\1" } }',
      '/service/foo/v1/api?x=/service/',
      '/v1/api/instance/foo?x=/service/',
    ],
    [
      '{ prefix: / }',
      '{ cluster: a, regex_rewrite: { pattern: { regex: one }, substitution: two } }',
      '/xxx/one/yyy/one/zzz',
      '/xxx/two/yyy/two/zzz',
    ],
    [
      '{ prefix: / }',
      '{ cluster: a, regex_rewrite: { pattern: { regex: "[a-c]+" }, substitution: "" } }',
      '/abc/d?abc',
      '//d?abc',
    ],
  ])('%s with %s: %s → %s', (match, route, path, expected) => {
    const headers = forwarded(tableOfRoutes(`[{ match: ${match}, route: ${route} }]`), request(path));
    expect(headers.path).toBe(expected);
    expect(headers.get('x-envoy-original-path')).toBe(path);
  });

  it('leaves the path and says nothing of it without a rewrite', () => {
    const headers = forwarded(
      tableOfRoutes('[{ match: { prefix: / }, route: { cluster: a } }]'),
      request('/x'),
    );
    expect(headers.path).toBe('/x');
    expect(headers.has('x-envoy-original-path')).toBe(false);
  });

  it.each([
    ['host_rewrite_literal: new.com', 'new.com'],
    ['host_rewrite_header: x-host', 'from-header.com'],
    ['host_rewrite_header: x-absent', undefined],
    [
      'host_rewrite_path_regex: { pattern: { regex: "^/([a-z]+)/.*$" }, substitution: "\\\\1.internal" }',
      'tenant.internal',
    ],
  ])('%s: %s', (rewrite, expected) => {
    const table = tableOfRoutes(`[{ match: { prefix: / }, route: { cluster: a, ${rewrite} } }]`);
    const headers = forwarded(table, request('/tenant/x?y', { 'x-host': 'from-header.com' }));
    expect(headers.authority).toBe(expected ?? 'example.com');
    expect(headers.get('x-envoy-original-host')).toBe(expected === undefined ? undefined : 'example.com');
  });

  it("leaves Envoy's own headers out when told to", () => {
    const table = tableOfRoutes(
      '[{ match: { prefix: /a }, route: { cluster: a, prefix_rewrite: /b, host_rewrite_literal: new.com } }]',
    );
    const headers = forwarded(table, request('/a'), true);
    expect([headers.path, headers.authority]).toEqual(['/b', 'new.com']);
    expect(headers.has('x-envoy-original-path') || headers.has('x-envoy-original-host')).toBe(false);
  });

  it.each([
    [undefined, 'example.com'],
    ['a.com', 'a.com,example.com'],
    ['a.com,example.com', 'a.com,example.com'],
  ])('x-forwarded-host: %s → %s', (before, after) => {
    const table = tableOfRoutes(
      '[{ match: { prefix: / }, route: { cluster: a, host_rewrite_literal: b.com, append_x_forwarded_host: true } }]',
    );
    const headers = forwarded(
      table,
      request('/', before === undefined ? {} : { 'x-forwarded-host': before }),
    );
    expect(headers.getAll('x-forwarded-host')).toEqual([after]);
  });

  it.each([
    ['prefix_rewrite: /x, regex_rewrite: { pattern: { regex: a }, substitution: b }', /only one of/],
    ['regex_rewrite: { pattern: { regex: "(" }, substitution: b }', /regex_rewrite\.pattern\.regex/],
    ['regex_rewrite: { pattern: { regex: a }, substitution: "\\\\3" }', /regex_rewrite\.substitution/],
    ['regex_rewrite: { substitution: b }', /regex_rewrite\.pattern/],
  ])('refuses %s', (rewrite, message) => {
    expect(() => tableOfRoutes(`[{ match: { prefix: / }, route: { cluster: a, ${rewrite} } }]`)).toThrow(
      message,
    );
  });
});

describe('redirects', () => {
  it.each([
    // match prefix, redirect, scheme, authority, path → status, location
    ['/', '{ https_redirect: true }', 'http', 'a.com', '/x?y', 301, 'https://a.com/x?y'],
    ['/', '{ https_redirect: true }', 'http', 'a.com:80', '/', 301, 'https://a.com/'],
    ['/', '{ https_redirect: true }', 'http', 'a.com:8080', '/', 301, 'https://a.com:8080/'],
    ['/', '{ https_redirect: true }', 'http', '[::1]:80', '/', 301, 'https://[::1]/'],
    ['/', '{ https_redirect: true }', 'http', '[::1]', '/', 301, 'https://[::1]/'],
    ['/', '{ scheme_redirect: http }', 'https', 'a.com:443', '/', 301, 'http://a.com/'],
    ['/', '{ scheme_redirect: http }', 'http', 'a.com:80', '/', 301, 'http://a.com:80/'],
    [
      '/',
      '{ https_redirect: true, port_redirect: 8443 }',
      'http',
      'a.com:8080',
      '/',
      301,
      'https://a.com:8443/',
    ],
    ['/', '{ port_redirect: 8443 }', 'http', '[::1]:80', '/', 301, 'http://[::1]:8443/'],
    ['/', '{ host_redirect: b.com }', 'https', 'a.com', '/x?y', 301, 'https://b.com/x?y'],
    ['/', '{ path_redirect: /new }', 'http', 'a.com', '/x?y', 301, 'http://a.com/new?y'],
    ['/', '{ path_redirect: "/new?z" }', 'http', 'a.com', '/x?y', 301, 'http://a.com/new?z'],
    [
      '/',
      '{ path_redirect: "/new?z", strip_query: true }',
      'http',
      'a.com',
      '/x?y',
      301,
      'http://a.com/new?z',
    ],
    ['/', '{ path_redirect: new, strip_query: true }', 'http', 'a.com', '/x?y', 301, 'http://a.com/new'],
    ['/old', '{ prefix_rewrite: /new }', 'http', 'a.com', '/old/x?y', 301, 'http://a.com/new/x?y'],
    [
      '/old',
      '{ prefix_rewrite: /new, strip_query: true }',
      'http',
      'a.com',
      '/old/x?y',
      301,
      'http://a.com/new/x',
    ],
    [
      '/',
      '{ regex_rewrite: { pattern: { regex: "/(a+)/" }, substitution: "/<\\\\1>/" } }',
      'http',
      'a.com',
      '/aa/b?/aa/',
      301,
      'http://a.com/<aa>/b?/aa/',
    ],
    ['/', '{ response_code: FOUND }', 'http', 'a.com', '/', 302, 'http://a.com/'],
    ['/', '{ response_code: SEE_OTHER }', 'http', 'a.com', '/', 303, 'http://a.com/'],
    ['/', '{ response_code: TEMPORARY_REDIRECT }', 'http', 'a.com', '/', 307, 'http://a.com/'],
    ['/', '{ response_code: PERMANENT_REDIRECT }', 'http', 'a.com', '/', 308, 'http://a.com/'],
  ])('%s %s: %s://%s%s → %d %s', (prefix, redirect, scheme, authority, path, status, location) => {
    const headers = request(path, {
      ':authority': authority,
      ':scheme': scheme,
      'x-forwarded-proto': scheme,
    });
    const { action } = routeFor(
      tableOfRoutes(`[{ match: { prefix: ${prefix} }, redirect: ${redirect} }]`),
      headers,
    );
    expect(action).toMatchObject({ kind: 'redirect', status });
    expect(action.kind === 'redirect' && action.location(headers, scheme === 'https')).toBe(location);
    expect(headers.path).toBe(path);
  });

  it.each([
    ['/old', '{ prefix_rewrite: /new, strip_query: true }', '/old/x?y', '/new/x?y'],
    ['/', '{ regex_rewrite: { pattern: { regex: "a+" }, substitution: "b" } }', '/aa?aa', '/b?aa'],
    ['/', '{ path_redirect: /new }', '/x', '/x'],
    ['/', '{ https_redirect: true }', '/x', '/x'],
  ])('leaves %s %s of %s with the path %s for logs', (prefix, redirect, path, after) => {
    for (const suppress of [false, true]) {
      const headers = request(path);
      const { action } = routeFor(
        tableOfRoutes(`[{ match: { prefix: ${prefix} }, redirect: ${redirect} }]`),
        headers,
      );
      if (action.kind !== 'redirect') throw new Error(action.kind);
      action.rewritePath?.(headers, suppress);
      expect(headers.path).toBe(after);
      expect(headers.get('x-envoy-original-path')).toBe(after === path || suppress ? undefined : path);
    }
  });

  it('takes the scheme of the connection when the request has none', () => {
    const headers = new RequestHeaders();
    headers.path = '/';
    headers.authority = 'a.com';
    const { action } = routeFor(tableOfRoutes('[{ match: { prefix: / }, redirect: {} }]'), headers);
    expect(action.kind === 'redirect' && action.location(headers, true)).toBe('https://a.com/');
  });
});

describe('direct responses', () => {
  const responseOf = (directResponse: string, more = '') => {
    const table = tableOf(`
      ${more}
      virtual_hosts: [{ name: a, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: ${directResponse} }] }]
    `);
    const { action } = routeFor(table, request('/'));
    return action.kind === 'direct-response' ? [action.status, action.body?.toString()] : action.kind;
  };

  it('answers with text, bytes, a file, or nothing', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'direct-response-')), 'body.txt');
    writeFileSync(file, 'from a file');
    expect(responseOf('{ status: 204 }')).toEqual([204, undefined]);
    expect(responseOf('{ status: 200, body: { inline_string: "" } }')).toEqual([200, undefined]);
    expect(responseOf('{ status: 599, body: { inline_string: "héllo" } }')).toEqual([599, 'héllo']);
    expect(responseOf('{ status: 200, body: { inline_bytes: aGk= } }')).toEqual([200, 'hi']);
    expect(responseOf(`{ status: 200, body: { filename: ${file} } }`)).toEqual([200, 'from a file']);
  });

  it('keeps bodies below the limit', () => {
    const body = (size: number) => `{ status: 200, body: { inline_string: "${'x'.repeat(size)}" } }`;
    expect(responseOf(body(4096))).toEqual([200, 'x'.repeat(4096)]);
    expect(() => responseOf(body(4097))).toThrow(/4097 bytes; maximum is 4096/);
    expect(responseOf(body(4097), 'max_direct_response_body_size_bytes: 5000')).toEqual([
      200,
      'x'.repeat(4097),
    ]);
    expect(() => responseOf(body(11), 'max_direct_response_body_size_bytes: 10')).toThrow(/maximum is 10/);
  });
});

describe('direct responses by format', () => {
  const actionOf = (directResponse: string) => {
    const { action } = routeFor(
      tableOfRoutes(`[{ match: { prefix: / }, direct_response: ${directResponse} }]`, {
        context: testContext({ formatters: createFormatterFactory() }),
      }),
      request('/'),
    );
    if (action.kind !== 'direct-response') throw new Error(action.kind);
    return action;
  };

  it.each([
    ['{ text_format: "%REQ(:path)% %PROTOCOL% %RESPONSE_CODE%" }', '/p HTTP/1.1 0', undefined],
    ['{ text_format_source: { inline_string: "<%LOCAL_REPLY_BODY%>" } }', '<héllo>', undefined],
    ['{ text_format: "x", content_type: text/html }', 'x', 'text/html'],
    ['{ json_format: { path: "%REQ(:path)%" } }', '{"path":"/p"}\n', 'application/json'],
    ['{ json_format: { a: b }, content_type: text/x }', '{"a":"b"}\n', 'text/x'],
  ])('%s', (format, body, contentType) => {
    const action = actionOf(`{ status: 200, body: { inline_string: héllo }, body_format: ${format} }`);
    expect(action.format?.body(request('/p'), streamInfo()).toString()).toBe(body);
    expect(action.format?.contentType).toBe(contentType);
  });

  it.each([
    ['{ text_format: "%NOPE%" }', 'direct_response.body_format.text_format'],
    [
      '{ text_format: x, content_type: "a\\r\\nb" }',
      'direct_response.body_format.content_type: may not contain',
    ],
    ['{}', 'direct_response.body_format: needs one of'],
  ])('refuses %s', (format, message) => {
    expect(() => actionOf(`{ status: 200, body_format: ${format} }`)).toThrow(message);
  });

  it.each([
    [200, undefined],
    [201, 'http://example.com/p?q'],
    [202, undefined],
    [302, 'http://example.com/p?q'],
    [404, undefined],
  ])('%d has the location %s', (status, location) => {
    expect(actionOf(`{ status: ${status} }`).location?.(request('/p?q'), false)).toBe(location);
  });
});

describe('metadata', () => {
  const yaml = (typed: string) => `
    metadata: { filter_metadata: { ns: { of: table } } }
    virtual_hosts:
    - name: a
      domains: ["*"]
      metadata: { filter_metadata: { ns: { of: host } }${typed} }
      routes: [{ match: { prefix: / }, metadata: { filter_metadata: { ns: { of: route } } }, route: { cluster: a } }]
  `;
  const warned = (typed: string) => {
    const warnings: string[] = [];
    const context = testContext({ warn: (path, message) => warnings.push(`${path} ${message}`) });
    return { route: routeFor(tableOf(yaml(typed), { context }), request('/')), warnings };
  };

  it('of the route and of its virtual host are there for logs; of that of the table one is told', () => {
    const { route, warnings } = warned('');
    expect(route.metadata.get('ns')).toEqual({ of: 'route' });
    expect(route.virtualHostMetadata?.get('ns')).toEqual({ of: 'host' });
    expect(warnings).toEqual(['route_config.metadata is read by nothing in this proxy']);
  });

  it('may be typed, which one is told of', () => {
    const typed = ', typed_filter_metadata: { x: { "@type": type.googleapis.com/google.protobuf.Empty } }';
    expect(warned(typed).warnings).toContain(
      'metadata.typed_filter_metadata is read by nothing in this proxy',
    );
  });
});

describe('header edits', () => {
  const levels = (wins: boolean) => `
    most_specific_header_mutations_wins: ${wins}
    request_headers_to_add:
    - { header: { key: x-set, value: table }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
    - { header: { key: x-add, value: table } }
    request_headers_to_remove: [x-gone-by-table]
    response_headers_to_add: [{ header: { key: x-response, value: table }, append: false }]
    virtual_hosts:
    - name: a
      domains: ["*"]
      request_headers_to_add:
      - { header: { key: x-set, value: host }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
      - { header: { key: x-add, value: host } }
      response_headers_to_remove: [x-gone-by-host]
      routes:
      - match: { prefix: / }
        route: { cluster: a }
        request_headers_to_add:
        - { header: { key: x-set, value: route }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
        - { header: { key: x-add, value: route } }
        response_headers_to_add: [{ header: { key: x-response, value: route }, append: false }]
  `;
  it.each([
    [false, 'table', ['route', 'host', 'table']],
    [true, 'route', ['table', 'host', 'route']],
  ])('are applied level by level; most specific wins: %s', (wins, last, all) => {
    const table = tableOf(levels(wins));
    const headers = forwarded(table, request('/', { 'x-gone-by-table': '1', 'x-set': 'client' }));
    expect(headers.getAll('x-set')).toEqual([last]);
    expect(headers.getAll('x-add')).toEqual(all);
    expect(headers.has('x-gone-by-table')).toBe(false);
    const response = new ResponseHeaders();
    response.append('x-gone-by-host', '1');
    routeFor(table, request('/')).finalizeResponseHeaders(response, streamInfo(), request('/'));
    expect(response.getAll('x-response')).toEqual([last]);
    expect(response.has('x-gone-by-host')).toBe(false);
  });

  it.each([
    // option, what stands there → what comes out
    ['{ header: { key: x, value: new } }', ['a', 'b'], ['a', 'b', 'new']],
    ['{ header: { key: x, value: new }, append: true }', ['a'], ['a', 'new']],
    ['{ header: { key: x, value: new }, append: false }', ['a', 'b'], ['new']],
    ['{ header: { key: x, value: new }, append_action: ADD_IF_ABSENT }', ['a'], ['a']],
    ['{ header: { key: x, value: new }, append_action: ADD_IF_ABSENT }', [], ['new']],
    ['{ header: { key: x, value: new }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }', ['a', 'b'], ['new']],
    ['{ header: { key: x, value: new }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }', [], ['new']],
    ['{ header: { key: x, value: new }, append_action: OVERWRITE_IF_EXISTS }', ['a'], ['new']],
    ['{ header: { key: x, value: new }, append_action: OVERWRITE_IF_EXISTS }', [], []],
    ['{ header: { key: x, value: "" } }', [], []],
    ['{ header: { key: x, value: "" }, keep_empty_value: true }', [], ['']],
    ['{ header: { key: x, value: "" }, append: false }', ['a'], ['a']],
    ['{ header: { key: X, value: "%REQ(x)%-100%%" } }', ['a'], ['a', 'a-100%']],
    ['{ header: { key: x, value: "%REQ(absent)%" } }', ['a'], ['a']],
    ['{ header: { key: x, value: "%REQ(absent)%" }, keep_empty_value: true }', ['a'], ['a', '']],
    ['{ header: { key: x, value: "é" } }', [], ['\xc3\xa9']],
  ])('%s on %j gives %j', (option, before, after) => {
    const table = tableOfRoutes(
      `[{ match: { prefix: / }, route: { cluster: a }, request_headers_to_add: [${option}] }]`,
    );
    const headers = request('/');
    for (const value of before) headers.append('x', value);
    expect(forwarded(table, headers).getAll('x')).toEqual(after);
  });

  it('works values out before anything changes, and overwrites before it adds', () => {
    const table = tableOfRoutes(`
      - match: { prefix: / }
        route: { cluster: a }
        request_headers_to_add:
        - { header: { key: a, value: "old-b:%REQ(b)%" } }
        - { header: { key: b, value: "old-a:%REQ(a)%" }, append: false }
        - { header: { key: b, value: "added" } }
        - { header: { key: c, value: "1" }, append_action: ADD_IF_ABSENT }
        - { header: { key: c, value: "2" }, append_action: ADD_IF_ABSENT }
    `);
    const headers = forwarded(table, request('/', { a: 'A', b: 'B' }));
    expect(headers.getAll('a')).toEqual(['A', 'old-b:B']);
    expect(headers.getAll('b')).toEqual(['old-a:A', 'added']);
    expect(headers.getAll('c')).toEqual(['1', '2']);
  });

  it('leaves out a value that would break the header line', () => {
    const table = tableOfRoutes(
      '[{ match: { prefix: / }, route: { cluster: a }, request_headers_to_add: [{ header: { key: x, value: "%REQ(y)%" } }] }]',
    );
    expect(forwarded(table, request('/', { y: 'a\r\nevil: 1' })).has('x')).toBe(false);
  });

  it.each([
    [
      'request_headers_to_add: [{ header: { key: ":path", value: /x } }]',
      /request_headers_to_add\[0\]\.header\.key.*may not be modified/,
    ],
    ['request_headers_to_add: [{ header: { key: Host, value: x } }]', /may not be modified/],
    ['response_headers_to_add: [{ header: { key: ":status", value: "200" } }]', /may not be modified/],
    ['request_headers_to_remove: [":authority"]', /request_headers_to_remove\[0\].*may not be removed/],
    ['request_headers_to_remove: [HOST]', /may not be removed/],
    ['request_headers_to_add: [{ header: { key: x, value: "a\\r\\nb" } }]', /NUL, CR or LF/],
    [
      'request_headers_to_add: [{ header: { key: x, value: a }, append: true, append_action: ADD_IF_ABSENT }]',
      /append and append_action/,
    ],
  ])('refuses %s', (field, message) => {
    expect(() => tableOfRoutes(`[{ match: { prefix: / }, route: { cluster: a }, ${field} }]`)).toThrow(
      message,
    );
  });
});

describe('configs of filters', () => {
  const any = (value: string) =>
    `{ "@type": type.googleapis.com/google.protobuf.StringValue, value: ${value} }`;
  const wrapped = (more: string) =>
    `{ "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, ${more} }`;
  const yaml = `
    typed_per_filter_config: { f: ${any('table')}, g: ${wrapped('disabled: true')} }
    virtual_hosts:
    - name: a
      domains: ["*"]
      typed_per_filter_config: { f: ${wrapped(`config: ${any('host')}, disabled: true`)} }
      routes:
      - match: { path: /own }
        typed_per_filter_config: { f: ${any('route')} }
        route:
          weighted_clusters:
            clusters: [{ name: a, weight: 1, typed_per_filter_config: { f: ${any('cluster')}, g: ${any('cluster')} } }]
      - { match: { prefix: / }, route: { cluster: a } }
  `;
  const table = tableOf(yaml, {
    perFilterConfig: (name, config) => `${name}:${Buffer.from(config.value.slice(2)).toString()}`,
  });

  it('are listed from the most specific on', () => {
    const own = routeFor(table, request('/own'));
    expect(own.perFilterConfigs('f')).toEqual(['f:cluster', 'f:route', 'f:host', 'f:table']);
    expect(own.perFilterConfigs('g')).toEqual(['g:cluster']);
    expect(own.perFilterConfigs('h')).toEqual([]);
    expect(routeFor(table, request('/')).perFilterConfigs('f')).toEqual(['f:host', 'f:table']);
  });

  it('say whether the filter is off, the most specific first', () => {
    const own = routeFor(table, request('/own'));
    const plain = routeFor(table, request('/'));
    expect(['f', 'g', 'h'].map((name) => own.filterDisabled?.(name))).toEqual([false, false, undefined]);
    expect(['f', 'g', 'h'].map((name) => plain.filterDisabled?.(name))).toEqual([true, true, undefined]);
  });

  it('may be for a filter that is not there when optional', () => {
    const seen: unknown[] = [];
    const optional = tableOfRoutes(
      `[{ match: { prefix: / }, route: { cluster: a }, typed_per_filter_config: { f: ${wrapped(`config: ${any('x')}, is_optional: true`)} } }]`,
      {
        perFilterConfig: (name, _config, path, isOptional) => {
          seen.push(name, path, isOptional);
          return undefined;
        },
      },
    );
    expect(routeFor(optional, request('/')).perFilterConfigs('f')).toEqual([]);
    expect(seen).toEqual(['f', 'typed_per_filter_config["f"].config', true]);
  });

  it('must say something', () => {
    expect(() =>
      tableOfRoutes(
        `[{ match: { prefix: / }, route: { cluster: a }, typed_per_filter_config: { f: ${wrapped('disabled: false')} } }]`,
      ),
    ).toThrow(/routes\[0\]\.typed_per_filter_config\["f"\]\.config/);
  });
});

it('hands out the headers that only insiders may send', () => {
  expect(tableOf('{ name: t, internal_only_headers: [X-Secret], virtual_hosts: [] }')).toMatchObject({
    name: 't',
    internalOnlyHeaders: ['x-secret'],
  });
});
