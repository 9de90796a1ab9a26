import { readLoose, RouteConfigurationSchema, ScopedRouteConfigurationSchema } from '@dragoman/api';
import { FakeDynamicResources, type JsonObject } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ManagerRig } from './manager-rig.ts';

const SCOPES = ScopedRouteConfigurationSchema;
const ROUTES = RouteConfigurationSchema;
const ADS = { ads: {} };

const scope = (name: string, key: string, routes: string, more: JsonObject = {}) =>
  readLoose(SCOPES, {
    name,
    key: { fragments: [{ string_key: key }] },
    route_configuration_name: routes,
    ...more,
  });

const routes = (name: string, host = name, more: JsonObject = {}) =>
  readLoose(ROUTES, {
    name,
    virtual_hosts: [
      { name: host, domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: host } }] },
    ],
    ...more,
  });

function rigOf(resources: FakeDynamicResources, more: JsonObject = {}): ManagerRig {
  return new ManagerRig({
    manager: {
      route_config: undefined as never,
      scoped_routes: {
        name: 'scoped',
        scope_key_builder: { fragments: [{ header_value_extractor: { name: 'x-scope', index: 0 } }] },
        rds_config_source: ADS,
        scoped_rds: { scoped_rds_config_source: ADS },
        ...more,
      },
    },
    context: { dynamicResources: resources },
  });
}

async function hostFor(rig: ManagerRig, key: string): Promise<string | undefined> {
  await rig.request('GET / HTTP/1.1', `x-scope: ${key}`);
  return rig.streams.at(-1)?.route?.virtualHostName;
}

describe('scopes of a management server', () => {
  it('come, change and go, each with its route configuration', async () => {
    const resources = new FakeDynamicResources();
    const rig = rigOf(resources);
    expect(await hostFor(rig, '1')).toBeUndefined();
    expect(rig.streams[0]?.routeMiss()?.details).toBe('no_scope');
    resources.set(ROUTES, 'a', routes('a'));
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    resources.set(SCOPES, 'two', scope('two', '2', 'b'));
    expect(await hostFor(rig, '1')).toBe('a');
    expect(await hostFor(rig, '2')).toBeUndefined();
    resources.set(ROUTES, 'b', routes('b'));
    expect(await hostFor(rig, '2')).toBe('b');
    resources.set(ROUTES, 'a', routes('a', 'newer'));
    expect(await hostFor(rig, '1')).toBe('newer');
    resources.set(SCOPES, 'one', scope('one', '3', 'b'));
    expect(await hostFor(rig, '1')).toBeUndefined();
    expect(await hostFor(rig, '3')).toBe('b');
    resources.set(SCOPES, 'one', undefined);
    resources.set(SCOPES, 'two', undefined);
    expect(await hostFor(rig, '3')).toBeUndefined();
    expect(resources.watched).toEqual(['envoy.config.route.v3.ScopedRouteConfiguration *']);
  });

  it('share the route configuration of a name', () => {
    const resources = new FakeDynamicResources();
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    resources.set(SCOPES, 'two', scope('two', '2', 'a'));
    rigOf(resources);
    expect(resources.watched).toEqual([
      'envoy.config.route.v3.RouteConfiguration a',
      'envoy.config.route.v3.ScopedRouteConfiguration *',
    ]);
  });

  it('may swap their keys', async () => {
    const resources = new FakeDynamicResources();
    for (const name of ['a', 'b']) resources.set(ROUTES, name, routes(name));
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    const rig = rigOf(resources);
    resources.set(SCOPES, 'one', scope('one', '2', 'a'));
    resources.set(SCOPES, 'two', scope('two', '1', 'b'));
    expect(await hostFor(rig, '1')).toBe('b');
    expect(await hostFor(rig, '2')).toBe('a');
  });

  it('are those of the request that a stream began with', async () => {
    const resources = new FakeDynamicResources();
    resources.set(ROUTES, 'a', routes('a'));
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    const rig = rigOf(resources);
    await hostFor(rig, '1');
    resources.set(ROUTES, 'a', routes('a', 'newer'));
    const [stream] = rig.streams;
    stream?.clearRouteCache();
    expect(stream?.route?.virtualHostName).toBe('a');
  });

  it('leave nothing behind when a version is refused elsewhere', async () => {
    const resources = new FakeDynamicResources();
    resources.set(ROUTES, 'a', routes('a'));
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    const rig = rigOf(resources);
    resources.refuse(SCOPES, 'two', scope('two', '2', 'b'));
    expect(resources.watched).toContain('envoy.config.route.v3.RouteConfiguration b');
    resources.set(SCOPES, 'three', scope('three', '3', 'a'));
    expect(resources.watched).not.toContain('envoy.config.route.v3.RouteConfiguration b');
    expect(await hostFor(rig, '3')).toBe('a');
    expect(await hostFor(rig, '2')).toBeUndefined();
  });

  it('may have virtual hosts that are discovered', async () => {
    const resources = new FakeDynamicResources();
    resources.set(ROUTES, 'a', routes('a', 'a', { virtual_hosts: [], vhds: { config_source: ADS } }));
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    const rig = rigOf(resources);
    await hostFor(rig, '1');
    expect(resources.watched).toContain('envoy.config.route.v3.VirtualHost a/*');
    resources.set(SCOPES, 'one', undefined);
    expect(resources.watched).toEqual(['envoy.config.route.v3.ScopedRouteConfiguration *']);
  });

  it('hide headers for insiders as their route configuration says', async () => {
    const resources = new FakeDynamicResources();
    resources.set(ROUTES, 'a', routes('a', 'a', { internal_only_headers: ['x-inside'] }));
    resources.set(SCOPES, 'one', scope('one', '1', 'a'));
    const rig = rigOf(resources);
    await rig.request('GET / HTTP/1.1', 'x-scope: 1', 'x-inside: a');
    await rig.request('GET / HTTP/1.1', 'x-scope: 2', 'x-inside: a');
    expect(rig.requests.map((headers) => headers.get('x-inside'))).toEqual([undefined, 'a']);
  });

  it('may be a collection with a locator', () => {
    const resources = new FakeDynamicResources();
    const locator = 'xdstp://test/envoy.config.route.v3.ScopedRouteConfiguration/all/*';
    rigOf(resources, {
      scoped_rds: { scoped_rds_config_source: ADS, srds_resources_locator: locator },
    });
    expect(resources.watched).toEqual([`envoy.config.route.v3.ScopedRouteConfiguration ${locator}`]);
  });
});

describe('scopes that are refused', () => {
  const there = scope('one', '1', 'a');
  it.each<[string, ReturnType<typeof scope>, string]>([
    ['a key of another', scope('two', '1', 'a'), 'two: key: the scope "one" has the same key'],
    ['no route configuration', scope('two', '2', ''), 'two: route_configuration_name: is required'],
    [
      'on demand',
      scope('two', '2', 'a', { on_demand: true }),
      'two: on_demand: route configurations of scopes',
    ],
    [
      'a route configuration inside',
      scope('two', '2', 'a', { route_configuration: { name: 'x' } }),
      'two: route_configuration: scopes of a management server name',
    ],
    [
      'a key of other length',
      scope('two', '2', 'a', { key: { fragments: [] } }),
      'two: key.fragments: has 0 fragments',
    ],
    [
      'routes that do not compile',
      scope('two', '2', 'bad'),
      'route configuration "bad": virtual_hosts[0].domains',
    ],
  ])('%s', async (_what, refused, message) => {
    const resources = new FakeDynamicResources();
    resources.set(ROUTES, 'a', routes('a'));
    resources.set(ROUTES, 'bad', readLoose(ROUTES, { name: 'bad', virtual_hosts: [{ name: 'x' }] }));
    resources.set(SCOPES, 'one', there);
    const rig = rigOf(resources);
    expect(() => resources.set(SCOPES, 'two', refused)).toThrow(message);
    expect(await hostFor(rig, '1')).toBe('a');
    expect(await hostFor(rig, '2')).toBeUndefined();
    expect(resources.watched).not.toContain('envoy.config.route.v3.RouteConfiguration bad');
  });

  it('a manager without a source for one of them', () => {
    const resources = new FakeDynamicResources();
    expect(() => rigOf(resources, { scoped_rds: {} })).toThrow(
      'scoped_routes.scoped_rds.scoped_rds_config_source: is required',
    );
  });
});
