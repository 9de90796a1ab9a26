import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
  readLoose,
} from '@dragoman/api';
import type { ClusterInfo, LoadBalancer, LoadBalancerContext, SubClusterPlan } from '@dragoman/core';
import { ProvidedScene, requestHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { dynamicForwardProxyCluster } from '../src/index.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';

function parent(config: object = {}): Cluster {
  const cluster = readLoose(ClusterSchema, {
    name: 'web',
    connect_timeout: '3s',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typed_config: { '@type': TYPE, sub_clusters_config: config },
    },
  });
  return dynamicForwardProxyCluster.complete?.(cluster as never) as Cluster;
}

function planOf(config: object = {}): SubClusterPlan {
  return dynamicForwardProxyCluster.subClusters?.(parent(config) as never) as SubClusterPlan;
}

describe('the plan', () => {
  it('has the defaults of the API', () => {
    expect(planOf()).toMatchObject({ max: 1024, ttlMs: 300_000, first: [] });
  });

  it('is what the config says', () => {
    const preresolve_clusters = [
      { address: 'A.example', port_value: 443 },
      { address: '::1', port_value: 80 },
    ];
    expect(planOf({ max_sub_clusters: 3, sub_cluster_ttl: '1.5s', preresolve_clusters })).toMatchObject({
      max: 3,
      ttlMs: 1500,
      first: ['DFPCluster:a.example:443', 'DFPCluster:[::1]:80'],
    });
  });

  it('is none where there is a cache', () => {
    const cluster = readLoose(ClusterSchema, {
      name: 'web',
      cluster_type: { typed_config: { '@type': TYPE, dns_cache_config: { name: 'main' } } },
      upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true },
    });
    expect(dynamicForwardProxyCluster.subClusters?.(cluster as never)).toBeUndefined();
  });

  it.each([
    ['DFPCluster:shop.example:8080', 'shop.example', 8080],
    ['DFPCluster:[2001:db8::1]:80', '2001:db8::1', 80],
    ['DFPCluster:10.0.0.1:80', '10.0.0.1', 80],
  ])('makes %s of the parent', (name, address, portValue) => {
    const made = planOf({ lb_policy: 'LEAST_REQUEST' }).create(name) as Cluster;
    expect(made).toMatchObject({
      name,
      lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
      clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STRICT_DNS },
      connectTimeout: { seconds: 3n },
      upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true },
    });
    const endpoint = made.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
    expect(endpoint).toMatchObject({
      case: 'endpoint',
      value: {
        address: { address: { value: { address, portSpecifier: { case: 'portValue', value: portValue } } } },
      },
    });
  });

  it.each([
    'other',
    'DFPCluster:',
    'DFPCluster:shop.example',
    'DFPCluster:shop.example:0',
    'DFPCluster:a:99999',
    // Every stat of a cluster has its name, and clients choose it.
    `DFPCluster:${'x'.repeat(300)}:80`,
    `DFPCluster:a:${'0'.repeat(300)}80`,
  ])('makes nothing of %j', (name) => {
    expect(() => planOf().create(name)).toThrow(/names no host and port/);
  });
});

it('a host may have the longest name that DNS knows', () => {
  const longest = `${'x'.repeat(253)}.:65535`;
  expect(planOf().create(`DFPCluster:${longest}`)).toMatchObject({ name: `DFPCluster:${longest}` });
});

describe('the balancer', () => {
  const choose = (authority: string | undefined, secure = false) => {
    const asked: string[] = [];
    const scene = new ProvidedScene({
      clusters: {
        get: () => undefined,
        clusterNames: [],
        onChange: () => () => {},
        chooseHost: (name) => {
          asked.push(name);
          return undefined;
        },
      },
    });
    const context = { ...scene.context, info: { ...scene.context.info, secure } as ClusterInfo };
    const balancer = dynamicForwardProxyCluster.createBalancer?.(parent() as never, context) as LoadBalancer;
    balancer.choose(
      authority === undefined
        ? undefined
        : ({ requestHeaders: requestHeaders({ ':authority': authority }) } as unknown as LoadBalancerContext),
    );
    return asked;
  };

  it('leaves the choice to the cluster of the host', () => {
    expect(choose('Shop.example')).toEqual(['DFPCluster:shop.example:80']);
    expect(choose('shop.example', true)).toEqual(['DFPCluster:shop.example:443']);
    expect(choose('shop.example:8080', true)).toEqual(['DFPCluster:shop.example:8080']);
  });

  it('chooses nothing without a host', () => {
    expect(choose(undefined)).toEqual([]);
    expect(choose('')).toEqual([]);
  });
});
