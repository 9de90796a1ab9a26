import { describe, expect, it } from 'vitest';
import { clusterFor, refusal, request, streamInfo, tableOf, tableOfRoutes } from './routes-support.ts';

describe('virtual hosts', () => {
  const table = tableOf(`
    virtual_hosts:
    - { name: exact, domains: [www.example.com, "www.example.com:8443"], routes: [{ match: { prefix: / }, route: { cluster: exact } }] }
    - { name: suffix, domains: ["*.example.com"], routes: [{ match: { prefix: / }, route: { cluster: suffix } }] }
    - { name: longer, domains: ["*-api.example.com"], routes: [{ match: { prefix: / }, route: { cluster: longer } }] }
    - { name: prefix, domains: ["www.*"], routes: [{ match: { prefix: / }, route: { cluster: prefix } }] }
    - { name: longer-prefix, domains: ["www.example.*"], routes: [{ match: { prefix: / }, route: { cluster: longer-prefix } }] }
    - { name: rest, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: rest } }] }
  `);
  it.each([
    ['www.example.com', 'exact'],
    ['WWW.Example.COM', 'exact'],
    ['www.example.com:8443', 'exact'],
    ['www.example.com:80', 'longer-prefix'],
    ['a.example.com', 'suffix'],
    ['A.EXAMPLE.com', 'suffix'],
    ['x-api.example.com', 'longer'],
    ['-api.example.com', 'suffix'],
    ['.example.com', 'rest'],
    ['www.example.org', 'longer-prefix'],
    ['www.other.org', 'prefix'],
    ['www.', 'rest'],
    ['notexample.com', 'rest'],
    ['www.example.com.evil.org', 'longer-prefix'],
    ['', undefined],
  ])('%s → %s', (authority, cluster) => {
    const headers = request('/');
    headers.authority = authority;
    expect(clusterFor(table, headers)).toBe(cluster);
  });

  it('takes a request without authority when there is only "*"', () => {
    const headers = request('/');
    headers.authority = '';
    expect(clusterFor(tableOfRoutes('[{ match: { prefix: / }, route: { cluster: a } }]'), headers)).toBe('a');
  });

  it('ignores the port of the host when told to', () => {
    const only = tableOf(`
      ignore_port_in_host_matching: true
      virtual_hosts:
      - { name: a, domains: [a.com, "[::1]"], routes: [{ match: { prefix: / }, route: { cluster: a } }] }
    `);
    expect(clusterFor(only, request('/', { ':authority': 'a.com:123' }))).toBe('a');
    expect(clusterFor(only, request('/', { ':authority': '[::1]:123' }))).toBe('a');
    expect(clusterFor(only, request('/', { ':authority': '[::1]' }))).toBe('a');
  });

  it.each([
    ['[a.com, A.com]', /virtual_hosts\[0\]\.domains\[1\].*unique/],
    ['["*.a.com", "*.A.com"]', /unique/],
    ['["a.*", "A.*"]', /unique/],
    ['["*", "*"]', /only one/],
  ])('refuses the domains %s', (domains, message) => {
    expect(() => tableOf(`virtual_hosts: [{ name: a, domains: ${domains} }]`)).toThrow(message);
  });
});

describe('path matches', () => {
  const table = tableOfRoutes(`
    - { match: { path: /exact }, route: { cluster: exact } }
    - { match: { path: /FOLD, case_sensitive: false }, route: { cluster: folded } }
    - { match: { prefix: /Pre, case_sensitive: false }, route: { cluster: folded-prefix } }
    - { match: { path_separated_prefix: /sep }, route: { cluster: separated } }
    - { match: { prefix: /a/b/c }, route: { cluster: abc } }
    - { match: { prefix: /a/ }, route: { cluster: a } }
    - { match: { prefix: /a/b/c/d }, route: { cluster: never } }
    - { match: { path: /café }, route: { cluster: utf8 } }
  `);
  it.each([
    ['/exact', 'exact'],
    ['/exact?x=1', 'exact'],
    ['/exact/', undefined],
    ['/exactly', undefined],
    ['/EXACT', undefined],
    ['/Fold', 'folded'],
    ['/prefix', 'folded-prefix'],
    ['/PREx/y', 'folded-prefix'],
    ['/sep', 'separated'],
    ['/sep/', 'separated'],
    ['/sep/x', 'separated'],
    ['/sep?x', 'separated'],
    ['/separate', undefined],
    ['/se', undefined],
    ['/a/b/c/d', 'abc'],
    ['/a/b', 'a'],
    ['/a', undefined],
    ['/?/exact', undefined],
    ['/b?/a/b/c', undefined],
    [Buffer.from('/café').toString('latin1'), 'utf8'],
    ['', undefined],
  ])('%s → %s', (path, cluster) => {
    expect(clusterFor(table, path)).toBe(cluster);
  });

  it('keeps the order of the config between all kinds', () => {
    const ordered = tableOfRoutes(`
      - { match: { prefix: /x, headers: [{ name: a }] }, route: { cluster: with-a } }
      - { match: { prefix: /, headers: [{ name: b }] }, route: { cluster: with-b } }
      - { match: { path: /x/y }, route: { cluster: exact } }
      - { match: { prefix: /x/y, headers: [{ name: c }] }, route: { cluster: unreachable-for-exact } }
      - { match: { prefix: /x }, route: { cluster: x } }
    `);
    expect(clusterFor(ordered, request('/x/y', { a: '1', b: '1', c: '1' }))).toBe('with-a');
    expect(clusterFor(ordered, request('/x/y', { b: '1', c: '1' }))).toBe('with-b');
    expect(clusterFor(ordered, request('/x/y', { c: '1' }))).toBe('exact');
    expect(clusterFor(ordered, request('/x/y/z', { c: '1' }))).toBe('unreachable-for-exact');
    expect(clusterFor(ordered, request('/x/y/z'))).toBe('x');
    expect(clusterFor(ordered, request('/z'))).toBe(undefined);
  });

  it('leaves path parameters out when told to', () => {
    const ignoring = tableOf(`
      ignore_path_parameters_in_path_matching: true
      virtual_hosts: [{ name: a, domains: ["*"], routes: [{ match: { path: /a }, route: { cluster: a } }] }]
    `);
    expect(clusterFor(ignoring, '/a;b=c?x')).toBe('a');
    expect(clusterFor(ignoring, '/a?x;y')).toBe('a');
    expect(clusterFor(tableOfRoutes('[{ match: { path: /a }, route: { cluster: a } }]'), '/a;b')).toBe(
      undefined,
    );
  });
});

describe('further conditions', () => {
  it.each([
    ['{ name: q }', '/?q', true],
    ['{ name: q }', '/?q=', true],
    ['{ name: q }', '/?x=q', false],
    ['{ name: q }', '/q', false],
    ['{ name: q, present_match: false }', '/?x', true],
    ['{ name: q, string_match: { exact: "1" } }', '/?a=2&q=1', true],
    ['{ name: q, string_match: { exact: "1" } }', '/?q=2&q=1', false],
    ['{ name: q, string_match: { exact: "1" } }', '/?qq=1', false],
    ['{ name: q, string_match: { exact: "" } }', '/?q&', true],
  ])('query parameter %s on %s: %s', (matcher, path, taken) => {
    const table = tableOfRoutes(
      `[{ match: { prefix: /, query_parameters: [${matcher}] }, route: { cluster: a } }]`,
    );
    expect(clusterFor(table, path)).toBe(taken ? 'a' : undefined);
  });

  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc-web', false],
    ['text/plain', false],
  ])('grpc: %s %s', (type, taken) => {
    const table = tableOfRoutes('[{ match: { prefix: /, grpc: {} }, route: { cluster: a } }]');
    expect(clusterFor(table, request('/', { 'content-type': type }))).toBe(taken ? 'a' : undefined);
  });

  it('draws runtime fractions', () => {
    const table = tableOfRoutes(`
      - match: { prefix: /, runtime_fraction: { default_value: { numerator: 25, denominator: HUNDRED }, runtime_key: k } }
        route: { cluster: quarter }
      - { match: { prefix: / }, route: { cluster: rest } }
    `);
    expect(clusterFor(table, '/', 24)).toBe('quarter');
    expect(clusterFor(table, '/', 25)).toBe('rest');
    expect(clusterFor(table, '/', 124)).toBe('quarter');
  });

  it('asks for a client certificate', () => {
    const table = tableOfRoutes(`
      - { match: { prefix: /, tls_context: { presented: true, validated: false } }, route: { cluster: unproven } }
      - { match: { prefix: /, tls_context: { validated: true } }, route: { cluster: proven } }
      - { match: { prefix: / }, route: { cluster: none } }
    `);
    const withTls = (tls: object) => streamInfo({ tls: { version: '', cipher: '', ...tls } });
    expect(clusterFor(table, '/')).toBe('none');
    expect(clusterFor(table, '/', 0, withTls({}))).toBe('none');
    expect(clusterFor(table, '/', 0, withTls({ peerFingerprint256: 'ab' }))).toBe('unproven');
    expect(
      clusterFor(table, '/', 0, withTls({ peerFingerprint256: 'ab', peerCertificateValidated: true })),
    ).toBe('proven');
  });

  it('sends plaintext to TLS where it is required', () => {
    const table = tableOf(`
      virtual_hosts:
      - { name: all, domains: [all.com], require_tls: ALL, routes: [{ match: { prefix: / }, route: { cluster: a } }] }
      - { name: ext, domains: [ext.com], require_tls: EXTERNAL_ONLY, routes: [{ match: { prefix: / }, route: { cluster: a } }] }
    `);
    const from = (authority: string, fields: Record<string, string> = {}) =>
      request('/p?q', { ':authority': authority, ...fields });
    const redirected = table.match(from('all.com'), streamInfo(), 0);
    expect(redirected?.action).toMatchObject({ kind: 'redirect', status: 301 });
    expect(redirected?.action.kind === 'redirect' && redirected.action.location(from('all.com'), false)).toBe(
      'https://all.com/p?q',
    );
    expect(clusterFor(table, from('all.com', { 'x-envoy-internal': 'true' }))).toBe('redirect');
    expect(clusterFor(table, from('ext.com', { 'x-envoy-internal': 'true' }))).toBe('a');
    expect(clusterFor(table, from('ext.com'))).toBe('redirect');
    expect(clusterFor(table, from('all.com', { 'x-forwarded-proto': 'https' }))).toBe('a');
  });
});

describe('refusals', () => {
  it.each([
    [
      'route: { cluster: a, retry_policy: { retry_options_predicates: [{ name: x }] } }',
      'virtual_hosts[0].routes[0].route.retry_policy.retry_options_predicates',
    ],
    ['route: { cluster: a, cors: {} }', 'virtual_hosts[0].routes[0].route.cors'],
    ['route: { cluster: a, timeout: -1s }', 'virtual_hosts[0].routes[0].route.timeout'],
    [
      'route: { cluster: a, max_stream_duration: { grpc_timeout_header_max: -1s } }',
      'virtual_hosts[0].routes[0].route.max_stream_duration.grpc_timeout_header_max',
    ],
    [
      'route: { weighted_clusters: { clusters: [{ name: a, weight: 0 }] } }',
      'virtual_hosts[0].routes[0].route.weighted_clusters.clusters',
    ],
    [
      'route: { weighted_clusters: { clusters: [{ name: a }] } }',
      'virtual_hosts[0].routes[0].route.weighted_clusters.clusters[0].weight',
    ],
    ['non_forwarding_action: {}', 'virtual_hosts[0].routes[0].non_forwarding_action'],
    ['filter_action: {}', 'virtual_hosts[0].routes[0].filter_action'],
    ['route: { cluster: a }, tracing: {}', 'virtual_hosts[0].routes[0].tracing'],
    ['direct_response: { status: 199 }', 'virtual_hosts[0].routes[0].direct_response.status'],
    [
      'direct_response: { status: 200, body: { filename: /nowhere/x } }',
      'virtual_hosts[0].routes[0].direct_response.body.filename',
    ],
  ])('%s', (action, path) => {
    const problems = refusal(() => tableOfRoutes(`[{ match: { prefix: / }, ${action} }]`));
    expect(problems.map((problem) => problem.path)).toEqual([path]);
  });

  it.each([
    [
      'route: { cluster: a, cors: {} }',
      /route\.cors: is not supported, being deprecated: write it into typed_per_filter_config/,
    ],
    ['non_forwarding_action: {}', /non_forwarding_action: is not supported: it is for gRPC servers/],
    ['filter_action: {}', /filter_action: is not supported, nor is it in Envoy/],
    ['route: { cluster: a }, tracing: {}', /tracing: tracing is not supported yet/],
  ])('%s says what to do', (action, text) => {
    expect(() => tableOfRoutes(`[{ match: { prefix: / }, ${action} }]`)).toThrow(text);
  });

  it.each([
    ['vhds: {}', /^vhds: virtual hosts cannot be discovered here/],
    [
      'virtual_hosts: [{ name: a, domains: ["*"], cors: {} }]',
      /virtual_hosts\[0\]\.cors: is not supported, being deprecated/,
    ],
  ])('%s says what to do', (table, text) => {
    expect(() => tableOf(table)).toThrow(text);
  });

  it('reports every problem, below the path it was given', () => {
    const problems = refusal(() =>
      tableOfRoutes(
        `
        - { match: { prefix: / }, route: { cluster: a, cors: {} }, tracing: {} }
        - { match: { path_separated_prefix: /a/ }, route: { cluster: a } }
        `,
        { path: 'hcm.route_config' },
      ),
    );
    expect(problems.map((problem) => problem.path)).toEqual([
      'hcm.route_config.virtual_hosts[0].routes[0].tracing',
      'hcm.route_config.virtual_hosts[0].routes[1].match.path_separated_prefix',
    ]);
  });

  it('finds the virtual cluster of a request', () => {
    const yaml = `
      virtual_hosts:
      - { name: a, domains: ["*"], virtual_clusters: [{ name: v, headers: [{ name: ":path", string_match: { prefix: /v } }] }],
          routes: [{ match: { prefix: / }, route: { cluster: a } }] }
    `;
    const table = tableOf(yaml);
    const nameFor = (path: string) =>
      table.match(request(path), streamInfo(), 0)?.virtualCluster?.(request(path))?.name;
    expect(nameFor('/v1')).toBe('v');
    expect(nameFor('/x')).toBe('other');
    const without = tableOfRoutes('[{ match: { prefix: / }, route: { cluster: a } }]');
    expect(without.match(request('/'), streamInfo(), 0)?.virtualCluster?.(request('/'))).toBeUndefined();
  });
});
