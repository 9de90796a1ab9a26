import { type Cluster, ClusterSchema, fromJson } from '@dragoman/api';
import { clusterConfig, eventually, Gate, gated, HttpUpstream, text, trackLeaks } from '@dragoman/testing';
import { expect, test } from 'vitest';
import {
  closeAll,
  connectTo,
  connectToEach,
  replaced,
  startOnThreads,
  threadBootstrap,
} from './support/thread-proxy.ts';

// A worker that takes another's place begins late: what it finds is what the others have been told.

const clusterMessage = (name: string, port: number): Cluster =>
  fromJson(ClusterSchema, clusterConfig(name, port) as never);

test('a config that changes while a worker is being replaced', { timeout: 30_000 }, async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }));
  for (let deaths = 1; deaths <= 2; deaths++) {
    await using connection = await connectTo(proxy, 0);
    await connection.ask('/throw');
    await proxy.untilStat('server.worker_deaths', deaths);
    // Now, and while its successor loads and joins.
    let changes = 0;
    await eventually(async () => {
      const message = clusterMessage(`later${changes % 3}`, ++changes);
      await proxy.proxy.addOrUpdateCluster(message);
      return proxy.log.find('is there again').length === deaths;
    }, 10_000);
    expect(changes).toBeGreaterThan(5);
    const all = await connectToEach(proxy, 2);
    for (const one of all) {
      for (const name of [0, 1, 2])
        expect(await one.ask(`/hosts/later${name}`)).toMatch(/^127\.0\.0\.1:\d+$/);
    }
    const [first, second] = await Promise.all(all.map((one) => one.ask('/hosts/later0')));
    expect(first).toBe(second);
    await closeAll(all);
  }
  expect(proxy.stat('server.envoy_bug_failures')).toBe(2);
});

test('a worker that begins late is draining like the others', async () => {
  await using proxy = await startOnThreads(threadBootstrap());
  /** What a new connection is told, by the worker that has it. */
  const told = async (): Promise<readonly [worker: string, connection: string | undefined]> => {
    const response = await proxy.get('/worker');
    return [response.body.toString(), response.header('connection')];
  };
  await using dying = await connectTo(proxy, 0);
  await proxy.admin('/healthcheck/fail', 'POST');
  await eventually(async () => (await told())[1] === 'close');
  dying.send('/throw');
  await replaced(proxy, 1);
  const seen = new Set<string>();
  while (seen.size < 2) {
    const [worker, connection] = await told();
    expect(connection).toBe('close');
    seen.add(worker);
  }
});

test('a worker that begins while the proxy is drained does not accept', async () => {
  const gate = new Gate();
  await using upstream = await HttpUpstream.start(gated(gate, text('x')));
  await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }));
  await using busy = await connectTo(proxy, 1);
  busy.send('/');
  await gate.reached();
  await using dying = await connectTo(proxy, 0);
  dying.send('/throw');
  const drained = proxy.proxy.drain();
  await replaced(proxy, 1);
  await expect(proxy.connect()).rejects.toThrow('ECONNREFUSED');
  gate.open();
  expect((await busy.client.readResponse()).header('connection')).toBe('close');
  busy.client.end();
  await drained;
});

test.for([0, 1, 2])('closing while a worker is being replaced leaves no thread (%i)', async (moment) => {
  const leaks = trackLeaks();
  const proxy = await startOnThreads(threadBootstrap());
  {
    await using dying = await connectTo(proxy, 0);
    await dying.ask('/throw');
    if (moment > 0) await proxy.untilStat('server.worker_deaths', 1);
    // Its successor is loading.
    if (moment > 1) await new Promise((resolve) => setImmediate(resolve));
    await proxy.close();
  }
  await leaks.expectNone();
});

test('a worker that is blocked does not hold up what the others are told', { timeout: 30_000 }, async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }));
  const [blocked, turning] = await connectToEach(proxy, 2);
  await blocked?.ask('/block/7000');
  await proxy.untilStat('server.worker_0.watchdog_miss', 1);
  await proxy.proxy.addOrUpdateCluster(clusterMessage('later', 8080));
  expect(await turning?.ask('/hosts/later')).toBe('127.0.0.1:8080');
  // When it turns again it does what it was told.
  expect(await blocked?.ask('/hosts/later')).toBe('127.0.0.1:8080');
  expect([proxy.stat('server.worker_deaths'), proxy.stat('server.envoy_bug_failures')]).toEqual([0, 0]);
});
