import { ClusterProvidedSchema, ClusterSchema } from '@dragoman/api';
import {
  type ClusterBalancerContext,
  defineLoadBalancer,
  defineProvidedCluster,
  ExtensionRegistry,
  type Host,
  StreamInfo,
} from '@dragoman/core';
import { connectionInfo, requestHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { clusterMessage, endpoint, hostList, inOrder, localityOf, world } from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

const provided = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.cluster_provided',
  config: ClusterProvidedSchema,
  lbPolicy: 'CLUSTER_PROVIDED',
  create: (_, context) => ({
    createBalancer: () => {
      if (context.provided === undefined) throw new Error('there is none');
      return context.provided();
    },
  }),
});

const CONFIG = { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' };

/** A cluster that hands out whatever `choose` says. */
function scene(
  choose: (context: ClusterBalancerContext) => Host | undefined,
  config: object = {},
  choosesMembers = false,
) {
  let own: ClusterBalancerContext | undefined;
  let closed = 0;
  const type = defineProvidedCluster({
    name: 'test.provided',
    clusterType: 'ORIGINAL_DST',
    cluster: ClusterSchema,
    choosesMembers,
    check() {},
    createBalancer(_, context) {
      own = context;
      return { update() {}, choose: () => choose(context), close: () => closed++ };
    },
  });
  const here = world(
    { ...CONFIG, ...config },
    { registry: new ExtensionRegistry([inOrder, provided, type]), hosts: { localities: [] } },
  );
  const { hosts, clusters, priorityShares } = own as unknown as ClusterBalancerContext;
  return { ...here, hosts, clusters, priorityShares, closed: () => closed };
}

function send(here: ReturnType<typeof scene>, host = here.cluster.chooseHost(undefined) as Host) {
  const request = new FakeRequest();
  here.cluster.httpPool(host, 'default').newStream(request, request);
  return request;
}

describe('hosts that a balancer makes', () => {
  it('are listed in the first priority, and counted', () => {
    const here = scene(() => undefined);
    const one = here.hosts.add(endpoint('10.0.0.1:80', { hostname: 'one' }));
    const other = here.hosts.add(endpoint('10.0.0.2:80'));
    const [set, ...further] = here.cluster.hostSets;
    expect(further).toEqual([]);
    expect(set.hosts).toEqual([one, other]);
    expect(set.healthyHosts).toEqual([one, other]);
    expect(set.hostsByLocality.flat()).toEqual([one, other]);
    expect(here.cluster.hostSets[0]).toBe(set);
    expect(here.cluster.ownHosts).toEqual(new Set([one, other]));
    expect(one).toMatchObject({ clusterName: 'web', hostname: 'one', priority: 0, healthFlags: 0 });
    expect(here.counts()).toMatchObject({ membership_total: 2, membership_healthy: 2, membership_change: 2 });
    here.hosts.remove(one);
    here.hosts.remove(one);
    expect(here.cluster.hostSets[0].hosts).toEqual([other]);
    expect(here.counts()).toMatchObject({ membership_total: 1, membership_change: 3 });
    here.hosts.remove(other);
    expect(here.cluster.hostSets[0].hosts).toEqual([]);
    expect(here.counts()['membership_total']).toBeUndefined();
  });

  it('stand behind those that were discovered', () => {
    const here = scene(() => undefined);
    const own = here.hosts.add(endpoint('10.0.0.1:80'));
    here.manager.updateHosts('web', {
      localities: [localityOf(0, '10.0.0.8:80'), localityOf(1, '10.0.0.9:80')],
    });
    const [first, second] = here.cluster.hostSets;
    expect(first.hosts.map(({ address }) => address.text)).toEqual(['10.0.0.8:80', '10.0.0.1:80']);
    expect(first.hosts[1]).toBe(own);
    expect(second.hosts.map(({ address }) => address.text)).toEqual(['10.0.0.9:80']);
  });

  it('have pools, which drain when they are removed', () => {
    let chosen: Host | undefined;
    const here = scene(() => chosen);
    chosen = here.hosts.add(endpoint('10.0.0.1:80'));
    const request = send(here);
    expect(here.connector.last.options.address.text).toBe('10.0.0.1:80');
    here.connector.last.accept();
    here.hosts.remove(chosen);
    expect(here.connector.last.open).toBe(true);
    here.connector.last.receive('done');
    settleCloses();
    expect(request.events).toEqual(['ready', 'body:done']);
    expect(here.connector.last.open).toBe(false);
    expect(chosen.stats.rqTotal.value()).toBe(1);
    expect(chosen.stats.cxActive.value()).toBe(0);
  });

  it('may move: new connections go to the new address', () => {
    let chosen: Host | undefined;
    const here = scene(() => chosen);
    chosen = here.hosts.add(endpoint('10.0.0.1:80'));
    send(here);
    here.hosts.update(chosen, endpoint('10.0.0.2:80'));
    expect(here.cluster.hostSets[0].hosts).toEqual([chosen]);
    send(here);
    expect(here.connector.last.options.address.text).toBe('10.0.0.2:80');
  });

  it('are not made of what is no address', () => {
    const here = scene(() => undefined);
    expect(() => here.hosts.add(endpoint('db:80'))).toThrow('"db:80" is not an address');
    expect(here.cluster.hostSets[0].hosts).toEqual([]);
  });

  it('give their connections and numbers back with the cluster', () => {
    let chosen: Host | undefined;
    const here = scene(() => chosen);
    chosen = here.hosts.add(endpoint('10.0.0.1:80'));
    send(here);
    here.connector.last.accept();
    here.connector.last.receive('done');
    here.manager.removeCluster('web');
    settleCloses();
    expect(here.closed()).toBe(1);
    expect(here.connector.last.open).toBe(false);
    expect(here.counts()).not.toHaveProperty('membership_total');
    expect(here.counts()).not.toHaveProperty('upstream_cx_active');
  });
});

describe('hosts of other clusters', () => {
  it('keep the pools, stats and limits of their own', () => {
    const here = scene(({ clusters }) => clusters.chooseHost('member', undefined), {}, true);
    here.manager.addOrUpdateCluster(clusterMessage({ name: 'member' }), hostList('10.0.0.7:80'));
    const host = here.cluster.chooseHost(undefined) as Host;
    expect(host.clusterName).toBe('member');
    send(here, host);
    here.connector.last.accept();
    expect(here.counts()).not.toHaveProperty('upstream_rq_total');
    expect(here.stats.nonZero('cluster.member.')).toMatchObject({
      upstream_rq_total: 1,
      upstream_cx_total: 1,
    });
    expect(here.cluster.httpPool(host, 'high')).toBe(here.manager.get('member')?.httpPool(host, 'high'));
    const tcp = here.cluster.newTcpConnection(host, 'default', {
      onPoolReady() {},
      onPoolFailure() {},
    });
    expect(here.stats.nonZero('cluster.member.')).toMatchObject({ upstream_cx_total: 2 });
    tcp?.cancel();
  });

  it('are asked for without being counted as missing there', () => {
    const here = scene(({ clusters }) => clusters.chooseHost('member', undefined), {}, true);
    here.manager.addOrUpdateCluster(clusterMessage({ name: 'member' }));
    expect(here.cluster.chooseHost(undefined)).toBeUndefined();
    expect(here.clusters.chooseHost('nobody', undefined)).toBeUndefined();
    expect(here.counts()).toEqual({ upstream_cx_none_healthy: 1 });
    expect(here.stats.nonZero('cluster.member.')).toEqual({});
  });

  it('are told of: changes of hosts, and clusters that come and go', () => {
    const here = scene(() => undefined);
    const seen: string[] = [];
    const stop = here.clusters.onChange((name) => seen.push(name));
    here.manager.addOrUpdateCluster(clusterMessage({ name: 'member' }));
    here.manager.updateHosts('member', hostList('10.0.0.7:80'));
    here.hosts.add(endpoint('10.0.0.1:80'));
    here.manager.removeCluster('member');
    expect(seen).toEqual(['member', 'member', 'web', 'member']);
    stop();
    here.manager.updateHosts('web', hostList());
    expect(seen).toHaveLength(4);
  });

  it('take what a stream wishes of its protocol only where it counts', () => {
    const here = scene(({ clusters }) => clusters.chooseHost('member', undefined), {}, true);
    here.manager.addOrUpdateCluster(clusterMessage({ name: 'member' }), hostList('10.0.0.7:80'));
    expect(here.cluster.info.usesDownstreamProtocol).toBe(true);
    const host = here.cluster.chooseHost(undefined) as Host;
    expect(here.cluster.httpPool(host, 'default', { downstreamProtocol: 'HTTP/2' })).toBe(
      here.cluster.httpPool(host, 'default'),
    );
  });
});

it('what streams wish of TLS counts for the connections of members', () => {
  const { cluster } = scene(() => undefined, { upstream_http_protocol_options: { auto_sni: true } }, true);
  const info = new StreamInfo(connectionInfo(), 0, 0);
  const headers = requestHeaders({ ':authority': 'shop.example' });
  expect(cluster.info.transportOptions?.(headers, info)).toMatchObject({ serverName: 'shop.example' });
});

it('priorities are shared out with the threshold of the cluster', () => {
  const shares = (threshold: number) =>
    scene(() => undefined, {
      common_lb_config: { healthy_panic_threshold: { value: threshold } },
    }).priorityShares([
      ...world({}, { hosts: hostList('10.0.0.1:80', endpoint('10.0.0.2:80', { health: 'unhealthy' })) })
        .cluster.hostSets,
      ...world({}, { hosts: hostList(endpoint('10.0.0.3:80', { health: 'unhealthy' })) }).cluster.hostSets,
    ]);
  expect(shares(0)).toMatchObject({ healthy: [100, 0], degraded: [0, 0] });
  // Both in panic: by the number of hosts.
  expect(shares(60)).toMatchObject({ healthy: [67, 33] });
});

it('a policy is told of the balancer only where there is one', () => {
  const seen: unknown[] = [];
  const spy = defineLoadBalancer({
    ...inOrder,
    config: inOrder.config as never,
    create: (config: never, context) => {
      seen.push(context.provided);
      return inOrder.create(config, context);
    },
  });
  world({}, { registry: new ExtensionRegistry([spy]) });
  expect(seen).toEqual([undefined]);
});

it.each<[object, RegExp]>([
  [{ health_checks: [{}] }, /\.health_checks: has no effect in a cluster of type ORIGINAL_DST/],
  [{ outlier_detection: {} }, /\.outlier_detection: has no effect/],
  [{ lb_subset_config: {} }, /\.lb_subset_config: has no effect/],
  [{ dns_refresh_rate: '1s' }, /\.dns_refresh_rate: has no effect/],
  [{ common_lb_config: { update_merge_window: '1s' } }, /\.common_lb_config\.update_merge_window/],
  [{ lb_policy: 'ROUND_ROBIN' }, /\.lb_policy: ROUND_ROBIN is not possible/],
])('%j is refused', (config, message) => {
  expect(() => scene(() => undefined, config)).toThrow(message);
});

it('a connection of the cluster itself is refused where its hosts are others’', () => {
  expect(() => scene(() => undefined, { max_requests_per_connection: 1 }, true)).toThrow(
    /\.max_requests_per_connection: has no effect .*: its connections are those of its members/,
  );
});
