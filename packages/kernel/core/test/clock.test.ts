import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { randomUuid, systemClock, systemRandom, type Timer } from '../src/index.ts';

describe('timers of the system clock', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => {
    vi.advanceTimersByTime(2 ** 31);
    vi.useRealTimers();
  });

  it('fires once for each enabling, not before its time', () => {
    const fired = vi.fn();
    const timer = systemClock.timer(fired);
    expect(timer.enabled).toBe(false);
    timer.enable(100);
    expect(timer.enabled).toBe(true);
    vi.advanceTimersByTime(99);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5);
    expect(fired).toHaveBeenCalledTimes(1);
    expect(timer.enabled).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it('forgets an earlier deadline when enabled again, sooner or later', () => {
    const fired = vi.fn();
    const timer = systemClock.timer(fired);
    timer.enable(100);
    vi.advanceTimersByTime(60);
    timer.enable(100);
    vi.advanceTimersByTime(60);
    expect(fired).not.toHaveBeenCalled();
    timer.enable(10);
    vi.advanceTimersByTime(14);
    expect(fired).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(200);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it('does not fire when disabled, and can be enabled after it', () => {
    const fired = vi.fn();
    const timer = systemClock.timer(fired);
    timer.disable();
    timer.enable(50);
    timer.disable();
    expect(timer.enabled).toBe(false);
    vi.advanceTimersByTime(100);
    expect(fired).not.toHaveBeenCalled();
    timer.enable(50);
    vi.advanceTimersByTime(54);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it('keeps timers of one delay in order, whichever are taken out', () => {
    const order: number[] = [];
    const timers = [0, 1, 2, 3, 4].map((i) => systemClock.timer(() => order.push(i)));
    for (const timer of timers) {
      timer.enable(20);
      vi.advanceTimersByTime(1);
    }
    timers[0].disable();
    timers[2].disable();
    timers[4].disable();
    timers[2].enable(20);
    vi.advanceTimersByTime(60);
    expect(order).toEqual([1, 3, 2]);
  });

  it('may be enabled and disabled from its own callback and from another one', () => {
    const order: string[] = [];
    const other = systemClock.timer(() => order.push('other'));
    const timer: Timer = systemClock.timer(() => {
      order.push('first');
      other.disable();
      if (order.length < 3) timer.enable(10);
    });
    timer.enable(10);
    other.enable(10);
    vi.advanceTimersByTime(100);
    expect(order).toEqual(['first', 'first', 'first']);
  });

  it('keeps nothing of delays that are not waited for: a request may ask for any', () => {
    const timer = systemClock.timer(() => {});
    for (let delay = 1000; delay < 101_000; delay++) {
      timer.enable(delay);
      timer.disable();
    }
    expect(vi.getTimerCount()).toBeLessThan(100);
  });

  it('goes on with the other timers when a callback throws', () => {
    const fired = vi.fn();
    const bad = systemClock.timer(() => {
      throw new Error('a bug');
    });
    const good = systemClock.timer(fired);
    bad.enable(10);
    good.enable(10);
    expect(() => vi.advanceTimersByTime(50)).toThrow('a bug');
    vi.advanceTimersByTime(50);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it.each([
    [-5, 4],
    [0, 4],
    [0.4, 5],
  ])('takes a delay of %d ms', (delay, latest) => {
    const fired = vi.fn();
    systemClock.timer(fired).enable(delay);
    vi.advanceTimersByTime(latest);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it('takes delays beyond the range for the longest one', () => {
    const fired = vi.fn();
    const timer = systemClock.timer(fired);
    timer.enable(2 ** 40);
    vi.advanceTimersByTime(2 ** 31 - 2);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5);
    expect(fired).toHaveBeenCalledTimes(1);
  });
});

describe('system time and random numbers', () => {
  it('runs forward', () => {
    const [first, wall] = [systemClock.now(), systemClock.wallTime()];
    expect(systemClock.now()).toBeGreaterThanOrEqual(first);
    expect(Math.abs(wall - Date.now())).toBeLessThan(60_000);
  });

  it('draws whole numbers below 2^53 and fractions below 1', () => {
    for (let i = 0; i < 1000; i++) {
      expect(Number.isSafeInteger(systemRandom.next())).toBe(true);
      expect(systemRandom.random()).toBeLessThan(1);
    }
  });

  it('makes UUIDs of version 4, no two alike, over many batches', () => {
    const made = Array.from({ length: 1000 }, randomUuid);
    for (const uuid of made) {
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    expect(new Set(made).size).toBe(made.length);
    // Every digit that is free takes every value.
    for (const place of [0, 7, 12, 15, 20, 35])
      expect(new Set(made.map((uuid) => uuid[place])).size).toBe(16);
  });
});
