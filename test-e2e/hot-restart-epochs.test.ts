import { existsSync, renameSync } from 'node:fs';
import {
  eventually,
  Gate,
  gated,
  HttpUpstream,
  rawClient,
  silentUpstream,
  text,
  within,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, tcpProxyListener } from './support/config.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { START_PATIENCE_MS, Supervised } from './support/supervised.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const FAST_FLUSH = { stats_flush_interval: '0.1s' };
const TWO = ['--concurrency', '2'];

/** An HTTP listener and a TCP one before the same upstream. */
const both = (port: number, more: Message = FAST_FLUSH): Message =>
  bootstrap([httpListener({}), tcpProxyListener('upstream')], [cluster('upstream', [port])], more);

async function get(port: number): Promise<number> {
  await using client = await rawClient({ port });
  await client.write(GET);
  return (await client.readResponse()).status;
}

describe.skipIf(skipUnbuilt)(`epochs${UNBUILT}`, { timeout: 60_000 }, () => {
  it('while the old epoch lives its connections count; it ends with the last of them', async () => {
    await using upstream = await silentUpstream();
    await using proxy = await Supervised.serve(both(upstream.port), TWO);
    const port = await proxy.port('tcp');
    await using first = await rawClient({ port });
    await first.write('x');
    await upstream.connection();
    const { uptime_all_epochs } = await proxy.restart(1);
    await using second = await rawClient({ port });
    await second.write('y');
    await upstream.connection(2);
    const gauges = async (expected: Record<string, number>): Promise<void> => {
      await eventually(async () => {
        const stats = await proxy.stats(
          '^(server|listener|cluster\\.upstream|listener_manager)\\.',
          'Gauges',
        );
        const seen = Object.keys(expected).map((name) => [name, stats.get(name)]);
        expect(Object.fromEntries(seen)).toEqual(expected);
      }, START_PATIENCE_MS);
    };
    const own = {
      'server.concurrency': 2,
      'server.live': 1,
      'server.hot_restart_epoch': 1,
      'server.hot_restart_generation': 2,
      'listener_manager.total_listeners_active': 2,
      'listener_manager.workers_started': 1,
    };
    await gauges({
      ...own,
      'server.parent_connections': 1,
      'server.total_connections': 2,
      'cluster.upstream.upstream_cx_active': 2,
    });
    expect(proxy.runningEpochs).toHaveLength(2);
    first.reset();
    await proxy.untilEnded(0);
    await gauges({
      ...own,
      'server.parent_connections': 0,
      'server.total_connections': 1,
      'cluster.upstream.upstream_cx_active': 1,
    });
    expect(proxy.log.find((line) => /epoch 0 .* exited/.test(line))).toMatch(/exited with code 0$/);
    const later = await proxy.serverInfo();
    expect(Number.parseInt(later.uptime_all_epochs, 10)).toBeGreaterThanOrEqual(
      Number.parseInt(uptime_all_epochs, 10),
    );
    // The second connection was of no concern.
    expect(second.socket.destroyed || second.peerEnded).toBe(false);
  });

  it('a connection that stays is ended after --parent-shutdown-time-s', async () => {
    await using upstream = await silentUpstream();
    const flags = ['--drain-time-s', '1', '--parent-shutdown-time-s', '3'];
    await using proxy = await Supervised.serve(both(upstream.port), [...TWO, ...flags]);
    await using client = await rawClient({ port: await proxy.port('tcp') });
    await client.write('x');
    await upstream.connection();
    await proxy.restart(1);
    expect(client.peerEnded).toBe(false);
    const restarted = performance.now();
    await client.readUntilClose();
    await proxy.untilEnded(0);
    expect(performance.now() - restarted).toBeLessThan(15_000);
    expect(proxy.stderr).toMatch(/\[warning\]\[supervisor\] epoch 0 .* has not ended within 3 s: ending it/);
    expect(proxy.stderr).toMatch(/epoch 0 \(pid \d+\) exited with code 0/);
    expect(await proxy.stat('server.hot_restart_epoch')).toBe(1);
  });

  it('SIGTERM drains every epoch, and is no failure', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('slow')));
    await using proxy = await Supervised.serve(both(upstream.port), TWO);
    const port = await proxy.port();
    await using old = await rawClient({ port });
    await old.write(GET);
    await gate.reached(1);
    await proxy.restart(1);
    await using current = await rawClient({ port });
    await current.write(GET);
    await gate.reached(2);
    proxy.kill('SIGTERM');
    await proxy.logged(/caught SIGTERM/, 2);
    await eventually(() =>
      rawClient({ port }).then(
        () => false,
        () => true,
      ),
    );
    gate.open();
    for (const client of [old, current]) expect((await client.readResponse()).status).toBe(200);
    const { code, signal, stderr } = await within(proxy.exit, 'the end', START_PATIENCE_MS);
    expect([code, signal], stderr).toEqual([0, null]);
    expect(stderr).not.toMatch(/\[(error|critical)\]/);
  });

  it('SIGUSR1 has every epoch open its logs again', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('slow')));
    const config = bootstrap(
      [httpListener({ logPath: 'access.log' })],
      [cluster('upstream', [upstream.port])],
    );
    const flags = [...TWO, '--file-flush-interval-msec', '5', '--log-path', 'proxy.log'];
    await using proxy = await Supervised.serve(config, flags);
    const port = await proxy.port();
    await using old = await rawClient({ port });
    await old.write(GET);
    await gate.reached(1);
    await proxy.restart(1);
    await using current = await rawClient({ port });
    await current.write(GET);
    await gate.reached(2);
    for (const name of ['access', 'proxy']) renameSync(proxy.path(`${name}.log`), proxy.path(`${name}.1`));
    proxy.kill('SIGUSR1');
    await eventually(() => ['access', 'proxy'].every((name) => existsSync(proxy.path(`${name}.log`))));
    await eventually(() => proxy.read('proxy.1').match(/caught SIGUSR1/g)?.length === 2);
    gate.open();
    for (const client of [old, current]) expect((await client.readResponse()).status).toBe(200);
    await eventually(() => proxy.lines('access.log').length === 2);
    expect(proxy.lines('access.1')).toEqual([]);
    // It is idle now, asked to go by its answer, and the last of its epoch.
    await proxy.untilEnded(0);
  });

  it('the end of the live epoch is the end of all', async () => {
    await using upstream = await silentUpstream();
    await using proxy = await Supervised.serve(both(upstream.port), TWO);
    const port = await proxy.port('tcp');
    await using held = await rawClient({ port });
    await held.write('x');
    await upstream.connection();
    await proxy.restart(1);
    expect(proxy.runningEpochs).toHaveLength(2);
    process.kill(proxy.pidOf(1), 'SIGKILL');
    const { code, stderr } = await within(proxy.exit, 'the end', START_PATIENCE_MS);
    expect(code).toBe(137);
    expect(stderr).toMatch(/\[error\]\[supervisor\] epoch 1 \(pid \d+\) was ended by SIGKILL: ending/);
    expect(proxy.runningEpochs).toEqual([]);
    await expect(rawClient({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('an epoch whose supervisor is gone serves on until SIGTERM', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using proxy = await Supervised.serve(both(upstream.port), TWO);
    const port = await proxy.port();
    proxy.kill('SIGKILL');
    await proxy.logged(/\[error\]\[main\] the supervisor is gone: this process serves on/);
    for (let i = 0; i < 10; i++) expect(await get(port)).toBe(200);
    expect(await proxy.stat('http.test.downstream_rq_total')).toBe(10);
    process.kill(proxy.pidOf(0), 'SIGTERM');
    // With its last process the output closes.
    const { stderr } = await within(proxy.exit, 'the end', START_PATIENCE_MS);
    expect(stderr).toMatch(/\[main\] exiting\n$/);
    await expect(rawClient({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
