import { FakeClock } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestHistory } from '../src/request-history.ts';

const counts = (history: RequestHistory) => {
  history.slide();
  return [history.requests, history.successes];
};

describe('the history', () => {
  it('forgets each second when it is as old as the window', () => {
    const clock = new FakeClock();
    const history = new RequestHistory(clock, 3);
    history.record(true);
    history.record(false);
    clock.advance(1000);
    history.record(false);
    clock.advance(1999);
    expect(counts(history)).toEqual([3, 1]);
    clock.advance(1);
    expect(counts(history)).toEqual([1, 0]);
    clock.advance(999);
    expect(counts(history)).toEqual([1, 0]);
    clock.advance(1);
    expect(counts(history)).toEqual([0, 0]);
  });

  it('keeps what ends within a second together, by the first of them', () => {
    const clock = new FakeClock();
    const history = new RequestHistory(clock, 1);
    history.record(true);
    clock.advance(999);
    history.record(true);
    expect(counts(history)).toEqual([2, 2]);
    clock.advance(1);
    expect(counts(history)).toEqual([0, 0]);
  });

  it('is empty after a long silence', () => {
    const clock = new FakeClock();
    const history = new RequestHistory(clock, 30);
    for (let i = 0; i < 20; i++) {
      history.record(i % 2 === 0);
      clock.advance(700);
    }
    clock.advance(86_400_000);
    expect(counts(history)).toEqual([0, 0]);
  });

  it.each<[requests: number, ageMs: number, rps: number]>([
    [0, 0, 0],
    [9, 0, 0],
    [10, 0, 1],
    [59, 5000, 5],
    [60, 9999, 6],
    // Nothing slides by being asked: as in Envoy the requests of a silence are spread over it.
    [60, 20_999, 3],
    [60, 60_000, 1],
  ])('%d requests, %d ms ago, in a window of 10 s: %d a second', (requests, ageMs, rps) => {
    const clock = new FakeClock();
    const history = new RequestHistory(clock, 10);
    for (let i = 0; i < requests; i++) history.record(true);
    clock.advance(ageMs);
    expect(history.averageRps).toBe(rps);
  });

  it('counts what a plain list would, by seconds', () => {
    const steps = fc.array(fc.record({ wait: fc.integer({ min: 0, max: 4000 }), success: fc.boolean() }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 6 }), (list, window) => {
        const clock = new FakeClock();
        const history = new RequestHistory(clock, window);
        // Each request is stamped with the beginning of its second.
        const model: { since: number; success: boolean }[] = [];
        let second = Number.NEGATIVE_INFINITY;
        for (const { wait, success } of list) {
          clock.advance(wait);
          const now = clock.now();
          if (now - second >= 1000 || now - second >= window * 1000) second = now;
          model.push({ since: second, success });
          history.record(success);
          const inside = model.filter(({ since }) => now - since < window * 1000);
          expect([history.requests, history.successes]).toEqual([
            inside.length,
            inside.filter((one) => one.success).length,
          ]);
        }
      }),
    );
  });
});
