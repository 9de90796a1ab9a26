import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { type Cluster, ClusterSchema, fromJson } from '@dragoman/api';
import {
  clusterConfig,
  eventually,
  Gate,
  HttpUpstream,
  requestText,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { answers, listenerOf } from './dynamic.ts';
import {
  closeAll,
  connectToEach,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

// Names that come and go leave neither stats nor memory behind.

const clusterMessage = (name: string, port: number, more = {}): Cluster =>
  fromJson(ClusterSchema, { ...clusterConfig(name, port), ...more } as never);

/** Requests go to the cluster that their header names. */
const start = (): Promise<TestProxy> =>
  startOnThreads(
    threadBootstrap({
      routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } }],
      admin: true,
    }),
    { drainTimeMs: 20 },
  );

function namesOf({ proxy: { stats } }: TestProxy): string[] {
  const maps = [stats.counters, stats.gauges, stats.histograms, stats.textReadouts];
  return maps.flatMap((map) => [...map.keys()]).sort();
}

async function statusOf({ client }: WorkerConnection, cluster: string): Promise<number> {
  client.socket.write(requestText('GET', '/', [`x-cluster: ${cluster}`]));
  return (await client.readResponse()).status;
}

/** Every thread finds what nobody has a handle of any more. */
async function collect(connections: readonly WorkerConnection[]): Promise<void> {
  for (let round = 0; round < 3; round++) {
    (runInNewContext('gc') as () => void)();
    for (const one of connections) await one.ask('/collect');
    await nextTurn();
  }
}

/** Adds clusters, and asks some of them on every worker. */
async function addClusters(
  proxy: TestProxy,
  names: readonly string[],
  port: number,
  connections: readonly WorkerConnection[],
): Promise<void> {
  await Promise.all(names.map((name) => proxy.proxy.addOrUpdateCluster(clusterMessage(name, port))));
  for (const name of names.filter(isAsked))
    for (const one of connections) expect(await statusOf(one, name)).toBe(200);
}

const isAsked = (_name: string, index: number): boolean => index % 8 === 0;

const NUMBER = 200;
const namesIn = (generation: string): string[] =>
  Array.from({ length: NUMBER }, (_, index) => `${generation}.${index}`);

test('clusters under ever new names leave no stats and no slots', { timeout: 60_000 }, async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await start();
  const connections = await connectToEach(proxy, 2);
  // What comes with the first requests is there.
  await addClusters(proxy, ['first'], upstream.port, connections);
  await proxy.proxy.removeCluster('first');
  await eventually(() =>
    expect(namesOf(proxy).filter((name) => name.startsWith('cluster.first.'))).toEqual([]),
  );
  const names = namesOf(proxy);
  const bytes: number[] = [];
  for (const generation of ['one', 'two']) {
    const clusters = namesIn(generation);
    await addClusters(proxy, clusters, upstream.port, connections);
    for (const name of clusters.filter(isAsked)) await proxy.untilStat(`cluster.${name}.upstream_rq_200`, 2);
    proxy.proxy.stats.flush();
    await Promise.all(clusters.map((name) => proxy.proxy.removeCluster(name)));
    await eventually(() => expect(namesOf(proxy)).toEqual(names));
    bytes.push(proxy.proxy.stats.byteLength);
    await collect(connections);
  }
  // The first generation has taken the memory that those after it use; how much a histogram takes depends on what it records.
  const [first = 0] = bytes;
  expect(first).toBeGreaterThan(20 * 32_768);
  expect(Math.max(...bytes)).toBeLessThan(1.25 * first);
  expect((await proxy.admin('/stats?usedonly&filter=^cluster\\.')).body.toString()).toBe('');
  expect(proxy.stat('server.envoy_bug_failures')).toBe(0);
  await closeAll(connections);
});

test('what is under way when its cluster is removed counts there, and nowhere else', {
  timeout: 30_000,
}, async () => {
  const gate = new Gate();
  await using slow = await HttpUpstream.start(async (exchange) => {
    await gate.pass();
    await text('late')(exchange);
  });
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await start();
  const connections = await connectToEach(proxy, 2);
  await addClusters(proxy, namesIn('old'), upstream.port, connections);
  await proxy.proxy.addOrUpdateCluster(clusterMessage('slow', slow.port));
  const held = await connectToEach(proxy, 2);
  for (const { client } of held) client.socket.write(requestText('GET', '/', ['x-cluster: slow']));
  await gate.reached(2);
  await Promise.all([...namesIn('old'), 'slow'].map((name) => proxy.proxy.removeCluster(name)));
  await eventually(() =>
    expect(namesOf(proxy).filter((name) => name.startsWith('cluster.old.'))).toEqual([]),
  );
  await collect(connections);
  expect(proxy.stat('cluster.slow.upstream_rq_active')).toBe(2);
  const bytes = proxy.proxy.stats.byteLength;
  // They get the slots of the old ones. What is added now must not hear of what ends now.
  const fresh = namesIn('new');
  await Promise.all(fresh.map((name) => proxy.proxy.addOrUpdateCluster(clusterMessage(name, upstream.port))));
  expect(proxy.proxy.stats.byteLength).toBe(bytes);
  gate.open();
  for (const { client } of held) expect((await client.readResponse()).body.toString()).toBe('late');
  await eventually(() =>
    expect(namesOf(proxy).filter((name) => name.startsWith('cluster.slow.'))).toEqual([]),
  );
  await collect(connections);
  const { counters, histograms } = proxy.proxy.stats;
  proxy.proxy.stats.flush();
  const touched = [...counters.values()].filter(
    ({ name, value }) => /^cluster\.new\..*\.(upstream_|lb_|bind_)/.test(name) && value !== 0,
  );
  expect(touched.map(({ name, value }) => `${name}: ${value}`)).toEqual([]);
  const recorded = [...histograms.values()].filter(
    ({ name, used }) => name.startsWith('cluster.new.') && used,
  );
  expect(recorded.map(({ name }) => name)).toEqual([]);
  for (const one of connections) expect(await statusOf(one, 'new.7')).toBe(200);
  expect(proxy.stat('cluster.new.7.upstream_rq_total')).toBe(2);
  await closeAll([...connections, ...held]);
});

test('a new version goes on with the counters, one that comes back begins anew', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await start();
  const connections = await connectToEach(proxy, 2);
  const ask = async (): Promise<void> => {
    for (const one of connections) await eventually(async () => expect(await statusOf(one, 'web')).toBe(200));
  };
  for (let version = 1; version <= 3; version++) {
    const message = clusterMessage('web', upstream.port, { connect_timeout: `${version}s` });
    await proxy.proxy.addOrUpdateCluster(message);
    await ask();
    await proxy.untilStat('cluster.web.upstream_rq_200', 2 * version);
  }
  await proxy.proxy.removeCluster('web');
  await eventually(() =>
    expect(namesOf(proxy).filter((name) => name.startsWith('cluster.web.'))).toEqual([]),
  );
  await proxy.proxy.addOrUpdateCluster(clusterMessage('web', upstream.port));
  await ask();
  await proxy.untilStat('cluster.web.upstream_rq_200', 2);
  await closeAll(connections);
});

test('listeners leave nothing, and share what several of them have', async () => {
  await using proxy = await start();
  const connections = await connectToEach(proxy, 2);
  const add = (name: string): Promise<boolean> =>
    proxy.proxy.addOrUpdateListener(
      listenerOf({
        name,
        stat_prefix: name,
        address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
        filter_chains: [answers(name)],
      }),
    );
  const names = namesOf(proxy);
  const listeners = Array.from({ length: 10 }, (_, index) => `listener_${index}`);
  for (let round = 0; round < 2; round++) {
    for (const name of listeners) expect(await add(name)).toBe(true);
    expect(namesOf(proxy).length).toBeGreaterThan(names.length + 100);
    for (const name of listeners) expect(await proxy.proxy.removeListener(name)).toBe(true);
    await eventually(() => expect(namesOf(proxy)).toEqual(names));
  }
  // That of the bootstrap has the same `http.ingress.`.
  expect(proxy.stat('http.ingress.downstream_rq_total')).toBeGreaterThan(0);
  await closeAll(connections);
});
