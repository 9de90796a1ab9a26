import { ClusterSchema } from '@dragoman/api';
import { defineDiscovery, type DiscoveryListener, type Extension, type HostListUpdate } from '@dragoman/core';
import { clusterRoute, eventually, HttpUpstream, text, type TestProxy } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { extensions } from './support/thread-extensions.ts';
import {
  closeAll,
  connectTo,
  connectToEach,
  replaced,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

/** A discovery whose lists a test publishes. It is on main; workers need not know it. */
class PublishedHosts {
  readonly extension: Extension;
  private listener: DiscoveryListener | undefined = undefined;

  constructor(first: HostListUpdate) {
    this.extension = defineDiscovery({
      name: 'test.published',
      cluster: ClusterSchema,
      create: () => ({
        start: (listener) => {
          this.listener = listener;
          listener.onHosts(first);
        },
        stop: () => {
          this.listener = undefined;
        },
      }),
    });
  }

  get running(): boolean {
    return this.listener !== undefined;
  }

  publish(update: HostListUpdate): void {
    this.listener?.onHosts(update);
  }
}

/** Some hosts that stay, some that come and go, and one whose last byte pair counts the lists. */
function listOf(version: number, common = 50): HostListUpdate {
  const marker = `10.255.${version >> 8}.${version & 255}:1`;
  const passing = Array.from({ length: version % 7 }, (_, i) => `10.1.${(version + i) % 20}.1:80`);
  const addresses = [marker, ...passing, ...Array.from({ length: common }, (_, i) => `10.0.0.${i}:80`)];
  return {
    localities: [
      {
        locality: { region: '', zone: '', subZone: '' },
        weight: 0,
        priority: 0,
        endpoints: addresses.map((address, i) => ({
          address,
          hostname: '',
          weight: 1 + ((version + i) % 3),
        })),
      },
    ],
  };
}

const addressesOf = (update: HostListUpdate): string =>
  update.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address)).join(' ');

function versionOf(addresses: string): number {
  const [, high, low] = /10\.255\.(\d+)\.(\d+):1/.exec(addresses) ?? [];
  return Number(high) * 256 + Number(low);
}

const start = (hosts: PublishedHosts, workers: number): Promise<TestProxy> =>
  startOnThreads(
    threadBootstrap({
      clusters: { moving: { cluster_type: { name: 'test.published' } } },
      routes: [clusterRoute('/', 'moving')],
    }),
    { concurrency: workers },
    { extensions: [...extensions, hosts.extension] },
  );

test('every worker follows all lists in order, and ends with the last', async () => {
  const hosts = new PublishedHosts(listOf(0));
  await using proxy = await start(hosts, 3);
  const connections = (await connectToEach(proxy, 3)) as WorkerConnection[];
  const seen = connections.map(() => [0]);
  let version = 0;
  while (version < 600) {
    for (let i = 0; i < 20; i++) hosts.publish(listOf(++version));
    const now = await Promise.all(connections.map((one) => one.ask('/hosts/moving')));
    now.forEach((addresses, worker) => void seen[worker]?.push(versionOf(addresses)));
  }
  for (const one of connections)
    await eventually(async () => expect(await one.ask('/hosts/moving')).toBe(addressesOf(listOf(version))));
  for (const versions of seen) expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  expect(proxy.stat('cluster.moving.membership_total')).toBe(addressesOf(listOf(version)).split(' ').length);
  expect(proxy.stat('server.envoy_bug_failures')).toBe(0);
  await closeAll(connections);
});

test('a worker that begins late has the hosts, and those published meanwhile', async () => {
  const hosts = new PublishedHosts(listOf(0));
  await using proxy = await start(hosts, 2);
  let version = 0;
  for (let deaths = 1; deaths <= 2; deaths++) {
    await using dying = await connectTo(proxy, 0);
    await dying.ask('/throw');
    await proxy.untilStat('server.worker_deaths', deaths);
    await eventually(() => {
      hosts.publish(listOf(++version));
      return proxy.log.find('is there again').length === deaths;
    }, 10_000);
    await replaced(proxy, deaths);
    hosts.publish(listOf(++version));
    for (const one of await connectToEach(proxy, 2)) {
      await eventually(async () => expect(await one.ask('/hosts/moving')).toBe(addressesOf(listOf(version))));
      await closeAll([one]);
    }
  }
  expect(version).toBeGreaterThan(20);
  expect(proxy.stat('server.envoy_bug_failures')).toBe(2);
});

test('a cluster that is removed is gone on every worker', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  const here = `127.0.0.1:${upstream.port}`;
  const update = listOf(0, 0);
  const only = {
    localities: update.localities.map((group) => ({
      ...group,
      endpoints: [{ address: here, hostname: '', weight: 1 }],
    })),
  };
  const hosts = new PublishedHosts(only);
  await using proxy = await start(hosts, 2);
  const connections = (await connectToEach(proxy, 2)) as WorkerConnection[];
  for (const one of connections) expect(await one.ask('/')).toBe('x');
  expect(await proxy.proxy.removeCluster('moving')).toBe(true);
  expect(hosts.running).toBe(false);
  for (const one of connections) {
    await eventually(async () => (await one.ask('/hosts/moving')) === '');
    await expect(one.ask('/')).rejects.toThrow(/^\/: 503/);
  }
  // Its idle connections are closed, and its stats are forgotten with the last of them.
  const { counters, gauges, histograms } = proxy.proxy.stats;
  await eventually(() => {
    const names = [counters, gauges, histograms].flatMap((stats) => [...stats.keys()]);
    expect(names.filter((name) => name.startsWith('cluster.moving.'))).toEqual([]);
  });
  expect((await proxy.admin('/clusters')).body.toString()).toBe('');
  // And a worker that begins late does not have it.
  await connections[0]?.ask('/throw');
  await replaced(proxy, 1);
  await using late = await connectTo(proxy, 0);
  expect(await late.ask('/hosts/moving')).toBe('');
  await closeAll(connections);
});
