import { systemRandom } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { DrainManager, type DrainStrategy } from '../src/drain-manager.ts';

function manager(draw: number, strategy: DrainStrategy = 'gradual') {
  const clock = new FakeClock();
  return { clock, drain: new DrainManager(clock, { ...systemRandom, random: () => draw }, strategy) };
}

describe('draining', () => {
  test('gradually: more and more often over the drain time', () => {
    const { clock, drain } = manager(0.5);
    expect([drain.draining, drain.drainClose()]).toEqual([false, false]);
    drain.start({ timeMs: 1000 });
    clock.advance(500);
    expect([drain.draining, drain.drainClose()]).toEqual([true, false]);
    clock.advance(1);
    expect(drain.drainClose()).toBe(true);
  });

  test('a shutdown does not wait for the slow drain that began before it', () => {
    const { clock, drain } = manager(0.99);
    drain.start({ timeMs: 600_000 });
    clock.advance(1000);
    expect(drain.drainClose()).toBe(false);
    drain.start({ timeMs: 0, closeIdle: true });
    expect(drain.drainClose()).toBe(true);
    drain.start({ timeMs: 600_000 });
    expect(drain.drainClose()).toBe(true);
  });

  test('inbound listeners alone', () => {
    const { drain } = manager(0.99, 'immediate');
    const inbound = drain.of({ inbound: true, modifyOnly: false });
    const modifyOnly = drain.of({ inbound: true, modifyOnly: true });
    const outbound = drain.of({ inbound: false, modifyOnly: false });
    drain.start({ timeMs: 1000, inboundOnly: true });
    expect([inbound, modifyOnly, outbound].map((one) => [one.draining, one.drainClose()])).toEqual([
      [true, true],
      [true, true],
      [false, false],
    ]);
    drain.start({ timeMs: 1000 });
    expect([outbound.draining, outbound.drainClose()]).toEqual([true, true]);
  });

  test('a failed health check drains what is not MODIFY_ONLY', () => {
    const { drain } = manager(0.99);
    drain.failHealthCheck(true);
    const closes = [true, false].map((modifyOnly) => drain.of({ inbound: true, modifyOnly }).drainClose());
    expect([drain.drainClose(), ...closes]).toEqual([true, false, true]);
    drain.failHealthCheck(false);
    expect(drain.drainClose()).toBe(false);
  });
});
