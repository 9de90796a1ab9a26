import {
  LoadShedPointName,
  OverloadActionName,
  type RandomSource,
  type ResettableStream,
  type ResourceMonitor,
} from '@dragoman/core';
import { FakeClock, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { OverloadPlan, Triggered } from '../src/overload/config.ts';
import { HeapShrinker } from '../src/overload/heap-shrinker.ts';
import { OverloadManager } from '../src/overload/overload-manager.ts';
import { createPage, ONE, wordOf } from '../src/overload/page.ts';
import { compileTrigger } from '../src/overload/trigger.ts';
import { WorkerOverload } from '../src/overload/worker-overload.ts';

const STOP = OverloadActionName.stopAcceptingRequests;
const REDUCE = OverloadActionName.reduceTimeouts;
const RESET = OverloadActionName.resetHighMemoryStream;
const ACCEPT = LoadShedPointName.tcpListenerAccept;

const threshold = (value: number) =>
  compileTrigger({ triggerOneof: { case: 'threshold', value: { value } } } as never);
const scaled = (scalingThreshold: number, saturationThreshold: number) =>
  compileTrigger({
    triggerOneof: { case: 'scaled', value: { scalingThreshold, saturationThreshold } },
  } as never);

class Source implements ResourceMonitor {
  pressure: number | (() => number | Promise<number>) = 0;
  asked = 0;
  measure(): number | Promise<number> {
    this.asked++;
    return typeof this.pressure === 'number' ? this.pressure : this.pressure();
  }
}

/** A manager of resources `a` and `b` on fake time, which refreshes every 100 ms, and one worker. */
class Rig {
  readonly clock = new FakeClock();
  readonly stats = new MemoryStats();
  readonly loggers = new RecordingLoggers();
  readonly a = new Source();
  readonly b = new Source();
  told = 0;
  /** The worker does not hear what it is told. */
  busy = false;
  /** How often streams were to be reset. */
  resets = 0;
  draw = 0.5;
  readonly manager: OverloadManager;
  readonly worker: WorkerOverload;

  constructor(plan: Partial<OverloadPlan> = {}) {
    this.manager = new OverloadManager({
      plan: {
        refreshMs: 100,
        monitors: [
          { name: 'a', monitor: this.a },
          { name: 'b', monitor: this.b },
        ],
        actions: [],
        points: [],
        timers: [],
        shrinkIntervalMs: undefined,
        resetPower: undefined,
        ...plan,
      },
      clock: this.clock,
      stats: this.stats,
      logger: this.loggers.logger('main'),
      onChange: () => {
        this.told++;
        if (!this.busy) this.worker.changed();
      },
      resetStreams: () => {
        this.resets++;
        this.worker.resetHighMemoryStreams();
      },
    });
    const random: RandomSource = { random: () => this.draw, next: () => 0, uuid: () => '' };
    this.worker = new WorkerOverload(structuredClone(this.manager.handle), random, this.stats);
    this.manager.start();
  }

  /** One interval. */
  async tick(): Promise<void> {
    await this.clock.advanceAsync(100);
  }
}

const on = (name: string, ...triggers: Triggered['triggers']): Triggered => ({ name, triggers });

describe('triggers', () => {
  test.each([
    [0.89, 0],
    [0.9, 1],
    [1.5, 1],
  ])('a threshold of 0.9 at %s', (pressure, value) => {
    expect(threshold(0.9)(pressure)).toBe(value);
  });

  test.each([
    [0, 0],
    [0.8, 0],
    [0.85, 0.5],
    [0.9, 1],
    [2, 1],
  ])('scaled from 0.8 to 0.9 at %s', (pressure, value) => {
    expect(scaled(0.8, 0.9)(pressure)).toBeCloseTo(value);
  });

  test('never fall while the pressure grows, and stay within 0 and 1', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
        fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 2 }),
        ([x, y], pressures) => {
          fc.pre(x !== y);
          for (const trigger of [threshold(x), scaled(Math.min(x, y), Math.max(x, y))]) {
            const values = pressures.sort((p, q) => p - q).map(trigger);
            values.forEach((value, i) => {
              if (!(value >= 0 && value <= 1) || value < (values[i - 1] ?? 0))
                throw new Error(String(values));
            });
          }
        },
      ),
    );
  });
});

describe('what is measured', () => {
  test('at each interval, the first after one', async () => {
    const rig = new Rig();
    await rig.clock.advanceAsync(99);
    expect(rig.a.asked).toBe(0);
    await rig.clock.advanceAsync(1);
    expect([rig.a.asked, rig.b.asked]).toEqual([1, 1]);
    await rig.clock.advanceAsync(300);
    expect(rig.a.asked).toBe(4);
    expect(rig.stats.samples('overload.refresh_interval_delay')).toEqual([100, 100, 100, 100]);
    rig.manager.stop();
    await rig.clock.advanceAsync(1000);
    expect([rig.a.asked, rig.clock.pendingTimers]).toEqual([4, 0]);
  });

  test.each([
    [0.555, 55],
    [0.29, 29],
    [1, 100],
    [1.2, 120],
  ])('%s is shown as %s percent', async (pressure, percent) => {
    const rig = new Rig();
    rig.a.pressure = pressure;
    await rig.tick();
    expect(rig.stats.value('overload.a.pressure')).toBe(percent);
  });

  test.each([
    [
      'throws',
      (): number => {
        throw new Error('no file');
      },
    ],
    ['rejects', () => Promise.reject<number>(new Error('no file'))],
    ['is no number', () => Number.NaN],
  ])('what %s is a failed update: the last pressure stays', async (_, failure) => {
    const rig = new Rig({ actions: [on(STOP, { resource: 0, value: threshold(0.5) })] });
    rig.a.pressure = 0.9;
    await rig.tick();
    rig.a.pressure = failure;
    await rig.tick();
    await rig.tick();
    expect(rig.stats.value('overload.a.failed_updates')).toBe(2);
    expect(rig.stats.value('overload.a.pressure')).toBe(90);
    expect(rig.worker.action(STOP)?.saturated).toBe(true);
    // Once, and again when it failed after it had not.
    const lines = (): string[] =>
      rig.loggers.lines.filter((line) => line.includes('failed to update resource a'));
    expect(lines()).toHaveLength(1);
    rig.a.pressure = 0.1;
    await rig.tick();
    rig.a.pressure = failure;
    await rig.tick();
    expect(lines()).toHaveLength(2);
  });

  test('a slow one is not asked again, and does not hold up the others', async () => {
    const rig = new Rig({ actions: [on(STOP, { resource: 0, value: threshold(0.5) })] });
    const answer = Promise.withResolvers<number>();
    rig.a.pressure = () => answer.promise;
    rig.b.pressure = 0.4;
    await rig.tick();
    await rig.tick();
    await rig.tick();
    expect([rig.a.asked, rig.b.asked]).toEqual([1, 3]);
    expect(rig.stats.value('overload.a.skipped_updates')).toBe(2);
    expect(rig.stats.value('overload.b.pressure')).toBe(40);
    answer.resolve(0.7);
    await rig.clock.advanceAsync(0);
    expect(rig.worker.action(STOP)?.saturated).toBe(true);
    await rig.tick();
    expect(rig.a.asked).toBe(2);
  });

  test('what comes after the end changes nothing', async () => {
    const rig = new Rig({ actions: [on(STOP, { resource: 0, value: threshold(0.5) })] });
    const answer = Promise.withResolvers<number>();
    rig.a.pressure = () => answer.promise;
    await rig.tick();
    rig.manager.stop();
    answer.resolve(1);
    await rig.clock.advanceAsync(0);
    expect([rig.told, rig.worker.action(STOP)?.value]).toEqual([0, 0]);
  });
});

describe('what is decided', () => {
  test('the highest trigger of an action counts', async () => {
    const rig = new Rig({
      actions: [on(STOP, { resource: 0, value: scaled(0, 1) }, { resource: 1, value: threshold(0.5) })],
    });
    const action = rig.worker.action(STOP);
    const shown = (): number[] =>
      ['active', 'scale_percent'].map((stat) => rig.stats.value(`overload.${STOP}.${stat}`));
    expect([shown(), action?.value]).toEqual([[0, 0], 0]);
    rig.a.pressure = 0.3;
    await rig.tick();
    expect([shown(), action?.value.toFixed(6), action?.saturated]).toEqual([[0, 30], '0.300000', false]);
    rig.b.pressure = 0.5;
    await rig.tick();
    expect([shown(), action?.value, action?.saturated]).toEqual([[1, 100], 1, true]);
    rig.b.pressure = 0.4;
    await rig.tick();
    expect([shown(), action?.saturated]).toEqual([[0, 30], false]);
    rig.a.pressure = 0;
    await rig.tick();
    expect([shown(), action?.value]).toEqual([[0, 0], 0]);
    expect(rig.loggers.lines.filter((line) => line.includes('became'))).toEqual([
      `main info: overload action ${STOP} became saturated`,
      `main info: overload action ${STOP} became scaling`,
    ]);
  });

  test('workers are told when an action is another, and not otherwise', async () => {
    const rig = new Rig({
      actions: [on(STOP, { resource: 0, value: threshold(0.5) })],
      points: [on(ACCEPT, { resource: 1, value: scaled(0, 1) })],
    });
    let heard = 0;
    const end = rig.worker.onChange(() => heard++);
    await rig.tick();
    rig.b.pressure = 0.5;
    await rig.tick();
    expect([rig.told, heard]).toEqual([0, 0]);
    rig.a.pressure = 0.5;
    await rig.tick();
    rig.a.pressure = 0.9;
    await rig.tick();
    expect([rig.told, heard]).toEqual([1, 1]);
    end();
    rig.a.pressure = 0;
    await rig.tick();
    expect([rig.told, heard]).toEqual([2, 1]);
  });

  test('whoever has seen a value that is gone when the word of it comes is told', async () => {
    const rig = new Rig({
      actions: [
        on(STOP, { resource: 0, value: threshold(0.5) }),
        on(REDUCE, { resource: 0, value: scaled(0, 1) }),
      ],
      timers: [{ name: 'TRANSPORT_SOCKET_CONNECT', minMs: 0, minShare: 1 }],
    });
    // A worker that is busy: what main tells it waits.
    rig.busy = true;
    const heard: string[] = [];
    const scale = rig.worker.timeoutScale('TRANSPORT_SOCKET_CONNECT');
    rig.a.pressure = 1;
    await rig.tick();
    rig.worker.onChange(() => heard.push(`saturated: ${rig.worker.action(STOP)?.saturated}`));
    scale?.onChange(() => heard.push(`timeout: ${scale.scale(100)}`));
    expect([rig.worker.action(STOP)?.saturated, scale?.scale(100)]).toEqual([true, 0]);
    rig.a.pressure = 0;
    await rig.tick();
    rig.worker.changed();
    expect(heard).toEqual(['timeout: 100', 'saturated: false']);
    rig.worker.changed();
    expect(heard).toHaveLength(2);
  });

  test('of several actions that change at once workers are told once', async () => {
    const rig = new Rig({
      actions: [STOP, REDUCE].map((name) => on(name, { resource: 0, value: threshold(0.5) })),
    });
    let heard = 0;
    rig.worker.onChange(() => heard++);
    rig.a.pressure = 1;
    await rig.tick();
    expect([rig.told, heard]).toEqual([1, 1]);
  });

  test('an action is drawn', async () => {
    const rig = new Rig({ actions: [on(STOP, { resource: 0, value: scaled(0, 1) })] });
    const fires = (draw: number): boolean | undefined => {
      rig.draw = draw;
      return rig.worker.action(STOP)?.fires();
    };
    expect(fires(0)).toBe(false);
    rig.a.pressure = 0.25;
    await rig.tick();
    expect([fires(0), fires(0.2499), fires(0.2501), fires(0.9999)]).toEqual([true, true, false, false]);
    rig.a.pressure = 1;
    await rig.tick();
    expect(fires(0.9999999)).toBe(true);
  });

  test('a load shed point is drawn and counted', async () => {
    const rig = new Rig({ points: [on(ACCEPT, { resource: 0, value: scaled(0, 1) })] });
    const count = (): number => rig.stats.value(`overload.${ACCEPT}.shed_load_count`);
    const point = rig.worker.loadShedPoint(ACCEPT);
    expect([point?.shouldShed(), count()]).toEqual([false, 0]);
    rig.a.pressure = 0.6;
    await rig.tick();
    expect(rig.stats.value(`overload.${ACCEPT}.scale_percent`)).toBe(60);
    expect([point?.shouldShed(), count()]).toEqual([true, 1]);
    rig.draw = 0.7;
    expect([point?.shouldShed(), count()]).toEqual([false, 1]);
  });

  test('what no config speaks of is not there', () => {
    const { worker } = new Rig();
    expect([
      worker.action(STOP),
      worker.loadShedPoint(ACCEPT),
      worker.timeoutScale('TRANSPORT_SOCKET_CONNECT'),
      worker.maxDownstreamConnections,
    ]).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('a limit of connections reaches the workers', () => {
    const monitor: ResourceMonitor = { measure: () => 0, maxDownstreamConnections: 7 };
    expect(new Rig({ monitors: [{ name: 'c', monitor }] }).worker.maxDownstreamConnections).toBe(7);
  });
});

describe('timeouts', () => {
  test('are shortened as Envoy’s documentation reckons', async () => {
    const rig = new Rig({
      actions: [on(REDUCE, { resource: 0, value: scaled(0.85, 0.95) })],
      timers: [
        { name: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', minMs: 2000, minShare: 1 },
        { name: 'HTTP_DOWNSTREAM_STREAM_IDLE', minMs: undefined, minShare: 0.1 },
      ],
    });
    const idle = rig.worker.timeoutScale('HTTP_DOWNSTREAM_CONNECTION_IDLE');
    const stream = rig.worker.timeoutScale('HTTP_DOWNSTREAM_STREAM_IDLE');
    let heard = 0;
    idle?.onChange(() => heard++);
    const end = stream?.onChange(() => heard++);
    expect([idle?.scale(600_000), stream?.scale(600_000)]).toEqual([600_000, 600_000]);
    rig.a.pressure = 0.92;
    await rig.tick();
    expect([idle?.scale(600_000), heard]).toEqual([181_400, 2]);
    end?.();
    rig.a.pressure = 1;
    await rig.tick();
    expect([idle?.scale(600_000), stream?.scale(600_000), heard]).toEqual([2000, 60_000, 3]);
    // A minimum above the timeout.
    expect(idle?.scale(500)).toBe(500);
    expect(rig.worker.timeoutScale('TRANSPORT_SOCKET_CONNECT')).toBeUndefined();
  });
});

describe('words of the page', () => {
  test('0 and 1 are exact, and nothing else is 1', () => {
    expect([wordOf(0), wordOf(1), wordOf(1.5)]).toEqual([0, ONE, ONE]);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (value) => {
        const word = wordOf(value);
        return word >= 0 && word < ONE && Math.abs(word / ONE - value) < 1e-8;
      }),
    );
    expect(createPage(0).byteLength).toBe(4);
  });
});

describe('reset_high_memory_stream', () => {
  const action = on(RESET, { resource: 0, value: scaled(0.5, 1) }, { resource: 1, value: threshold(0.5) });

  test('acts in every round while there is pressure, and not otherwise', async () => {
    const rig = new Rig({ actions: [action], resetPower: 10 });
    await rig.tick();
    expect(rig.resets).toBe(0);
    rig.a.pressure = 0.6;
    await rig.tick();
    await rig.tick();
    await rig.tick();
    expect([rig.resets, rig.told]).toEqual([3, 1]);
    rig.a.pressure = 0.5;
    await rig.tick();
    expect([rig.resets, rig.told]).toEqual([3, 2]);
  });

  test('once a round, when all that is measured is there', async () => {
    const rig = new Rig({ actions: [action], resetPower: 10 });
    rig.a.pressure = 1;
    let answer = Promise.withResolvers<number>();
    rig.b.pressure = () => answer.promise;
    await rig.tick();
    expect(rig.resets).toBe(0);
    answer.resolve(0);
    await rig.clock.advanceAsync(0);
    expect(rig.resets).toBe(1);
    // One that hangs holds up its own round, and no other.
    answer = Promise.withResolvers<number>();
    await rig.tick();
    expect(rig.resets).toBe(1);
    await rig.tick();
    await rig.tick();
    expect(rig.resets).toBe(3);
    rig.manager.stop();
    answer.resolve(1);
    await rig.clock.advanceAsync(0);
    expect(rig.resets).toBe(3);
  });

  test('what the worker resets is counted under Envoy’s name', async () => {
    const rig = new Rig({ actions: [action], resetPower: 10 });
    const count = (): number => rig.stats.value(`${RESET}.count`);
    expect(count()).toBe(0);
    const sizes = [5000, 2 ** 17, 900];
    rig.worker.streams?.add({
      forEachStream: (visit) => {
        for (const [i, heldBytes] of sizes.entries())
          visit({ heldBytes, resetForOverload: () => void (sizes[i] = 0) } satisfies ResettableStream);
      },
    });
    rig.a.pressure = 0.51;
    await rig.tick();
    expect([sizes, count()]).toEqual([[5000, 0, 900], 1]);
    rig.b.pressure = 0.5;
    await rig.tick();
    await rig.tick();
    expect([sizes, count()]).toEqual([[0, 0, 900], 2]);
  });

  test('without it streams are nobody’s affair', async () => {
    const rig = new Rig({ actions: [on(STOP, { resource: 0, value: threshold(0.5) })] });
    rig.a.pressure = 1;
    await rig.tick();
    expect([rig.resets, rig.worker.streams, rig.worker.resetHighMemoryStreams()]).toEqual([
      0,
      undefined,
      undefined,
    ]);
  });
});

describe('shrink_heap', () => {
  test('at each interval while it is saturated, and not while it is at it', async () => {
    const clock = new FakeClock();
    const count = new MemoryStats().counter('shrink_count');
    const done: string[] = [];
    let active = false;
    let workers = Promise.withResolvers<void>();
    const shrinker = new HeapShrinker({
      clock,
      intervalMs: 1000,
      count,
      active: () => active,
      shrinkWorkers: () => {
        done.push('workers');
        return workers.promise;
      },
      shrinkMain: () => void done.push('main'),
    });
    shrinker.start();
    await clock.advanceAsync(1000);
    expect(done).toEqual([]);
    active = true;
    await clock.advanceAsync(2000);
    expect([done, count.value()]).toEqual([['workers'], 1]);
    workers.resolve();
    await clock.advanceAsync(0);
    expect(done).toEqual(['workers', 'main']);
    workers = Promise.withResolvers<void>();
    await clock.advanceAsync(1000);
    expect([done, count.value()]).toEqual([['workers', 'main', 'workers'], 2]);
    shrinker.stop();
    workers.resolve();
    await clock.advanceAsync(5000);
    expect([done.length, clock.pendingTimers]).toEqual([3, 0]);
  });
});
