import { StructSchema } from '@dragoman/api';
import { defineClusterSpecifier, ExtensionRegistry, type RequestHeaders, type Route } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { clusterFor, forwarded, request, tableOf, testContext } from './routes-support.ts';

/** Says what a header says; `none` is no route. */
const byHeader = defineClusterSpecifier({
  name: 'test.by_header',
  config: StructSchema,
  create: (config) => {
    const given = config.fields.prefix?.kind;
    const prefix = given?.case === 'stringValue' ? given.value : '';
    return {
      clusterName: (headers: RequestHeaders, _info, random) => {
        const name = headers.get('x-cluster');
        return name === 'none' ? undefined : `${prefix}${name ?? random}`;
      },
    };
  },
});

const PLUGIN = `extension: { name: test.by_header, typed_config: { "@type": type.googleapis.com/google.protobuf.Struct, value: { prefix: p- } } }`;

function table(action: string, more = '', onRoute?: (route: Route) => void) {
  return tableOf(
    `
    ${more}
    request_headers_to_add: [{ header: { key: x-by, value: table } }]
    virtual_hosts:
    - name: all
      domains: ["*"]
      routes:
      - { match: { prefix: /, headers: [{ name: x-off, present_match: false }] }, name: first, route: ${action} }
      - { match: { prefix: / }, name: last, route: { cluster: last } }
    `,
    { context: testContext({ extensions: new ExtensionRegistry([byHeader]) }), onRoute },
  );
}

describe.each([
  [
    'by name',
    '{ cluster_specifier_plugin: test.by_header, prefix_rewrite: /new }',
    `cluster_specifier_plugins: [{ ${PLUGIN} }]`,
  ],
  ['inline', `{ inline_cluster_specifier_plugin: { ${PLUGIN} }, prefix_rewrite: /new }`, ''],
])('a cluster specifier %s', (_name, action, more) => {
  const routes = table(action, more);

  it.each([
    [{ 'x-cluster': 'one' }, 'p-one'],
    [{ 'x-cluster': 'two' }, 'p-two'],
    [{}, 'p-5'],
    [{ 'x-cluster': 'none' }, 'last'],
    [{ 'x-cluster': 'one', 'x-off': '1' }, 'last'],
  ])('sends %j to %s', (fields, cluster) => {
    expect(clusterFor(routes, request('/', fields as Record<string, string>), 5)).toBe(cluster);
  });

  it('leaves the rest to the route', () => {
    const headers = forwarded(routes, request('/a', { 'x-cluster': 'one' }));
    expect([headers.path, headers.get('x-by')]).toEqual(['/newa', 'table']);
  });

  it('makes the route to a cluster once, and a bounded number of them', () => {
    const made: Route[] = [];
    const counted = table(action, more, (route) => made.push(route));
    const before = made.length;
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 1100; i++) clusterFor(counted, request('/', { 'x-cluster': `c${i}` }));
    expect(before).toBe(2);
    // A thousand are kept, the one from the start among them; 101 are made anew in each round.
    expect(made.length - before).toBe(1201);
  });
});

describe('a cluster specifier that is not part of the proxy', () => {
  const plugin = (more: string) =>
    `extension: { name: test.unknown, typed_config: { "@type": type.googleapis.com/google.protobuf.Empty } }${more}`;

  it('never matches when it is optional', () => {
    expect(
      clusterFor(
        table(
          '{ cluster_specifier_plugin: test.unknown }',
          `cluster_specifier_plugins: [{ ${plugin(', is_optional: true')} }]`,
        ),
        '/',
      ),
    ).toBe('last');
    expect(
      clusterFor(table(`{ inline_cluster_specifier_plugin: { ${plugin(', is_optional: true')} } }`), '/'),
    ).toBe('last');
  });

  it.each([
    [
      '{ cluster: a }',
      `cluster_specifier_plugins: [{ ${plugin('')} }]`,
      'cluster_specifier_plugins[0].extension.typed_config: unknown extension "test.unknown"',
    ],
    [
      `{ inline_cluster_specifier_plugin: { ${plugin('')} } }`,
      '',
      'routes[0].route.inline_cluster_specifier_plugin.extension.typed_config: unknown extension',
    ],
    [
      '{ inline_cluster_specifier_plugin: { extension: { name: envoy.router.cluster_specifier_plugin.lua, typed_config: { "@type": type.googleapis.com/envoy.extensions.router.cluster_specifiers.lua.v3.LuaConfig, source_code: { inline_string: x } } } } }',
      '',
      'the package @dragoman/cluster-specifier-lua would provide it',
    ],
    [
      '{ cluster_specifier_plugin: other }',
      `cluster_specifier_plugins: [{ ${PLUGIN} }]`,
      'routes[0].route.cluster_specifier_plugin: no plugin named "other"',
    ],
    [
      '{ cluster: a }',
      `cluster_specifier_plugins: [{ ${PLUGIN} }, { ${PLUGIN} }]`,
      'cluster_specifier_plugins[1].extension.name: a plugin named "test.by_header" is there already',
    ],
    ['{ inline_cluster_specifier_plugin: {} }', '', 'inline_cluster_specifier_plugin.extension: is required'],
  ])('is refused: %s', (action, more, message) => {
    expect(() => table(action, more)).toThrow(message);
  });
});
