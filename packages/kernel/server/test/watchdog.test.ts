import type { Clock } from '@dragoman/core';
import { FakeClock, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { GuardDog, type KillReason } from '../src/watchdog/guard-dog.ts';
import { Heart, HeartbeatPage } from '../src/watchdog/heartbeat.ts';
import { beatIntervalMs, type WatchdogTimeouts } from '../src/watchdog/timeouts.ts';

const DEFAULTS: WatchdogTimeouts = {
  missMs: 200,
  megamissMs: 1000,
  killMs: 0,
  multikillMs: 0,
  multikillThreshold: 0,
};

/** Workers that beat unless they are told to be stuck, and their guard. */
class Kennel {
  readonly clock = new FakeClock();
  readonly stats = new MemoryStats();
  readonly page: HeartbeatPage;
  readonly guard: GuardDog;
  readonly kills: string[] = [];
  readonly stuck = new Set<number>();
  onKill: (index: number, reason: KillReason) => void = () => {};
  private readonly beatMs: number;
  private readonly loggers = new RecordingLoggers();
  private guardLagMs = 0;

  constructor(some: Partial<WatchdogTimeouts> = {}, workers = 1) {
    const timeouts = { ...DEFAULTS, ...some };
    const { clock, stats } = this;
    const guardClock: Clock = {
      now: () => clock.now() + this.guardLagMs,
      wallTime: () => clock.wallTime() + this.guardLagMs,
      timer: (callback) => clock.timer(callback),
    };
    this.beatMs = beatIntervalMs(timeouts) || 100;
    this.page = HeartbeatPage.create(workers);
    this.guard = new GuardDog({
      name: 'workers',
      watched: Array.from({ length: workers }, (_, index) => ({ name: `worker_${index}`, index })),
      timeouts,
      page: this.page,
      clock: guardClock,
      stats,
      logger: this.loggers.logger('main'),
      onKill: (thread, index, reason) => {
        this.kills.push(`${thread} (${index}): ${reason}`);
        this.onKill(index, reason);
      },
    });
    this.guard.start();
  }

  get lines(): readonly string[] {
    return this.loggers.lines;
  }

  run(ms: number): void {
    for (let rest = ms; rest > 0; rest -= this.beatMs) {
      this.beat();
      this.clock.advance(Math.min(rest, this.beatMs));
    }
  }

  beat(): void {
    for (let index = 0; index < this.page.threads; index++)
      if (!this.stuck.has(index)) this.page.touch(index);
  }

  stall(ms: number, ...indices: number[]): void {
    for (const index of indices) this.stuck.add(index);
    this.run(ms);
  }

  recover(): void {
    this.stuck.clear();
  }

  /** The guard's thread does not run for so long, or nobody does. */
  blockGuard(ms: number): void {
    this.guardLagMs += ms;
  }
}

const misses = (miss: number, mega: number) =>
  Object.fromEntries(
    [
      ['server.worker_0.watchdog_mega_miss', mega],
      ['server.worker_0.watchdog_miss', miss],
      ['workers.watchdog_mega_miss', mega],
      ['workers.watchdog_miss', miss],
    ].filter(([, count]) => count !== 0),
  );

describe('a guard', () => {
  test.each<[string, Partial<WatchdogTimeouts>, number, object, string[]]>([
    ['short of a miss', {}, 199, misses(0, 0), []],
    ['a miss', {}, 200, misses(1, 0), []],
    ['still one miss', {}, 999, misses(1, 0), []],
    ['a mega miss', {}, 1000, misses(1, 1), []],
    ['still one of each, and no kill', {}, 60_000, misses(1, 1), []],
    ['misses off', { missMs: 0 }, 60_000, misses(0, 1), []],
    ['mega misses off', { megamissMs: 0 }, 60_000, misses(1, 0), []],
    ['a mega miss before the miss', { missMs: 1000, megamissMs: 500 }, 500, misses(0, 1), []],
    ['short of a kill', { killMs: 2000 }, 1999, misses(1, 1), []],
    ['a kill', { killMs: 2000 }, 2000, misses(1, 1), ['worker_0 (0): kill']],
    ['one kill', { killMs: 2000 }, 60_000, misses(1, 1), ['worker_0 (0): kill']],
    ['a kill with jitter', { killMs: 2317.5 }, 2399, misses(1, 1), []],
    ['a kill with jitter, later', { killMs: 2317.5 }, 2400, misses(1, 1), ['worker_0 (0): kill']],
    ['a kill before the misses', { missMs: 1000, killMs: 100 }, 100, misses(0, 0), ['worker_0 (0): kill']],
    ['a kill alone', { missMs: 0, megamissMs: 0, killMs: 300 }, 300, misses(0, 0), ['worker_0 (0): kill']],
    ['one thread makes no multikill', { multikillMs: 500 }, 60_000, misses(1, 1), []],
  ])('counts %s', (_, timeouts, stallMs, stats, kills) => {
    const kennel = new Kennel(timeouts);
    kennel.run(3000);
    expect(kennel.stats.used()).toEqual({});
    kennel.stall(stallMs, 0);
    expect([kennel.stats.used(), kennel.kills]).toEqual([stats, kills]);
  });

  test('has its stats from the start, under the names that Envoy has', () => {
    const stats = new MemoryStats();
    const page = HeartbeatPage.create(1);
    const clock = new FakeClock();
    const logger = new RecordingLoggers().logger('main');
    const watched = [{ name: 'main_thread', index: 0 }];
    new GuardDog({
      name: 'main_thread',
      watched,
      timeouts: DEFAULTS,
      page,
      clock,
      stats,
      logger,
      onKill() {},
    });
    const names = ['main_thread', 'server.main_thread'].flatMap((prefix) => [
      `${prefix}.watchdog_miss`,
      `${prefix}.watchdog_mega_miss`,
    ]);
    expect(names.map((name) => stats.value(name))).toEqual([0, 0, 0, 0]);
  });

  test('counts each stall of each thread, and adds them up', () => {
    const kennel = new Kennel({ killMs: 1000 }, 3);
    for (let stall = 0; stall < 2; stall++) {
      kennel.run(400);
      kennel.stall(1000, 1);
      kennel.recover();
    }
    kennel.run(400);
    kennel.stall(400, 2);
    expect(kennel.stats.used()).toEqual({
      'server.worker_1.watchdog_mega_miss': 2,
      'server.worker_1.watchdog_miss': 2,
      'server.worker_2.watchdog_miss': 1,
      'workers.watchdog_mega_miss': 2,
      'workers.watchdog_miss': 3,
    });
    expect(kennel.kills).toEqual(['worker_1 (1): kill', 'worker_1 (1): kill']);
  });

  test('says which thread is stuck, for how long, and when it goes on', () => {
    const kennel = new Kennel({ killMs: 1500 }, 2);
    kennel.run(400);
    kennel.stall(2000, 1);
    kennel.recover();
    kennel.run(400);
    expect(kennel.lines).toEqual([
      'main warning: watchdog: thread worker_1 has been stuck for 1000 ms; something on it computes or blocks for too long',
      'main error: watchdog: thread worker_1 has been stuck for 1600 ms and is ended (kill_timeout)',
      'main info: watchdog: thread worker_1 turns again after 2000 ms',
    ]);
  });

  test.each<[number, number, number[], number[]]>([
    // threads, threshold, stuck, ended
    [4, 0, [1], []],
    [4, 0, [1, 3], [1, 3]],
    [4, 50, [1, 3], [1, 3]],
    [4, 51, [1, 3], []],
    [4, 51, [0, 1, 3], [0, 1, 3]],
    [5, 60, [0, 1], []],
    [5, 60, [0, 1, 2], [0, 1, 2]],
    [2, 100, [0], []],
    [2, 100, [0, 1], [0, 1]],
    [1, 100, [0], []],
  ])(
    'of %i threads, threshold %i, stuck %j: ends %j together',
    (threads, multikillThreshold, stuck, ended) => {
      const kennel = new Kennel({ multikillMs: 600, multikillThreshold }, threads);
      kennel.run(400);
      kennel.stall(599, ...stuck);
      expect(kennel.kills).toEqual([]);
      kennel.run(60_000 - 599);
      expect(kennel.kills).toEqual(ended.map((index) => `worker_${index} (${index}): multikill`));
    },
  );

  test('ends those stuck for long enough, each once, with those that came before', () => {
    const kennel = new Kennel({ missMs: 100, multikillMs: 500 }, 3);
    kennel.run(400);
    kennel.stall(300, 0);
    kennel.stall(499, 1);
    expect(kennel.kills).toEqual([]);
    kennel.run(1);
    expect(kennel.kills).toEqual(['worker_0 (0): multikill', 'worker_1 (1): multikill']);
    kennel.stall(1000, 2);
    expect(kennel.kills.slice(2)).toEqual(['worker_2 (2): multikill']);
  });

  test('does not count the threads that are not up for a threshold', () => {
    const kennel = new Kennel({ multikillMs: 600, multikillThreshold: 75 }, 4);
    kennel.stall(400, 3);
    kennel.stall(1000, 0, 1);
    expect(kennel.kills).toEqual([]);
    kennel.stall(1000, 2);
    expect(kennel.kills).toHaveLength(3);
  });
});

describe('a thread', () => {
  test('is not watched before its first beat', () => {
    const kennel = new Kennel({ killMs: 1000 });
    kennel.stall(60_000, 0);
    expect(kennel.stats.used()).toEqual({});
    kennel.beat();
    kennel.recover();
    kennel.run(400);
    kennel.stall(200, 0);
    expect(kennel.stats.used()).toEqual(misses(1, 0));
  });

  test('that is ended and replaced is another one, with its own stalls', () => {
    const kennel = new Kennel({ killMs: 1000 });
    kennel.onKill = (index) => kennel.guard.restarted(index);
    kennel.run(400);
    kennel.stall(60_000, 0);
    expect([kennel.stats.used(), kennel.kills]).toEqual([misses(1, 1), ['worker_0 (0): kill']]);
    kennel.recover();
    kennel.run(400);
    kennel.stall(1000, 0);
    expect(kennel.stats.used()).toEqual(misses(2, 2));
    expect(kennel.kills).toHaveLength(2);
  });

  test('that rests is not missed, and is watched when it beats again', () => {
    const kennel = new Kennel();
    kennel.run(400);
    kennel.page.rest(0);
    kennel.stall(60_000, 0);
    expect(kennel.stats.used()).toEqual({});
    kennel.recover();
    kennel.run(400);
    kennel.stall(200, 0);
    expect(kennel.stats.used()).toEqual(misses(1, 0));
  });

  test('whose guard starts anew is watched from a new beat', () => {
    const kennel = new Kennel();
    kennel.run(400);
    kennel.guard.stop();
    expect(kennel.clock.pendingTimers).toBe(0);
    kennel.stall(10_000, 0);
    kennel.guard.start();
    kennel.run(10_000);
    expect(kennel.stats.used()).toEqual({});
    kennel.recover();
    kennel.run(400);
    kennel.stall(200, 0);
    expect(kennel.stats.used()).toEqual(misses(1, 0));
  });
});

describe('a guard that was blocked itself', () => {
  test('blames nobody who has beaten meanwhile', () => {
    const kennel = new Kennel({ killMs: 400 });
    kennel.run(400);
    for (let round = 0; round < 10; round++) {
      kennel.blockGuard(5000);
      kennel.run(200);
    }
    expect([kennel.stats.used(), kennel.kills]).toEqual([{}, []]);
  });

  test('gives a thread one look to show itself', () => {
    const kennel = new Kennel({ killMs: 200 });
    kennel.run(400);
    kennel.blockGuard(5000);
    kennel.stall(200, 0);
    expect([kennel.stats.used(), kennel.kills]).toEqual([{}, []]);
    kennel.recover();
    kennel.run(10_000);
    expect([kennel.stats.used(), kennel.kills]).toEqual([{}, []]);
  });

  test('finds a thread that stays stuck, also when it is late each time', () => {
    const once = new Kennel();
    once.run(400);
    once.blockGuard(5000);
    once.stall(400, 0);
    expect(once.stats.used()).toEqual(misses(1, 0));

    const always = new Kennel({ killMs: 1200 });
    always.run(400);
    const kills = [1, 2, 3, 4].map(() => {
      always.blockGuard(5000);
      always.stall(200, 0);
      return always.kills.length;
    });
    expect(kills).toEqual([0, 0, 0, 1]);
    expect(always.stats.used()).toEqual(misses(1, 1));
  });

  test('counts a stall that went on over its block once', () => {
    const kennel = new Kennel();
    kennel.run(400);
    kennel.stall(1000, 0);
    kennel.blockGuard(5000);
    kennel.run(10_000);
    expect(kennel.stats.used()).toEqual(misses(1, 1));
  });

  test('takes a look that is a little late for what it is', () => {
    const kennel = new Kennel({ missMs: 300, killMs: 1000 });
    kennel.run(600);
    kennel.blockGuard(250);
    kennel.stall(600, 0);
    expect(kennel.kills).toEqual([]);
    kennel.run(300);
    expect(kennel.kills).toEqual(['worker_0 (0): kill']);
  });
});

describe('a guard can be called back', () => {
  test('and stopped, when it asks for an end', () => {
    const kennel = new Kennel({ killMs: 400 });
    kennel.onKill = () => kennel.guard.stop();
    kennel.run(400);
    kennel.stall(400, 0);
    expect([kennel.kills.length, kennel.clock.pendingTimers]).toEqual([1, 0]);
  });

  test('and told that all threads are gone', () => {
    const kennel = new Kennel({ multikillMs: 400 }, 3);
    kennel.onKill = () => [0, 1, 2].map((index) => kennel.guard.restarted(index));
    kennel.run(400);
    kennel.stall(60_000, 0, 1, 2);
    expect(kennel.kills).toEqual(['worker_0 (0): multikill']);
  });

  test('but does nothing at all when every timeout is off', () => {
    const kennel = new Kennel({ missMs: 0, megamissMs: 0 });
    expect(kennel.clock.pendingTimers).toBe(0);
  });
});

describe('a heart', () => {
  const heart = (page: HeartbeatPage, clock: Clock, intervalMs = 100) =>
    new Heart({ page, index: 1, intervalMs, clock });

  test('beats at once and at each interval, in its own slot', () => {
    const clock = new FakeClock();
    const page = HeartbeatPage.create(3);
    heart(page, clock).start();
    expect(page.count(1)).toBe(1);
    clock.advance(250);
    expect([0, 1, 2].map((index) => page.count(index))).toEqual([0, 3, 0]);
  });

  test('leaves its slot at rest', () => {
    const clock = new FakeClock();
    const page = HeartbeatPage.create(3);
    const first = heart(page, clock);
    first.start();
    clock.advance(1000);
    first.stop();
    clock.advance(1000);
    expect([page.count(1), clock.pendingTimers]).toEqual([0, 0]);
  });

  test('does not beat when nobody looks', () => {
    const clock = new FakeClock();
    const page = HeartbeatPage.create(3);
    heart(page, clock, 0).start();
    expect([page.count(1), clock.pendingTimers]).toEqual([0, 0]);
  });

  test('keeps its guard content', () => {
    const kennel = new Kennel({ killMs: 200 });
    const clock = kennel.clock;
    const own = new Heart({ page: kennel.page, index: 0, intervalMs: 100, clock });
    own.start();
    clock.advance(10_000);
    own.stop();
    clock.advance(10_000);
    expect([kennel.stats.used(), kennel.kills]).toEqual([{}, []]);
  });
});

describe('a page', () => {
  test('is the same memory on the other side', () => {
    const page = HeartbeatPage.create(2);
    const other = HeartbeatPage.of(structuredClone(page.buffer));
    page.touch(1);
    expect([other.threads, other.count(0), other.count(1)]).toEqual([2, 0, 1]);
    other.rest(1);
    expect(page.count(1)).toBe(0);
  });

  test('has no slots beyond its threads', () => {
    const page = HeartbeatPage.create(2);
    expect(() => page.touch(2)).toThrow(RangeError);
    expect(() => page.count(-1)).toThrow(RangeError);
  });

  test('goes round', () => {
    const page = HeartbeatPage.create(1);
    Atomics.store(new Int32Array(page.buffer), 0, 2 ** 31 - 1);
    page.touch(0);
    expect(page.count(0)).toBe(-(2 ** 31));
  });
});
