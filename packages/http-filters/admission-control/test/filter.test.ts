import {
  type AdmissionControl,
  AdmissionControlSchema,
  create,
  durationFromMs,
  type MessageInitShape,
} from '@dragoman/api';
import { type CreateHttpFilter, emptyRuntime, type Runtime, Trailers } from '@dragoman/core';
import {
  httpFilterConformance,
  responseHeaders,
  SeededRandom,
  TestHttpStream,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { admissionControl } from '../src/index.ts';

type Fields = MessageInitShape<typeof AdmissionControlSchema>;
type Criteria = NonNullable<
  Extract<AdmissionControl['evaluationCriteria'], { case: 'successCriteria' }>
>['value'];

const config = (fields: Fields = {}) =>
  create(AdmissionControlSchema, {
    evaluationCriteria: { case: 'successCriteria', value: {} },
    ...fields,
  }) as never;
const criteria = (value: MessageInitShape<typeof AdmissionControlSchema>['evaluationCriteria']): Fields => ({
  evaluationCriteria: value,
});
const http = (...ranges: readonly (readonly [number, number])[]): Fields =>
  criteria({
    case: 'successCriteria',
    value: {
      httpCriteria: { httpSuccessStatus: ranges.map(([start, end]) => ({ start, end })) },
    } as Partial<Criteria> as Criteria,
  });
const grpc = (...codes: readonly number[]): Fields =>
  criteria({
    case: 'successCriteria',
    value: { grpcCriteria: { grpcSuccessStatus: [...codes] } } as Partial<Criteria> as Criteria,
  });

const percent = (value: number, runtimeKey = 'k') => ({ defaultValue: { value }, runtimeKey });
const ranges = 'success_criteria.http_criteria.http_success_status';
const codes = 'success_criteria.grpc_criteria.grpc_success_status';

httpFilterConformance(
  { describe, it },
  {
    extension: admissionControl,
    config: config(),
    sharesState: true,
    invalid: [
      { name: 'no criteria', config: create(AdmissionControlSchema), path: 'success_criteria' },
      {
        name: 'a threshold of 0 %',
        config: config({ srThreshold: percent(0) }),
        path: 'sr_threshold.default_value',
      },
      {
        name: 'a threshold below 1 %',
        config: config({ srThreshold: percent(0.99) }),
        path: 'sr_threshold.default_value',
      },
      {
        name: 'a threshold without a default',
        config: config({ srThreshold: { runtimeKey: 'k' } }),
        path: 'sr_threshold.default_value',
      },
      {
        name: 'a window below a second',
        config: config({ samplingWindow: durationFromMs(999) }),
        path: 'sampling_window',
      },
      { name: 'statuses below 100', config: config(http([200, 300], [99, 200])), path: `${ranges}[1]` },
      { name: 'statuses from 600', config: config(http([600, 600])), path: `${ranges}[0]` },
      { name: 'statuses beyond 599', config: config(http([500, 601])), path: `${ranges}[0]` },
      { name: 'statuses backwards', config: config(http([300, 200])), path: `${ranges}[0]` },
      { name: 'no statuses', config: config(http()), path: ranges },
      { name: 'a gRPC status that is none', config: config(grpc(0, 17)), path: `${codes}[1]` },
      { name: 'no gRPC statuses', config: config(grpc()), path: codes },
    ],
  },
);

const trailers = (fields: Record<string, string>): Trailers => {
  const made = new Trailers();
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return made;
};

/** A draw that no probability reaches. */
const NEVER = 9999;

/** One filter and the requests that a test sends through it, each with the draw that the test sets. */
class Scene {
  draw = NEVER;
  readonly context;
  readonly make: CreateHttpFilter;

  constructor(fields: Fields = {}, runtime: Runtime = emptyRuntime) {
    const random = Object.assign(new SeededRandom(), { next: () => this.draw });
    this.context = testContext({ random, runtime });
    this.make = admissionControl.create(config(fields), this.context) as CreateHttpFilter;
  }

  /** Lets `count` requests through, whose answers have this status. */
  history(count: number, status: number): void {
    const { draw } = this;
    this.draw = NEVER;
    for (let i = 0; i < count; i++) this.request(status);
    this.draw = draw;
  }

  /** Whether it was let through. */
  request(status: number, over: { healthCheck?: boolean } = {}): boolean {
    const stream = new TestHttpStream();
    stream.info.healthCheck = over.healthCheck ?? false;
    const filter = this.make(stream);
    filter.onRequestHeaders?.(stream.requestHeaders, true);
    const [reply] = stream.replies;
    filter.onResponseHeaders?.(responseHeaders({ ':status': `${reply?.status ?? status}` }), true);
    filter.onComplete?.();
    return reply === undefined;
  }

  answer(headers: Record<string, string>, body: boolean, end?: Record<string, string>): void {
    const stream = new TestHttpStream();
    const filter = this.make(stream);
    filter.onRequestHeaders?.(stream.requestHeaders, true);
    filter.onResponseHeaders?.(responseHeaders(headers), !body && end === undefined);
    if (end !== undefined) filter.onResponseTrailers?.(trailers(end));
    filter.onComplete?.();
  }

  /** Rejected, succeeded, failed. */
  get stats(): number[] {
    return ['rq_rejected', 'rq_success', 'rq_failure'].map((name) =>
      this.context.stats.value(`http.test.admission_control.${name}`),
    );
  }
}

describe('what is rejected', () => {
  it('is answered 503 without body and flag, is counted, and is no failure', () => {
    const scene = new Scene();
    // One failure of one: (1 − 0)/2.
    scene.history(1, 503);
    scene.draw = 4999;
    const stream = new TestHttpStream();
    const filter = scene.make(stream);
    filter.onRequestHeaders?.(stream.requestHeaders, true);
    expect(stream.replies).toEqual([{ status: 503, details: 'denied_by_admission_control' }]);
    filter.onResponseHeaders?.(responseHeaders({ ':status': '503' }), true);
    expect(stream.info.responseFlags).toBe(0);
    expect(scene.stats).toEqual([1, 0, 1]);
    scene.draw = 5000;
    expect(scene.request(200)).toBe(true);
    expect(scene.stats).toEqual([1, 1, 1]);
  });

  // 100 failures are a probability of 100/101, capped at 80 %; the draw counts modulo 10,000.
  it.each<[draw: number, fields: Fields, through: boolean]>([
    [0, {}, false],
    [7999, {}, false],
    [8000, {}, true],
    [17_999, {}, false],
    [18_000, {}, true],
    [9900, { maxRejectionProbability: percent(100) }, false],
    [9901, { maxRejectionProbability: percent(100) }, true],
    [0, { maxRejectionProbability: percent(0) }, true],
  ])('draw %d after 100 failures, %o: through %s', (draw, fields, through) => {
    const scene = new Scene(fields);
    scene.history(100, 503);
    scene.draw = draw;
    expect(scene.request(200)).toBe(through);
  });

  it('comes back when the window, in whole seconds, has slid past the failures', () => {
    const scene = new Scene({ samplingWindow: durationFromMs(5900) });
    scene.history(20, 500);
    scene.draw = 0;
    expect(scene.request(200)).toBe(false);
    scene.context.clock.advance(4999);
    expect(scene.request(200)).toBe(false);
    scene.context.clock.advance(1);
    expect(scene.request(200)).toBe(true);
  });

  it('is nothing below rps_threshold, and the answers count', () => {
    const scene = new Scene({
      samplingWindow: durationFromMs(10_000),
      rpsThreshold: { defaultValue: 2, runtimeKey: 'rps' },
    });
    scene.draw = 0;
    for (let i = 0; i < 20; i++) expect(scene.request(500)).toBe(true);
    expect(scene.request(500)).toBe(false);
    expect(scene.stats).toEqual([1, 0, 20]);
  });

  it('is no health check, and none counts', () => {
    const scene = new Scene();
    scene.history(1, 500);
    scene.draw = 0;
    for (let i = 0; i < 5; i++) expect(scene.request(500, { healthCheck: true })).toBe(true);
    expect(scene.stats).toEqual([0, 0, 1]);
  });

  it('is nothing while runtime says off, and nothing counts', () => {
    let on = true;
    const runtime: Runtime = {
      ...emptyRuntime,
      getBoolean: (key, fallback) => (key === 'on' ? on : fallback),
    };
    const scene = new Scene({ enabled: { defaultValue: false, runtimeKey: 'on' } }, runtime);
    scene.history(1, 500);
    scene.draw = 0;
    expect(scene.request(500)).toBe(false);
    on = false;
    expect(scene.request(500)).toBe(true);
    expect(scene.stats).toEqual([1, 0, 1]);
  });

  it('is nothing where the config says off', () => {
    const scene = new Scene({ enabled: { defaultValue: false, runtimeKey: 'on' } });
    scene.history(10, 500);
    scene.draw = 0;
    expect(scene.request(500)).toBe(true);
    expect(scene.context.stats.used()).toEqual({});
  });

  it('follows runtime: threshold, aggression, cap, rate', () => {
    const values = new Map<string, number>();
    const read = (key: string, fallback: number) => values.get(key) ?? fallback;
    const fields: Fields = {
      srThreshold: percent(50, 'sr'),
      // Below 1 it is 1.
      aggression: { defaultValue: 0.2, runtimeKey: 'aggression' },
      maxRejectionProbability: percent(90, 'max'),
      rpsThreshold: { defaultValue: 0, runtimeKey: 'rps' },
    };
    const scene = new Scene(fields, { ...emptyRuntime, getNumber: read, getInteger: read });
    scene.history(70, 200);
    scene.history(30, 500);
    scene.draw = 5000;
    const passes = (set: Record<string, number>): boolean => {
      for (const [key, value] of Object.entries(set)) values.set(key, value);
      return scene.request(200);
    };
    expect(passes({})).toBe(true);
    // (101 − 71/0.95)/102 = 0.257, its fourth root 0.712.
    expect(passes({ sr: 95 })).toBe(true);
    expect(passes({ aggression: 4 })).toBe(false);
    expect(passes({ max: 50 })).toBe(true);
    // 103 requests in 30 s are 3 a second.
    expect(passes({ max: 90, rps: 4 })).toBe(true);
    expect(passes({ rps: 3 })).toBe(false);
    // Out of range: the default.
    expect(passes({ sr: 101 })).toBe(true);
  });
});

describe('what is a success', () => {
  it.each<[status: number, fields: Fields, success: boolean]>([
    [200, {}, true],
    [404, {}, true],
    [499, {}, true],
    [500, {}, false],
    [503, {}, false],
    [200, http([200, 300], [404, 405]), true],
    [299, http([200, 300], [404, 405]), true],
    [300, http([200, 300], [404, 405]), false],
    [404, http([200, 300], [404, 405]), true],
    [405, http([200, 300], [404, 405]), false],
    [404, http([404, 404]), false],
    // Without gRPC's content type, what is listed for gRPC says nothing.
    [200, grpc(3), true],
  ])('HTTP %d with %o: %s', (status, fields, success) => {
    const scene = new Scene(fields);
    scene.answer({ ':status': `${status}` }, true);
    expect(scene.stats).toEqual([0, Number(success), Number(!success)]);
  });

  const defaults = [0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16];
  it.each(Array.from({ length: 17 }, (_, code) => code))(
    'gRPC %d by default, in headers and trailers',
    (code) => {
      const good = Number(defaults.includes(code));
      const scene = new Scene();
      scene.answer({ 'grpc-status': `${code}` }, false);
      expect(scene.stats).toEqual([0, good, 1 - good]);
      scene.answer({ 'content-type': 'application/grpc' }, true, { 'grpc-status': `${code}` });
      expect(scene.stats).toEqual([0, 2 * good, 2 - 2 * good]);
      const other = new Scene(grpc(code));
      other.answer({ 'content-type': 'application/grpc+proto', 'grpc-status': `${code}` }, true);
      expect(other.stats).toEqual([0, 1, 0]);
    },
  );

  it.each<
    [name: string, headers: Record<string, string>, end: Record<string, string> | undefined, stats: number[]]
  >([
    ['a status that is no number', { 'grpc-status': 'x' }, undefined, [0, 1]],
    ['a status beyond 16', { 'grpc-status': '17' }, undefined, [0, 1]],
    ['trailers without a status', {}, { 'x-a': 'b' }, [0, 1]],
    ['trailers with an empty one', {}, { 'grpc-status': '' }, [0, 1]],
    ['no trailers', {}, undefined, [0, 0]],
    ['an HTTP error: by its status alone', { ':status': '500' }, { 'grpc-status': '0' }, [0, 1]],
  ])('gRPC, %s', (_, headers, end, [success, failure]) => {
    const scene = new Scene();
    scene.answer({ 'content-type': 'application/grpc', ...headers }, true, end);
    expect(scene.stats).toEqual([0, success, failure]);
  });

  it('a stream that is reset before its answer is neither', () => {
    const context = testContext();
    const stream = new TestHttpStream();
    const filter = (admissionControl.create(config(), context) as CreateHttpFilter)(stream);
    filter.onRequestHeaders?.(stream.requestHeaders, true);
    filter.onComplete?.();
    expect(context.stats.used()).toEqual({});
  });

  it('an answer of a filter before this one counts, as in Envoy', () => {
    const context = testContext();
    const filter = (admissionControl.create(config(), context) as CreateHttpFilter)(new TestHttpStream());
    filter.onResponseHeaders?.(responseHeaders({ ':status': '403' }), true);
    expect(context.stats.used()).toEqual({ 'http.test.admission_control.rq_success': 1 });
  });
});
