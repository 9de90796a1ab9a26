import { EmptySchema, readLoose, RouteConfigurationSchema, VirtualHostSchema } from '@dragoman/api';
import type { HttpFilterExtension } from '@dragoman/core';
import { FakeDynamicResources, type JsonObject } from '@dragoman/testing';
import { describe, expect, it, test } from 'vitest';
import { ManagerRig, ok } from './manager-rig.ts';

const ADS = { ads: {} };
const HOSTS = VirtualHostSchema;

const host = (name: string, more: JsonObject = {}): JsonObject => ({
  name,
  domains: ['*'],
  routes: [{ match: { prefix: '/' }, route: { cluster: name } }],
  ...more,
});

const config = (hosts: readonly JsonObject[], more: JsonObject = {}) =>
  readLoose(RouteConfigurationSchema, { name: 'r', virtual_hosts: hosts, ...more });

const virtualHost = (name: string, domain = name, more: JsonObject = {}) =>
  readLoose(HOSTS, host(name, { domains: [domain], ...more }));

interface Scene {
  readonly rig: ManagerRig;
  readonly resources: FakeDynamicResources;
  set(resource: ReturnType<typeof config>): void;
}

function sceneOf(options: ConstructorParameters<typeof ManagerRig>[0] = {}, first?: unknown): Scene {
  const resources = new FakeDynamicResources();
  if (first !== undefined) resources.set(RouteConfigurationSchema, 'r', first);
  const rig = new ManagerRig({
    ...options,
    manager: {
      route_config: undefined as never,
      rds: { config_source: ADS, route_config_name: 'r' },
      ...options.manager,
    },
    context: { dynamicResources: resources, ...options.context },
  });
  return { rig, resources, set: (resource) => resources.set(RouteConfigurationSchema, 'r', resource) };
}

/** The virtual host that takes a request; undefined for none. */
async function hostFor(rig: ManagerRig, authority = 'a.test'): Promise<string | undefined> {
  await rig.send(`GET / HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
  return rig.streams.at(-1)?.route?.virtualHostName;
}

describe('rds', () => {
  it('has no route before the first version, and the newest after each', async () => {
    const { rig, set } = sceneOf();
    expect(await hostFor(rig)).toBeUndefined();
    expect(rig.streams[0]?.routeMiss()).toEqual({
      details: 'no_route_configuration',
      text: 'the route configuration "r" has not come from its config source yet',
    });
    set(config([host('one')]));
    expect(await hostFor(rig)).toBe('one');
    set(config([host('two')]));
    expect(await hostFor(rig)).toBe('two');
  });

  it('begins with what is there already', async () => {
    expect(await hostFor(sceneOf({}, config([host('one')])).rig)).toBe('one');
  });

  it('keeps the table of a request under way, also when its route is looked for anew', async () => {
    const { rig, set } = sceneOf({ upstream: { headers: () => undefined } }, config([host('one')]));
    await rig.request();
    const [stream] = rig.streams;
    set(config([host('two')]));
    expect(stream?.route?.virtualHostName).toBe('one');
    stream?.clearRouteCache();
    expect(stream?.route?.virtualHostName).toBe('one');
  });

  it('keeps the old version when the new one does not compile, is refused elsewhere, or the resource is removed', async () => {
    const { rig, set, resources } = sceneOf({}, config([host('one')]));
    expect(() => set(config([host('a'), host('b')]))).toThrow('virtual_hosts[1].domains[0]: only one');
    expect(await hostFor(rig)).toBe('one');
    resources.refuse(RouteConfigurationSchema, 'r', config([host('two')]));
    expect(await hostFor(rig)).toBe('one');
    resources.set(RouteConfigurationSchema, 'r', undefined);
    expect(await hostFor(rig)).toBe('one');
  });

  it('compiles configs for filters with those of the manager', () => {
    const { set } = sceneOf({ filters: { f: {} } });
    const config = { f: { '@type': 'type.googleapis.com/google.protobuf.Empty' } };
    expect(() =>
      set(readLoose(RouteConfigurationSchema, { name: 'r', typed_per_filter_config: config })),
    ).toThrow('typed_per_filter_config["f"]: f takes no config for a route');
  });

  it('refuses unknown clusters only with validate_clusters', async () => {
    const clusters = { get: () => undefined, clusterNames: ['known', 'one'] };
    const { rig, set } = sceneOf({ context: { clusters } });
    set(config([host('on')]));
    expect(await hostFor(rig)).toBe('on');
    const strict = { validate_clusters: true };
    expect(() => set(config([host('on')], strict))).toThrow(
      'virtual_hosts[0].routes[0].route.cluster: unknown cluster "on"; did you mean "one"?',
    );
    set(config([host('one')], strict));
    expect(await hostFor(rig)).toBe('one');
  });

  it('refuses a manager whose routes are there and do not compile, and one without a source', () => {
    expect(() => sceneOf({}, config([host('a'), host('b')]))).toThrow('rds.virtual_hosts[1].domains[0]');
    expect(() => sceneOf({ manager: { rds: { route_config_name: 'r' } } })).toThrow(
      'rds.config_source: is required',
    );
  });
});

describe('vhds', () => {
  const vhds = { vhds: { config_source: ADS } };
  const asks = {
    filters: {
      ask: (stream: Parameters<typeof demanding>[0]) => demanding(stream),
    },
  };
  const demanding = (stream: {
    readonly route: unknown;
    demandRoute(onAnswer: (found: boolean) => void): unknown;
    resumeRequest(): void;
    startAnew(): boolean;
  }) => ({
    onRequestHeaders(): 'pause' | undefined {
      if (stream.route !== undefined) return undefined;
      const asked = stream.demandRoute((found) => {
        if (!found || !stream.startAnew()) stream.resumeRequest();
      });
      return asked === undefined ? undefined : 'pause';
    },
  });

  it('adds virtual hosts as they come, change and go', async () => {
    const { rig, resources } = sceneOf({}, config([host('base', { domains: ['base.test'] })], vhds));
    expect(resources.watched).toEqual([
      'envoy.config.route.v3.RouteConfiguration r',
      'envoy.config.route.v3.VirtualHost r/*',
    ]);
    expect(await hostFor(rig, 'one.test')).toBeUndefined();
    resources.set(HOSTS, 'r/one', virtualHost('one', 'one.test'));
    expect(await hostFor(rig, 'one.test')).toBe('one');
    expect(await hostFor(rig, 'base.test')).toBe('base');
    resources.set(HOSTS, 'r/one', virtualHost('one', 'two.test'));
    expect(await hostFor(rig, 'one.test')).toBeUndefined();
    expect(await hostFor(rig, 'two.test')).toBe('one');
    resources.set(HOSTS, 'r/base', virtualHost('base', 'base2.test'));
    expect(await hostFor(rig, 'base.test')).toBeUndefined();
    resources.set(HOSTS, 'r/one', undefined);
    expect(await hostFor(rig, 'two.test')).toBeUndefined();
  });

  it('refuses a host that does not fit, by its name, and keeps the others', async () => {
    const { rig, resources } = sceneOf({}, config([host('base', { domains: ['base.test'] })], vhds));
    expect(() => resources.set(HOSTS, 'r/x', virtualHost('x', 'base.test'))).toThrow(
      'r/x: domains[0]: the domain "base.test" is taken already',
    );
    expect(await hostFor(rig, 'base.test')).toBe('base');
  });

  it('keeps its hosts over another version of the same source, and drops them with vhds', async () => {
    const { rig, resources, set } = sceneOf({}, config([], vhds));
    resources.set(HOSTS, 'r/one', virtualHost('one'));
    set(config([host('base', { domains: ['base.test'] })], vhds));
    expect(await hostFor(rig, 'one')).toBe('one');
    set(config([host('all')]));
    expect(await hostFor(rig, 'one')).toBe('all');
    expect(resources.watched).toEqual(['envoy.config.route.v3.RouteConfiguration r']);
  });

  it('watches nothing for a version that was refused', async () => {
    const { resources, set, rig } = sceneOf({}, config([host('one')]));
    resources.refuse(RouteConfigurationSchema, 'r', config([], vhds));
    set(config([host('two')]));
    expect(resources.watched).toEqual(['envoy.config.route.v3.RouteConfiguration r']);
    expect(await hostFor(rig)).toBe('two');
  });

  it('takes a version and hosts that were prepared at the same time', async () => {
    const { resources, rig, set } = sceneOf({}, config([], vhds));
    // Between the two steps of the new configuration a host comes.
    resources.watch(
      { type: RouteConfigurationSchema, source: ADS, name: 'r' },
      {
        prepare() {
          resources.set(HOSTS, 'r/one', virtualHost('one'));
          return () => undefined;
        },
      },
    );
    set(config([host('base', { domains: ['base.test'] })], vhds));
    expect(await hostFor(rig, 'one')).toBe('one');
    expect(await hostFor(rig, 'base.test')).toBe('base');
  });

  it('is for hosts in route_config too', async () => {
    const { rig, resources } = sceneOf({
      manager: {
        rds: undefined as never,
        route_config: { name: 'r', vhds: { config_source: ADS } },
      },
    });
    resources.set(HOSTS, 'r/one', virtualHost('one'));
    expect(await hostFor(rig, 'one')).toBe('one');
  });

  it('needs a source that can be asked for single hosts', () => {
    const rest = { api_config_source: { api_type: 'GRPC', transport_api_version: 'V3' } };
    const { set } = sceneOf();
    expect(() => set(config([], { vhds: { config_source: rest } }))).toThrow(
      'vhds.config_source: virtual hosts are discovered one by one',
    );
  });

  it('asks for the host of a request that has none, which goes on with its route', async () => {
    const { rig, resources } = sceneOf(asks, config([], vhds));
    await rig.send('POST /a HTTP/1.1\r\nhost: One.Test\r\ncontent-length: 2\r\n\r\nhi');
    expect(resources.demanded).toEqual(['envoy.config.route.v3.VirtualHost r/one.test']);
    expect(rig.upstream).toEqual([]);
    resources.set(HOSTS, 'r/one.test', virtualHost('one', 'one.test'));
    resources.answer(HOSTS, 'r/one.test', true);
    await rig.run();
    expect(rig.upstream).toEqual(['complete', 'POST /a', 'body:hi!', 'complete']);
    expect(rig.streams[1]?.route?.virtualHostName).toBe('one');
    expect(rig.response.status).toBe(200);
    // Each way of the request is logged for itself, as in Envoy.
    expect(rig.logged).toEqual(['0 route_demanded -', '200 via_upstream -']);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  it('makes the filters that the route switches on', async () => {
    const seen: string[] = [];
    const late: HttpFilterExtension = {
      category: 'http-filters',
      name: 'late',
      terminal: false,
      perRoute: EmptySchema,
      create: () => () => ({ onRequestHeaders: () => void seen.push('late') }),
    };
    const { rig, resources } = sceneOf(
      {
        ...asks,
        extensions: [late],
        manager: { http_filters: [{ name: 'ask' }, { name: 'late', disabled: true }, { name: 'terminal' }] },
      },
      config([], vhds),
    );
    await rig.request();
    const here = { late: { '@type': 'type.googleapis.com/google.protobuf.Empty' } };
    resources.set(HOSTS, 'r/a.test', virtualHost('a', 'a.test', { typed_per_filter_config: here }));
    resources.answer(HOSTS, 'r/a.test', true);
    await rig.run();
    expect(seen).toEqual(['late']);
  });

  it('fails the request of a filter that cannot take the answer', async () => {
    const { rig, resources } = sceneOf(
      {
        filters: {
          ask: (stream) => ({
            onRequestHeaders() {
              stream.demandRoute(() => {
                throw new Error('no answer wanted');
              });
              return 'pause';
            },
          }),
        },
      },
      config([], vhds),
    );
    await rig.request();
    expect(() => resources.answer(HOSTS, 'r/a.test', false)).not.toThrow();
    await rig.run();
    expect(rig.response.status).toBe(500);
    expect(rig.context.loggers.lines.join()).toContain('ask failed: Error: no answer wanted');
  });

  it('goes on without a route when there is no such host', async () => {
    const { rig, resources } = sceneOf(
      {
        ...asks,
        upstream: { headers: (stream) => ok(stream, stream.route === undefined ? 'none' : 'some') },
      },
      config([], vhds),
    );
    await rig.request();
    resources.answer(HOSTS, 'r/a.test', false);
    await rig.run();
    expect(rig.response.body.toString()).toBe('none');
  });

  it('does not ask for a host that is there and has no route, nor where nothing can be asked for', async () => {
    const { rig, resources, set } = sceneOf(asks, config([], vhds));
    resources.set(HOSTS, 'r/a.test', virtualHost('a', 'a.test', { routes: [] }));
    await rig.request();
    set(config([]));
    await rig.request();
    expect(resources.demanded).toEqual([]);
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 200]);
  });

  it('hears nothing after the end of the request', async () => {
    const { rig, resources } = sceneOf(asks, config([], vhds));
    await rig.request();
    rig.pair.client.close('reset');
    await rig.run();
    resources.set(HOSTS, 'r/a.test', virtualHost('a', 'a.test'));
    resources.answer(HOSTS, 'r/a.test', true);
    await rig.run();
    expect(rig.upstream).toEqual(['complete']);
  });
});

test('a large table takes one more host without compiling the others anew', () => {
  const resources = new FakeDynamicResources();
  for (let i = 0; i < 200; i++) resources.set(HOSTS, `r/${i}`, virtualHost(`h${i}`));
  const { rig } = sceneOf({ context: { dynamicResources: resources } }, undefined);
  resources.set(RouteConfigurationSchema, 'r', config([], { vhds: { config_source: ADS } }));
  const warnings = rig.context.warnings.length;
  resources.set(
    HOSTS,
    'r/x',
    virtualHost('x', 'x', { rate_limits: [{ actions: [{ remote_address: {} }] }] }),
  );
  resources.set(HOSTS, 'r/y', virtualHost('y'));
  expect(rig.context.warnings.length - warnings).toBe(1);
});
