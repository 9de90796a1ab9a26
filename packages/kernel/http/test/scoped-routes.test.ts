import type { JsonObject } from '@dragoman/testing';
import { describe, expect, it, test } from 'vitest';
import { ManagerRig } from './manager-rig.ts';

const scope = (name: string, keys: readonly string[], more: JsonObject = {}): JsonObject => ({
  name,
  key: { fragments: keys.map((key) => ({ string_key: key })) },
  route_configuration: {
    name,
    virtual_hosts: [{ name, domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: name } }] }],
    ...more,
  },
});

function rigOf(fragments: readonly JsonObject[], scopes: readonly JsonObject[], more: JsonObject = {}) {
  return new ManagerRig({
    manager: {
      route_config: undefined as never,
      scoped_routes: definedOnly({
        name: 'scoped',
        scope_key_builder: { fragments: fragments.map((each) => ({ header_value_extractor: each })) },
        scoped_route_configurations_list: { scoped_route_configurations: scopes },
        ...more,
      }),
    },
  });
}

/** The virtual host that took a request with these lines; undefined for none. */
async function hostFor(rig: ManagerRig, ...lines: readonly string[]): Promise<string | undefined> {
  await rig.request('GET / HTTP/1.1', ...lines);
  return rig.streams.at(-1)?.route?.virtualHostName;
}

describe('a scope by one fragment', () => {
  const scopes = [scope('one', ['1']), scope('none', ['']), scope('ü', ['ü'])];
  const byIndex = (index: number, separator = ',') => ({
    name: 'X-Scope',
    element_separator: separator,
    index,
  });
  const byKey = { name: 'x-scope', element_separator: ';', element: { separator: '=', key: 'v' } };

  it.each<[JsonObject, readonly string[], string | undefined]>([
    [{ name: 'x-scope', index: 0 }, ['x-scope: 1'], 'one'],
    [{ name: 'x-scope', index: 0 }, ['x-scope: 1,2'], undefined],
    [{ name: 'x-scope', index: 0 }, ['x-scope: 1', 'x-scope: 2'], 'one'],
    [{ name: 'x-scope', index: 0 }, ['x-scope: \xc3\xbc'], 'ü'],
    [{ name: 'x-scope', index: 0 }, [], undefined],
    [byIndex(0), ['x-scope: 1,2'], 'one'],
    [byIndex(1), ['x-scope: 2,1'], 'one'],
    [byIndex(1), ['x-scope: 2,'], 'none'],
    [byIndex(1), ['x-scope: 1'], undefined],
    [byIndex(2, '::'), ['x-scope: a::b::1'], 'one'],
    [byKey, ['x-scope: a=2;v=1;v=3'], 'one'],
    [byKey, ['x-scope: v'], 'none'],
    [byKey, ['x-scope: v='], 'none'],
    [byKey, ['x-scope: v=1=2'], undefined],
    [byKey, ['x-scope: w=1'], undefined],
    [{ name: ':authority', index: 0 }, ['x-scope: 1'], undefined],
  ])('%j of %j is %s', async (extractor, lines, host) => {
    expect(await hostFor(rigOf([extractor], scopes), ...lines)).toBe(host);
  });
});

test('a scope by several fragments needs all of them', async () => {
  const fragments = ['x-a', 'x-b'].map((name) => ({ name, index: 0 }));
  const rig = rigOf(fragments, [
    scope('one', ['a', 'b']),
    scope('two', ['ab', '']),
    scope('three', ['1:a', '1:b']),
  ]);
  expect(await hostFor(rig, 'x-a: a', 'x-b: b')).toBe('one');
  expect(await hostFor(rig, 'x-a: ab', 'x-b:')).toBe('two');
  expect(await hostFor(rig, 'x-a: b', 'x-b: a')).toBeUndefined();
  expect(await hostFor(rig, 'x-a: a')).toBeUndefined();
});

test('a filter that changes the header changes the scope', async () => {
  const rig = rigOf([{ name: 'x-scope', index: 0 }], [scope('one', ['1']), scope('two', ['2'])]);
  expect(await hostFor(rig, 'x-scope: 1')).toBe('one');
  const [stream] = rig.streams;
  stream?.requestHeaders.set('x-scope', '2');
  expect(stream?.route?.virtualHostName).toBe('one');
  stream?.clearRouteCache();
  expect(stream?.route?.virtualHostName).toBe('two');
});

test('headers for insiders are those of the scope', async () => {
  const rig = rigOf(
    [{ name: 'x-scope', index: 0 }],
    [scope('one', ['1'], { internal_only_headers: ['X-Inside'] }), scope('two', ['2'])],
  );
  await rig.request('GET / HTTP/1.1', 'x-scope: 1', 'x-inside: a');
  await rig.request('GET / HTTP/1.1', 'x-scope: 2', 'x-inside: a');
  await rig.request('GET / HTTP/1.1', 'x-scope: 3', 'x-inside: a');
  expect(rig.requests.map((headers) => headers.get('x-inside'))).toEqual([undefined, 'a', 'a']);
});

describe('scoped routes that are refused', () => {
  const fragment = { name: 'x', index: 0 };
  const list = 'scoped_routes.scoped_route_configurations_list.scoped_route_configurations';
  const extractor = 'scoped_routes.scope_key_builder.fragments[0].header_value_extractor';
  it.each<[readonly JsonObject[], readonly JsonObject[], JsonObject, string]>([
    [[{ name: 'x', index: 1 }], [], {}, `${extractor}.index: must be 0 without an element_separator`],
    [[{ name: 'x' }], [], {}, `${extractor}: needs one of index, element`],
    [[{ name: '', index: 0 }], [], {}, `${extractor}.name: is required`],
    [[{ name: 'x', element: { key: 'k' } }], [], {}, `${extractor}.element.separator: is required`],
    [[{ name: 'x', element: { separator: '=' } }], [], {}, `${extractor}.element.key: is required`],
    [[], [], {}, 'scoped_routes.scope_key_builder.fragments: a key needs one fragment'],
    [
      [fragment],
      [scope('a', ['1']), scope('a', ['2'])],
      {},
      `${list}[1].name: the scope "a" is there already`,
    ],
    [
      [fragment],
      [scope('a', ['1']), scope('b', ['1'])],
      {},
      `${list}[1].key: another scope has the same key`,
    ],
    [
      [fragment],
      [scope('a', ['1', '2'])],
      {},
      `${list}[0].key.fragments: has 2 fragments, while scope_key_builder makes keys of 1`,
    ],
    [
      [fragment],
      [{ ...scope('a', ['1']), on_demand: true }],
      {},
      `${list}[0].on_demand: only what comes from a management server`,
    ],
    [
      [fragment],
      [{ ...scope('a', ['1']), route_configuration: undefined as never, route_configuration_name: 'r' }],
      {},
      `${list}[0].route_configuration_name: a route configuration is fetched by its name only`,
    ],
    [
      [fragment],
      [{ name: 'a', key: { fragments: [{ string_key: '1' }] } }],
      {},
      `${list}[0].route_configuration: is required`,
    ],
    [[fragment], [scope('a', ['1'], { vhds: {} })], {}, `${list}[0].route_configuration.vhds`],
    [
      [fragment],
      [],
      { rds_config_source: { ads: {} } },
      'scoped_routes.rds_config_source: is for the scopes of scoped_rds',
    ],
    [
      [fragment],
      [],
      {
        scoped_route_configurations_list: undefined as never,
        scoped_rds: { scoped_rds_config_source: { ads: {} } },
      },
      'scoped_routes.rds_config_source: is required',
    ],
  ])('%j %j %j', (fragments, scopes, more, message) => {
    expect(() => rigOf(fragments, scopes.map(definedOnly), more)).toThrow(message);
  });
});

/** What a test sets to undefined is left out. */
function definedOnly(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
