import type { Timer } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../src/latency-histogram.ts';
import { gradient, Scene } from './scene.ts';

/**
 * What Envoy's controller does, said anew and with timers that never stop: one that comes with every window whether it has
 * samples or not, and one for measurements. Intervals of 100 ms and 2 s without jitter, 3 samples a measurement, no buffer.
 */
class Model {
  limit = 3;
  minRtt = 0;
  sampleRtt = 0;
  deferred = 0;
  blocked = 0;
  readonly clock = new FakeClock();
  private outstanding = 0;
  private epoch = 0;
  private atMinimum = 0;
  private readonly samples = new LatencyHistogram();
  private readonly windows: Timer;
  private readonly measurements: Timer;

  constructor() {
    this.windows = this.clock.timer(() => {
      if (this.deferred > 0) return;
      if (this.samples.count > 0) this.update();
      this.windows.enable(100);
    });
    this.measurements = this.clock.timer(() => this.measure());
    this.measure();
    this.windows.enable(100);
  }

  forward(): void {
    if (this.outstanding >= this.limit) this.blocked++;
    else this.outstanding++;
  }

  end(sentAt: number, answered: boolean): void {
    this.outstanding--;
    if (!answered || sentAt < this.epoch) return;
    this.samples.add((this.clock.now() - sentAt) * 1000);
    if (this.deferred === 0 || this.samples.count < 3) return;
    this.minRtt = this.median();
    this.set(this.deferred);
    this.deferred = 0;
    this.measurements.enable(2000);
    this.windows.enable(100);
  }

  private measure(): void {
    if (this.deferred > 0) return;
    this.deferred = this.limit;
    this.set(3);
    this.samples.clear();
    this.epoch = this.clock.now();
  }

  private update(): void {
    this.sampleRtt = this.median();
    const ratio = this.sampleRtt === 0 ? 2 : this.minRtt / this.sampleRtt;
    const product = this.limit * between(0.5, ratio, 2);
    const raw = Math.trunc(product + product ** 0.5);
    this.set(between(3, raw, 40));
  }

  private median(): number {
    const median = Math.trunc(this.samples.quantile(0.5));
    this.samples.clear();
    return median;
  }

  private set(limit: number): void {
    const again = this.deferred === 0 && this.limit === 3 && limit === 3;
    this.atMinimum = again ? this.atMinimum + 1 : 0;
    this.limit = limit;
    if (this.atMinimum >= 5) this.measurements.enable(0);
  }
}

const between = (low: number, value: number, high: number) =>
  [low, value, high].sort((a, b) => a - b)[1] as number;

/** Time passes, a request comes, or one of those under way ends. */
type Step = { readonly kind: 'wait' | 'request' | 'answer' | 'reset'; readonly value: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), value: fc.integer({ min: 1, max: 37 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), value: fc.integer({ min: 1, max: 700 }) }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('request' as const), value: fc.constant(0) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('answer' as const), value: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), value: fc.nat(100) }) },
);

describe('the controller', () => {
  it('does what one with timers that never stop would', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 400, size: 'max' }), (steps) => {
        const model = new Model();
        const scene = new Scene(
          gradient({ maxConcurrencyLimit: 40 }, { interval: { seconds: 2n } as never, requestCount: 3 }),
        );
        const underWay: number[] = [];
        for (const { kind, value } of steps) {
          if (kind === 'wait') {
            scene.advance(value);
            model.clock.advance(value);
          } else if (kind === 'request') {
            const { now } = scene;
            const blocked = model.blocked;
            model.forward();
            const forwarded = scene.controller.tryForward();
            expect(forwarded).toBe(model.blocked === blocked);
            if (forwarded) underWay.push(now);
          } else if (underWay.length > 0) {
            const [sentAt] = underWay.splice(value % underWay.length, 1) as [number];
            model.end(sentAt, kind === 'answer');
            if (kind === 'answer') scene.controller.record(sentAt);
            else scene.controller.cancel();
          }
          expect([scene.limit, scene.measuring, scene.stat('rq_blocked')]).toEqual([
            model.limit,
            model.deferred > 0,
            model.blocked,
          ]);
          expect([scene.stat('min_rtt_msecs'), scene.stat('sample_rtt_msecs')]).toEqual([
            Math.trunc(model.minRtt / 1000),
            Math.trunc(model.sampleRtt / 1000),
          ]);
        }
      }),
      { numRuns: 150 },
    );
  });
});
