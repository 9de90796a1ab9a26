import { type Cluster, create, TypedExtensionConfigSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { KINDS, resource, SnapshotCache, snapshot, snapshotFrom, typeUrlOf } from '../src/index.ts';
import { cluster, edsCluster, endpoints, listener, routes } from './support/resources.ts';

describe('a snapshot', () => {
  it('is made of messages, JSON and resources', () => {
    const made = snapshot('7', {
      clusters: [
        cluster('typed'),
        { name: 'json', connect_timeout: '2s' },
        resource(cluster('made'), { ttlMs: 5 }),
      ],
      others: [{ '@type': typeUrlOf('secrets'), name: 'by type' }],
      listeners: [],
    });
    expect(made.names('clusters')).toEqual(['typed', 'json', 'made']);
    const json = made.view('clusters')?.get('json')?.message as Cluster | undefined;
    expect(json?.connectTimeout?.seconds).toBe(2n);
    expect(made.names('secrets')).toEqual(['by type']);
    expect(made.version(KINDS.listeners.schema)).toBe('7');
    expect(made.view('listeners')?.size).toBe(0);
    expect(made.view('routes')).toBeUndefined();
    expect(made.types).toHaveLength(3);
  });

  it('has versions by type, or by what is in it', () => {
    const stated = snapshot({ clusters: 'c-1' }, { clusters: [cluster('a')], endpoints: [endpoints('a')] });
    expect(stated.version('clusters')).toBe('c-1');
    expect(stated.version('endpoints')).toMatch(/^[0-9a-f]{20}$/);
    const one = snapshot(undefined, { clusters: [cluster('a', '1'), cluster('b')] });
    expect(snapshot(undefined, { clusters: [cluster('b'), cluster('a', '1')] }).version('clusters')).toBe(
      one.version('clusters'),
    );
    expect(snapshot(undefined, { clusters: [cluster('b'), cluster('a', '2')] }).version('clusters')).not.toBe(
      one.version('clusters'),
    );
    const next = one.with('next', { endpoints: [endpoints('a')] });
    expect(next.version('clusters')).toBe(one.version('clusters'));
    expect(next.version('endpoints')).toBe('next');
  });

  it.each<[string, () => unknown, string]>([
    [
      'a name twice',
      () => snapshot('1', { clusters: [cluster('a'), cluster('a')] }),
      'clusters[1]: a resource named "a" is already there',
    ],
    ['no name', () => snapshot('1', { clusters: [cluster('')] }), 'clusters[0].name'],
    ['the name of everything', () => snapshot('1', { clusters: [cluster('*')] }), 'clusters[0].name'],
    [
      'another type',
      () => snapshot('1', { clusters: [endpoints('a')] }),
      'clusters[0]: a is a type.googleapis.com/envoy.config.endpoint',
    ],
    [
      'an unknown field',
      () => snapshot('1', { clusters: [{ name: 'a', conect_timeout: '1s' }] }),
      'did you mean "connect_timeout"',
    ],
    ['no type', () => snapshot('1', { others: [{ name: 'a' }] }), 'others[0].@type'],
    ['an unknown type', () => snapshot('1', { others: [{ '@type': 'a/b', name: 'a' }] }), 'unknown type a/b'],
    ['no time to live', () => resource(cluster('a'), { ttlMs: 0 }), 'ttlMs: must be above 0'],
  ])('refuses %s', (_, make, message) => {
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(message);
  });

  it('reads files as Envoy does', () => {
    const text = `
version_info: from-file
resources:
  - "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
    name: a
  - "@type": type.googleapis.com/envoy.service.discovery.v3.Resource
    name: other name
    ttl: 3s
    resource:
      "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
      name: b
`;
    const made = snapshotFrom({ text, format: 'yaml' });
    expect(made.names('clusters')).toEqual(['a', 'other name']);
    expect(made.version('clusters')).toBe('from-file');
    expect(made.view('clusters')?.get('other name')?.ttlMs).toBe(3000);
    const wrong = text.replace('name: a', 'nam: a');
    expect(() => snapshotFrom({ text: wrong, format: 'yaml', file: 'x.yaml' })).toThrow(
      /x\.yaml:5:\d+: resources\[0\]\.nam/,
    );
    const nameless = text.replace('name: a', 'alt_stat_name: a');
    expect(() => snapshotFrom({ text: nameless, format: 'yaml' })).toThrow('resources[0]');
  });
});

const tls = (secret: string) => ({
  name: 'tls',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    common_tls_context: {
      tls_certificate_sds_secret_configs: [{ name: secret, sds_config: { ads: {} } }],
    },
  },
});

describe('consistency', () => {
  it('is that all that is referred to is there', () => {
    const made = snapshot('1', {
      clusters: [
        edsCluster('plain'),
        edsCluster('named', 'service'),
        cluster('not by EDS'),
        { name: 'secret', transport_socket: tls('cert') },
        {
          name: 'file',
          type: 'EDS',
          eds_cluster_config: { eds_config: { path_config_source: { path: '/x' } } },
        },
      ],
      listeners: [listener('in', 'way')],
      scopedRoutes: [
        { name: 'scope', route_configuration_name: 'scoped way', key: { fragments: [{ string_key: 'x' }] } },
      ],
    });
    expect(made.problems().map(({ what, kind, name, referrer }) => [what, kind, name, referrer])).toEqual([
      ['missing', 'endpoints', 'plain', 'clusters "plain"'],
      ['missing', 'endpoints', 'service', 'clusters "named"'],
      ['missing', 'secrets', 'cert', 'clusters "secret"'],
      ['missing', 'routes', 'way', 'listeners "in"'],
      ['missing', 'routes', 'scoped way', 'scopedRoutes "scope"'],
    ]);
  });

  it('is that all that is there is referred to, if exact', () => {
    const parts = {
      clusters: [edsCluster('plain')],
      endpoints: [endpoints('plain'), endpoints('stray')],
      listeners: [listener('in', 'way')],
      routes: [routes('way', 'plain')],
    };
    const made = snapshot('1', parts);
    expect(made.problems()).toMatchObject([{ what: 'unreferenced', kind: 'endpoints', name: 'stray' }]);
    new SnapshotCache().setSnapshot('a', made);
    expect(() => new SnapshotCache({ check: 'exact' }).setSnapshot('a', made)).toThrow(
      'endpoints: nothing refers to "stray"',
    );
    expect(snapshot('1', { ...parts, endpoints: [endpoints('plain')] }).problems()).toEqual([]);
  });

  it('goes into filters whose configuration is discovered', () => {
    const manager = {
      '@type':
        'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      route_config: {},
      http_filters: [{ name: 'found', config_discovery: { config_source: { ads: {} }, type_urls: ['x'] } }],
    };
    const filters = [{ name: 'manager', typed_config: manager }];
    const listeners = [{ name: 'in', filter_chains: [{ filters }] }] as never;
    expect(snapshot('1', { listeners }).problems()).toMatchObject([
      { kind: 'extensionConfigs', name: 'found' },
    ]);
    const extensionConfigs = [create(TypedExtensionConfigSchema, { name: 'found' })];
    expect(snapshot('1', { listeners, extensionConfigs }).problems()).toEqual([]);
  });

  it('is what a cache asks for, and keeps the former snapshot', () => {
    const cache = new SnapshotCache();
    const good = snapshot('1', { clusters: [edsCluster('a')], endpoints: [endpoints('a')] });
    cache.setSnapshot('x', good);
    const bad = good.with('2', { endpoints: [] });
    expect(() => cache.setSnapshot('x', bad)).toThrow(
      'endpoints: clusters "a" refers to "a" of endpoints, which the snapshot does not have',
    );
    expect(cache.getSnapshot('x')).toBe(good);
    new SnapshotCache({ check: 'none' }).setSnapshot('x', bad);
    cache.clearSnapshot('x');
    expect(cache.keys()).toEqual([]);
  });
});
