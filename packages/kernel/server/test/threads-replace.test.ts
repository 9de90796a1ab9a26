import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { eventually, Gate, HttpUpstream, text, type TestProxy, trackLeaks } from '@dragoman/testing';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import {
  closeAll,
  connectTo,
  connectToEach,
  replaced,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-replace-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Requests on one connection, one after the other, until it is stopped. */
class KeepAliveLoad {
  requests = 0;
  private running = true;
  private readonly done: Promise<void>;

  constructor(connection: WorkerConnection, path: string) {
    this.done = this.run(connection, path);
  }

  /** @throws what a request threw */
  async stop(): Promise<number> {
    this.running = false;
    await this.done;
    return this.requests;
  }

  private async run(connection: WorkerConnection, path: string): Promise<void> {
    while (this.running) {
      await connection.ask(path);
      this.requests++;
    }
  }
}

const GAUGES = [
  'http.ingress.downstream_cx_active',
  'http.ingress.downstream_rq_active',
  'listener.127.0.0.1_0.downstream_cx_active',
  'cluster.web.upstream_cx_active',
  'cluster.web.upstream_rq_active',
] as const;
const gauges = (proxy: TestProxy): number[] => GAUGES.map((name) => proxy.stat(name));

function countersOf(proxy: TestProxy): Map<string, number> {
  return new Map(Array.from(proxy.proxy.stats.counters, ([name, { value }]) => [name, value]));
}

function expectNoneWentBack(proxy: TestProxy, before: ReadonlyMap<string, number>): void {
  const now = countersOf(proxy);
  const back = [...before].filter(([name, value]) => (now.get(name) ?? 0) < value);
  expect(back).toEqual([]);
}

test.for([
  ['throws', '/throw', /uncaught exception: Error: thrown on purpose\n\s+at .*thread-extensions\.ts/],
  [
    'calls process.exit',
    '/exit/3',
    /process\.exit\(3\): Error: called\n[\s\S]*endsTheThread .*thread-extensions\.ts/,
  ],
] as const)('a worker that %s is replaced, and the others do not notice', async ([, command, logged]) => {
  const leaks = trackLeaks();
  {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(async (exchange) => {
      if (exchange.request.path === '/held') await gate.pass();
      await text('x')(exchange);
    });
    await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }), {
      concurrency: 3,
    });
    const [dying, busy, holding] = (await connectToEach(proxy, 3)) as [
      WorkerConnection,
      WorkerConnection,
      WorkerConnection,
    ];
    await using held = await connectTo(proxy, 0);
    held.send('/held');
    holding.send('/held');
    await gate.reached(2);
    const load = new KeepAliveLoad(busy, '/');
    await eventually(() => load.requests > 20);
    expect(proxy.stat('http.ingress.downstream_rq_active')).toBeGreaterThanOrEqual(2);
    const before = countersOf(proxy);

    await dying.ask(command);
    await replaced(proxy, 1);
    expect([proxy.stat('server.worker_deaths'), proxy.stat('server.envoy_bug_failures')]).toEqual([1, 1]);
    expect(proxy.log.find('worker_0 has ended').join('')).toMatch(logged);
    expectNoneWentBack(proxy, before);
    expect(await load.stop()).toBeGreaterThan(20);
    // Its two connections, and the request on one of them, are gone: what is left is the others'.
    await held.client.readUntilClose();
    await eventually(() => expect(gauges(proxy)).toEqual([2, 1, 2, 2, 1]));
    gate.open();
    expect((await holding.client.readResponse()).status).toBe(200);
    await eventually(() => expect(gauges(proxy)).toEqual([2, 0, 2, 2, 0]));

    await using again = await connectTo(proxy, 0);
    expect(await again.ask('/')).toBe('x');
    await eventually(() => expect(gauges(proxy)).toEqual([3, 0, 3, 3, 0]));
    expectNoneWentBack(proxy, before);
    await closeAll([dying, busy, holding]);
  }
  await leaks.expectNone();
});

test('a second death in a row is waited after, and a third longer', async () => {
  await using proxy = await startOnThreads(threadBootstrap());
  for (let deaths = 1; deaths <= 3; deaths++) {
    await using connection = await connectTo(proxy, 1);
    await connection.ask('/throw');
    await replaced(proxy, deaths);
  }
  const delays = proxy.log.find('worker_1 has ended').map((line) => /in (\d+) ms:/.exec(line)?.[1]);
  expect(delays).toEqual([undefined, '100', '200']);
});

test('what a dying worker has logged of requests is written', async () => {
  const path = join(folder, 'access.log');
  const access_log = [
    {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
        path,
        log_format: { text_format_source: { inline_string: '%REQ(:PATH)%\n' } },
      },
    },
  ];
  // So late that nothing is written before.
  await using proxy = await startOnThreads(threadBootstrap({ manager: { access_log } }), {
    fileFlushIntervalMs: 60_000,
  });
  for (const [worker, command] of [
    [0, '/throw'],
    [1, '/exit/0'],
  ] as const) {
    await using connection = await connectTo(proxy, worker);
    for (let i = 0; i < 50; i++) await connection.ask(`/worker/${worker}-${i}`);
    await connection.ask(command);
    await replaced(proxy, worker + 1);
  }
  const lines = new Set(readFileSync(path, 'latin1').split('\n'));
  for (const worker of [0, 1]) {
    for (let i = 0; i < 50; i++) expect(lines).toContain(`/worker/${worker}-${i}`);
  }
  expect(lines).toContain('/throw');
});

test('a worker that is out of memory is replaced', async () => {
  // Of heaps that are made from now on. The default, some gigabytes, takes long to fill.
  setFlagsFromString('--max-old-space-size=64');
  onTestFinished(() => setFlagsFromString('--max-old-space-size=0'));
  await using proxy = await startOnThreads(threadBootstrap());
  const [dying, other] = await connectToEach(proxy, 2);
  await dying?.ask('/exhaust');
  await replaced(proxy, 1);
  expect(proxy.log.find('worker_0 has ended').join('')).toContain('reaching memory limit');
  expect(proxy.stat('server.envoy_bug_failures')).toBe(1);
  expect(await other?.ask('/worker')).toBe('1');
  await closeAll([dying, other] as WorkerConnection[]);
});

test('a promise that nobody waited for is counted and logged, and the worker goes on', async () => {
  await using proxy = await startOnThreads(threadBootstrap());
  await using connection = await connectTo(proxy, 0);
  await connection.ask('/reject');
  await proxy.untilStat('server.envoy_bug_failures', 1);
  expect(
    proxy.log.find('worker_0: unhandled rejection (1 so far): Error: rejected on purpose\n'),
  ).toHaveLength(1);
  expect(await connection.ask('/worker')).toBe('0');
  expect(proxy.stat('server.worker_deaths')).toBe(0);
});
