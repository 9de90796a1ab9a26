import { existsSync, statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { HttpUpstream, type RawTarget, rawClient, refusedPort, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { address, bootstrap, cluster, httpListener, type Message } from './support/config.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { SteadyLoad } from './support/steady-load.ts';
import { Supervised } from './support/supervised.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const FLAGS = ['--drain-time-s', '1'];

const ipv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === '::1');

const named = (name: string, where?: Message): Message =>
  httpListener({ name, listener: where === undefined ? {} : { address: where } });

async function get(target: RawTarget): Promise<number> {
  await using client = await rawClient(target);
  await client.write(GET);
  return (await client.readResponse()).status;
}

describe.skipIf(skipUnbuilt)(`listeners from epoch to epoch${UNBUILT}`, { timeout: 60_000 }, () => {
  it('are added, removed and kept', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const config = (listeners: readonly Message[]): Message =>
      bootstrap(listeners, [cluster('upstream', [upstream.port])]);
    const fixed = await refusedPort();
    const first = config([named('kept'), named('removed')]);
    await using proxy = await Supervised.serve(first, [...FLAGS, '--concurrency', '2']);
    const kept = await proxy.port('kept');
    const removed = await proxy.port('removed');
    proxy.configure(config([named('kept'), named('added', address(fixed))]));
    await proxy.restart(1);
    expect(await proxy.port('kept')).toBe(kept);
    await proxy.untilEnded(0);
    for (const port of [kept, fixed]) expect(await get({ port })).toBe(200);
    // The epoch that had it is gone, and so is its socket: nobody waits in vain.
    await expect(get({ port: removed })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    // The same port, for another listener.
    proxy.configure(config([named('renamed', address(fixed)), named('removed')]));
    await proxy.restart(2);
    await proxy.untilEnded(1);
    expect(await proxy.port('renamed')).toBe(fixed);
    expect(await get({ port: fixed })).toBe(200);
    await expect(get({ port: kept })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await get({ port: await proxy.port('removed') })).toBe(200);
    // And on all addresses: the socket of the old epoch is no stranger's.
    proxy.configure(config([named('wide', address(fixed, '0.0.0.0'))]));
    await proxy.restart(3);
    await proxy.untilEnded(2);
    for (const host of ['127.0.0.1', '127.0.0.2']) expect(await get({ host, port: fixed })).toBe(200);
  });

  it('without a name keep their ports apart', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const listeners = [named(''), named('')];
    await using proxy = await Supervised.serve(
      bootstrap(listeners, [cluster('upstream', [upstream.port])]),
      FLAGS,
    );
    const ports = async (): Promise<number[]> => {
      const { body } = await proxy.admin('/listeners');
      return [...body.toString().matchAll(/:(\d+)$/gm)].map((match) => Number(match[1]));
    };
    const before = await ports();
    expect(new Set(before).size).toBe(2);
    await proxy.restart(1);
    expect(await ports()).toEqual(before);
  });

  it('on a Unix socket and on IPv6 lose no request', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const pipe = { pipe: { path: 'proxy.sock', mode: 0o600 } };
    const listeners = [named('pipe', pipe), ...(ipv6 ? [named('v6', address(0, '::1'))] : [])];
    const config = bootstrap(listeners, [cluster('upstream', [upstream.port])]);
    await using proxy = await Supervised.serve(config, [...FLAGS, '--concurrency', '2']);
    const path = proxy.path('proxy.sock');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const targets: RawTarget[] = [{ path }];
    if (ipv6) targets.push({ host: '::1', port: await portOf(proxy, 'v6') });
    const loads = targets.map((target) => new SteadyLoad({ target, fresh: 2, keptAlive: 2, rate: 100 }));
    for (const epoch of [1, 2, 3]) {
      await proxy.restart(epoch);
      await proxy.untilEnded(epoch - 1);
    }
    for (const load of loads) await load.stop();
    expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
    for (const { answered } of loads) expect(answered).toBeGreaterThan(50);
    proxy.kill('SIGTERM');
    expect((await proxy.exit).code).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it.each([
    ['more', [1, 3, 4]],
    ['fewer', [4, 2, 1]],
  ])('with %s workers lose no request', async (_, [first, ...others]) => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const config = bootstrap([named('http')], [cluster('upstream', [upstream.port])]);
    const preload = new URL('./support/preload/epoch-flags.mjs', import.meta.url);
    const env = { NODE_OPTIONS: `--import=${preload.href}` };
    await using proxy = await Supervised.serve(config, [...FLAGS, '--concurrency', `${first}`], { env });
    const port = await proxy.port();
    const load = new SteadyLoad({ target: { port }, fresh: 4, keptAlive: 4, rate: 50 });
    for (const [i, concurrency] of others.entries()) {
      writeFileSync(proxy.path('flags.txt'), `--concurrency=${concurrency}`);
      await proxy.restart(i + 1);
      expect(await proxy.stat('server.concurrency')).toBe(concurrency);
      await proxy.untilEnded(i);
      const before = load.answered;
      while (load.answered < before + 40 && load.failures.length === 0) await get({ port });
    }
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});

/** As {@link Supervised.port}, of an IPv6 address. */
async function portOf(proxy: Supervised, listener: string): Promise<number> {
  const { body } = await proxy.admin('/listeners');
  return Number(new RegExp(`^${listener}::\\[.*\\]:(\\d+)$`, 'm').exec(body.toString())?.[1]);
}
