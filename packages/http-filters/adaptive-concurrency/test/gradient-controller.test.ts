import { durationFromMs } from '@dragoman/api';
import { ScriptedRandom, type SeededRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { gradient, numbers, Scene } from './scene.ts';

const KEYS = 'adaptive_concurrency.gradient_controller.';
const draws = (...values: number[]) => new ScriptedRandom(values) as unknown as SeededRandom;

describe('measuring the minRTT', () => {
  it('comes first, with the limit at its minimum, and ends with enough samples', () => {
    const scene = new Scene();
    expect([scene.measuring, scene.limit, scene.stat('min_rtt_msecs')]).toEqual([true, 3, 0]);
    scene.sample(4, 5);
    expect(scene.measuring).toBe(true);
    scene.sample(1, 5);
    // The bin from 5.0 ms to 5.1 ms.
    expect([scene.measuring, scene.limit, scene.stat('min_rtt_msecs')]).toEqual([false, 3, 5]);
    expect(scene.stat('gradient')).toBe(0);
  });

  it('takes 50 samples and a limit of 3 where the config says nothing', () => {
    const scene = new Scene(gradient({}, { requestCount: undefined, minConcurrency: undefined }));
    scene.sample(49, 1);
    expect([scene.measuring, scene.limit]).toEqual([true, 3]);
    scene.sample(1, 1);
    expect(scene.measuring).toBe(false);
  });

  it('no window ends meanwhile', () => {
    const scene = new Scene();
    scene.sample(4, 5);
    scene.advance(10_000);
    expect([scene.measuring, scene.stat('sample_rtt_msecs')]).toEqual([true, 0]);
  });

  it('comes again after the interval, and gives back the limit it found', () => {
    const scene = new Scene();
    scene.sample(5, 5);
    scene.window(5);
    const { limit } = scene;
    expect(limit).toBe(4);
    scene.advance(29_899);
    expect(scene.measuring).toBe(false);
    scene.advance(1);
    expect([scene.measuring, scene.limit]).toEqual([true, 3]);
    scene.sample(5, 8);
    expect([scene.measuring, scene.limit, scene.stat('min_rtt_msecs')]).toEqual([false, 4, 8]);
  });

  it('leaves out requests from before it, and samples of the window it broke off', () => {
    const scene = new Scene(gradient({}, { interval: durationFromMs(1050) }));
    scene.sample(5, 5);
    scene.advance(1000);
    const before = scene.now;
    scene.controller.tryForward();
    scene.sample(1, 40);
    scene.advance(10);
    expect(scene.measuring).toBe(true);
    scene.controller.record(before);
    scene.sample(4, 7);
    expect(scene.measuring).toBe(true);
    scene.sample(1, 7);
    expect([scene.measuring, scene.stat('min_rtt_msecs'), scene.stat('sample_rtt_msecs')]).toEqual([
      false,
      7,
      0,
    ]);
  });

  it('counts a request that began with it', () => {
    const scene = new Scene(gradient({}, { interval: durationFromMs(1000), requestCount: 1 }));
    scene.sample(1, 5);
    scene.advance(1000);
    scene.sample(1, 9);
    expect(scene.stat('min_rtt_msecs')).toBe(9);
  });

  // 15 % of 1,001 ms are 150.15, rounded up 151; the draw counts modulo those.
  it.each<[draw: number, jitter: number | undefined, afterMs: number]>([
    [0, undefined, 1001],
    [150, undefined, 1151],
    [151, undefined, 1001],
    [302 + 7, undefined, 1008],
    [500, 100, 1501],
  ])('draw %d, jitter %s %%: after %d ms', (draw, jitter, afterMs) => {
    const fields = gradient(
      {},
      { interval: durationFromMs(1001), jitter: jitter === undefined ? undefined : { value: jitter } },
    );
    const scene = new Scene(fields, { random: draws(draw) });
    scene.sample(5, 5);
    scene.advance(afterMs - 1);
    expect(scene.measuring).toBe(false);
    scene.advance(1);
    expect(scene.measuring).toBe(true);
  });
});

describe('a window', () => {
  it('moves the limit by the gradient and its headroom', () => {
    const scene = new Scene();
    scene.sample(5, 5);
    const steps: number[][] = [];
    for (const latency of [5, 5, 2, 2, 10, 50, 50]) {
      scene.window(latency);
      steps.push([
        scene.limit,
        scene.stat('gradient'),
        scene.stat('burst_queue_size'),
        scene.stat('sample_rtt_msecs'),
      ]);
    }
    // By hand, from medians in the middle of their bins: 5,050 µs; 2,050; 10,500 (a bin of 1,000); 50,500.
    expect(steps).toEqual([
      [4, 1000, 1, 5],
      [6, 1000, 2, 5],
      [15, 2000, 3, 2],
      [35, 2000, 5, 2],
      [21, 500, 4, 10],
      [13, 500, 3, 50],
      [9, 500, 2, 50],
    ]);
  });

  it('takes the buffer for as good as the minRTT', () => {
    const scene = new Scene(gradient({}, { buffer: undefined }));
    scene.sample(5, 5);
    scene.window(5);
    expect([scene.limit, scene.stat('gradient')]).toEqual([5, 1250]);
  });

  it.each<[percentile: number | undefined, ms: number]>([
    // The right end of the bin below which just so many samples lie; at 0 the left end of the first.
    [undefined, 21],
    [0, 10],
    [50, 21],
    [90, 41],
    [100, 51],
  ])('is summed up by percentile %s', (percentile, ms) => {
    const more = percentile === undefined ? {} : { sampleAggregatePercentile: { value: percentile } };
    const scene = new Scene(gradient({ concurrencyUpdateInterval: durationFromMs(1000) }, {}, more));
    scene.sample(5, 5);
    for (const latency of [10, 10, 10, 10, 20, 30, 30, 30, 40, 50]) scene.sample(1, latency);
    scene.advance(1000);
    expect(scene.stat('sample_rtt_msecs')).toBe(ms);
  });

  it('without samples changes nothing, and the next ends where it would have', () => {
    const scene = new Scene();
    scene.sample(5, 5);
    scene.advance(1030);
    expect(scene.limit).toBe(3);
    scene.sample(1, 5);
    scene.advance(64);
    expect(scene.limit).toBe(3);
    scene.advance(1);
    expect(scene.limit).toBe(4);
  });

  it('leaves no timer behind it', () => {
    const scene = new Scene();
    scene.sample(5, 5);
    scene.sample(1, 5);
    expect(scene.context.clock.pendingTimers).toBe(2);
    scene.advance(100);
    expect(scene.context.clock.pendingTimers).toBe(1);
    scene.advance(30_000);
    expect([scene.measuring, scene.context.clock.pendingTimers]).toEqual([true, 0]);
  });

  it('keeps to the bounds', () => {
    const scene = new Scene(gradient({ maxConcurrencyLimit: 20 }, { minConcurrency: 6 }));
    scene.sample(5, 10);
    scene.window(10);
    scene.window(1);
    scene.window(1);
    expect(scene.limit).toBe(20);
    for (let i = 0; i < 6; i++) scene.window(90);
    expect(scene.limit).toBe(6);
  });

  it('has at most 1,000 by default', () => {
    const scene = new Scene();
    scene.sample(5, 50);
    for (let i = 0; i < 12; i++) scene.window(1);
    expect(scene.limit).toBe(1000);
  });
});

describe('a limit that stays at its minimum', () => {
  it('for five windows makes the minRTT doubtful', () => {
    const scene = new Scene();
    scene.sample(5, 5);
    for (let i = 0; i < 4; i++) scene.window(60);
    expect([scene.limit, scene.measuring]).toEqual([3, false]);
    scene.window(60);
    scene.advance(0);
    expect([scene.limit, scene.measuring]).toEqual([3, true]);
    scene.sample(5, 60);
    expect([scene.measuring, scene.stat('min_rtt_msecs')]).toEqual([false, 60]);
    // The interval begins anew.
    scene.advance(29_999);
    expect(scene.measuring).toBe(false);
    scene.advance(1);
    expect(scene.measuring).toBe(true);
  });

  it('is counted anew when it has moved', () => {
    const scene = new Scene();
    scene.sample(5, 5);
    for (let i = 0; i < 4; i++) scene.window(60);
    scene.window(5);
    expect(scene.limit).toBe(4);
    for (let i = 0; i < 5; i++) scene.window(60);
    // The first of them brought it down.
    expect([scene.limit, scene.measuring]).toEqual([3, false]);
    scene.window(60);
    scene.advance(0);
    expect(scene.measuring).toBe(true);
  });
});

describe('outstanding requests', () => {
  it('are let through up to the limit; each end makes room', () => {
    const scene = new Scene();
    const { controller } = scene;
    const at = scene.now;
    expect([1, 2, 3, 4, 5].map(() => controller.tryForward())).toEqual([true, true, true, false, false]);
    expect(scene.stat('rq_blocked')).toBe(2);
    controller.cancel();
    expect([controller.tryForward(), controller.tryForward()]).toEqual([true, false]);
    scene.advance(5);
    controller.record(at);
    expect([controller.tryForward(), controller.tryForward()]).toEqual([true, false]);
    expect(scene.stat('rq_blocked')).toBe(4);
  });

  it('that are cancelled are no samples', () => {
    const scene = new Scene(gradient({}, { requestCount: 1 }));
    for (let i = 0; i < 10; i++) {
      scene.controller.tryForward();
      scene.advance(5);
      scene.controller.cancel();
    }
    expect(scene.measuring).toBe(true);
  });
});

describe('a fixed minRTT', () => {
  const fixed = gradient(
    {},
    { interval: undefined, requestCount: undefined, jitter: undefined, fixedValue: durationFromMs(5) },
  );

  it('is never measured', () => {
    const scene = new Scene(fixed);
    expect([scene.measuring, scene.limit, scene.stat('min_rtt_msecs')]).toEqual([false, 3, 5]);
    scene.window(5);
    // 5,000 over 5,050.
    expect([scene.limit, scene.stat('gradient')]).toEqual([4, 990]);
    for (let i = 0; i < 20; i++) scene.window(60);
    scene.advance(1_000_000);
    expect([scene.limit, scene.measuring, scene.stat('min_rtt_msecs')]).toEqual([3, false, 5]);
    expect(scene.context.clock.pendingTimers).toBe(0);
  });
});

describe('runtime', () => {
  it('has the last word on every parameter', () => {
    const values: Record<string, number> = {};
    const scene = new Scene(gradient(), { runtime: numbers(values), random: draws(99) });
    Object.assign(values, {
      [`${KEYS}min_rtt_aggregate_request_count`]: 2,
      [`${KEYS}min_rtt_calc_interval_ms`]: 1000,
      [`${KEYS}jitter`]: 10,
      [`${KEYS}sample_rtt_calc_interval_ms`]: 200,
      [`${KEYS}min_rtt_buffer`]: 100,
      [`${KEYS}sample_aggregate_percentile`]: 400,
      [`${KEYS}max_concurrency_limit`]: 7,
    });
    scene.sample(2, 5);
    // The hundredth percentile: the right end of its bin, 5,100 µs.
    expect([scene.measuring, scene.stat('min_rtt_msecs')]).toEqual([false, 5]);
    scene.sample(1, 5);
    scene.advance(194);
    expect(scene.limit).toBe(3);
    scene.advance(1);
    expect([scene.limit, scene.stat('gradient')]).toEqual([7, 2000]);
    scene.advance(898);
    expect(scene.measuring).toBe(false);
    values[`${KEYS}min_concurrency`] = 2;
    scene.advance(1);
    expect([scene.measuring, scene.limit]).toEqual([true, 2]);
  });

  it('counts as 1 where it says less', () => {
    const scene = new Scene(gradient(), {
      runtime: numbers({ [`${KEYS}min_concurrency`]: 0, [`${KEYS}min_rtt_aggregate_request_count`]: -4 }),
    });
    expect(scene.limit).toBe(1);
    scene.sample(1, 5);
    expect(scene.measuring).toBe(false);
  });
});
