import { systemRandom } from '@dragoman/core';
import { FakeClock, SeededRandom } from '@dragoman/testing';
import { describe, expect, test, vi } from 'vitest';
import { DrainManager, type DrainStrategy, type ListenerDrain } from '../src/drain-manager.ts';

/** Every draw is `draw`. */
function manager(draw: number, strategy: DrainStrategy = 'gradual') {
  const clock = new FakeClock();
  return { clock, drain: new DrainManager(clock, { ...systemRandom, random: () => draw }, strategy) };
}

const DEFAULT = { inbound: false, modifyOnly: false };
const INBOUND = { inbound: true, modifyOnly: false };
const MODIFY_ONLY = { inbound: false, modifyOnly: true };

/** Connections that wait for a drain, and what they were told. */
function connections(listener: Pick<ListenerDrain, 'onDrain'>, count: number) {
  const told: number[][] = Array.from({ length: count }, () => []);
  return { told, forget: told.map((delays) => listener.onDrain((delayMs) => delays.push(delayMs))) };
}

const state = (one: Pick<ListenerDrain, 'draining' | 'drainClose'>) => [one.draining, one.drainClose()];

describe('the end of connections with their responses', () => {
  test('gradually: more and more often over the drain time', () => {
    const { clock, drain } = manager(0.5);
    expect(state(drain)).toEqual([false, false]);
    drain.start({ timeMs: 1000 });
    expect(state(drain)).toEqual([true, false]);
    clock.advance(500);
    expect(state(drain)).toEqual([true, false]);
    clock.advance(1);
    expect(drain.drainClose()).toBe(true);
  });

  test('gradually: as many of many as time has passed', () => {
    const clock = new FakeClock();
    const drain = new DrainManager(clock, new SeededRandom(3), 'gradual');
    drain.start({ timeMs: 1000 });
    const closed = [0, 100, 500, 900, 1000, 5000].map((at) => {
      clock.advance(at - (clock.now() - 1000));
      return Array.from({ length: 1000 }, () => drain.drainClose()).filter(Boolean).length;
    });
    expect(closed).toEqual([0, 108, 509, 907, 1000, 1000]);
  });

  test('past the deadline nothing is drawn, nor before the beginning', () => {
    const clock = new FakeClock();
    const random = vi.fn(() => 0.5);
    const drain = new DrainManager(clock, { ...systemRandom, random }, 'gradual');
    drain.drainClose();
    drain.start({ timeMs: 10 });
    clock.advance(10);
    expect([drain.drainClose(), random.mock.calls]).toEqual([true, []]);
  });

  test.each([
    ['immediate', 1000],
    ['gradual', 0],
  ] as const)('at once: %s over %d ms', (strategy, timeMs) => {
    const { drain } = manager(0.99, strategy);
    drain.start({ timeMs });
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

  test('a drain that ends sooner goes on from where the one before it stands', () => {
    const { clock, drain } = manager(0.74);
    drain.start({ timeMs: 1000 });
    clock.advance(300);
    expect(drain.drainClose()).toBe(false);
    drain.start({ timeMs: 100 });
    expect(drain.drainClose()).toBe(true);
  });
});

describe('which listeners are drained', () => {
  test('inbound listeners alone', () => {
    const { drain } = manager(0.99, 'immediate');
    const inbound = drain.of(INBOUND);
    const modifyOnly = drain.of({ inbound: true, modifyOnly: true });
    const outbound = drain.of(DEFAULT);
    drain.start({ timeMs: 1000, inboundOnly: true });
    const all = [inbound, modifyOnly, outbound, drain];
    expect(all.map(state)).toEqual([
      [true, true],
      [true, true],
      [false, false],
      [false, false],
    ]);
    drain.start({ timeMs: 1000 });
    expect(all.every((one) => one.draining && one.drainClose())).toBe(true);
  });

  test('a failed health check drains what is not MODIFY_ONLY', () => {
    const { drain } = manager(0.99);
    const [plain, modifyOnly] = [drain.of(DEFAULT), drain.of(MODIFY_ONLY)];
    const { told } = connections(plain, 1);
    expect(drain.healthCheckFailed).toBe(false);
    drain.failHealthCheck(true);
    expect(drain.healthCheckFailed).toBe(true);
    expect([drain, plain, modifyOnly].map(state)).toEqual([
      [false, true],
      [false, true],
      [false, false],
    ]);
    drain.failHealthCheck(false);
    expect([drain.drainClose(), plain.drainClose(), told]).toEqual([false, false, [[]]]);
  });

  test.each([
    ['DEFAULT', DEFAULT],
    ['MODIFY_ONLY', MODIFY_ONLY],
  ])('one alone, with drain_type %s', (_type, listener) => {
    const { clock, drain } = manager(0.5);
    const [removed, other] = [drain.of(listener), drain.of(listener)];
    const gone = connections(removed, 1);
    const stay = connections(other, 1);
    removed.start({ timeMs: 1000, closeIdle: true });
    clock.advance(501);
    expect([removed, other, drain].map(state)).toEqual([
      [true, true],
      [false, false],
      [false, false],
    ]);
    expect([gone.told, stay.told]).toEqual([[[0]], [[]]]);
  });

  test('a listener in several drains follows the one that is further', () => {
    const { clock, drain } = manager(0.5);
    const listener = drain.of(INBOUND);
    drain.start({ timeMs: 10_000 });
    drain.start({ timeMs: 5000, inboundOnly: true });
    listener.start({ timeMs: 1000 });
    clock.advance(500);
    expect(listener.drainClose()).toBe(false);
    clock.advance(1);
    expect([listener.drainClose(), drain.of(INBOUND).drainClose()]).toEqual([true, false]);
  });
});

describe('idle connections', () => {
  test.each([
    [20, 4000, 50],
    [4, 1000, 62.5],
    [3000, 4000, 1 / 3],
    [30, 1000, 250 / 30],
  ])('%d of them are spread over the first quarter of %d ms', (count, timeMs, step) => {
    const { drain } = manager(0.5);
    const { told } = connections(drain.of(DEFAULT), count);
    drain.start({ timeMs, closeIdle: true });
    expect(told).toEqual(Array.from({ length: count }, (_, i) => [Math.floor(i * step + 1e-9)]));
  });

  test('those of several listeners are one row', () => {
    const { drain } = manager(0.5);
    const all = [DEFAULT, INBOUND, MODIFY_ONLY].map((listener) => connections(drain.of(listener), 1));
    const server = connections(drain, 1);
    drain.start({ timeMs: 1600, closeIdle: true });
    expect([...all, server].map(({ told }) => told)).toEqual([[[0]], [[100]], [[200]], [[300]]]);
  });

  test.each([
    ['immediate', 4000],
    ['gradual', 0],
  ] as const)('all at once: %s over %d ms', (strategy, timeMs) => {
    const { drain } = manager(0.5, strategy);
    const { told } = connections(drain.of(DEFAULT), 3);
    drain.start({ timeMs, closeIdle: true });
    expect(told).toEqual([[0], [0], [0]]);
    expect(connections(drain.of(DEFAULT), 1).told).toEqual([[0]]);
  });

  test('a drain that does not close them tells nobody, until one does', () => {
    const { clock, drain } = manager(0.5);
    const early = connections(drain.of(DEFAULT), 1);
    drain.start({ timeMs: 1000 });
    const { told } = connections(drain.of(DEFAULT), 1);
    clock.advance(200);
    expect([early.told, told]).toEqual([[[]], [[]]]);
    // Not sooner, but asking for more: within what is left of the drain under way.
    drain.start({ timeMs: 5000, closeIdle: true });
    expect([early.told, told]).toEqual([[[0]], [[100]]]);
  });

  test('inbound ones alone', () => {
    const { drain } = manager(0.5);
    const inbound = connections(drain.of(INBOUND), 2);
    const outbound = connections(drain.of(DEFAULT), 2);
    drain.start({ timeMs: 800, closeIdle: true, inboundOnly: true });
    expect([inbound.told, outbound.told]).toEqual([
      [[0], [100]],
      [[], []],
    ]);
    expect(connections(drain.of(DEFAULT), 1).told).toEqual([[]]);
    drain.start({ timeMs: 2000, closeIdle: true });
    expect(outbound.told).toEqual([[200], [300]]);
  });

  test('a drain that ends sooner tells them again, one that does not says nothing', () => {
    const { clock, drain } = manager(0.5);
    const { told } = connections(drain.of(DEFAULT), 2);
    drain.start({ timeMs: 600_000, closeIdle: true });
    clock.advance(1000);
    drain.start({ timeMs: 600_000, closeIdle: true });
    expect(told).toEqual([[0], [75_000]]);
    drain.start({ timeMs: 8000 });
    expect(told).toEqual([
      [0, 0],
      [75_000, 1000],
    ]);
    drain.start({ timeMs: 0, closeIdle: true });
    expect(told[1]).toEqual([75_000, 1000, 0]);
  });

  test('one that comes during a drain has a part of what is left, by chance', () => {
    const { clock, drain } = manager(0.5);
    const listener = drain.of(INBOUND);
    drain.start({ timeMs: 1000, closeIdle: true });
    clock.advance(200);
    const late = connections(listener, 1);
    expect(late.told).toEqual([[400]]);
    drain.start({ timeMs: 100, closeIdle: true, inboundOnly: true });
    expect(late.told).toEqual([[400, 0]]);
    expect(connections(listener, 1).told).toEqual([[50]]);
    clock.advance(5000);
    expect(connections(listener, 1).told).toEqual([[0]]);
  });

  test('one that is gone is told nothing, also when another takes it along', () => {
    const { drain } = manager(0.5);
    const { told, forget } = connections(drain.of(DEFAULT), 2);
    forget[0]?.();
    const last = drain.of(DEFAULT);
    last.onDrain(() => forgetLast());
    const row = connections(last, 1);
    const forgetLast = () => row.forget[0]?.();
    drain.start({ timeMs: 0, closeIdle: true });
    expect([told, row.told]).toEqual([[[], [0]], [[]]]);
  });
});
