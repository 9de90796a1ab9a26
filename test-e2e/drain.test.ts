import {
  eventually,
  Gate,
  gated,
  HttpUpstream,
  hang,
  RawUpstream,
  rawClient,
  text,
  within,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type Message, tcpProxyListener } from './support/config.ts';
import { ask, drainConfig, GET, refused, serverState, stats } from './support/draining.ts';
import { KeepAliveLoad } from './support/keep-alive-load.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

describe.skipIf(skipUnbuilt).each([1, 2])(`draining, workers: %i${UNBUILT}`, (workers) => {
  const serve = (message: Message, ...args: string[]) =>
    Sidecar.serve(message, ['--concurrency', `${workers}`, ...args]);

  describe('SIGTERM', () => {
    it.each([0, 60])('fails no request of clients who think for up to %i ms', async (thinkMs) => {
      await using upstream = await HttpUpstream.start(text('x'.repeat(200)));
      await using sidecar = await serve(drainConfig(upstream.port), '--drain-time-s', '20');
      await using load = await KeepAliveLoad.start({ port: await sidecar.port(), clients: 20, thinkMs });
      await eventually(() => load.requests > 200);
      const at = performance.now();
      sidecar.kill('SIGTERM');
      const { code } = await within(sidecar.exit, 'the end of the drain', 15_000);
      // Nobody waits for the bound, nor much longer than connections rest before they are closed.
      expect([code, performance.now() - at < 12_000]).toEqual([0, true]);
      const report = await load.report();
      expect(report.failures).toEqual([]);
      expect(report.told + report.closedAtRest).toBe(20);
    });

    it('ends with the last request, and says meanwhile that it is draining', async () => {
      const gate = new Gate();
      await using upstream = await HttpUpstream.start(text('quick'));
      await using sidecar = await serve(drainConfig(upstream.port));
      const port = await sidecar.port();
      await using idle = await rawClient({ port });
      await using silent = await rawClient({ port });
      await ask(idle);
      upstream.answer = gated(gate, text('slow'));
      await using busy = await rawClient({ port });
      await busy.write(GET);
      await gate.reached();
      sidecar.kill('SIGTERM');
      expect([await idle.readUntilClose(), await silent.readUntilClose()]).toEqual(['', '']);
      await refused(port);
      const ready = await sidecar.admin('/ready');
      expect([ready.status, ready.body.toString(), await serverState(sidecar)]).toEqual([
        503,
        'DRAINING\n',
        'DRAINING',
      ]);
      expect(
        await stats(
          sidecar,
          'server.state',
          'server.live',
          'http.test.downstream_cx_drain_close',
          'http.test.downstream_cx_active',
        ),
      ).toEqual([1, 0, 2, 1]);
      await eventually(async () =>
        expect(await stats(sidecar, 'listener_manager.listener_stopped')).toEqual([1]),
      );
      gate.open();
      const response = await busy.readResponse();
      expect([response.body.toString(), response.header('connection')]).toEqual(['slow', 'close']);
      busy.end();
      const { code, stderr } = await within(sidecar.exit, 'the end of the drain', 15_000);
      expect([code, stderr]).toEqual([0, expect.stringContaining('draining connections, for 25 s at most')]);
    });

    it('ends at the bound when a request hangs', async () => {
      await using upstream = await HttpUpstream.start(hang());
      await using sidecar = await serve(drainConfig(upstream.port), '--drain-time-s', '1');
      await using client = await rawClient({ port: await sidecar.port() });
      await client.write(GET);
      await upstream.request();
      const at = performance.now();
      sidecar.kill('SIGTERM');
      expect(await client.readUntilClose()).toBe('');
      const { code } = await within(sidecar.exit, 'the bound', 15_000);
      expect([code, performance.now() - at >= 990]).toEqual([0, true]);
    });

    it('lets TCP connections live until the bound, or their own end', async () => {
      await using upstream = await RawUpstream.start(async (connection) => {
        for (;;) {
          const bytes = await connection.readSome();
          if (bytes.length === 0) return connection.end();
          await connection.write(bytes);
        }
      });
      // The one or the other.
      const bounded = workers === 1;
      const bound = bounded ? '1' : '20';
      await using sidecar = await serve(
        drainConfig(upstream.port, [tcpProxyListener('upstream')]),
        '--drain-time-s',
        bound,
      );
      await using client = await rawClient({ port: await sidecar.port('tcp') });
      await client.write('before');
      await client.readUntil('before');
      const at = performance.now();
      sidecar.kill('SIGTERM');
      await eventually(() => sidecar.stderr.includes('draining connections'));
      await client.write('after');
      await client.readUntil('after');
      if (!bounded) client.end();
      await client.readUntilClose();
      const { code } = await within(sidecar.exit, 'the end', 15_000);
      const ms = performance.now() - at;
      expect([code, bounded ? ms >= 990 : ms < 12_000]).toEqual([0, true]);
    });
  });

  it('/drain_listeners?graceful&skip_exit fails no request of clients who come back', async () => {
    await using upstream = await HttpUpstream.start(text('x'.repeat(200)));
    await using sidecar = await serve(drainConfig(upstream.port), '--drain-time-s', '1');
    const port = await sidecar.port();
    await using load = await KeepAliveLoad.start({ port, clients: 20, thinkMs: 60, reconnect: true });
    await sidecar.admin('/drain_listeners?graceful&skip_exit', 'POST');
    // Past the drain time every response ends its connection.
    await eventually(async () => (await stats(sidecar, 'http.test.downstream_cx_drain_close'))[0] > 200);
    load.stop();
    const { failures, told } = await load.report();
    expect([failures, told > 100]).toEqual([[], true]);
  });
});
