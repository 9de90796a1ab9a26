import {
  CaresDnsResolverConfigSchema,
  ClusterSchema,
  type DnsCacheConfig,
  type DynamicForwardProxyClusterConfig,
  readLoose,
  unpackAny,
} from '@dragoman/api';
import {
  type ClusterInfo,
  defineDnsResolver,
  ExtensionRegistry,
  type LoadBalancer,
  type LoadBalancerContext,
  StreamInfo,
} from '@dragoman/core';
import { dnsCacheOf } from '@dragoman/dns-cache';
import { connectionInfo, FakeDns, ProvidedScene, requestHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { dynamicForwardProxyCluster } from '../src/index.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function cluster(config: object = { dns_cache_config: { name: 'main' } }, over: object = {}) {
  return readLoose(ClusterSchema, {
    name: 'web',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typed_config: { '@type': TYPE, ...config },
    },
    ...over,
  });
}

function scene(secure = false) {
  const dns = new FakeDns();
  const cares = defineDnsResolver({
    name: 'envoy.network.dns_resolver.cares',
    config: CaresDnsResolverConfigSchema,
    create: () => dns,
  });
  const made = new ProvidedScene({ extensions: new ExtensionRegistry([cares]) });
  const context = { ...made.context, info: { ...made.context.info, secure } as ClusterInfo };
  const complete = dynamicForwardProxyCluster.complete?.(cluster() as never);
  const balancer = dynamicForwardProxyCluster.createBalancer?.(complete as never, context) as LoadBalancer;
  const cache = dnsCacheOf(cacheConfig(), context);
  const load = (authority: string) =>
    new Promise<void>((resolve) => {
      if (cache.load(authority, secure ? 443 : 80, () => resolve()).kind === 'cached') resolve();
    });
  return { ...made, dns, balancer, load };
}

/** The config of the cluster's cache. */
function cacheConfig() {
  const type = cluster().clusterDiscoveryType;
  if (type.case !== 'clusterType' || type.value.typedConfig === undefined) throw new Error('not that type');
  return (unpackAny(type.value.typedConfig) as DynamicForwardProxyClusterConfig)
    .clusterImplementationSpecifier.value as DnsCacheConfig;
}

interface Request {
  readonly authority?: string;
  readonly serverName?: string;
  readonly state?: Record<string, string>;
}

function contextOf({ authority, serverName = '', state = {} }: Request): LoadBalancerContext {
  const info = new StreamInfo(connectionInfo({ requestedServerName: serverName }), 0, 0);
  for (const [key, text] of Object.entries(state)) info.filterState.set(key, { toText: () => text });
  return {
    hash: undefined,
    info,
    requestHeaders: authority === undefined ? undefined : requestHeaders({ ':authority': authority }),
    metadataMatch: undefined,
  };
}

describe('a request goes to the host', () => {
  it.each<[string, Request, string | undefined, boolean]>([
    ['that it names', { authority: 'a.example' }, '10.0.0.1:80', false],
    ['and port that it names', { authority: 'a.example:8080' }, '10.0.0.1:8080', false],
    ['at the port of TLS', { authority: 'a.example' }, '10.0.0.1:443', true],
    ['that its connection names', { serverName: 'a.example' }, '10.0.0.1:443', true],
    [
      'that a filter names',
      { authority: 'b.example', state: { 'envoy.upstream.dynamic_host': 'a.example' } },
      '10.0.0.1:80',
      false,
    ],
    [
      'at the port that a filter names',
      { authority: 'a.example', state: { 'envoy.upstream.dynamic_port': '8080' } },
      '10.0.0.1:8080',
      false,
    ],
    [
      'at its port, when what a filter names is none',
      { authority: 'a.example', state: { 'envoy.upstream.dynamic_port': '70000' } },
      '10.0.0.1:80',
      false,
    ],
    ['only when that is resolved', { authority: 'b.example' }, undefined, false],
    ['only when it names one', { authority: '' }, undefined, false],
  ])('%s', async (_, request, address, secure) => {
    const { dns, balancer, load } = scene(secure);
    dns.set('a.example', '10.0.0.1');
    await load('a.example');
    await load('a.example:8080');
    expect(balancer.choose(contextOf(request))?.address.text).toBe(address);
  });

  it('is nowhere without a request', () => {
    expect(scene().balancer.choose(undefined)).toBeUndefined();
  });
});

describe('hosts', () => {
  it('are those of the cache that have an address, and move with it', async () => {
    const { dns, balancer, load, hosts, clock } = scene();
    dns.set('a.example', '10.0.0.1');
    await load('a.example');
    await load('nobody.example');
    expect(hosts.addresses).toEqual(['10.0.0.1:80']);
    const host = balancer.choose(contextOf({ authority: 'a.example' }));
    expect(host?.hostname).toBe('a.example:80');
    dns.set('a.example', '10.0.0.2');
    clock.advance(60_000);
    await Promise.resolve();
    await Promise.resolve();
    expect(hosts.listed).toEqual([host]);
    expect(hosts.addresses).toEqual(['10.0.0.2:80']);
  });

  it('go when they are not used, which choosing them is', async () => {
    const { dns, balancer, load, hosts, clock } = scene();
    dns.set('a.example', '10.0.0.1');
    dns.set('b.example', '10.0.0.2');
    await load('a.example');
    await load('b.example');
    for (let minute = 0; minute < 7; minute++) {
      balancer.choose(contextOf({ authority: 'b.example' }));
      clock.advance(60_000);
      await Promise.resolve();
      await Promise.resolve();
    }
    expect(hosts.addresses).toEqual(['10.0.0.2:80']);
    expect(balancer.choose(contextOf({ authority: 'a.example' }))).toBeUndefined();
  });

  it('and all that is asked for them end with the cluster', async () => {
    const { dns, balancer, load, stats, clock } = scene();
    dns.set('a.example', '10.0.0.1');
    await load('a.example');
    balancer.close?.();
    expect(stats.value('dns_cache.main.num_hosts')).toBe(0);
    const asked = stats.value('dns_cache.main.dns_query_attempt');
    clock.advance(3_600_000);
    expect(stats.value('dns_cache.main.dns_query_attempt')).toBe(asked);
  });
});

describe('the name that TLS is to show', () => {
  const complete = (over: object) => {
    const completed = dynamicForwardProxyCluster.complete?.(cluster(undefined, over) as never);
    return (completed as ReturnType<typeof cluster>).upstreamHttpProtocolOptions;
  };

  it('is that of the host, unless the config speaks of it', () => {
    expect(complete({})).toMatchObject({ autoSni: true, autoSanValidation: true });
    expect(complete({ upstream_http_protocol_options: { auto_sni: true } })).toMatchObject({
      autoSni: true,
      autoSanValidation: false,
    });
    const typed = {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicit_http_config: { http_protocol_options: {} },
    };
    expect(complete({ typed_extension_protocol_options: { [OPTIONS]: typed } })).toBeUndefined();
  });
});

describe('the config', () => {
  const check = (config: object, over: object = {}) => {
    const { context } = scene();
    return () => dynamicForwardProxyCluster.create(cluster(config, over) as never, context as never);
  };
  const cache = { dns_cache_config: { name: 'main' } };
  const typed = (options: object) => ({
    typed_extension_protocol_options: {
      [OPTIONS]: {
        '@type': `type.googleapis.com/${OPTIONS}`,
        explicit_http_config: { http_protocol_options: {} },
        ...options,
      },
    },
  });

  it.each<[object, object, RegExp]>([
    [{}, {}, /^cluster_type\.typed_config: needs dns_cache_config.* or sub_clusters_config/],
    [{ dns_cache_config: {} }, {}, /^cluster_type\.typed_config\.dns_cache_config\.name: is empty/],
    [
      { sub_clusters_config: { lb_policy: 'CLUSTER_PROVIDED' } },
      {},
      /^cluster_type\.typed_config\.sub_clusters_config\.lb_policy: must not be CLUSTER_PROVIDED/,
    ],
    [
      { sub_clusters_config: { preresolve_clusters: [{ address: 'a.example' }] } },
      {},
      /^cluster_type\.typed_config\.sub_clusters_config\.preresolve_clusters\[0\]\.port_value: is missing/,
    ],
    [
      { ...cache, allow_coalesced_connections: true },
      {},
      /\.allow_coalesced_connections: connections are not shared/,
    ],
    [
      cache,
      { upstream_http_protocol_options: { auto_sni: true } },
      /^upstream_http_protocol_options\.auto_san_validation: must be true/,
    ],
    [cache, typed({}), /HttpProtocolOptions"\]\.upstream_http_protocol_options\.auto_sni: must be true/],
  ])('%j with %j is refused on main', (config, over, message) => {
    expect(check(config, over)).toThrow(message);
  });

  it.each<[object, object]>([
    [cache, {}],
    [cache, typed({ upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true } })],
    [{ ...cache, allow_insecure_cluster_options: true }, typed({})],
    [{ ...cache, allow_insecure_cluster_options: true }, { upstream_http_protocol_options: {} }],
  ])('%j with %j is taken', (config, over) => {
    expect(check(config, over)).not.toThrow();
  });
});
