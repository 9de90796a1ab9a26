import { eventually, HttpUpstream, type JsonObject, text, within } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { block } from './support/thread-extensions.ts';
import {
  closeAll,
  connectTo,
  connectToEach,
  replaced,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

const watchdogs = (worker: JsonObject, main: JsonObject = {}): { readonly bootstrap: JsonObject } => ({
  bootstrap: { watchdogs: { worker_watchdog: worker, main_thread_watchdog: main } },
});

describe('a worker that is blocked', () => {
  test('is counted under the names of Envoy, while others serve', async () => {
    const config = watchdogs({ miss_timeout: '0.1s', megamiss_timeout: '0.3s' });
    await using proxy = await startOnThreads(threadBootstrap(config));
    const [blocked, other] = (await connectToEach(proxy, 2)) as [WorkerConnection, WorkerConnection];
    const misses = ['server.worker_0.watchdog_miss', 'server.worker_0.watchdog_mega_miss'];
    const sums = ['workers.watchdog_miss', 'workers.watchdog_mega_miss'];
    const values = (names: string[]) => names.map((name) => proxy.stat(name));
    expect(values([...misses, ...sums])).toEqual([0, 0, 0, 0]);
    await blocked.ask('/block/800');
    const answered = blocked.ask('/worker');
    for (let i = 0; proxy.stat(sums[1] as string) === 0; i++) {
      if (i > 100_000) throw new Error('no mega miss');
      await other.ask('/worker');
    }
    expect(values([...misses, ...sums])).toEqual([1, 1, 1, 1]);
    expect(proxy.stat('server.worker_1.watchdog_miss')).toBe(0);
    expect(await answered).toBe('0');
    expect(values([...misses, ...sums])).toEqual([1, 1, 1, 1]);
    await eventually(() => proxy.log.find('thread worker_0 turns again').length === 1);
    expect(proxy.stat('server.worker_deaths')).toBe(0);
    await closeAll([blocked, other]);
  });

  test('is ended after kill_timeout, and replaced', async () => {
    const config = watchdogs({ miss_timeout: '0.1s', megamiss_timeout: '0.2s', kill_timeout: '0.4s' });
    await using proxy = await startOnThreads(threadBootstrap(config));
    const [blocked, other] = (await connectToEach(proxy, 2)) as [WorkerConnection, WorkerConnection];
    await blocked.ask('/block/3600000');
    let served = 0;
    while (proxy.stat('server.worker_deaths') === 0) {
      await other.ask('/worker');
      served++;
    }
    expect(served).toBeGreaterThan(10);
    await replaced(proxy, 1);
    expect(proxy.log.find('worker_0 has ended').join()).toContain('ended by the watchdog (kill_timeout)');
    await using again = await connectTo(proxy, 0);
    expect(await again.ask('/worker')).toBe('0');
    expect(proxy.stat('server.worker_deaths')).toBe(1);
    await closeAll([blocked, other]);
  });

  test('holds up neither the admin interface nor a drain', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }));
    const [blocked, other] = (await connectToEach(proxy, 2)) as [WorkerConnection, WorkerConnection];
    await other.ask('/');
    await blocked.ask('/block/3000');
    const begun = performance.now();
    const admin = (path: string) => within(proxy.admin(path), path, 2000);
    const [clusters, dump, memory, stats] = await Promise.all(
      ['/clusters', '/config_dump?include_eds', '/memory', '/stats'].map(admin),
    );
    expect(clusters?.body.toString()).toContain(`web::127.0.0.1:${upstream.port}::rq_total::1\n`);
    expect(dump?.body.toString()).toContain('envoy.admin.v3.EndpointsConfigDump');
    expect(stats?.body.toString()).toContain('cluster.web.upstream_rq_total: 1\n');
    // V8 can be asked for the memory of a thread that computes; one that hangs elsewhere would be left out.
    expect(memory?.body.toString()).toContain('worker_1');
    await closeAll([other]);
    await within(proxy.proxy.drain({ timeMs: 100 }), 'the drain', 2000);
    expect(performance.now() - begun).toBeLessThan(3000);
    await closeAll([blocked]);
  });
});

test('a main thread that is blocked is counted by a worker', async () => {
  const config = watchdogs({}, { miss_timeout: '0.05s', megamiss_timeout: '0.15s' });
  await using proxy = await startOnThreads(threadBootstrap(config));
  const names = [
    'main_thread.watchdog_miss',
    'main_thread.watchdog_mega_miss',
    'server.main_thread.watchdog_miss',
    'server.main_thread.watchdog_mega_miss',
  ];
  const values = () => names.map((name) => proxy.stat(name));
  // The guard has seen main's heart once it has looked.
  await eventually(() => {
    if (values()[1] === 0) block(400);
    return values()[1] !== 0;
  });
  const [misses = 0, megamisses = 0] = values();
  expect(misses).toBeGreaterThanOrEqual(megamisses);
  expect(values()).toEqual([misses, megamisses, misses, megamisses]);
  await eventually(() => proxy.log.find('watchdog: thread main_thread has been stuck').length > 0);
});
