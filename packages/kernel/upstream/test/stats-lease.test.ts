import { ClusterSchema, UpstreamTlsContextSchema } from '@dragoman/api';
import {
  defineDiscovery,
  defineTransportSocket,
  ExtensionRegistry,
  type Host,
  noSubscriptions,
  type TcpPoolCallbacks,
} from '@dragoman/core';
import { StatsStore } from '@dragoman/stats';
import { FakeClock, FakeDns } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { createClusterManager, createClusterSources } from '../src/index.ts';
import { clusterMessage, hostList, inOrder, testContext, TLS } from './support/clusters.ts';
import { FakeCodec, FakeConnector, FakeRequest, settleCloses } from './support/fake-upstream.ts';

const logsAsItIsMade = defineTransportSocket({
  name: 'envoy.transport_sockets.tls',
  config: UpstreamTlsContextSchema,
  createUpstream: (_config, { loggers, clock }) => {
    loggers.logger('tls').debug(`made at ${clock.now()}`);
    return { name: 'tls', secure: true };
  },
});

function setUp() {
  const store = new StatsStore();
  const connector = new FakeConnector();
  const { context } = testContext(new FakeClock(), store.createThread());
  const manager = createClusterManager({
    clusters: [],
    registry: new ExtensionRegistry([inOrder, logsAsItIsMade]),
    context,
    connector,
    createCodec: (connection, handler) => new FakeCodec(connection, handler),
  });
  const add = (config: object = {}): void =>
    manager.addOrUpdateCluster(clusterMessage(config), hostList('10.0.0.1:80'));
  const host = (): Host => manager.get('web')?.chooseHost(undefined) as Host;
  return {
    store,
    connector,
    context,
    manager,
    add,
    host,
    value: (name: string) => store.counters.get(`cluster.web.${name}`)?.value,
    names: () => [store.counters, store.gauges, store.histograms].flatMap((map) => [...map.keys()]),
  };
}

it('a cluster’s stats go with its last request', () => {
  const here = setUp();
  here.add();
  const request = new FakeRequest();
  here.manager.get('web')?.httpPool(here.host(), 'default').newStream(request, request);
  here.connector.last.accept();
  here.manager.removeCluster('web');
  expect(here.value('upstream_rq_total')).toBe(1);
  here.connector.last.receive('done');
  settleCloses();
  expect(request.events).toEqual(['ready', 'body:done']);
  expect(here.names()).toEqual([]);
});

it('a request that comes to a cluster that is gone leaves no connection behind', async () => {
  const here = setUp();
  here.add();
  const cluster = here.manager.get('web');
  const host = here.host();
  const first = new FakeRequest();
  cluster?.httpPool(host, 'default').newStream(first, first);
  here.connector.last.accept();
  here.manager.removeCluster('web');
  // Such as a retry.
  const late = new FakeRequest();
  cluster?.httpPool(host, 'default').newStream(late, late);
  await Promise.resolve();
  const [one, other] = here.connector.connections;
  other?.accept();
  one?.receive('done');
  settleCloses();
  expect(here.value('upstream_rq_total')).toBe(2);
  other?.receive('done');
  settleCloses();
  expect(late.events).toEqual(['ready', 'body:done']);
  expect(other?.open).toBe(false);
  expect(cluster?.info.resources('default').connectionPools.used).toBe(0);
  expect(here.names()).toEqual([]);
});

it('a cluster’s stats go with its last TCP connection', () => {
  const here = setUp();
  here.add();
  const caller: TcpPoolCallbacks = {
    onPoolReady: (connection) =>
      connection.setHandler({ onData: () => {}, onEnd: () => {}, onWritable: () => {}, onClose: () => {} }),
    onPoolFailure: () => {},
  };
  here.manager.get('web')?.newTcpConnection(here.host(), 'default', caller);
  here.connector.last.accept();
  here.manager.removeCluster('web');
  expect(here.value('upstream_cx_total')).toBe(1);
  // One of the same name meanwhile counts on.
  here.add();
  here.manager.removeCluster('web');
  expect(here.value('upstream_cx_total')).toBe(1);
  here.connector.last.lose();
  expect(here.names()).toEqual([]);
});

it('a new version counts on, also what only the old one has made', () => {
  const here = setUp();
  here.add();
  here.manager.get('web')?.info.chargeResponse(200, false, false);
  here.add({ connect_timeout: '1s' });
  expect(here.value('upstream_rq_200')).toBe(1);
  here.manager.get('web')?.info.chargeResponse(200, false, false);
  expect(here.value('upstream_rq_200')).toBe(2);
  here.manager.removeCluster('web');
  expect(here.names()).toEqual([]);
});

it('a cluster that is only checked, or wrong, leaves nothing', () => {
  const here = setUp();
  here.manager.checkCluster(clusterMessage({}));
  here.manager.checkCluster(clusterMessage({ transport_socket: TLS }));
  expect(() => here.manager.checkCluster(clusterMessage({ track_timeout_budgets: true }))).toThrow();
  // Found when its stats are there.
  expect(() => here.add({ http2_protocol_options: {} })).toThrow('no HTTP/2');
  expect(here.names()).toEqual([]);
});

it('stats can still be asked for when the worker has ended', () => {
  const here = setUp();
  here.add();
  here.manager.close();
  expect(here.value('upstream_rq_total')).toBe(0);
});

it('what main counts of a cluster goes with it, and not with a new version', () => {
  const { store, context, names } = setUp();
  const discovery = defineDiscovery({
    name: 'envoy.cluster.static',
    clusterType: 'STATIC',
    cluster: ClusterSchema,
    create: (_cluster, { clusterScope }) => ({
      start: ({ onHosts }) => {
        clusterScope.counter('update_success').inc();
        onHosts(hostList('10.0.0.1:80'));
      },
      stop: () => {},
    }),
  });
  const sources = createClusterSources({
    clusters: [],
    registry: new ExtensionRegistry([discovery]),
    context: { ...context, dns: new FakeDns(), subscriptions: noSubscriptions },
    sinks: [],
  });
  sources.start();
  const before = names();
  for (const timeout of ['1s', '2s'])
    sources.warmCluster(clusterMessage({ connect_timeout: timeout })).activate();
  expect(store.counters.get('cluster.web.update_success')?.value).toBe(2);
  sources.warmCluster(clusterMessage({ connect_timeout: '3s' })).discard();
  expect(store.gauges.get('cluster.web.membership_total')?.value).toBe(1);
  sources.removeCluster('web');
  expect(names()).toEqual(before);
  sources.warmCluster(clusterMessage({ name: 'other' })).discard();
  expect(names()).toEqual(before);
});
