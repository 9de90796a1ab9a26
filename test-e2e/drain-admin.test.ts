import { eventually, HttpUpstream, rawClient, text, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpListener, type Message } from './support/config.ts';
import { ask, closes, drainConfig, refused, serverState, stats } from './support/draining.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

// They wait for drain times more than they work: several at once.
describe.skipIf(skipUnbuilt).concurrent.each([1, 2])(
  `drains by the admin interface, workers: %i${UNBUILT}`,
  (workers) => {
    const at = (name: string, direction: string, more: Message = {}): Message =>
      httpListener({ name, listener: { traffic_direction: direction, ...more } });
    const listeners = [
      at('in', 'INBOUND'),
      at('out', 'OUTBOUND'),
      at('modify', 'OUTBOUND', { drain_type: 'MODIFY_ONLY' }),
    ];
    let upstream: HttpUpstream;
    beforeAll(async () => {
      upstream = await HttpUpstream.start(text('x'));
    });
    afterAll(() => upstream.stop());

    const withListeners = async (
      args: readonly string[],
      body: (sidecar: Sidecar, ports: { in: number; out: number; modify: number }) => Promise<void>,
    ): Promise<void> => {
      await using sidecar = await Sidecar.serve(drainConfig(upstream.port, listeners), [
        '--concurrency',
        `${workers}`,
        ...args,
      ]);
      const [inbound, outbound, modify] = [
        await sidecar.port('in'),
        await sidecar.port('out'),
        await sidecar.port('modify'),
      ];
      await body(sidecar, { in: inbound, out: outbound, modify });
    };
    /** Counted when the last worker has answered, a moment after it has stopped. */
    const stopped = (sidecar: Sidecar, count: number) =>
      eventually(async () =>
        expect(await stats(sidecar, 'listener_manager.listener_stopped')).toEqual([count]),
      );
    const post = async (sidecar: Sidecar, path: string) => {
      const { status, body } = await sidecar.admin(path, 'POST');
      return [status, body.toString()];
    };
    const OK = [200, 'OK\n'];
    const live = async (sidecar: Sidecar) => [
      (await sidecar.admin('/ready')).status,
      await serverState(sidecar),
      ...(await stats(sidecar, 'server.state', 'server.live')),
    ];

    it('/healthcheck/fail drains what is not MODIFY_ONLY, until /healthcheck/ok', () =>
      withListeners([], async (sidecar, ports) => {
        await using resting = await rawClient({ port: ports.in });
        await ask(resting);
        expect(await live(sidecar)).toEqual([200, 'LIVE', 0, 1]);
        expect(await post(sidecar, '/healthcheck/fail')).toEqual(OK);
        expect(await live(sidecar)).toEqual([503, 'DRAINING', 1, 0]);
        expect([await closes(ports.in), await closes(ports.out), await closes(ports.modify)]).toEqual([
          true,
          true,
          false,
        ]);
        expect(await post(sidecar, '/healthcheck/ok')).toEqual(OK);
        expect(await live(sidecar)).toEqual([200, 'LIVE', 0, 1]);
        // A connection that was at rest was left alone.
        expect((await ask(resting)).header('connection')).toBeUndefined();
        expect(await closes(ports.in)).toBe(false);
        expect(await stats(sidecar, 'http.test.downstream_cx_drain_close')).toEqual([2]);
      }));

    it('/drain_listeners stops accepting, and nothing else', () =>
      withListeners([], async (sidecar, ports) => {
        await using inbound = await rawClient({ port: ports.in });
        await using outbound = await rawClient({ port: ports.out });
        expect(await post(sidecar, '/drain_listeners?inboundonly')).toEqual(OK);
        await refused(ports.in);
        expect([await closes(ports.out), (await ask(inbound)).header('connection')]).toEqual([
          false,
          undefined,
        ]);
        expect(await post(sidecar, '/drain_listeners')).toEqual(OK);
        await refused(ports.out);
        await refused(ports.modify);
        for (const client of [inbound, outbound])
          expect((await ask(client)).header('connection')).toBeUndefined();
        expect(await live(sidecar)).toEqual([200, 'LIVE', 0, 1]);
        expect(
          await stats(
            sidecar,
            'listener_manager.listener_stopped',
            'listener_manager.total_listeners_active',
          ),
        ).toEqual([3, 3]);
        expect(await post(sidecar, '/drain_listeners?skip_exit')).toEqual([
          400,
          'skip_exit requires graceful\n',
        ]);
      }));

    it('/drain_listeners?graceful accepts over the drain time, more and more reluctantly, and stops', () =>
      withListeners(['--drain-time-s', '2'], async (sidecar, ports) => {
        await using resting = await rawClient({ port: ports.modify });
        await ask(resting);
        expect(await post(sidecar, '/drain_listeners?graceful')).toEqual(OK);
        const begun = performance.now();
        expect(await live(sidecar)).toEqual([200, 'LIVE', 0, 1]);
        // Idle ones go in the first quarter.
        expect(await resting.readUntilClose()).toBe('');
        expect(performance.now() - begun).toBeLessThan(1900);
        const told: { readonly ms: number; readonly close: boolean }[] = [];
        for (;;) {
          const ms = performance.now() - begun;
          const close = await closes([ports.in, ports.out, ports.modify][told.length % 3] as number);
          if (close === undefined) break;
          told.push({ ms, close });
          // Asked once more it does not begin anew.
          if (told.length === 10) expect(await post(sidecar, '/drain_listeners?graceful')).toEqual(OK);
        }
        const took = performance.now() - begun;
        expect([took > 1900, took < 10_000]).toEqual([true, true]);
        const share = (from: number, to: number) => {
          const some = told.filter(({ ms }) => ms >= from && ms < to);
          return some.filter(({ close }) => close).length / some.length;
        };
        expect(share(0, 600)).toBeLessThan(share(1400, 2000));
        for (const port of Object.values(ports)) await refused(port);
        await stopped(sidecar, 3);
      }));

    it('/drain_listeners?graceful&inboundonly leaves the others as they are', () =>
      withListeners(['--drain-time-s', '1', '--drain-strategy', 'immediate'], async (sidecar, ports) => {
        expect(await post(sidecar, '/drain_listeners?graceful&inboundonly')).toEqual(OK);
        expect([await closes(ports.in), await closes(ports.out), await closes(ports.modify)]).toEqual([
          true,
          false,
          false,
        ]);
        await refused(ports.in);
        expect([await closes(ports.out), await closes(ports.modify)]).toEqual([false, false]);
        await stopped(sidecar, 1);
        // All of them are more than that.
        expect(await post(sidecar, '/drain_listeners?graceful')).toEqual(OK);
        expect([await closes(ports.out), await closes(ports.modify)]).toEqual([true, true]);
        await refused(ports.out);
        await stopped(sidecar, 3);
      }));

    it('/drain_listeners?graceful&skip_exit goes on accepting, --drain-strategy immediate drains at once', () =>
      withListeners(['--drain-time-s', '1', '--drain-strategy', 'immediate'], async (sidecar, ports) => {
        await using resting = await rawClient({ port: ports.out });
        await ask(resting);
        expect(await post(sidecar, '/drain_listeners?graceful&skip_exit')).toEqual(OK);
        const begun = performance.now();
        for (const port of Object.values(ports)) expect(await closes(port)).toBe(true);
        expect(await resting.readUntilClose()).toBe('');
        await eventually(() => performance.now() - begun > 1300);
        for (const port of Object.values(ports)) expect(await closes(port)).toBe(true);
        await stopped(sidecar, 0);
        sidecar.kill('SIGTERM');
        expect((await within(sidecar.exit, 'the end')).code).toBe(0);
      }));
  },
);
