import { CaresDnsResolverConfigSchema, ClusterSchema } from '@dragoman/api';
import {
  ConfigError,
  defineDiscovery,
  defineDnsResolver,
  type DiscoveryContext,
  type DiscoveryListener,
  type DnsResolver,
  ExtensionRegistry,
  type HostListUpdate,
  type MainContext,
  noSubscriptions,
} from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type ClusterSink, createClusterSources } from '../src/index.ts';
import { clusterMessage, endpoint, hostList, localityOf, testContext } from './support/clusters.ts';
import { MemoryStats } from './support/memory-stats.ts';

/** A discovery that does what the test says, by the cluster's name. */
class Scripted {
  readonly listeners = new Map<string, DiscoveryListener>();
  readonly contexts = new Map<string, DiscoveryContext>();
  readonly stopped: string[] = [];
  readonly extension = defineDiscovery({
    name: 'envoy.cluster.static',
    clusterType: 'STATIC',
    cluster: ClusterSchema,
    create: (cluster, context) => {
      this.contexts.set(cluster.name, context);
      return {
        start: (listener) => {
          this.listeners.set(cluster.name, listener);
          if (cluster.altStatName === 'no source')
            throw ConfigError.at('eds_cluster_config', 'no such source');
        },
        stop: () => this.stopped.push(cluster.name),
      };
    },
  });

  of(name: string): DiscoveryListener {
    const listener = this.listeners.get(name);
    if (listener === undefined) throw new Error(`${name} was not started`);
    return listener;
  }
}

class Recorder implements ClusterSink {
  readonly lists: [cluster: string, addresses: string[]][] = [];

  updateHosts(clusterName: string, update: HostListUpdate): void {
    this.lists.push([
      clusterName,
      update.localities.flatMap((group) => group.endpoints.map((one) => one.address)),
    ]);
  }
}

function setUp(...clusters: object[]) {
  const scripted = new Scripted();
  const stats = new MemoryStats();
  const closed: string[] = [];
  const resolver = defineDnsResolver({
    name: 'envoy.network.dns_resolver.cares',
    config: CaresDnsResolverConfigSchema,
    create: (config) => ({
      resolve: async () => ({ ok: false, reason: `own ${config?.resolvers.length}` }),
      close: () => closed.push('own'),
    }),
  });
  const server: DnsResolver = { resolve: async () => ({ ok: false, reason: 'server' }), close: () => {} };
  const { context } = testContext(new FakeClock(), stats);
  const main: MainContext = { ...context, dns: server, subscriptions: noSubscriptions };
  const sink = new Recorder();
  const create = () =>
    createClusterSources({
      clusters: clusters.map(clusterMessage),
      registry: new ExtensionRegistry([scripted.extension, resolver]),
      context: main,
      sinks: [sink],
    });
  return { scripted, stats, sink, closed, create, server };
}

async function settled(promise: Promise<void>): Promise<boolean> {
  return Promise.race([
    promise.then(() => true),
    new Promise<boolean>((resolve) => setImmediate(resolve, false)),
  ]);
}

describe('createClusterSources', () => {
  it('passes lists on to every sink, and to a late one what is known', () => {
    const { scripted, sink, create } = setUp({ name: 'a' }, { name: 'b' });
    const sources = create();
    sources.start();
    scripted.of('a').onHosts(hostList('10.0.0.1:80'));
    const late = new Recorder();
    const leave = sources.addSink(late);
    scripted.of('b').onHosts(hostList('10.0.0.2:80'));
    leave();
    scripted.of('b').onHosts(hostList());
    expect(sink.lists).toEqual([
      ['a', ['10.0.0.1:80']],
      ['b', ['10.0.0.2:80']],
      ['b', []],
    ]);
    expect(late.lists).toEqual([
      ['a', ['10.0.0.1:80']],
      ['b', ['10.0.0.2:80']],
    ]);
  });

  it('is warm when every cluster has had its first answer or failure', async () => {
    const { scripted, stats, create } = setUp({ name: 'a' }, { name: 'b' });
    const sources = create();
    expect(await settled(sources.warmed)).toBe(false);
    sources.start();
    expect(stats.nonZero('cluster_manager.')).toEqual({ cluster_added: 2, warming_clusters: 2 });
    expect(stats.value('cluster.a.warming_state')).toBe(1);
    scripted.of('a').onHosts(hostList());
    expect(await settled(sources.warmed)).toBe(false);
    scripted.of('b').onFailure('no answer');
    expect(await settled(sources.warmed)).toBe(true);
    expect(stats.nonZero('cluster_manager.')).toEqual({
      cluster_added: 2,
      cluster_updated: 1,
      active_clusters: 2,
    });
  });

  it('does not wait for a cluster that says so, nor without clusters', async () => {
    const { create } = setUp({ name: 'a', wait_for_warm_on_init: false });
    const sources = create();
    sources.start();
    expect(await settled(sources.warmed)).toBe(true);
    const none = setUp().create();
    none.start();
    expect(await settled(none.warmed)).toBe(true);
  });

  it('counts the members', () => {
    const { scripted, stats, create } = setUp({ name: 'a', alt_stat_name: 'pretty' });
    create().start();
    const update = {
      localities: [
        localityOf(
          0,
          endpoint('10.0.0.1:80', { weight: 9 }),
          endpoint('10.0.0.2:80', { health: 'degraded' }),
        ),
        localityOf(1, endpoint('10.0.0.3:80', { health: 'unhealthy' })),
      ],
    };
    scripted.of('a').onHosts(update);
    scripted.of('a').onHosts(update);
    expect(stats.nonZero('cluster.pretty.')).toEqual({
      membership_change: 1,
      membership_total: 3,
      membership_healthy: 1,
      membership_degraded: 1,
      max_host_weight: 9,
    });
    scripted.of('a').onHosts(hostList('10.0.0.1:80'));
    expect(stats.nonZero('cluster.pretty.')).toEqual({
      membership_change: 2,
      membership_total: 1,
      membership_healthy: 1,
      max_host_weight: 1,
    });
  });

  it('counts no change for a host that keeps its identity at another address', () => {
    const { scripted, stats, create } = setUp({ name: 'a' });
    create().start();
    for (const address of ['10.0.0.1:80', '10.0.0.2:80'])
      scripted.of('a').onHosts(hostList(endpoint(address, { id: 'web:80' })));
    expect(stats.nonZero('cluster.a.')).toMatchObject({ membership_change: 1, membership_total: 1 });
  });

  it('gives a cluster the resolver it asks for, and closes it', async () => {
    const address = { socket_address: { address: '10.0.0.53', port_value: 53 } };
    const typed = {
      name: 'envoy.network.dns_resolver.cares',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
        resolvers: [address, address, address],
      },
    };
    const { scripted, closed, create } = setUp(
      { name: 'server' },
      { name: 'list', dns_resolvers: [address] },
      { name: 'config', dns_resolution_config: { resolvers: [address, address] } },
      { name: 'typed', typed_dns_resolver_config: typed, dns_resolvers: [address] },
    );
    const sources = create();
    const reasons = [...scripted.contexts.values()].map(async ({ dns }) => {
      const result = await dns.resolve('x', 'AUTO');
      return result.ok ? '' : result.reason;
    });
    expect(await Promise.all(reasons)).toEqual(['server', 'own 1', 'own 2', 'own 3']);
    sources.stop();
    expect(closed).toEqual(['own', 'own', 'own']);
  });

  it('adds, changes and removes clusters while it runs', async () => {
    const { scripted, stats, sink, create } = setUp({ name: 'a' });
    const sources = create();
    sources.start();
    const old = scripted.of('a');
    old.onHosts(hostList('10.0.0.1:80'));
    const changed = sources.warmCluster(clusterMessage({ name: 'a', connect_timeout: '1s' }));
    const added = sources.warmCluster(clusterMessage({ name: 'b' }));
    expect(stats.nonZero('cluster_manager.')).toMatchObject({ active_clusters: 1, warming_clusters: 2 });
    // The old one goes on while the new one looks for its hosts.
    old.onHosts(hostList('10.0.0.1:80', '10.0.0.2:80'));
    expect(scripted.stopped).toEqual([]);
    scripted.of('a').onHosts(hostList('10.0.0.3:80'));
    scripted.of('b').onFailure('nobody there');
    await Promise.all([changed.warmed, added.warmed]);
    expect(changed.take()).toEqual(hostList('10.0.0.3:80'));
    expect(stats.nonZero('cluster.a.')).toMatchObject({ membership_total: 2 });
    changed.activate();
    expect(scripted.stopped).toEqual(['a']);
    expect(stats.nonZero('cluster.a.')).toMatchObject({ membership_total: 1 });
    expect(added.take()).toBeUndefined();
    added.activate();
    old.onHosts(hostList('10.0.0.9:80'));
    scripted.of('a').onHosts(hostList('10.0.0.4:80'));
    scripted.of('b').onHosts(hostList('10.0.0.5:80'));
    expect(sink.lists).toEqual([
      ['a', ['10.0.0.1:80']],
      ['a', ['10.0.0.1:80', '10.0.0.2:80']],
      ['a', ['10.0.0.4:80']],
      ['b', ['10.0.0.5:80']],
    ]);
    expect(sources.removeCluster('a')).toBe(true);
    expect(sources.removeCluster('a')).toBe(false);
    scripted.of('a').onHosts(hostList('10.0.0.6:80'));
    expect(sink.lists).toHaveLength(4);
    expect(stats.nonZero('cluster_manager.')).toMatchObject({
      cluster_added: 2,
      cluster_modified: 1,
      cluster_removed: 1,
      active_clusters: 1,
    });
  });

  it('tells of hosts found between warming and taking over', async () => {
    const { scripted, sink, create } = setUp();
    const sources = create();
    sources.start();
    const warming = sources.warmCluster(clusterMessage({ name: 'a' }));
    scripted.of('a').onHosts(hostList('10.0.0.1:80'));
    await warming.warmed;
    expect(warming.take()).toEqual(hostList('10.0.0.1:80'));
    scripted.of('a').onHosts(hostList('10.0.0.2:80'));
    expect(sink.lists).toEqual([]);
    warming.activate();
    expect(sink.lists).toEqual([['a', ['10.0.0.2:80']]]);
  });

  it('keeps what the old version finds from sinks that have been given the new one', async () => {
    const { scripted, sink, create } = setUp({ name: 'a' });
    const sources = create();
    sources.start();
    const old = scripted.of('a');
    old.onHosts(hostList('10.0.0.1:80'));
    const warming = sources.warmCluster(clusterMessage({ name: 'a', connect_timeout: '1s' }));
    scripted.of('a').onHosts(hostList('10.0.0.2:80'));
    await warming.warmed;
    warming.take();
    old.onHosts(hostList('10.0.0.9:80'));
    warming.activate();
    expect(sink.lists).toEqual([['a', ['10.0.0.1:80']]]);
    scripted.of('a').onHosts(hostList('10.0.0.3:80'));
    expect(sink.lists.slice(1)).toEqual([['a', ['10.0.0.3:80']]]);
  });

  it('passes it on after all when the new version is not wanted', async () => {
    const { scripted, sink, create } = setUp({ name: 'a' });
    const sources = create();
    sources.start();
    const old = scripted.of('a');
    old.onHosts(hostList('10.0.0.1:80'));
    for (const found of ['10.0.0.9:80', undefined]) {
      const warming = sources.warmCluster(clusterMessage({ name: 'a', connect_timeout: '1s' }));
      scripted.of('a').onHosts(hostList('10.0.0.2:80'));
      await warming.warmed;
      warming.take();
      if (found !== undefined) old.onHosts(hostList(found));
      warming.discard();
      warming.discard();
    }
    expect(scripted.stopped).toEqual(['a', 'a']);
    old.onHosts(hostList('10.0.0.4:80'));
    expect(sink.lists).toEqual([
      ['a', ['10.0.0.1:80']],
      ['a', ['10.0.0.9:80']],
      ['a', ['10.0.0.4:80']],
    ]);
  });

  it('leaves nobody waiting for a cluster that is not wanted any more', async () => {
    const { scripted, stats, create } = setUp();
    const sources = create();
    sources.start();
    const dropped = sources.warmCluster(clusterMessage({ name: 'b' }));
    const warming = () =>
      ['cluster.b.warming_state', 'cluster_manager.warming_clusters'].map((name) => stats.value(name));
    expect(warming()).toEqual([1, 1]);
    dropped.discard();
    await dropped.warmed;
    expect(scripted.stopped).toEqual(['b']);
    expect(warming()).toEqual([0, 0]);
    const late = sources.warmCluster(clusterMessage({ name: 'c' }));
    sources.stop();
    await late.warmed;
    expect([late.take(), scripted.stopped]).toEqual([undefined, ['b', 'c']]);
    expect(() => sources.warmCluster(clusterMessage({ name: 'd' }))).toThrow('discovery has ended');
  });

  it('publishes nothing after stop, and leaves nobody waiting', async () => {
    const { scripted, sink, create } = setUp({ name: 'a' });
    const sources = create();
    sources.start();
    sources.stop();
    scripted.of('a').onHosts(hostList('10.0.0.1:80'));
    scripted.of('a').onFailure('late');
    expect(sink.lists).toEqual([]);
    expect(scripted.stopped).toEqual(['a']);
    expect(await settled(sources.warmed)).toBe(true);
  });

  it.each<[object, string]>([
    [
      { type: 'EDS' },
      '.type: extension "envoy.cluster.eds" is not part of this proxy: the package @dragoman/discovery-eds',
    ],
    [{ type: 'STRICT_DNS' }, '.type: extension "envoy.cluster.strict_dns"'],
    [{ type: null, cluster_type: { name: 'envoy.clusters.aggregate' } }, '.cluster_type: unknown extension'],
  ])('refuses %j, whose source is not there', (config, message) => {
    const { create } = setUp({ name: 'ok' }, { name: 'a', ...config });
    expect(create).toThrow(`static_resources.clusters[1]${message}`);
  });

  it('tells of all that cannot start, and where they stand', () => {
    const wrong = { alt_stat_name: 'no source' };
    const { create } = setUp({ name: 'a', ...wrong }, { name: 'b' }, { name: 'c', ...wrong });
    expect(() => create().start()).toThrow(
      'static_resources.clusters[0].eds_cluster_config: no such source\nstatic_resources.clusters[2].eds_cluster_config: no such source',
    );
  });

  it('leaves nothing of a new cluster that cannot start', () => {
    const { scripted, stats, create } = setUp();
    const sources = create();
    sources.start();
    expect(() => sources.warmCluster(clusterMessage({ name: 'a', alt_stat_name: 'no source' }))).toThrow(
      /^eds_cluster_config: no such source$/,
    );
    expect(scripted.stopped).toEqual(['a']);
    expect(stats.value('cluster_manager.warming_clusters')).toBe(0);
  });

  it('takes STATIC for a cluster that does not say', () => {
    const { scripted, create } = setUp({ name: 'a', type: null });
    create();
    expect([...scripted.contexts.keys()]).toEqual(['a']);
  });
});
