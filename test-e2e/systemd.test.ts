import { eventually, Gate, gated, HttpUpstream, rawClient, text, within } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { address, bootstrap, cluster, httpListener, type Message } from './support/config.ts';
import { ActivationSocket, canPlayServiceManager, NotifySocket } from './support/service-manager.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { SteadyLoad } from './support/steady-load.ts';
import { START_PATIENCE_MS, Supervised } from './support/supervised.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const FLAGS = ['--concurrency', '2', '--drain-time-s', '1'];
const WATCHDOG_US = '200000';
const skip = skipUnbuilt || (!canPlayServiceManager && process.env.CI !== 'true');

const config = (upstream: number, ports: readonly number[]): Message =>
  bootstrap(
    ports.map((port, i) => httpListener({ name: `http${i}`, listener: { address: address(port) } })),
    [cluster('upstream', [upstream])],
  );

async function get(port: number): Promise<number> {
  await using client = await rawClient({ port });
  await client.write(GET);
  return (await client.readResponse()).status;
}

describe.skipIf(skip)(`a service manager${UNBUILT}`, { timeout: 60_000 }, () => {
  describe('sockets that it has opened', () => {
    it('are served; what waits in them since before the start, too', async () => {
      await using upstream = await HttpUpstream.start(text('ok'));
      using one = new ActivationSocket();
      using other = new ActivationSocket();
      await using early = await rawClient({ port: other.port });
      await early.write(GET);
      const ports = [one.port, other.port];
      await using proxy = await Sidecar.serve(config(upstream.port, ports), FLAGS, {
        listenFds: [one.fd, other.fd],
      });
      expect((await early.readResponse()).status).toBe(200);
      for (const port of ports) expect(await get(port)).toBe(200);
      proxy.kill('SIGTERM');
      expect((await within(proxy.exit, 'the end', START_PATIENCE_MS)).code).toBe(0);
      // It is open here: a client waits for the next start.
      await using waiting = await rawClient({ port: one.port });
      await waiting.write(GET);
      await using again = await Sidecar.serve(config(upstream.port, ports), FLAGS, {
        listenFds: [one.fd, other.fd],
      });
      expect((await waiting.readResponse()).status).toBe(200);
      // A slow machine may be the watchdog's.
      const lines = again.stderr.split('\n').filter((line) => !line.includes('watchdog:'));
      expect(lines.join('\n')).not.toMatch(/\[(warning|error)\]/);
    });

    it('go from epoch to epoch', async () => {
      await using upstream = await HttpUpstream.start(text('ok'));
      using socket = new ActivationSocket();
      using unused = new ActivationSocket();
      const listenFds = [unused.fd, socket.fd];
      await using proxy = await Supervised.serve(config(upstream.port, [socket.port, 0]), FLAGS, {
        listenFds,
      });
      const load = new SteadyLoad({ target: { port: socket.port }, fresh: 2, keptAlive: 2, rate: 100 });
      for (const epoch of [1, 2]) {
        await proxy.restart(epoch);
        await proxy.untilEnded(epoch - 1);
      }
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.answered).toBeGreaterThan(20);
      expect(await get(await proxy.port('http1'))).toBe(200);
      proxy.kill('SIGTERM');
      expect((await within(proxy.exit, 'the end', START_PATIENCE_MS)).code).toBe(0);
      // Nobody has closed it.
      await using waiting = await rawClient({ port: socket.port });
      expect(waiting.peerEnded).toBe(false);
    });

    it.each([
      ['the command', []],
      ['supervise', ['supervise', '--']],
    ])('that %s cannot make out are an error', async (_, before) => {
      const { code, stderr } = await Sidecar.run([...before, '-c', 'envoy.yaml'], config(1, []), {
        env: { LISTEN_PID: 'me', LISTEN_FDS: '1' },
      });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^dragoman.*: LISTEN_PID is 'me': it must be a whole number/m);
    });
  });

  describe('hears', () => {
    it('when the command serves, that it lives, and that it ends', async () => {
      using manager = new NotifySocket();
      const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: WATCHDOG_US };
      await using proxy = await Sidecar.serve(config(1, []), FLAGS, { env });
      await manager.until(/^READY=1$/);
      await manager.until(/^WATCHDOG=1$/, 4);
      expect(manager.told.indexOf('READY=1')).toBe(0);
      proxy.kill('SIGTERM');
      await manager.until(/^STOPPING=1$/);
      expect((await within(proxy.exit, 'the end', START_PATIENCE_MS)).code).toBe(0);
    });

    it('the same of the supervisor, and when it restarts', async () => {
      using manager = new NotifySocket();
      const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: WATCHDOG_US };
      await using proxy = await Supervised.serve(config(1, []), FLAGS, { env });
      await manager.until(/^READY=1$/);
      await manager.until(/^WATCHDOG=1$/, 4);
      await proxy.restart(1);
      await manager.until(/^STATUS=epoch 1 is live$/);
      const order = manager.told.filter((line) => !line.startsWith('WATCHDOG'));
      expect(order).toEqual([
        'READY=1',
        'STATUS=epoch 0 is live',
        'RELOADING=1',
        expect.stringMatching(/^MONOTONIC_USEC=\d+$/),
        'READY=1',
        'STATUS=epoch 1 is live',
      ]);
      proxy.configure({ admin: 7 });
      proxy.kill('SIGHUP');
      await manager.until(/^STATUS=epoch 1 is live; a restart has failed$/);
      await manager.until(/^READY=1$/, 3);
      const beats = manager.told.filter((line) => line === 'WATCHDOG=1').length;
      await manager.until(/^WATCHDOG=1$/, beats + 2);
      proxy.kill('SIGTERM');
      await manager.until(/^STOPPING=1$/);
      // The epochs keep to themselves: the supervisor is the service's main process from its start to its end.
      expect(manager.told.some((line) => line.startsWith('MAINPID'))).toBe(false);
      expect((await within(proxy.exit, 'the end', START_PATIENCE_MS)).code).toBe(0);
    });
  });

  it('that ends every process of the service by itself ends none too soon', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('ok')));
    await using proxy = await Supervised.serve(config(upstream.port, [0]), FLAGS);
    await proxy.restart(1);
    await proxy.untilEnded(0);
    await using busy = await rawClient({ port: await proxy.port('http0') });
    await busy.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n', 'ab');
    await eventually(async () => expect(await proxy.stat('http.test.downstream_rq_active')).toBe(1));
    // As KillMode=control-group does, systemd's default.
    for (const pid of [proxy.pid, proxy.pidOf(1)]) process.kill(pid, 'SIGTERM');
    await proxy.logged(/draining connections/);
    gate.open();
    await busy.write('cd');
    expect((await busy.readResponse()).status).toBe(200);
    const { code, stderr } = await within(proxy.exit, 'the end', START_PATIENCE_MS);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('again')]);
  });
});
