import { EmptySchema, StringValueSchema } from '@dragoman/api';
import {
  ConfigError,
  definePathMatcher,
  definePathRewriter,
  type Extension,
  ExtensionRegistry,
  type RequestHeaders,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { clusterFor, request, streamInfo, tableOf, tableOfRoutes, testContext } from './routes-support.ts';

/** Matches paths that contain a text, and cuts it out. */
const containing = definePathMatcher({
  name: 'test.containing',
  config: StringValueSchema,
  create({ value }) {
    if (value === '') throw ConfigError.at('value', 'is required');
    return { name: 'test.containing', template: value, match: (path) => path.includes(value) };
  },
});
const cutting = definePathRewriter({
  name: 'test.cutting',
  config: EmptySchema,
  create(_config, matcher) {
    if (matcher === undefined) throw ConfigError.at('', 'needs test.containing');
    const { template } = matcher;
    return { rewrite: (path) => (path.includes(template) ? path.replace(template, '') : undefined) };
  },
});

const context = (extensions: readonly Extension[] = [containing, cutting]) =>
  testContext({ extensions: new ExtensionRegistry(extensions) });
const policy = (value: string) =>
  `{ name: x, typed_config: { "@type": type.googleapis.com/google.protobuf.StringValue, value: "${value}" } }`;
const routes = (yaml: string) => tableOfRoutes(yaml, { context: context() });

function connect(fields: Record<string, string> = {}): RequestHeaders {
  const headers = request('', fields);
  headers.method = 'CONNECT';
  return headers;
}

describe('connect_matcher', () => {
  const table = tableOfRoutes(`
    - { match: { prefix: /p }, route: { cluster: prefix } }
    - { match: { connect_matcher: {}, headers: [{ name: x-a }] }, route: { cluster: connect-a } }
    - { match: { safe_regex: { regex: .* } }, route: { cluster: regex } }
    - { match: { connect_matcher: {} }, route: { cluster: connect } }
    - { match: { prefix: / }, route: { cluster: rest } }
  `);
  const upgrade = (path: string, fields: Record<string, string>) => request(path, fields);
  const connectTo = (path: string) => {
    const headers = connect({ 'x-a': '1' });
    headers.path = path;
    return headers;
  };
  it.each<[name: string, headers: RequestHeaders, cluster: string | undefined]>([
    ['CONNECT', connect(), 'connect'],
    ['CONNECT with what the first asks for', connect({ 'x-a': '1' }), 'connect-a'],
    ['an extended CONNECT has a path', connectTo('/p'), 'prefix'],
    ['an extended CONNECT in its turn', connectTo('/x'), 'connect-a'],
    ['CONNECT-UDP', upgrade('/udp', { upgrade: 'Connect-UDP', 'x-a': '1' }), 'connect-a'],
    ['CONNECT-UDP without', upgrade('/udp', { upgrade: 'connect-udp' }), 'regex'],
    ['another upgrade', upgrade('/ws', { upgrade: 'websocket', 'x-a': '1' }), 'regex'],
    ['a request', request('/x', { 'x-a': '1' }), 'regex'],
    ['a request without a path that is no CONNECT', request(''), undefined],
  ])('%s → %s', (_name, headers, cluster) => {
    expect(clusterFor(table, headers)).toBe(cluster);
  });

  it('is the only one that takes CONNECT', () => {
    const others = tableOfRoutes(`
      - { match: { prefix: "" }, route: { cluster: a } }
      - { match: { path: "" }, route: { cluster: a } }
      - { match: { safe_regex: { regex: ".*" } }, route: { cluster: a } }
    `);
    expect(clusterFor(others, connect())).toBe(undefined);
  });

  it('may have a prefix_rewrite, which replaces the whole path', () => {
    const headers = connectTo('/old/path?q');
    const made = tableOfRoutes(
      '[{ match: { connect_matcher: {} }, route: { cluster: a, prefix_rewrite: /new } }]',
    );
    made.match(headers, streamInfo(), 0)?.finalizeRequestHeaders(headers, streamInfo());
    expect(headers.path).toBe('/new?q');
  });
});

describe('path_match_policy', () => {
  const table = routes(`
    - { match: { path_match_policy: ${policy('one')}, headers: [{ name: x-a }] }, route: { cluster: guarded } }
    - { match: { prefix: /p }, route: { cluster: prefix } }
    - { match: { path_match_policy: ${policy('one')} }, route: { cluster: one } }
    - { match: { safe_regex: { regex: /.*two } }, route: { cluster: two } }
  `);
  it.each<[path: string, fields: Record<string, string>, cluster: string | undefined]>([
    ['/one', {}, 'one'],
    ['/one', { 'x-a': '1' }, 'guarded'],
    ['/p/one', {}, 'prefix'],
    ['/p/one', { 'x-a': '1' }, 'guarded'],
    ['/one/two', {}, 'one'],
    ['/two', {}, 'two'],
    ['/x?one', {}, undefined],
    ['/x#one', {}, undefined],
    ['', { 'x-a': '1' }, undefined],
  ])('%s %j → %s', (path, fields, cluster) => {
    expect(clusterFor(table, request(path, fields))).toBe(cluster);
  });

  it('sees path parameters also where the table ignores them', () => {
    const yaml = `
      ignore_path_parameters_in_path_matching: true
      virtual_hosts:
      - name: a
        domains: ["*"]
        routes:
        - { match: { path_match_policy: ${policy(';x')} }, route: { cluster: policy } }
        - { match: { safe_regex: { regex: /a } }, route: { cluster: regex } }
    `;
    const made = tableOf(yaml, { context: context() });
    expect(clusterFor(made, '/a;x')).toBe('policy');
    expect(clusterFor(made, '/a;y')).toBe('regex');
  });

  it.each<[yaml: string, path: string]>([
    ['{ name: x }', 'path_match_policy.typed_config'],
    [policy(''), 'path_match_policy.typed_config.value'],
    [
      '{ name: x, typed_config: { "@type": type.googleapis.com/google.protobuf.BoolValue, value: true } }',
      'path_match_policy.typed_config',
    ],
    ['{ name: test.cutting }', 'path_match_policy'],
  ])('refuses %s', (yaml, path) => {
    const make = () => routes(`[{ match: { path_match_policy: ${yaml} }, route: { cluster: a } }]`);
    expect(problemsOf(make)).toEqual([`virtual_hosts[0].routes[0].match.${path}`]);
  });
});

describe('path_rewrite_policy', () => {
  const CUT = '{ name: test.cutting, typed_config: { "@type": type.googleapis.com/google.protobuf.Empty } }';
  const rewritten = (path: string, changed = path) => {
    const table = routes(
      `[{ match: { path_match_policy: ${policy('/one')} }, route: { cluster: a, path_rewrite_policy: ${CUT} } }]`,
    );
    const headers = request(path);
    const route = table.match(headers, streamInfo(), 0);
    headers.path = changed;
    route?.finalizeRequestHeaders(headers, streamInfo());
    return [headers.path, headers.get('x-envoy-original-path')];
  };
  it.each<[path: string, result: string]>([
    ['/one/two', '/two'],
    ['/one/two?one=/one', '/two?one=/one'],
    ['/a/one#x', '/a#x'],
  ])('%s → %s', (path, result) => {
    expect(rewritten(path)).toEqual([result, path]);
  });

  it('leaves a path that a filter has changed past it', () => {
    expect(rewritten('/one', '/else?q')).toEqual(['/else?q', '/else?q']);
  });

  it.each<[match: string, action: string, path: string, message: RegExp]>([
    [
      'prefix: /',
      `path_rewrite_policy: ${CUT}`,
      '.path_rewrite_policy.typed_config',
      /needs test\.containing/,
    ],
    ['prefix: /', `path_rewrite_policy: ${CUT}, prefix_rewrite: /`, '', /only one of/],
    [
      'prefix: /',
      'prefix_rewrite: /, regex_rewrite: { pattern: { regex: a }, substitution: b }',
      '',
      /only one of/,
    ],
    [
      `path_match_policy: ${policy('a')}`,
      `path_rewrite_policy: ${CUT}, regex_rewrite: { pattern: { regex: a }, substitution: b }`,
      '',
      /only one of/,
    ],
    [`path_match_policy: ${policy('a')}`, 'prefix_rewrite: /', '.prefix_rewrite', /with path_match_policy/],
    [
      `path_match_policy: ${policy('a')}`,
      `path_rewrite_policy: ${policy('a')}`,
      '.path_rewrite_policy',
      /matches paths; expected one that rewrites them/,
    ],
  ])('refuses { %s } with { %s }', (match, action, path, message) => {
    const make = () => routes(`[{ match: { ${match} }, route: { cluster: a, ${action} } }]`);
    expect(make).toThrow(message);
    expect(problemsOf(make)).toEqual([`virtual_hosts[0].routes[0].route${path}`]);
  });

  it('may be a regex_rewrite with a policy that matches, and a redirect may not replace its prefix', () => {
    const regex = '{ pattern: { regex: one }, substitution: two }';
    const match = `path_match_policy: ${policy('one')}`;
    const headers = request('/one');
    routes(`[{ match: { ${match} }, route: { cluster: a, regex_rewrite: ${regex} } }]`)
      .match(headers, streamInfo(), 0)
      ?.finalizeRequestHeaders(headers, streamInfo());
    expect(headers.path).toBe('/two');
    expect(problemsOf(() => routes(`[{ match: { ${match} }, redirect: { prefix_rewrite: /x } }]`))).toEqual([
      'virtual_hosts[0].routes[0].redirect.prefix_rewrite',
    ]);
    expect(
      problemsOf(() => routes(`[{ match: { ${match} }, redirect: { regex_rewrite: ${regex} } }]`)),
    ).toEqual([]);
  });
});

describe('cookies', () => {
  const table = tableOfRoutes(`
    - match:
        prefix: /
        cookies:
        - { name: a, string_match: { exact: "1" } }
        - { name: b, string_match: { prefix: x }, invert_match: true }
      route: { cluster: both }
    - { match: { prefix: /, cookies: [{ name: a, string_match: { safe_regex: { regex: "[0-9]+" } } }] }, route: { cluster: a } }
  `);
  it.each<[cookie: string | undefined, cluster: string | undefined]>([
    ['a=1', 'both'],
    ['a=1; b=y', 'both'],
    ['a=1; b=xy', 'a'],
    ['a=2', 'a'],
    ['b=y', undefined],
    [undefined, undefined],
  ])('%s → %s', (cookie, cluster) => {
    expect(clusterFor(table, request('/', cookie === undefined ? {} : { cookie }))).toBe(cluster);
  });
});

describe('filter_state', () => {
  const table = tableOfRoutes(`
    - match:
        prefix: /
        filter_state:
        - { key: a, string_match: { exact: "1" } }
        - { key: ip, address_match: { ranges: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] } }
      route: { cluster: state }
    - { match: { prefix: / }, route: { cluster: rest } }
  `);
  it.each<[state: Record<string, string>, cluster: string]>([
    [{ a: '1', ip: '10.1.1.1' }, 'state'],
    [{ a: '2', ip: '10.1.1.1' }, 'rest'],
    [{ a: '1', ip: '11.1.1.1' }, 'rest'],
    [{ a: '1' }, 'rest'],
    [{}, 'rest'],
  ])('%j → %s', (state, cluster) => {
    const info = streamInfo();
    for (const [key, text] of Object.entries(state)) info.filterState.set(key, { toText: () => text });
    expect(clusterFor(table, request('/'), 0, info)).toBe(cluster);
  });
});

describe('vhost_header', () => {
  const table = tableOf(`
    vhost_header: X-Host
    ignore_port_in_host_matching: true
    virtual_hosts:
    - { name: a, domains: [a.com], routes: [{ match: { prefix: / }, route: { cluster: a } }] }
    - { name: rest, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: rest } }] }
  `);
  it.each<[authority: string, host: string | undefined, cluster: string | undefined]>([
    ['a.com', 'a.com', 'a'],
    ['b.com', 'A.com:80', 'a'],
    ['a.com', 'b.com', 'rest'],
    ['a.com', '', 'rest'],
    ['a.com', undefined, undefined],
  ])(':authority %s, x-host %s → %s', (authority, host, cluster) => {
    const headers = request('/', {
      ':authority': authority,
      ...(host === undefined ? {} : { 'x-host': host }),
    });
    expect(clusterFor(table, headers)).toBe(cluster);
  });

  it('does not matter where "*" is the only domain', () => {
    const only = tableOf(`
      vhost_header: x-host
      virtual_hosts: [{ name: a, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: a } }] }]
    `);
    expect(clusterFor(only, request('/'))).toBe('a');
  });
});

describe('domains with ports', () => {
  const DOMAINS = ['a.com', 'a.com:8080', '*.a.com', '*.a.com:8080', 'a.*', '[::1]', '[::1]:8080', '*:9090'];
  const table = (ignorePort: boolean) =>
    tableOf(`
      ignore_port_in_host_matching: ${ignorePort}
      virtual_hosts:
      ${DOMAINS.map(
        (domain) =>
          `- { name: "${domain}", domains: ["${domain}"], routes: [{ match: { prefix: / }, route: { cluster: "${domain}" } }] }`,
      ).join('\n      ')}
    `);
  // The host, then what takes it with its port and without.
  it.each<[host: string, withPort: string | undefined, ignoring: string | undefined]>([
    ['a.com', 'a.com', 'a.com'],
    ['A.COM', 'a.com', 'a.com'],
    ['a.com:8080', 'a.com:8080', 'a.com'],
    ['a.com:80', 'a.*', 'a.com'],
    ['a.com:9090', '*:9090', 'a.com'],
    ['x.a.com', '*.a.com', '*.a.com'],
    ['x.y.a.com', '*.a.com', '*.a.com'],
    ['x.a.com:8080', '*.a.com:8080', '*.a.com'],
    ['x.a.com:80', undefined, '*.a.com'],
    ['.a.com', undefined, undefined],
    ['a.org', 'a.*', 'a.*'],
    ['a.', undefined, undefined],
    ['[::1]', '[::1]', '[::1]'],
    ['[::1]:8080', '[::1]:8080', '[::1]'],
    ['[::1]:80', undefined, '[::1]'],
    ['b.com:9090', '*:9090', undefined],
    ['b.com', undefined, undefined],
  ])('%s → %s; ignoring ports → %s', (host, withPort, ignoring) => {
    const headers = request('/', { ':authority': host });
    expect(clusterFor(table(false), headers)).toBe(withPort);
    expect(clusterFor(table(true), headers)).toBe(ignoring);
  });
});

function problemsOf(make: () => unknown): string[] {
  try {
    make();
    return [];
  } catch (error) {
    return (error as ConfigError).problems.map((problem) => problem.path);
  }
}
