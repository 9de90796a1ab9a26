import type { TransportAccept } from '@dragoman/core';
import type { NetworkContext, SocketConnection } from '@dragoman/network';
import { FakeClock, TestOverload } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { TransportStart } from '../src/listener/transport-start.ts';

const NAME = 'TRANSPORT_SOCKET_CONNECT';

/** A handshake that never ends, whose time overload shortens. */
function start(timeoutMs: number) {
  const clock = new FakeClock();
  const overload = new TestOverload([NAME]);
  const timedOut: number[] = [];
  const begun = clock.now();
  const made = new TransportStart(
    { inspect: () => 'wait' } as unknown as TransportAccept,
    { run: (act: () => void) => act() } as unknown as SocketConnection,
    { onTransportReady() {}, onTransportTimeout: () => void timedOut.push(clock.now() - begun) },
    { clock } as unknown as NetworkContext,
    timeoutMs,
    overload.timeoutScale(NAME),
  );
  return { clock, overload, timedOut, made };
}

test('a handshake has less time under overload, from its beginning', () => {
  const { clock, overload, timedOut } = start(10_000);
  clock.advance(2000);
  overload.set(NAME, 0.6);
  clock.advance(20_000);
  expect(timedOut).toEqual([4000]);
});

test('and more when that is over', () => {
  const { clock, overload, timedOut } = start(10_000);
  overload.set(NAME, 0.6);
  clock.advance(3000);
  overload.set(NAME, 0);
  clock.advance(20_000);
  expect(timedOut).toEqual([10_000]);
});

test('one that is through hears of it no more', () => {
  const { clock, overload, timedOut, made } = start(10_000);
  made.stop();
  expect(overload.waiting).toBe(0);
  overload.set(NAME, 1);
  clock.advance(20_000);
  expect(timedOut).toEqual([]);
});

test('without a timeout there is nothing to shorten', () => {
  const { clock, overload, timedOut } = start(0);
  overload.set(NAME, 1);
  clock.advance(20_000);
  expect([timedOut, overload.waiting]).toEqual([[], 0]);
});
