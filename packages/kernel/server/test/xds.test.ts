import { eds } from '@dragoman/discovery-eds';
import type { ProxyOptions } from '@dragoman/server';
import {
  eventually,
  HttpUpstream,
  httpManager,
  type JsonObject,
  loadAssignment,
  localAddress,
  startProxy,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { THREADS } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';
import { type Parts, Plane, sourceOf, VARIANTS, type Variant, xdsBootstrap } from './support/xds-plane.ts';

const extensions = [...EXTENSIONS, eds];
const routes = (name: string, cluster: string): JsonObject => ({
  name,
  virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
});

/** What a proxy needs to answer: a cluster by EDS, a listener by RDS. */
function world(variant: Variant, port: number, more: Partial<Record<keyof Parts, unknown>> = {}) {
  const source = sourceOf(variant);
  const { route_config: _, ...manager } = (httpManager({ routes: [] }) as { typed_config: JsonObject })
    .typed_config;
  return {
    clusters: [
      { name: 'web', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: source } },
    ],
    endpoints: [loadAssignment('web', [port])],
    listeners: [
      {
        name: 'in',
        address: localAddress(),
        filter_chains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.http_connection_manager',
                typed_config: { ...manager, rds: { route_config_name: 'r', config_source: source } },
              },
            ],
          },
        ],
      },
    ],
    routes: [routes('r', 'web')],
    ...more,
  } as Parts;
}

const start = (plane: Plane, variant: Variant, threads: ProxyOptions['threads']): Promise<TestProxy> =>
  startProxy(xdsBootstrap(plane.port, variant), {
    extensions,
    threads,
    flags: { concurrency: 2, drainTimeMs: 20 },
  });

const answer = async (proxy: TestProxy): Promise<string> => (await proxy.get('/')).body.toString();

describe.each(THREADS)('%s', (_name, threads) => {
  test.each(VARIANTS)('$name: what a control plane says is done', async (variant) => {
    await using one = await HttpUpstream.start(text('one'));
    await using two = await HttpUpstream.start(text('two'));
    await using plane = await Plane.start();
    plane.set(world(variant, one.port));
    await using proxy = await start(plane, variant, threads);
    expect(await answer(proxy)).toBe('one');
    // Endpoints change.
    plane.set(world(variant, two.port));
    await eventually(async () => expect(await answer(proxy)).toBe('two'));
    // Routes change, to a cluster that comes with them.
    const more = {
      name: 'more',
      type: 'STATIC',
      connect_timeout: '1s',
      load_assignment: loadAssignment('more', [one.port]),
    };
    const before = world(variant, two.port);
    plane.set(
      world(variant, two.port, {
        clusters: [...(before.clusters as unknown[]), more],
        routes: [routes('r', 'more')],
      }),
    );
    await eventually(async () => expect(await answer(proxy)).toBe('one'));
    // A route configuration that is wrong is refused, and the old one stays.
    const wrong = {
      ...routes('r', 'web'),
      request_headers_to_add: [{ header: { key: ':path', value: 'x' } }],
    };
    plane.set(
      world(variant, two.port, { clusters: [...(before.clusters as unknown[]), more], routes: [wrong] }),
    );
    await eventually(() => {
      const [nack] = plane.nacks;
      expect(nack?.typeUrl).toContain('RouteConfiguration');
      expect(nack?.message).toMatch(/r: .*request_headers_to_add/);
    });
    expect(await answer(proxy)).toBe('one');
    expect(proxy.stat('http.ingress.rds.r.update_rejected')).toBe(1);
    // It is mended.
    plane.set(world(variant, two.port));
    await eventually(async () => expect(await answer(proxy)).toBe('two'));
    await eventually(() => expect(proxy.stat('cluster_manager.cluster_removed')).toBe(1));
    // The control plane goes and comes back with something new.
    await plane.restart();
    expect(await answer(proxy)).toBe('two');
    plane.set(world(variant, one.port));
    await eventually(async () => expect(await answer(proxy)).toBe('one'), 10_000);
    // All listeners go.
    plane.set(world(variant, one.port, { listeners: [], routes: [] }));
    await eventually(() => expect(proxy.stat('listener_manager.total_listeners_active')).toBe(0));
  });
});
