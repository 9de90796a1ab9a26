import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Paths of files without their folder. */
function check(...argv: string[]) {
  const result = run(...argv);
  return { ...result, err: result.err.replaceAll(`${folder}/`, '') };
}

const ROUTES = `
virtual_hosts:
- name: shop
  domains: [shop.example]
  virtual_clusters:
  - { name: cart, headers: [{ name: ":path", string_match: { prefix: /cart } }] }
  routes:
  - { name: cart, match: { prefix: /cart }, route: { cluster: cart, prefix_rewrite: /v2/cart, timeout: 3s } }
  - match: { prefix: /split }
    route:
      weighted_clusters:
        runtime_key_prefix: weights
        clusters: [{ name: a, weight: 1 }, { name: b, weight: 99 }]
  - match: { path: /canary, runtime_fraction: { runtime_key: canary, default_value: { numerator: 0, denominator: HUNDRED } } }
    route: { cluster: canary }
  - { name: old, match: { path: /old }, redirect: { path_redirect: /new } }
  - name: teapot
    match: { path: /teapot }
    direct_response: { status: 418, body: { inline_string: short } }
    response_headers_to_add: [{ header: { key: x-stout, value: "yes" } }]
  - match: { prefix: / }
    route: { cluster: site, host_rewrite_literal: site.internal }
    request_headers_to_add: [{ header: { key: x-from, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } }]
`;
const routes = file('routes.yaml', ROUTES);

/** One test of a request to shop.example. */
const test = (path: string, validate: string, input = '') =>
  `- { test_name: "${path}", input: { authority: shop.example, path: ${path}, method: GET${input} }, validate: { ${validate} } }\n`;
const tests = (...all: string[]) => file('tests.yaml', `tests:\n${all.join('')}`);

describe('what a test may say of a route', () => {
  it.for<[what: string, test: string]>([
    [
      'where it goes',
      test('/cart/1', 'cluster_name: cart, virtual_host_name: shop, virtual_cluster_name: cart'),
    ],
    ['the other virtual cluster', test('/', 'virtual_cluster_name: other')],
    [
      'what goes upstream',
      test('/cart/1?q', 'path_rewrite: "/v2/cart/1?q", host_rewrite: shop.example, timeout: 3s'),
    ],
    ['a timeout as an object', test('/cart/1', 'timeout: { seconds: 3 }')],
    ['the host that goes upstream', test('/', 'host_rewrite: site.internal, path_rewrite: /')],
    [
      'that a header is added',
      test('/', 'request_header_matches: [{ name: x-from, string_match: { exact: 127.0.0.1 } }]'),
    ],
    [
      'that a header is not there',
      test('/', 'request_header_matches: [{ name: x-other, present_match: true, invert_match: true }]'),
    ],
    ['a header in the older form', test('/', 'request_header_fields: [{ key: x-from, value: 127.0.0.1 }]')],
    ['the draw of a weighted cluster', test('/split', 'cluster_name: a', ', random_value: 100')],
    ['the other draw', test('/split', 'cluster_name: b', ', random_value: 101')],
    ['a route that is off', test('/canary', 'cluster_name: site')],
    ['a route that a test turns on', test('/canary', 'cluster_name: canary', ', runtime: canary')],
    ['its draw', test('/canary', 'cluster_name: site', ', runtime: canary, random_value: 1')],
    [
      'a redirect',
      test('/old', 'path_redirect: "http://shop.example/new", code_redirect: 301, cluster_name: ""'),
    ],
    ['a redirect with TLS', test('/old', 'path_redirect: "https://shop.example/new"', ', ssl: true')],
    ['a direct response', test('/teapot', 'code_redirect: 418, path_redirect: "http://shop.example/teapot"')],
    [
      'the headers of a direct response',
      test(
        '/teapot',
        'response_header_matches: [{ name: x-stout, string_match: { exact: "yes" } }, { name: content-length, string_match: { exact: "5" } }, { name: ":status", string_match: { exact: "418" } }]',
      ),
    ],
    ['names as JSON has them', test('/cart/1', 'clusterName: cart, codeRedirect: "0"')],
  ])('%s', ([, one]) => {
    expect(check('-c', routes, '-t', tests(one))).toMatchObject({ code: 0, err: '' });
  });

  it('a weight of the runtime', () => {
    const config = file(
      'weights.yaml',
      `runtime: { weights: { a: 100, b: 0 } }\ntests:\n${test('/split', 'cluster_name: a', ', random_value: 99')}`,
    );
    expect(check('-c', routes, '-t', config)).toMatchObject({ code: 0, err: '' });
  });

  it('and what is said when it is not so', () => {
    const wrong = tests(
      test(
        '/cart/1',
        'cluster_name: x, virtual_host_name: x, path_rewrite: /x, host_rewrite: x, timeout: 1s, virtual_cluster_name: x',
      ),
      test('/', 'path_redirect: x, code_redirect: 301, request_header_fields: [{ key: x-from, value: x }]'),
      test(
        '/x',
        'request_header_matches: [{ name: x-from, string_match: { exact: a } }, { name: x-other }, { name: x-from, string_match: { prefix: a } }]',
      ),
      test(
        '/y',
        'request_header_matches: [{ name: x-from, string_match: { exact: 127.0.0.1 }, invert_match: true }, { name: x-from, present_match: true, invert_match: true }]',
      ),
    );
    expect(check('-c', routes, '-t', wrong, '-d')).toMatchObject({
      code: 1,
      out: '',
      err: `/cart/1
expected: [x], actual: [cart], test type: cluster_name
expected: [x], actual: [cart], test type: virtual_cluster_name
expected: [x], actual: [shop], test type: virtual_host_name
expected: [/x], actual: [/v2/cart/1], test type: path_rewrite
expected: [x], actual: [shop.example], test type: host_rewrite
expected: [1s], actual: [3s], test type: timeout
/
expected: [x], actual: [], test type: path_redirect
expected: [301], actual: [0], test type: code_redirect
expected: [x], actual: [127.0.0.1], test type: request_header_fields
/x
expected: [x-from: a], actual: [x-from: 127.0.0.1], test type: request_header_matches.{"name":"x-from","string_match":{"exact":"a"}}
expected: [has(x-other):true], actual: [has(x-other):false], test type: request_header_matches.{"name":"x-other"}
actual: [x-from: 127.0.0.1], test type: request_header_matches.{"name":"x-from","string_match":{"prefix":"a"}}
/y
expected: [x-from: 127.0.0.1], actual: NOT [x-from: 127.0.0.1], test type: request_header_matches.{"name":"x-from","invert_match":true,"string_match":{"exact":"127.0.0.1"}}
expected: [has(x-from):false], actual: [has(x-from):true], test type: request_header_matches.{"name":"x-from","present_match":true,"invert_match":true}
`,
    });
  });
});

describe('what is printed', () => {
  const mixed = () => tests(test('/cart/1', 'cluster_name: cart'), test('/', 'cluster_name: x'));

  it('nothing of tests by default', () => {
    expect(check('-c', routes, '-t', mixed())).toEqual({ code: 1, out: '', err: '' });
  });

  it('every test with --details', () => {
    const failed = '/\nexpected: [x], actual: [site], test type: cluster_name\n';
    expect(check('-c', routes, '-t', mixed(), '--details')).toEqual({
      code: 1,
      out: '/cart/1\n',
      err: failed,
    });
    expect(check('-c', routes, '-t', mixed(), '-d', '--only-show-failures')).toEqual({
      code: 1,
      out: '',
      err: failed,
    });
  });
});

it('deprecated fields are warned of', () => {
  const text = ROUTES.replace('value: "yes" }', 'value: "yes" }, append: false');
  const argv = ['-c', file('deprecated.yaml', text), '-t', tests(test('/', 'cluster_name: site'))];
  expect(check(...argv)).toMatchObject({
    code: 0,
    err: expect.stringMatching(/^deprecated\.yaml:\d+:\d+: .*append is deprecated\n$/),
  });
  expect(check(...argv, '--disable-deprecation-check')).toMatchObject({ code: 0, err: '' });
});

describe('coverage', () => {
  // Seven routes: a weighted cluster is one each.
  const one = () => tests(test('/cart/1', 'cluster_name: cart'), test('/split', 'cluster_name: a'));

  it('is of routes of which something was right', () => {
    expect(check('-c', routes, '-t', one())).toMatchObject({
      code: 0,
      out: 'Current route coverage: 28.5714%\n',
    });
  });

  it('of nothing when only headers were looked at', () => {
    const headers = tests(test('/', 'request_header_matches: [{ name: x-from }]'));
    expect(check('-c', routes, '-t', headers)).toMatchObject({
      code: 0,
      out: 'Current route coverage: 0%\n',
    });
  });

  it('fails below what is asked for', () => {
    expect(check('-c', routes, '-t', one(), '-f', '28.5')).toMatchObject({ code: 0, err: '' });
    expect(check('-c', routes, '-t', one(), '--fail-under=28.6')).toMatchObject({
      code: 1,
      err: 'Failed to meet coverage requirement: 28.6%\n',
    });
  });

  it('names the routes without a test', () => {
    expect(check('-c', routes, '-t', one(), '--detailed-coverage').out).toBe(
      `Missing test for host: shop, route name: virtual_hosts[0].routes[2]
Missing test for host: shop, route name: old
Missing test for host: shop, route name: teapot
Missing test for host: shop, route name: virtual_hosts[0].routes[5]
Current route coverage: 28.5714%
`,
    );
  });

  it('of all that can be tested, with --covall', () => {
    const more = tests(
      test(
        '/cart/1',
        'cluster_name: cart, virtual_host_name: shop, virtual_cluster_name: cart, path_rewrite: /v2/cart/1, host_rewrite: shop.example',
      ),
      test('/old', 'code_redirect: 301'),
    );
    const { out } = check('-c', routes, '-t', more, '--covall');
    expect(out).toContain('Missing test for host: shop, route: {"path":"/teapot"}\n');
    // One whole and a half, of seven.
    expect(out).toMatch(/^Current route coverage: 21\.4286%$/m);
  });
});

describe('a bootstrap', () => {
  const listener = (name: string, cluster: string) => `
  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          http_filters: [{ name: envoy.filters.http.router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: ${cluster} } }] }`;
  const bootstrap = (...listeners: string[]) => `static_resources:
  clusters: [{ name: a }, { name: b }]
  listeners:${listeners.join('')}
`;
  const toA = () => tests(test('/', 'cluster_name: a'));

  it('is one whose only routes are checked', () => {
    expect(check('-c', file('one.yaml', bootstrap(listener('first', 'a'))), '-t', toA())).toEqual({
      code: 0,
      out: 'Current route coverage: 100%\n',
      err: '',
    });
  });

  it('needs a name where several listeners have routes', () => {
    const two = file('two.yaml', bootstrap(listener('first', 'a'), listener('second', 'b')));
    expect(check('-c', two, '-t', toA())).toMatchObject({
      code: 1,
      err: 'two.yaml: several listeners have routes ("first", "second"): name one with --listener-name\n',
    });
    expect(check('-c', two, '-t', toA(), '--listener-name', 'first')).toMatchObject({ code: 0 });
    expect(check('-c', two, '-t', toA(), '--listener-name', 'second')).toMatchObject({ code: 1 });
    expect(check('-c', two, '-t', toA(), '--listener-name', 'third').err).toBe(
      'two.yaml: no listener "third" has routes; those that have are "first", "second"\n',
    );
  });

  it('without routes is said to be one', () => {
    expect(check('-c', file('none.yaml', 'static_resources: {}\n'), '-t', toA()).err).toBe(
      'none.yaml: no listener has a route_config\n',
    );
  });
});

describe('what cannot be used', () => {
  it.for<[argv: string[], message: string]>([
    [[], 'both --config-path (-c) and --test-path (-t) are needed'],
    [['-c', 'x'], 'both --config-path (-c) and --test-path (-t) are needed'],
    [['-c', 'x', '-t', 'y', '-f', 'all'], '--fail-under all: must be a number from 0 to 100'],
    [['-c', 'x', '-t', 'y', '-o', 'z'], '--output-path (-o) is not supported'],
    [['--frob'], "Unknown option '--frob'"],
  ])('%j', ([argv, message]) => {
    const { code, out, err } = check(...argv);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`dragoman check-routes: ${message}`);
  });

  it('a file that is not there', () => {
    expect(check('-c', join(folder, 'none'), '-t', routes)).toMatchObject({
      code: 1,
      err: expect.stringContaining('none: cannot be read: ENOENT'),
    });
    expect(check('-c', routes, '-t', join(folder, 'none'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('none: cannot be read: ENOENT'),
    });
  });

  it('routes with an error, at its place', () => {
    const bad = file(
      'bad.yaml',
      'virtual_hosts:\n- name: a\n  domains: ["*"]\n  routes:\n  - match: { prefix: / }\n',
    );
    expect(check('-c', bad, '-t', tests(test('/', 'cluster_name: a')))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^bad\.yaml:5:\d+: virtual_hosts\[0\]\.routes\[0\]/),
    });
  });

  it('tests with errors: all of them, at their places', () => {
    const bad = file(
      'bad-tests.yaml',
      `tests:
- test_name: ""
  input: { authority: a, path: /, method: G, ssl: 1, random_value: -1, pth: / }
  validate: { cluster_name: 7, request_header_matches: [{ nam: x }], timeout: soon }
- test_name: b
  input: 3
`,
    );
    expect(check('-c', routes, '-t', bad).err.split('\n')).toEqual([
      expect.stringMatching(/^bad-tests\.yaml:2:14: tests\[0\]\.test_name: is required$/),
      expect.stringMatching(
        /^bad-tests\.yaml:3:\d+: tests\[0\]\.input\.method: must have at least 3 characters, has 1$/,
      ),
      expect.stringMatching(/^bad-tests\.yaml:3:\d+: tests\[0\]\.input\.ssl: must be true or false$/),
      expect.stringMatching(
        /^bad-tests\.yaml:3:\d+: tests\[0\]\.input\.random_value: must be a whole number from 0 to \d+$/,
      ),
      expect.stringMatching(
        /^bad-tests\.yaml:3:\d+: tests\[0\]\.input\.pth: is not a field here; there are authority, path, /,
      ),
      expect.stringMatching(/^bad-tests\.yaml:4:\d+: tests\[0\]\.validate\.cluster_name: must be a string$/),
      expect.stringMatching(/^bad-tests\.yaml:4:\d+: tests\[0\]\.validate\.timeout: /),
      expect.stringMatching(/^bad-tests\.yaml:4:\d+: tests\[0\]\.validate\.request_header_matches: /),
      expect.stringMatching(/^bad-tests\.yaml:6:10: tests\[1\]\.input: must be an object$/),
      expect.stringContaining('tests[1].input.authority: is required'),
      expect.stringContaining('tests[1].input.path: is required'),
      expect.stringContaining('tests[1].input.method: is required'),
      expect.stringMatching(/^bad-tests\.yaml:5:3: tests\[1\]\.validate: is required$/),
      '',
    ]);
  });

  it('a file without tests', () => {
    expect(check('-c', routes, '-t', file('empty.yaml', '{}\n')).err).toContain(
      'tests: there must be at least one test',
    );
  });

  it('a file that is no YAML', () => {
    expect(check('-c', routes, '-t', file('broken.yaml', 'tests: [\n'))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^broken\.yaml:\d+:\d+: /),
    });
  });
});

it('--help says what there is', () => {
  expect(check('--help')).toMatchObject({
    code: 0,
    err: '',
    out: expect.stringContaining('Usage: dragoman check-routes'),
  });
});
