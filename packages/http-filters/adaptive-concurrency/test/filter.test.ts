import { AdaptiveConcurrencySchema, create, durationFromMs, type StatusCode } from '@dragoman/api';
import { type CreateHttpFilter, emptyRuntime, type HttpFilter, type Runtime } from '@dragoman/core';
import { httpFilterConformance, type TestContext, TestHttpStream, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { adaptiveConcurrency } from '../src/index.ts';
import { config, type Fields, gradient, PREFIX } from './scene.ts';

const LIMITS = 'gradient_controller_config.concurrency_limit_params';
const MIN_RTT = 'gradient_controller_config.min_rtt_calc_params';
const zero = durationFromMs(0);

httpFilterConformance(
  { describe, it },
  {
    extension: adaptiveConcurrency,
    config: config(),
    sharesState: true,
    invalid: [
      {
        name: 'no controller',
        config: create(AdaptiveConcurrencySchema),
        path: 'gradient_controller_config',
      },
      {
        name: 'no update interval',
        config: config(gradient({ concurrencyUpdateInterval: undefined })),
        path: `${LIMITS}.concurrency_update_interval`,
      },
      {
        name: 'an update interval below 1 ms',
        config: config(gradient({ concurrencyUpdateInterval: durationFromMs(0.9) })),
        path: `${LIMITS}.concurrency_update_interval`,
      },
      {
        name: 'neither an interval nor a fixed minRTT',
        config: config(gradient({}, { interval: undefined })),
        path: `${MIN_RTT}.interval`,
      },
      {
        name: 'an interval of 0',
        config: config(gradient({}, { interval: zero })),
        path: `${MIN_RTT}.interval`,
      },
      {
        name: 'a fixed minRTT below 1 ms',
        config: config(gradient({}, { fixedValue: durationFromMs(0.5) })),
        path: `${MIN_RTT}.fixed_value`,
      },
    ],
  },
);

class Requests {
  readonly context: TestContext;
  private readonly make: CreateHttpFilter;

  constructor(more: Fields = {}, runtime: Runtime = emptyRuntime, fields = gradient()) {
    this.context = testContext({ runtime });
    this.make = adaptiveConcurrency.create(config(fields, more), this.context) as CreateHttpFilter;
  }

  begin(healthCheck = false): { stream: TestHttpStream; filter: HttpFilter } {
    const stream = new TestHttpStream();
    stream.info.healthCheck = healthCheck;
    const filter = this.make(stream);
    filter.onRequestHeaders?.(stream.requestHeaders, true);
    return { stream, filter };
  }

  /** One that is answered, or reset. */
  run(latencyMs: number, answered = true): void {
    const { stream, filter } = this.begin();
    this.context.clock.advance(latencyMs);
    stream.info.responseComplete = answered;
    filter.onComplete?.();
  }

  stat(name: string): number {
    return this.context.stats.value(PREFIX + name);
  }
}

describe('a request beyond the limit', () => {
  const blocked = (more: Fields) => {
    const requests = new Requests(more);
    for (let i = 0; i < 3; i++) requests.begin();
    return { requests, ...requests.begin() };
  };

  it.each<[code: number | undefined, status: number, warnings: number]>([
    [undefined, 503, 0],
    [429, 429, 0],
    [400, 400, 0],
    [200, 503, 1],
    [0, 503, 1],
  ])('is answered by the status of the config, %s: %d', (code, status, warnings) => {
    const more: Fields =
      code === undefined ? {} : { concurrencyLimitExceededStatus: { code: code as StatusCode } };
    const { requests, stream } = blocked(more);
    expect(stream.replies).toEqual([
      { status, body: 'reached concurrency limit', details: 'reached_concurrency_limit' },
    ]);
    expect(stream.info.responseFlags).toBe(0);
    expect(requests.stat('rq_blocked')).toBe(1);
    expect(requests.context.warnings).toHaveLength(warnings);
  });

  it('takes nobody’s place when it ends', () => {
    const { requests, filter, stream } = blocked({});
    stream.info.responseComplete = true;
    filter.onComplete?.();
    expect(requests.begin().stream.replies).toHaveLength(1);
  });
});

describe('samples', () => {
  it('are requests that were answered, from their headers to the end of the answer', () => {
    const requests = new Requests();
    for (let i = 0; i < 4; i++) requests.run(7);
    requests.run(1000, false);
    expect(requests.stat('min_rtt_calculation_active')).toBe(1);
    requests.run(7);
    expect([requests.stat('min_rtt_calculation_active'), requests.stat('min_rtt_msecs')]).toEqual([0, 7]);
  });

  it('are no health checks, which are not limited either', () => {
    const requests = new Requests();
    const checks = Array.from({ length: 10 }, () => requests.begin(true));
    for (const { stream, filter } of checks) {
      expect(stream.replies).toEqual([]);
      stream.info.responseComplete = true;
      filter.onComplete?.();
    }
    expect(requests.stat('min_rtt_calculation_active')).toBe(1);
    expect(requests.stat('rq_blocked')).toBe(0);
  });

  it('are none while runtime says off; what began before ends as it began', () => {
    let on = true;
    const runtime: Runtime = {
      ...emptyRuntime,
      getBoolean: (key, fallback) => (key === 'adaptive_concurrency.enabled' ? on : fallback),
    };
    const enabled = { defaultValue: false, runtimeKey: 'adaptive_concurrency.enabled' };
    const requests = new Requests({ enabled }, runtime);
    const held = [requests.begin(), requests.begin(), requests.begin()];
    on = false;
    for (let i = 0; i < 20; i++) expect(requests.begin().stream.replies).toEqual([]);
    for (const { filter } of held) filter.onComplete?.();
    on = true;
    expect(requests.begin().stream.replies).toEqual([]);
    expect(requests.stat('rq_blocked')).toBe(0);
  });
});

describe('a fixed minRTT', () => {
  it('warns of what it leaves without effect', () => {
    const { context } = new Requests({}, emptyRuntime, gradient({}, { fixedValue: durationFromMs(5) }));
    expect(context.warnings.map((line) => line.split(':')[0])).toEqual([
      `${MIN_RTT}.interval`,
      `${MIN_RTT}.request_count`,
      `${MIN_RTT}.jitter`,
    ]);
  });
});
