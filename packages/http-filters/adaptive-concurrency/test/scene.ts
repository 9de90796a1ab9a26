import {
  AdaptiveConcurrencySchema,
  create,
  durationFromMs,
  GradientControllerConfigSchema,
  type MessageInitShape,
} from '@dragoman/api';
import { emptyRuntime, type Runtime } from '@dragoman/core';
import { type TestContext, testContext } from '@dragoman/testing';
import { GradientController } from '../src/gradient-controller.ts';
import { gradientStats } from '../src/gradient-stats.ts';
import { readSettings } from '../src/settings.ts';

export type Fields = MessageInitShape<typeof AdaptiveConcurrencySchema>;
export type GradientFields = MessageInitShape<typeof GradientControllerConfigSchema>;
type Limits = NonNullable<GradientFields['concurrencyLimitParams']>;
type MinRtt = NonNullable<GradientFields['minRttCalcParams']>;

/** A limit every 100 ms, a measurement of 5 samples every 30 s without jitter, and no buffer; a test changes what it is about. */
export const gradient = (
  limits: Partial<Limits> = {},
  minRtt: Partial<MinRtt> = {},
  more: GradientFields = {},
): GradientFields =>
  ({
    concurrencyLimitParams: { concurrencyUpdateInterval: durationFromMs(100), ...limits },
    minRttCalcParams: {
      interval: durationFromMs(30_000),
      requestCount: 5,
      jitter: { value: 0 },
      buffer: { value: 0 },
      ...minRtt,
    },
    ...more,
  }) as GradientFields;

export const config = (fields: GradientFields = gradient(), more: Fields = {}) =>
  create(AdaptiveConcurrencySchema, {
    concurrencyControllerConfig: { case: 'gradientControllerConfig', value: fields } as never,
    ...more,
  }) as never;

export const PREFIX = 'http.test.adaptive_concurrency.gradient_controller.';

/** A runtime of numbers, which a test may change. */
export function numbers(values: Readonly<Record<string, number>>): Runtime {
  const read = (key: string, fallback: number) => values[key] ?? fallback;
  return { ...emptyRuntime, getInteger: read, getNumber: read };
}

/** A controller on fake time. */
export class Scene {
  readonly context: TestContext;
  readonly controller: GradientController;

  constructor(fields: GradientFields = gradient(), over: Partial<TestContext> = {}) {
    this.context = testContext(over);
    const { stats, runtime, warnings } = this.context;
    const settings = readSettings(create(GradientControllerConfigSchema, fields), runtime, (path) =>
      warnings.push(path),
    );
    this.controller = new GradientController(settings, this.context, gradientStats(stats.scope(PREFIX)));
  }

  get now(): number {
    return this.context.clock.now();
  }

  advance(ms: number): void {
    this.context.clock.advance(ms);
  }

  stat(name: string): number {
    return this.context.stats.value(PREFIX + name);
  }

  get limit(): number {
    return this.stat('concurrency_limit');
  }

  get measuring(): boolean {
    return this.stat('min_rtt_calculation_active') === 1;
  }

  /** Requests one after the other, each of which takes so long. */
  sample(count: number, latencyMs: number): void {
    for (let i = 0; i < count; i++) {
      if (!this.controller.tryForward()) throw new Error('a request was not let through');
      const at = this.now;
      this.advance(latencyMs);
      this.controller.record(at);
    }
  }

  /** One request that takes `latencyMs`, and then the end of its window, `windowMs` after the window before it. */
  window(latencyMs: number, windowMs = 100): void {
    this.sample(1, latencyMs);
    this.advance(windowMs - latencyMs);
  }
}
