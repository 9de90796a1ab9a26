import { create, RouteConfigurationSchema } from '@dragoman/api';
import { eds } from '@dragoman/discovery-eds';
import {
  clusterConfig,
  eventually,
  exchange,
  FakeSubscriptions,
  type FakeSubscription,
  HttpUpstream,
  httpBootstrap,
  httpManager,
  type JsonObject,
  localAddress,
  type TestProxy,
  text,
} from '@dragoman/testing';
import type { ServerFlags } from '@dragoman/server';
import { describe, expect, test } from 'vitest';
import { accepts, clusterOf, freePort, listenerOf, start, THREADS } from './dynamic.ts';
import { chainOf, EXTENSIONS, says } from './extensions.ts';
import { crash } from './thread-extensions.ts';

const SOURCE = { ads: {}, resource_api_version: 'V3' };
const CLUSTER_TYPE = 'envoy.config.cluster.v3.Cluster';
const LISTENER_TYPE = 'envoy.config.listener.v3.Listener';

/** A part of `/config_dump`, as far as it is looked at. */
interface Dump {
  readonly '@type': string;
  readonly dynamic_listeners: readonly {
    readonly name: string;
    readonly active_state?: { readonly version_info: string };
    readonly error_state?: { readonly details: string };
  }[];
}

const ROUTES = [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } }];

/** A listener whose routes come from the control plane. */
function discovering(name: string, port: number): JsonObject {
  const { typed_config, name: filter } = httpManager({ routes: [] }) as {
    name: string;
    typed_config: JsonObject;
  };
  const { route_config: _, ...rest } = typed_config;
  const rds = { route_config_name: 'r', config_source: SOURCE };
  return {
    name,
    address: localAddress(port),
    filter_chains: [{ filters: [{ name: filter, typed_config: { ...rest, rds } }] }],
  };
}

/** A proxy with CDS and LDS that a test answers. It starts when both have been answered. */
class Scene {
  readonly subscriptions = new FakeSubscriptions();
  readonly starting: Promise<TestProxy>;

  constructor(
    threads: (typeof THREADS)[number][1],
    bootstrap: JsonObject = {},
    flags: Partial<ServerFlags> = {},
  ) {
    this.starting = start(
      {
        ...httpBootstrap({ routes: ROUTES }),
        ...bootstrap,
        dynamic_resources: { cds_config: SOURCE, lds_config: SOURCE },
      },
      { threads, subscriptions: this.subscriptions, flags: { drainTimeMs: 20, ...flags } },
    );
    this.starting.catch(() => {});
  }

  of(typeName: string): Promise<FakeSubscription> {
    const asked = eventually(() => {
      const found = this.subscriptions.active.find(({ options }) => options.type.typeName === typeName);
      if (found === undefined) throw new Error(`nobody asks for ${typeName}`);
      return found;
    });
    // A config that is refused says so here.
    return Promise.race([asked, this.starting.then(() => asked)]);
  }

  get cds(): Promise<FakeSubscription> {
    return this.of(CLUSTER_TYPE);
  }

  get lds(): Promise<FakeSubscription> {
    return this.of(LISTENER_TYPE);
  }
}

const resource = <M extends { readonly name: string }>(message: M, version = '1') =>
  ({ name: message.name, version, message }) as never;

const cluster = (name: string, port: number, more: JsonObject = {}) =>
  resource(clusterOf({ name, ...clusterConfig(name, port), ...more }));

const listener = (name: string, port: number, answer: string) =>
  resource(listenerOf({ name, address: localAddress(port), filter_chains: [says(answer)] }));

describe.each(THREADS)('%s', (_name, threads) => {
  test('clusters and listeners come, change and go', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using two = await HttpUpstream.start(text('two'));
    const port = await freePort();
    const scene = new Scene(threads);
    const cds = await scene.cds;
    expect(scene.subscriptions.active).toHaveLength(1);
    await cds.update({ changed: [cluster('a', one.port)], full: true });
    const lds = await scene.lds;
    await lds.update({ changed: [listener('dynamic', port, 'first')], full: true });
    await using proxy = await scene.starting;
    expect((await proxy.get('/', 'x-cluster: a')).body.toString()).toBe('one');
    expect(await exchange({ port })).toContain('first');

    await cds.update({ changed: [cluster('a', two.port), cluster('b', one.port)], full: true });
    await eventually(async () => expect((await proxy.get('/', 'x-cluster: a')).body.toString()).toBe('two'));
    await eventually(async () => expect((await proxy.get('/', 'x-cluster: b')).body.toString()).toBe('one'));
    await lds.update({ changed: [listener('dynamic', port, 'second')], full: true });
    expect(await exchange({ port })).toContain('second');

    await cds.update({ changed: [cluster('b', one.port)], full: true });
    expect((await proxy.get('/', 'x-cluster: a')).status).toBe(503);
    await cds.update({ removed: ['b'] });
    expect((await proxy.get('/', 'x-cluster: b')).status).toBe(503);
    await lds.update({ removed: ['dynamic'] });
    await eventually(async () => expect(await accepts(port)).toBe(false));
    expect(proxy.stat('listener_manager.listener_removed')).toBe(1);
    expect(proxy.stat('cluster_manager.cluster_removed')).toBe(2);
  });

  test('what is wrong is refused by name, and harms nothing beside it', async () => {
    await using one = await HttpUpstream.start(text('one'));
    const port = await freePort();
    const scene = new Scene(threads);
    const cds = await scene.cds;
    const bad = cluster('b', one.port, { lb_policy: 'CLUSTER_PROVIDED' });
    await expect(cds.update({ changed: [bad, cluster('a', one.port)], full: true })).rejects.toThrow(
      /^b: lb_policy: extension .* is not part of this proxy/,
    );
    const lds = await scene.lds;
    const wrong = resource(
      listenerOf({
        name: 'wrong',
        address: localAddress(),
        filter_chains: [{ filters: [{ name: 'nobody' }] }],
      }),
    );
    await expect(
      lds.update({ changed: [wrong, listener('good', port, 'good')], full: true }),
    ).rejects.toThrow(/^wrong: filter_chains\[0\]\.filters\[0\]/);
    await using proxy = await scene.starting;
    expect((await proxy.get('/', 'x-cluster: a')).body.toString()).toBe('one');
    expect(await exchange({ port })).toContain('good');
    // The one that was refused was never there; one that is refused later goes on as it was.
    const worse = cluster('a', one.port, { lb_policy: 'CLUSTER_PROVIDED' });
    await expect(cds.update({ changed: [worse], full: true })).rejects.toThrow(/^a: lb_policy/);
    expect((await proxy.get('/', 'x-cluster: a')).body.toString()).toBe('one');
    const { configs } = JSON.parse((await proxy.admin('/config_dump')).body.toString()) as {
      configs: Dump[];
    };
    const listeners = configs.find((part) =>
      part['@type'].endsWith('ListenersConfigDump'),
    )?.dynamic_listeners;
    const entry = (name: string) => listeners?.find((one) => one.name === name);
    expect(entry('wrong')?.error_state?.details).toContain('filter_chains[0]');
    expect(entry('good')?.active_state?.version_info).toBe('1');
    await lds.update({ changed: [listener('good', port, 'good')], full: true });
    const later = await proxy.admin('/config_dump?resource=dynamic_listeners');
    expect(later.body.toString()).not.toContain('wrong');
  });

  test('what the bootstrap says stays', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using two = await HttpUpstream.start(text('two'));
    const scene = new Scene(threads, httpBootstrap({ routes: ROUTES, clusters: { static: one.port } }));
    const cds = await scene.cds;
    await cds.update({ changed: [cluster('static', two.port)], full: true });
    await (await scene.lds).update({ full: true });
    await using proxy = await scene.starting;
    await cds.update({ full: true });
    await cds.update({ removed: ['static'] });
    expect((await proxy.get('/', 'x-cluster: static')).body.toString()).toBe('one');
  });

  test('listeners that wait when all are stopped are never put in place', async () => {
    const port = await freePort();
    const scene = new Scene(threads);
    await (await scene.cds).update({ full: true });
    const lds = await scene.lds;
    await lds.update({ full: true });
    await using proxy = await scene.starting;
    await lds.update({ changed: [resource(listenerOf(discovering('late', port)))], full: true });
    const rds = await scene.of('envoy.config.route.v3.RouteConfiguration');
    expect(proxy.stat('listener_manager.total_listeners_warming')).toBe(1);
    await proxy.admin('/drain_listeners', 'POST');
    await rds.resources({ r: create(RouteConfigurationSchema, { name: 'r' }) });
    await eventually(() => expect(proxy.stat('listener_manager.total_listeners_warming')).toBe(0));
    expect(await accepts(port)).toBe(false);
    expect(proxy.stat('listener_manager.listener_added')).toBe(1);
    await eventually(() => expect(scene.subscriptions.active).toHaveLength(2));
  });

  test('listeners of a start that does not serve are not bound', async () => {
    const port = await freePort();
    const scene = new Scene(threads, {}, { mode: 'init_only' });
    await (await scene.cds).update({ full: true });
    await (await scene.lds).update({ changed: [listener('in', port, 'in')], full: true });
    await using proxy = await scene.starting;
    expect(proxy.stat('listener_manager.total_listeners_active')).toBe(2);
    expect(await accepts(port)).toBe(false);
  });

  test('a control plane that fails is not waited for, one that cannot be reached is', async () => {
    const scene = new Scene(threads);
    const cds = await scene.cds;
    cds.fail('connection');
    await new Promise((resolve) => setImmediate(resolve));
    expect(scene.subscriptions.active).toHaveLength(1);
    cds.fail('timeout');
    (await scene.lds).fail('rejected');
    await using proxy = await scene.starting;
    expect((await proxy.get('/', 'x-cluster: none')).status).toBe(503);
  });
});

test('a worker that takes the place of another has what the others were told', async () => {
  await using one = await HttpUpstream.start(text('one'));
  const subscriptions = new FakeSubscriptions();
  const threads = { extensions: new URL('./thread-extensions.ts', import.meta.url) };
  const { typed_config: manager, name } = httpManager({ routes: [] }) as {
    name: string;
    typed_config: JsonObject;
  };
  const { route_config: _, ...rest } = manager;
  const rds = { route_config_name: 'r', config_source: SOURCE };
  const address = localAddress();
  const starting = start(
    {
      ...httpBootstrap({
        clusters: { web: one.port },
        listeners: [
          { name: 'crash', address, filter_chains: [chainOf('crash')] },
          { name: 'in', address, filter_chains: [{ filters: [{ name, typed_config: { ...rest, rds } }] }] },
        ],
      }),
    },
    { threads, extensions: [...EXTENSIONS, crash], subscriptions, flags: { concurrency: 2 } },
  );
  const routes = await eventually(() => subscriptions.active[0] ?? expect.unreachable(), 15_000);
  const to = (cluster: string): object =>
    create(RouteConfigurationSchema, {
      name: 'r',
      virtualHosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            {
              match: { pathSpecifier: { case: 'prefix', value: '/' } },
              action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: cluster } } },
            },
          ],
        },
      ],
    });
  await routes.resources({ r: to('nobody') });
  await using proxy = await starting;
  await routes.resources({ r: to('web') });
  const port = proxy.portOf('in');
  const ask = () => exchange({ port }, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  expect(await ask()).toContain('one');
  for (let deaths = 1; deaths <= 2; deaths++) {
    await exchange({ port: proxy.portOf('crash') }).catch(() => {});
    await proxy.untilStat('server.worker_deaths', deaths);
  }
  await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask().catch(String)));
    for (const answer of answers) expect(answer).toContain('one');
  }, 10_000);
});

test('config sources are refused where there are none', async () => {
  const bootstrap = { ...httpBootstrap({}), dynamic_resources: { cds_config: SOURCE } };
  await expect(start(bootstrap)).rejects.toThrow(
    /dynamic_resources\.cds_config\.ads: there is no aggregated stream: set dynamic_resources\.ads_config/,
  );
});

describe('a validation finds config sources that cannot be had', () => {
  const problem = async (bootstrap: JsonObject): Promise<string> => {
    const { validateBootstrap } = await import('@dragoman/server');
    const text = JSON.stringify({ node: { id: 'a', cluster: 'b' }, ...bootstrap });
    return validateBootstrap({ bootstrap: text, extensions: [...EXTENSIONS, eds] }).then(
      () => 'none',
      (error: Error) => error.message,
    );
  };
  const file = (path: string) => ({ path_config_source: { path } });
  const manager = (routes: JsonObject): JsonObject => {
    const { typed_config, name } = httpManager({ routes: [] }) as { name: string; typed_config: JsonObject };
    const { route_config: _, ...rest } = typed_config;
    return { name, typed_config: { ...rest, ...routes } };
  };

  test.each<[string, JsonObject, string]>([
    [
      'clusters',
      { dynamic_resources: { cds_config: SOURCE } },
      'dynamic_resources.cds_config.ads: there is no',
    ],
    [
      'listeners',
      { dynamic_resources: { lds_config: file('/nowhere/lds.yaml') } },
      'dynamic_resources.lds_config.path_config_source.path: "/nowhere/lds.yaml" must be there',
    ],
    [
      'endpoints',
      {
        static_resources: {
          clusters: [
            { name: 'c', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: SOURCE } },
          ],
        },
      },
      'static_resources.clusters[0].eds_cluster_config.eds_config.ads: there is no',
    ],
    [
      'routes',
      {
        static_resources: {
          listeners: [
            {
              name: 'l',
              address: localAddress(),
              filter_chains: [
                { filters: [manager({ rds: { route_config_name: 'r', config_source: SOURCE } })] },
              ],
            },
          ],
        },
      },
      'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.rds.config_source.ads: there is no',
    ],
    [
      'runtime values',
      { layered_runtime: { layers: [{ name: 'a', rtds_layer: { name: 'r', rtds_config: SOURCE } }] } },
      'layered_runtime.layers[0].rtds_layer.rtds_config.ads: there is no',
    ],
  ])('of %s', async (_, bootstrap, text) => {
    expect(await problem(bootstrap)).toContain(text);
  });
});
