import { eventually, HttpUpstream, SeededRandom, text } from '@dragoman/testing';
import { expect, test } from 'vitest';
import {
  closeAll,
  connectTo,
  connectToAny,
  replaced,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

const WORKERS = 4;
const DEATHS = 20;
const CONNECTIONS = 24;

/** One request after the other until the connection ends. */
async function requests(connection: WorkerConnection, ended: (worker: number) => void): Promise<void> {
  try {
    for (;;) await connection.ask('/');
  } catch {
    ended(connection.worker);
  }
}

test('many deaths under load: only connections of the dead are lost, and everything adds up', async () => {
  const random = new SeededRandom(3);
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }), {
    concurrency: WORKERS,
  });
  const names = ['server.worker_deaths', 'http.ingress.downstream_rq_total', 'cluster.web.upstream_rq_200'];
  let counters = names.map(() => 0);
  for (let deaths = 1; deaths <= DEATHS; deaths++) {
    const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectToAny(proxy)));
    const lost: number[] = [];
    const load = connections.map((one) => requests(one, (worker) => lost.push(worker)));
    const worker = random.next() % WORKERS;
    const dying = await connectTo(proxy, worker);
    await dying.ask(['/throw', '/exit/1'][deaths % 2] as string);
    // Those that die again and again are waited after, for up to ten seconds.
    await replaced(proxy, deaths, 30_000);
    expect(lost).toEqual(connections.filter((one) => one.worker === worker).map(() => worker));
    await closeAll([dying, ...connections]);
    await Promise.all(load);
    await eventually(() => {
      const { gauges } = proxy.proxy.stats;
      for (const name of [
        'http.ingress.downstream_cx_active',
        'http.ingress.downstream_rq_active',
        'cluster.web.upstream_rq_active',
      ])
        expect([name, gauges.get(name)?.value]).toEqual([name, 0]);
      expect(gauges.get('cluster.web.upstream_cx_active')?.value).toBe(upstream.openConnections);
    });
    const now = names.map((name) => proxy.stat(name));
    now.forEach((value, i) => void expect(value).toBeGreaterThan(counters[i] as number));
    counters = now;
  }
});
