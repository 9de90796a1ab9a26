import { describe, expect, test } from 'vitest';
import { FakeClock, ScriptedRandom, SeededRandom } from '../src/index.ts';

describe('FakeClock', () => {
  test('fires in the order of deadlines, at exactly their time', () => {
    const clock = new FakeClock(0, 0);
    const fired: string[] = [];
    const at = (name: string, ms: number) =>
      clock.timer(() => fired.push(`${name}@${clock.now()}`)).enable(ms);
    at('b', 20);
    at('a', 10);
    at('b2', 20);
    clock.advance(9);
    expect(fired).toEqual([]);
    clock.advance(11);
    expect(fired).toEqual(['a@10', 'b@20', 'b2@20']);
    expect(clock.now()).toBe(20);
    expect(clock.wallTime()).toBe(20);
  });

  test('enable replaces the deadline, disable takes it back', () => {
    const clock = new FakeClock();
    let fired = 0;
    const timer = clock.timer(() => fired++);
    timer.enable(10);
    clock.advance(5);
    timer.enable(10);
    clock.advance(9);
    expect([fired, timer.enabled, clock.nextTimerInMs]).toEqual([0, true, 1]);
    timer.disable();
    clock.advance(100);
    expect([fired, timer.enabled, clock.pendingTimers]).toEqual([0, false, 0]);
  });

  test('a timer that enables itself fires as often as time allows', () => {
    const clock = new FakeClock();
    const times: number[] = [];
    const timer = clock.timer(() => {
      times.push(clock.wallTime() - start);
      timer.enable(10);
    });
    const start = clock.wallTime();
    timer.enable(10);
    clock.advance(35);
    expect(times).toEqual([10, 20, 30]);
    expect(clock.nextTimerInMs).toBe(5);
  });

  test('advanceAsync lets promises settle between timers', async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    const sleep = (ms: number) => new Promise<void>((resolve) => clock.timer(resolve).enable(ms));
    const work = (async () => {
      await sleep(10);
      seen.push('first');
      await sleep(10);
      seen.push('second');
    })();
    await clock.advanceAsync(20);
    expect(seen).toEqual(['first', 'second']);
    await work;
  });

  test('time does not run backwards', () => {
    expect(() => new FakeClock().advance(-1)).toThrow(RangeError);
  });
});

describe('random numbers', () => {
  test('are the same for the same seed, and differ between seeds', () => {
    const draw = (seed: number) => {
      const random = new SeededRandom(seed);
      return [random.next(), random.random(), random.uuid()];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  test('stay in range and spread evenly', () => {
    const random = new SeededRandom(3);
    const buckets = new Array<number>(10).fill(0);
    for (let index = 0; index < 10_000; index++) {
      const value = random.random();
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 10)]++;
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
    const whole = Array.from({ length: 1000 }, () => random.next());
    expect(whole.every((value) => Number.isSafeInteger(value) && value >= 0)).toBe(true);
    expect(Math.max(...whole)).toBeGreaterThan(2 ** 52);
  });

  test('uuids have version 4 and the RFC variant', () => {
    const random = new SeededRandom();
    const ids = Array.from({ length: 200 }, () => random.uuid());
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('scripted ones come in turn and run out', () => {
    const random = new ScriptedRandom([5, 2 ** 52, 255]);
    expect(random.next()).toBe(5);
    expect(random.random()).toBe(0.5);
    expect(random.uuid()).toBe('00000000-0000-4000-8000-0000000000ff');
    expect(() => random.next()).toThrow('run out');
  });
});
