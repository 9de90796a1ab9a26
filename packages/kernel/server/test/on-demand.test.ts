import { create, VirtualHostSchema } from '@dragoman/api';
import { eds } from '@dragoman/discovery-eds';
import { onDemand as onDemandFilter } from '@dragoman/http-filter-on-demand';
import {
  eventually,
  HttpUpstream,
  httpManager,
  type JsonObject,
  loadAssignment,
  localAddress,
  startProxy,
  text,
} from '@dragoman/testing';
import { LinearCache, MuxCache, onDemand, resource, virtualHost } from '@dragoman/xds-server';
import { describe, expect, test } from 'vitest';
import { clusterOf, THREADS } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';
import { Plane, VARIANTS, xdsBootstrap } from './support/xds-plane.ts';

const extensions = [...EXTENSIONS, eds, onDemandFilter];
const variant = VARIANTS.find(({ delta, aggregated }) => delta && aggregated) ?? expect.unreachable();
const ADS = { ads: {}, resource_api_version: 'V3' };

const filter: JsonObject = {
  name: 'envoy.filters.http.on_demand',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand',
    odcds: { source: ADS, timeout: '1s' },
  },
};

/** A listener with the filter and with `routes`. */
function listener(routes: JsonObject): JsonObject {
  const { typed_config: manager, name } = httpManager({ routes: [], httpFilters: [filter] }) as {
    name: string;
    typed_config: JsonObject;
  };
  const { route_config: _, ...rest } = manager;
  return {
    name: 'in',
    address: localAddress(),
    filter_chains: [{ filters: [{ name, typed_config: { ...rest, ...routes } }] }],
  };
}

const byHeader = { match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } };

describe.each(THREADS)('on demand, %s', (_name, threads) => {
  test('a cluster comes with the first request for it', async () => {
    await using upstream = await HttpUpstream.start(text('here'));
    const asked: string[] = [];
    const clusters = new LinearCache('clusters');
    await using plane = await Plane.start((fallback) => {
      const filled = onDemand(clusters, ({ names }) => {
        asked.push(...names);
        for (const name of names.filter((one) => one.startsWith('shop')))
          clusters.set(
            resource(
              clusterOf({
                name,
                connect_timeout: '1s',
                load_assignment: loadAssignment(name, [upstream.port]),
              }),
            ),
          );
      });
      return new MuxCache({ caches: { clusters: filled }, fallback });
    });
    const routes = { name: 'r', virtual_hosts: [{ name: 'all', domains: ['*'], routes: [byHeader] }] };
    plane.set({ listeners: [listener({ route_config: routes })] as never });
    const bootstrap = xdsBootstrap(plane.port, variant) as { dynamic_resources: JsonObject };
    const { cds_config: _cds, ...rest } = bootstrap.dynamic_resources;
    await using proxy = await startProxy(
      { ...bootstrap, dynamic_resources: rest },
      { extensions, threads, flags: { concurrency: 2 } },
    );
    expect((await proxy.get('/', 'x-cluster: shop-1')).body.toString()).toBe('here');
    expect((await proxy.get('/', 'x-cluster: shop-1')).status).toBe(200);
    // Names that cannot be asked for harm nobody else.
    for (const name of ['xdstp://a/b', `n${'x'.repeat(9000)}`])
      expect((await proxy.get('/', `x-cluster: ${name}`)).status).toBe(503);
    expect((await proxy.get('/', 'x-cluster: shop-2')).body.toString()).toBe('here');
    const missing = await proxy.get('/', 'x-cluster: nobody');
    expect(missing.status).toBe(503);
    expect(asked.filter((name) => name === 'shop-1')).toHaveLength(1);
    expect(asked).toContain('nobody');
    expect(proxy.stat('cluster_manager.active_clusters')).toBe(3);
  });

  test('a virtual host comes with the first request for it', async () => {
    await using upstream = await HttpUpstream.start(text('here'));
    const hosts = new LinearCache('virtualHosts');
    await using plane = await Plane.start((fallback) => {
      const filled = onDemand(hosts, ({ names }) => {
        for (const name of names) {
          const domain = name.slice('r/'.length);
          if (!name.startsWith('r/') || !domain.endsWith('.example')) continue;
          const routes = [
            {
              match: { pathSpecifier: { case: 'prefix', value: '/' } },
              action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: 'web' } } },
            },
          ] as const;
          hosts.set(
            virtualHost(
              'r',
              create(VirtualHostSchema, { name: domain, domains: [domain], routes: routes as never }),
            ),
          );
        }
      });
      return new MuxCache({ caches: { virtualHosts: filled }, fallback });
    });
    const routes = { name: 'r', vhds: { config_source: { ...ADS, initial_fetch_timeout: '0.2s' } } };
    plane.set({
      clusters: [
        { name: 'web', connect_timeout: '1s', load_assignment: loadAssignment('web', [upstream.port]) },
      ] as never,
      listeners: [listener({ route_config: routes })] as never,
    });
    await using proxy = await startProxy(xdsBootstrap(plane.port, variant), {
      extensions,
      threads,
      flags: { concurrency: 2 },
    });
    expect((await proxy.get('/', 'host: a.example')).body.toString()).toBe('here');
    // A name that cannot be asked for harms nobody else.
    expect((await proxy.get('/', `host: ${'x'.repeat(9000)}.example`)).status).toBe(404);
    expect((await proxy.get('/', 'host: b.example')).status).toBe(200);
    expect((await proxy.get('/', 'host: a.example')).status).toBe(200);
    await eventually(() => expect(proxy.stat('http.ingress.downstream_rq_2xx')).toBe(3));
  });
});
