import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@dragoman/api';
import {
  FakeClock,
  eventually,
  exchange,
  HttpUpstream,
  type JsonObject,
  localAddress,
  requestText,
  text,
  trackLeaks,
} from '@dragoman/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { createProxy, createServerLog } from '../src/index.ts';
import { says } from './extensions.ts';
import { extensions } from './support/thread-extensions.ts';
import {
  closeAll,
  connectTo,
  connectToAny,
  connectToEach,
  replaced,
  startOnThreads,
  THREADS,
  threadBootstrap,
} from './support/thread-proxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-threads-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function listening(options: object): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0, ...options }, resolve));
  return { server, port: (server.address() as { port: number }).port };
}

describe('sockets of several workers', () => {
  test('one port for all of them, and the kernel spreads connections', async () => {
    const leaks = trackLeaks();
    {
      await using upstream = await HttpUpstream.start(text('hello'));
      await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }), {
        concurrency: 3,
      });
      expect(proxy.port).not.toBe(0);
      const seen = new Map<number, number>();
      const open = await Promise.all(Array.from({ length: 60 }, () => connectToAny(proxy)));
      for (const { worker } of open) seen.set(worker, (seen.get(worker) ?? 0) + 1);
      expect([...seen.keys()].sort()).toEqual([0, 1, 2]);
      for (const connection of open) expect(await connection.ask('/')).toBe('hello');
      expect(proxy.stat('http.ingress.downstream_cx_active')).toBe(60);
      expect(proxy.stat('http.ingress.downstream_rq_total')).toBe(120);
      const prefix = 'listener.127.0.0.1_0';
      for (const [worker, count] of seen)
        expect(proxy.stat(`${prefix}.worker_${worker}.downstream_cx_total`)).toBe(count);
      const { body } = await proxy.admin('/listeners');
      expect(body.toString()).toBe(`http::127.0.0.1:${proxy.port}\n`);
      await closeAll(open);
      await proxy.untilStat('http.ingress.downstream_cx_active', 0);
    }
    await leaks.expectNone();
  });

  test.for([
    ['an ordinary one', {}],
    ['one with SO_REUSEPORT', { reusePort: true }],
  ] as const)('a port that is taken: %s', async ([, options]) => {
    const leaks = trackLeaks();
    const { server, port } = await listening(options);
    const config = threadBootstrap({ listener: { address: localAddress(port) }, admin: false });
    const bootstrap = loadConfig({ text: JSON.stringify(config, undefined, 1), file: 'envoy.json' } as never);
    await expect(
      createProxy({ bootstrap: bootstrap as never, extensions, threads: THREADS, flags: { concurrency: 2 } }),
    ).rejects.toThrow(
      new RegExp(
        `:\\d+:\\d+: static_resources\\.listeners\\[0\\]\\.address: cannot listen on 127\\.0\\.0\\.1:${port}: Address already in use`,
      ),
    );
    await new Promise((resolve) => server.close(resolve));
    await leaks.expectNone();
  });

  test('a Unix socket is accepted on by one worker, and by its successor', async () => {
    const path = join(folder, 'unix.sock');
    const unix: JsonObject = { name: 'unix', address: { pipe: { path } }, filter_chains: [says('here')] };
    await using proxy = await startOnThreads(threadBootstrap({ listeners: [unix] }));
    for (let i = 0; i < 4; i++) expect(await exchange({ path })).toBe('here');
    expect(proxy.stat(`listener.${path.replaceAll(':', '_')}.worker_0.downstream_cx_total`)).toBe(4);
    const [first, second] = await connectToEach(proxy, 2);
    await first.ask('/throw');
    await replaced(proxy, 1);
    expect(await exchange({ path })).toBe('here');
    // Nor does the death of the other one matter to it.
    await second.ask('/throw');
    await replaced(proxy, 2);
    expect(await exchange({ path })).toBe('here');
    await closeAll([first, second]);
  });

  test('enable_reuse_port: false: all workers accept on one socket', async () => {
    await using proxy = await startOnThreads(threadBootstrap({ listener: { enable_reuse_port: false } }));
    const connections = await connectToEach(proxy, 2);
    // Nobody else can have it, with SO_REUSEPORT neither.
    await expect(
      startOnThreads(threadBootstrap({ listener: { address: localAddress(proxy.port) } })),
    ).rejects.toThrow('Address already in use');
    await connections[0].ask('/throw');
    await replaced(proxy, 1);
    await using again = await connectTo(proxy, 0);
    expect(await again.ask('/worker')).toBe('0');
    await closeAll(connections);
  });

  test('one worker: its successor has the same port', async () => {
    await using proxy = await startOnThreads(threadBootstrap(), { concurrency: 1 });
    await using first = await connectTo(proxy, 0);
    await first.ask('/throw');
    await replaced(proxy, 1);
    await using second = await connectTo(proxy, 0);
    expect(await second.ask('/worker')).toBe('0');
  });
});

describe('a start that fails', () => {
  test('what is wrong with listeners and clusters is said once, with its line', async () => {
    const leaks = trackLeaks();
    const config = threadBootstrap({
      clusters: { web: 1, bad: { type: 'STATIC', lb_policy: 'MAGLEV' } },
      listener: { transparent: true },
    });
    const bootstrap = loadConfig({ text: JSON.stringify(config, undefined, 1) });
    const failed = createProxy({
      bootstrap: bootstrap as never,
      extensions,
      threads: THREADS,
      flags: { concurrency: 3 },
    });
    const error = (await failed.catch((thrown: unknown) => thrown)) as Error;
    expect(error.message.match(/listeners\[0\]\.transparent/g), error.message).toHaveLength(1);
    expect(error.message.match(/clusters\[1\]\.lb_policy/g)).toHaveLength(1);
    for (const line of error.message.split('\n')) expect(line).toMatch(/^\d+:\d+: static_resources\./);
    await leaks.expectNone();
  });

  test.for([
    [
      'does not exist',
      './no-such-module.ts',
      /worker_\d could not start: its extensions cannot be loaded: .*no-such-module\.ts/,
    ],
    [
      'exports no list',
      './thread-proxy.ts',
      /worker_\d could not start: its extensions cannot be loaded: .*thread-proxy\.ts exports no "extensions"/,
    ],
  ] as const)('a module that %s', async ([, module, message]) => {
    const leaks = trackLeaks();
    const threads = { extensions: new URL(module, new URL('./support/', import.meta.url)) };
    const failed = startOnThreads(threadBootstrap(), {}, { threads });
    const error = (await failed.catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toMatch(message);
    // For a person: no stack of the loader.
    expect(error.message.split('\n')).toHaveLength(1);
    await leaks.expectNone();
  });

  test('a module that never loads', async () => {
    const leaks = trackLeaks();
    const clock = new FakeClock();
    const threads = { extensions: new URL('./support/never-loads.ts', import.meta.url) };
    const failed = startOnThreads(threadBootstrap(), {}, { threads, clock });
    const message = failed.catch(({ message }: Error) => message);
    await eventually(() => clock.pendingTimers > 0);
    clock.advance(60_000);
    expect(await message).toMatch(/worker_\d could not start: it has not loaded its code in 60 s/);
    await leaks.expectNone();
  });

  test('a worker that ends while it starts', async () => {
    const leaks = trackLeaks();
    const threads = { extensions: new URL('./support/hostile-extensions.ts', import.meta.url) };
    const failed = startOnThreads(threadBootstrap(), {}, { threads });
    await expect(failed).rejects.toThrow('worker_1 could not start: process.exit(7)');
    await leaks.expectNone();
  });
});

describe('what is told to workers', () => {
  test('runtime values', async () => {
    const layers: JsonObject = {
      layers: [
        { name: 'base', static_layer: { 'test.number': 1 } },
        { name: 'admin', admin_layer: {} },
      ],
    };
    await using proxy = await startOnThreads(threadBootstrap({ bootstrap: { layered_runtime: layers } }));
    const connections = await connectToEach(proxy, 2);
    for (const connection of connections) expect(await connection.ask('/runtime/test.number')).toBe('1');
    await proxy.admin('/runtime_modify?test.number=2', 'POST');
    for (const connection of connections)
      await eventually(async () => (await connection.ask('/runtime/test.number')) === '2');
    // And whoever comes later.
    await connections[0].ask('/throw');
    await replaced(proxy, 1);
    await using late = await connectTo(proxy, 0);
    expect(await late.ask('/runtime/test.number')).toBe('2');
    await closeAll(connections);
  });

  test('runtime values of files that change', async () => {
    const root = mkdtempSync(join(tmpdir(), 'dragoman-runtime-'));
    try {
      writeFileSync(join(root, 'number'), '1');
      const layers: JsonObject = { layers: [{ name: 'disk', disk_layer: { symlink_root: root } }] };
      await using proxy = await startOnThreads(threadBootstrap({ bootstrap: { layered_runtime: layers } }));
      const connections = await connectToEach(proxy, 2);
      writeFileSync(join(root, 'number'), '2');
      for (const connection of connections)
        await eventually(async () => (await connection.ask('/runtime/number')) === '2');
      await closeAll(connections);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test('levels of the log, whose lines bear their thread', async () => {
    const lines: string[] = [];
    const log = createServerLog({
      clock: { wallTime: () => 0 },
      level: 'info',
      format: '%t %n %l %v',
      write: (line) => lines.push(line),
    });
    await using proxy = await startOnThreads(threadBootstrap(), {}, { log });
    const connections = await connectToEach(proxy, 2);
    const threadOf = new Map<number, string>();
    for (const connection of connections) {
      threadOf.set(connection.worker, String(process.pid + Number(await connection.ask('/thread'))));
      await connection.ask(`/log/first${connection.worker}`);
    }
    for (const worker of [0, 1])
      await eventually(() => lines.includes(`${threadOf.get(worker)} filter warning warning first${worker}`));
    expect(lines.filter((line) => line.includes('debug first'))).toEqual([]);
    expect(threadOf.get(0)).not.toBe(threadOf.get(1));

    await proxy.admin('/logging?filter=debug', 'POST');
    for (const connection of connections) {
      const { worker } = connection;
      await eventually(async () => {
        await connection.ask(`/log/second${worker}`);
        return lines.includes(`${threadOf.get(worker)} filter debug debug second${worker}`);
      });
    }
    await closeAll(connections);
  });

  test('what every worker warns of is said once', async () => {
    await using proxy = await startOnThreads(threadBootstrap(), { concurrency: 3 });
    expect(proxy.log.find('said by every thread')).toHaveLength(1);
  });

  test('listeners that come and go', async () => {
    await using proxy = await startOnThreads(threadBootstrap({ admin: false }));
    const { message } = loadConfig({
      text: JSON.stringify(threadBootstrap({ listener: { name: 'two' } })),
    }) as never as {
      message: { staticResources: { listeners: never[] } };
    };
    await proxy.proxy.addOrUpdateListener(message.staticResources.listeners[0]);
    const port = proxy.portOf('two');
    const seen = new Set<string>();
    await eventually(async () => {
      await using client = await proxy.connect({ port });
      await client.write(requestText('GET', '/worker'));
      seen.add((await client.readResponse()).body.toString());
      return seen.size === 2;
    });
    // A worker that begins later has it too.
    await using one = await connectTo(proxy, 1);
    await one.ask('/throw');
    await replaced(proxy, 1);
    seen.clear();
    await eventually(async () => {
      await using client = await proxy.connect({ port });
      await client.write(requestText('GET', '/worker'));
      seen.add((await client.readResponse()).body.toString());
      return seen.size === 2;
    });
    expect(await proxy.proxy.removeListener('two')).toBe(true);
    await expect(proxy.connect({ port })).rejects.toThrow('ECONNREFUSED');
  });
});
