import {
  FilterStateInputSchema,
  HttpRequestHeaderMatchInputSchema,
  HttpResponseHeaderMatchInputSchema,
  type Route as RouteConfig,
  StringValueSchema,
} from '@dragoman/api';
import {
  type ConfigError,
  defineMatchInput,
  type Extension,
  ExtensionRegistry,
  NOT_AVAILABLE,
  type Route,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { clusterFor, request, streamInfo, tableOf, testContext } from './routes-support.ts';

const extensions: readonly Extension[] = [
  defineMatchInput({
    name: 'test.request_header',
    config: HttpRequestHeaderMatchInputSchema,
    createHttp: ({ headerName }) => ({
      kind: 'text',
      get: ({ requestHeaders }) => requestHeaders?.getJoined(headerName) ?? undefined,
    }),
  }),
  defineMatchInput({
    name: 'test.response_header',
    config: HttpResponseHeaderMatchInputSchema,
    createHttp: () => ({ kind: 'text', get: () => NOT_AVAILABLE }),
  }),
  defineMatchInput({
    name: 'test.filter_state',
    config: FilterStateInputSchema,
    createHttp: ({ key }) => ({
      kind: 'text',
      get: ({ info }) => (key === 'never' ? NOT_AVAILABLE : info.filterState.get(key)?.toText?.()),
    }),
  }),
  defineMatchInput({
    name: 'test.constant',
    config: StringValueSchema,
    createCommon: ({ value }) => ({ kind: 'text', get: () => value }),
  }),
];
const context = testContext({ extensions: new ExtensionRegistry(extensions) });

const TYPE = 'type.googleapis.com/';
const header = (name: string) =>
  `{ name: h, typed_config: { "@type": ${TYPE}envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: "${name}" } }`;
const state = (key: string) =>
  `{ name: s, typed_config: { "@type": ${TYPE}envoy.extensions.matching.common_inputs.network.v3.FilterStateInput, key: ${key} } }`;
const constant = (value: string) =>
  `{ name: c, typed_config: { "@type": ${TYPE}google.protobuf.StringValue, value: ${value} } }`;
const one = (route: string) =>
  `{ action: { name: r, typed_config: { "@type": ${TYPE}envoy.config.route.v3.Route, ${route} } } }`;
const many = (...routes: string[]) =>
  `{ action: { name: r, typed_config: { "@type": ${TYPE}envoy.config.route.v3.RouteList, routes: [${routes
    .map((route) => `{ ${route} }`)
    .join(', ')}] } } }`;
const to = (cluster: string, match = 'prefix: /') => `match: { ${match} }, route: { cluster: ${cluster} }`;

function table(matcher: string, host = '', onRoute?: (route: Route, config: RouteConfig) => void) {
  const more = onRoute === undefined ? {} : { onRoute };
  return tableOf(`virtual_hosts: [{ name: h, domains: ["*"], matcher: ${matcher}${host} }]`, {
    context,
    ...more,
  });
}

describe('VirtualHost.matcher', () => {
  const made = table(`
    {
      matcher_tree: {
        input: ${header('x-team')},
        exact_match_map: { map: {
          one: ${one(to('one', 'prefix: /one'))},
          list: ${many(to('first', 'path: /a, headers: [{ name: x-a }]'), to('second', 'safe_regex: { regex: /a.* }'), to('third'), to('tunnel', 'connect_matcher: {}'))},
          nested: { matcher: { matcher_list: { matchers: [
            { predicate: { single_predicate: { input: ${state('s')}, value_match: { prefix: v } } }, on_match: ${one(to('state'))} },
            { predicate: { single_predicate: { input: ${constant('x')}, value_match: { exact: x } } }, on_match: ${one(to('constant'))} },
          ] } } },
          undecided: { matcher: { matcher_tree: { input: ${state('never')}, exact_match_map: { map: { a: ${one(to('a'))} } } }, on_no_match: ${one(to('b'))} } },
        } },
      },
      on_no_match: ${one(to('none', 'prefix: /none'))},
    }
  `);
  it.each<
    [team: string | undefined, path: string, fields: Record<string, string>, cluster: string | undefined]
  >([
    ['one', '/one/x', {}, 'one'],
    // What the tree comes to is final: a route there that does not match is no route.
    ['one', '/two', {}, undefined],
    ['list', '/a', { 'x-a': '1' }, 'first'],
    ['list', '/a', {}, 'second'],
    ['list', '/b', {}, 'third'],
    ['list', '', {}, undefined],
    ['nested', '/', {}, 'constant'],
    ['undecided', '/', {}, undefined],
    ['other', '/none', {}, 'none'],
    [undefined, '/none', {}, 'none'],
    [undefined, '/x', {}, undefined],
  ])('x-team %s, %s %j → %s', (team, path, fields, cluster) => {
    const headers = request(path, { ...fields, ...(team === undefined ? {} : { 'x-team': team }) });
    expect(clusterFor(made, headers)).toBe(cluster);
  });

  it('takes CONNECT by the lists at its leaves', () => {
    const headers = request('', { 'x-team': 'list' });
    headers.method = 'CONNECT';
    expect(clusterFor(made, headers)).toBe('tunnel');
  });

  it('looks at filter state', () => {
    const info = streamInfo();
    info.filterState.set('s', { toText: () => 'value' });
    expect(clusterFor(made, request('/', { 'x-team': 'nested' }), 0, info)).toBe('state');
  });

  it('asks for TLS first', () => {
    const all = table(`{ on_no_match: ${one(to('a'))} }`, ', require_tls: ALL');
    expect(clusterFor(all, request('/'))).toBe('redirect');
    expect(clusterFor(all, request('/', { 'x-forwarded-proto': 'https' }))).toBe('a');
  });

  it('compiles its routes like any others, and once', () => {
    const seen: string[] = [];
    const full = table(
      `{ on_no_match: ${many(
        `name: named, stat_prefix: s, ${to('a')}, request_headers_to_add: [{ header: { key: x-b, value: route } }], typed_per_filter_config: { f: { "@type": ${TYPE}google.protobuf.Empty } }`,
        'match: { prefix: / }, redirect: { host_redirect: b.com }',
      )} }`,
      ', request_headers_to_add: [{ header: { key: x-a, value: host } }]',
      (_route, { name }) => seen.push(name),
    );
    expect(seen).toEqual(['named', '']);
    const headers = request('/');
    const route = full.match(headers, streamInfo(), 0);
    route?.finalizeRequestHeaders(headers, streamInfo());
    expect(route).toMatchObject({ routeName: 'named', virtualHostName: 'h' });
    expect(route?.perFilterConfigs('f')).toEqual(['config of f']);
    expect([headers.get('x-a'), headers.get('x-b')]).toEqual(['host', 'route']);
    expect(full.match(headers, streamInfo(), 0)).toBe(route);
  });

  const RESPONSE = `{ name: h, typed_config: { "@type": ${TYPE}envoy.type.matcher.v3.HttpResponseHeaderMatchInput, header_name: a } }`;
  const CEL = `{ name: cel, typed_config: { "@type": ${TYPE}xds.type.matcher.v3.HttpAttributesCelMatchInput } }`;
  const tree = (input: string) =>
    `{ matcher_tree: { input: ${input}, exact_match_map: { map: { a: ${one(to('a'))} } } } }`;
  const on = (action: string) => `{ on_no_match: { action: ${action} } }`;
  it.each<[matcher: string, path: string, message: RegExp]>([
    [tree(RESPONSE), 'matcher_tree.input.typed_config', /request headers and filter state only/],
    [tree(CEL), 'matcher_tree.input.typed_config', /CEL/],
    [tree('{ name: nobody }'), 'matcher_tree.input.typed_config', /unknown extension "nobody"/],
    [
      on(`{ name: a, typed_config: { "@type": ${TYPE}google.protobuf.StringValue, value: x } }`),
      'on_no_match.action.typed_config',
      /expected envoy\.config\.route\.v3\.Route or .*RouteList, found google\.protobuf\.StringValue/,
    ],
    [on('{ name: a }'), 'on_no_match.action.typed_config', /"a" without a config/],
    [
      `{ on_no_match: ${one('match: { prefix: / }, route: { cluster: a, cors: {} }')} }`,
      'on_no_match.action.typed_config.route.cors',
      /cors/,
    ],
    [
      `{ on_no_match: ${many(to('a'), 'match: { prefix: / }')} }`,
      'on_no_match.action.typed_config.routes[1]',
      /a route needs one of/,
    ],
    [
      `{ matcher_list: { matchers: [{ predicate: { single_predicate: { input: ${header('a')}, custom_match: { name: m, typed_config: { "@type": ${TYPE}xds.type.matcher.v3.CelMatcher } } } }, on_match: ${one(to('a'))} }] } }`,
      'matcher_list.matchers[0].predicate.single_predicate.custom_match.typed_config',
      /CelMatcher is not supported: it needs an interpreter of CEL/,
    ],
    [
      `{ matcher_list: { matchers: [{ predicate: { single_predicate: { input: ${header('a')}, custom_match: ${constant('x')} } }, on_match: ${one(to('a'))} }] } }`,
      'matcher_list.matchers[0].predicate.single_predicate.custom_match.typed_config',
      /test\.constant is an input; expected a matcher of values/,
    ],
  ])('refuses %#', (matcher, path, message) => {
    try {
      table(matcher);
      expect.unreachable();
    } catch (error) {
      const { problems } = error as ConfigError;
      expect(problems.map((problem) => problem.path)).toEqual([`virtual_hosts[0].matcher.${path}`]);
      expect(problems[0]?.message).toMatch(message);
    }
  });

  it('excludes routes', () => {
    expect(() => table(`{ on_no_match: ${one(to('a'))} }`, `, routes: [{ ${to('b')} }]`)).toThrow(
      /virtual_hosts\[0\]\.matcher: .*both matcher and routes/,
    );
  });
});
