import { ConfigError, type MirrorPolicy } from '@dragoman/core';
import { describe, expect, it, test } from 'vitest';
import { compileRouteTable } from '../src/routes/index.ts';
import { request, routeConfig, streamInfo, tableOf, testContext } from './routes-support.ts';

/** The mirrors of a route, with what each level says. */
function mirrors(
  route: string,
  host = '[]',
  table = '[]',
  warn = (_text: string) => {},
): readonly MirrorPolicy[] {
  const config = routeConfig(`
    request_mirror_policies: ${table}
    virtual_hosts:
    - name: all
      domains: ["*"]
      request_mirror_policies: ${host}
      routes: [{ match: { prefix: / }, route: { cluster: a, request_mirror_policies: ${route} } }]`);
  const compiled = compileRouteTable(config, {
    context: testContext({ warn: (path, text) => warn(`${path}: ${text}`) }),
    perFilterConfig: () => undefined,
  });
  const found = compiled.match(request('/'), streamInfo(), 0);
  if (found?.action.kind !== 'forward') throw new Error('no route');
  return found.action.policies.mirrors ?? [];
}

/** A policy to cluster `r` with further fields. */
const policyWith = (more: string) => more.replace('{', '{ cluster: r, ');

const clusters = (policies: readonly MirrorPolicy[], fields = {}) =>
  policies.map((policy) => policy.clusterName(request('/', fields)));

describe('request_mirror_policies', () => {
  test.each([
    ['none', '[]', '[]', '[]', []],
    ['of the route', '[{ cluster: r }]', '[]', '[]', ['r']],
    ['several', '[{ cluster: r }, { cluster: s }]', '[]', '[]', ['r', 's']],
    ['of the virtual host', '[]', '[{ cluster: v }]', '[]', ['v']],
    ['of the table', '[]', '[]', '[{ cluster: t }]', ['t']],
    ['the route before all', '[{ cluster: r }]', '[{ cluster: v }]', '[{ cluster: t }]', ['r']],
    ['the virtual host before the table', '[]', '[{ cluster: v }]', '[{ cluster: t }]', ['v']],
  ])('%s', (_, route, host, table, expected) => {
    expect(clusters(mirrors(route, host, table))).toEqual(expected);
  });

  test.each([
    ['there', { 'x-mirror': 'm' }, ['m']],
    ['empty', { 'x-mirror': '' }, [undefined]],
    ['absent', {}, [undefined]],
  ])('take the cluster from a header that is %s', (_, fields, expected) => {
    expect(clusters(mirrors('[{ cluster_header: X-Mirror }]'), fields)).toEqual(expected);
  });

  test.each([
    ['without a fraction', '{}', [0, 99, 1e9], [true, true, true]],
    [
      '30 %',
      '{ runtime_fraction: { default_value: { numerator: 30 } } }',
      [0, 29, 30, 99, 130],
      [true, true, false, false, false],
    ],
    [
      '1 in 10,000',
      '{ runtime_fraction: { default_value: { numerator: 1, denominator: TEN_THOUSAND } } }',
      [0, 1, 10_000],
      [true, false, true],
    ],
    ['none', '{ runtime_fraction: { default_value: {} } }', [0, 1], [false, false]],
  ])('draw: %s', (_, more, draws, expected) => {
    const [policy] = mirrors(`[${policyWith(more)}]`);
    expect(draws.map((draw) => policy?.selects(draw))).toEqual(expected);
  });

  test.each([
    ['a.test', '{}', 'a.test-shadow'],
    ['a.test:8080', '{}', 'a.test-shadow:8080'],
    ['[::1]', '{}', '[::1]-shadow'],
    ['[::1]:80', '{}', '[::1]-shadow:80'],
    ['a.test', '{ disable_shadow_host_suffix_append: true }', 'a.test'],
    ['a.test:1', '{ host_rewrite_literal: mirror.test }', 'mirror.test'],
  ])('make the host %s with %s into %s', (host, more, expected) => {
    const [policy] = mirrors(`[${policyWith(more)}]`);
    const copy = request('/');
    copy.authority = host;
    policy?.prepare(copy, streamInfo());
    expect(copy.authority).toBe(expected);
  });

  it('change the headers of the copy, in their order', () => {
    const mutations = [
      '{ append: { header: { key: x-kind, value: "shadow of %REQ(x-kind)%" }, append_action: OVERWRITE_IF_EXISTS_OR_ADD } }',
      '{ remove: x-secret }',
      '{ append: { header: { key: x-more, value: "1" } } }',
    ];
    const [policy] = mirrors(`[{ cluster: r, request_headers_mutations: [${mutations.join()}] }]`);
    const copy = request('/', { 'x-kind': 'main', 'x-secret': 's', 'x-more': '0' });
    policy?.prepare(copy, streamInfo());
    expect([copy.get('x-kind'), copy.has('x-secret'), copy.getAll('x-more')]).toEqual([
      'shadow of main',
      false,
      ['0', '1'],
    ]);
  });

  it('say that trace_sampled does nothing', () => {
    const warnings: string[] = [];
    mirrors('[{ cluster: r, trace_sampled: false }]', '[]', '[]', (text) => warnings.push(text));
    expect(warnings.join()).toContain('trace_sampled');
  });

  test.each([
    [
      'no cluster',
      '[{}]',
      '[]',
      'virtual_hosts[0].routes[0].route.request_mirror_policies[0]',
      'either cluster',
    ],
    [
      'two clusters, in the virtual host',
      '[]',
      '[{ cluster: a, cluster_header: b }]',
      'virtual_hosts[0].request_mirror_policies[0]',
      'either cluster',
    ],
    [
      'a fraction without a value',
      '[{ cluster: a, runtime_fraction: { runtime_key: k } }]',
      '[]',
      'request_mirror_policies[0].runtime_fraction.default_value',
      'required',
    ],
    [
      'a mutation that is none',
      '[{ cluster: a, request_headers_mutations: [{}] }]',
      '[]',
      'request_mirror_policies[0].request_headers_mutations[0]',
      'needs one of remove, append',
    ],
    [
      'a mutation of the host',
      '[{ cluster: a, request_headers_mutations: [{ remove: host }] }]',
      '[]',
      'request_headers_mutations[0].remove',
      'host',
    ],
  ])('are refused with %s', (_, route, host, path, text) => {
    let error: unknown;
    try {
      mirrors(route, host);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems[0]?.path).toContain(path);
    expect(error.message).toContain(text);
  });

  it('are none where nothing is said', () => {
    const table = tableOf(
      'virtual_hosts: [{ name: a, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: a } }] }]',
    );
    const action = table.match(request('/'), streamInfo(), 0)?.action;
    expect(action?.kind === 'forward' && action.policies.mirrors).toBeUndefined();
  });
});
