import {
  AggregatedDiscoveryService,
  Authorization,
  CheckRequestSchema,
  CheckResponseSchema,
  CoreRetryPolicySchema,
  create,
  DiscoveryRequestSchema,
  type DiscoveryResponseSchema,
  EmptySchema,
  fromBinary,
  StructSchema,
  toBinary,
} from '@dragoman/api';
import {
  defineRetryHostPredicate,
  defineRetryPriority,
  emptyRuntime,
  ExtensionRegistry,
  type Host,
} from '@dragoman/core';
import { ScriptedRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import type { MemoryStream } from './support/memory-pool.ts';
import { Rig, type RigOptions, StreamRecorder, UnaryRecorder } from './support/rig.ts';

const { check } = Authorization.method;
const { streamAggregatedResources } = AggregatedDiscoveryService.method;
const request = create(CheckRequestSchema, { attributes: { contextExtensions: { a: 'b' } } });
const OK = toBinary(CheckResponseSchema, create(CheckResponseSchema));
const LONG_MS = 60_000;

function policy(retryOn: string, more: object = {}) {
  return { retry_policy: { retry_on: retryOn, ...more } };
}

function callOn(config: object, options: RigOptions = {}) {
  const rig = new Rig(config, options);
  const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
  const call = rig.client.unary(check, request, undefined, recorder);
  return { rig, recorder, call };
}

type Play = (stream: MemoryStream) => void;
const reset: Play = (stream) => stream.lose('remote-reset');
const refused: Play = (stream) => stream.lose('max-requests');
const http =
  (status: number): Play =>
  (stream) =>
    stream.respond({}, status, true);
const grpc =
  (status: number): Play =>
  (stream) =>
    stream.respond({ 'grpc-status': String(status) }, 200, true);

describe('a retry', () => {
  const table: [string, string, Play, boolean][] = [
    ['reset', 'a reset', reset, true],
    ['5xx', 'a reset', reset, true],
    ['gateway-error', 'a reset', reset, true],
    ['connect-failure', 'a reset', reset, false],
    ['reset-before-request', 'a reset behind the request', reset, false],
    ['refused-stream', 'a refused stream', refused, true],
    ['refused-stream', 'another reset', reset, false],
    ['5xx', '500', http(500), true],
    ['5xx', '404', http(404), false],
    ['gateway-error', '503', http(503), true],
    ['gateway-error', '500', http(500), false],
    ['retriable-4xx', '409', http(409), true],
    ['retriable-4xx', '404', http(404), false],
    ['cancelled', 'status 1', grpc(1), true],
    ['deadline-exceeded', 'status 4', grpc(4), true],
    ['resource-exhausted', 'status 8', grpc(8), true],
    ['internal', 'status 13', grpc(13), true],
    ['unavailable', 'status 14', grpc(14), true],
    ['unavailable', 'status 13', grpc(13), false],
    ['unavailable,5xx', 'status 7', grpc(7), false],
    [
      'envoy-ratelimited',
      '200',
      (stream) => stream.respond({ 'x-envoy-ratelimited': 'true', 'grpc-status': '8' }, 200, true),
      true,
    ],
    [
      'resource-exhausted',
      'a rate-limited answer',
      (stream) => stream.respond({ 'x-envoy-ratelimited': 'true', 'grpc-status': '8' }, 200, true),
      false,
    ],
  ];
  it.each(table)('for %s follows %s: %#', (on, _, play, follows) => {
    const { rig, recorder } = callOn(policy(on));
    play(rig.upstream);
    rig.context.clock.advance(LONG_MS);
    expect(rig.pool.streams).toHaveLength(follows ? 2 : 1);
    expect(recorder.calls).toBe(follows ? 0 : 1);
    if (!follows) return;
    rig.upstream.answer(OK);
    expect(recorder.responses).toHaveLength(1);
    expect(rig.counted).toMatchObject({
      upstream_rq_retry: 1,
      upstream_rq_retry_success: 1,
      upstream_rq_retry_backoff_exponential: 1,
      upstream_rq_200: 1,
    });
    expect(rig.cluster.info.retries.used).toBe(0);
    expect(rig.cluster.hosts[0].stats.rqError.value()).toBe(1);
  });

  it('sends all of the request again, to another host, with its own headers', () => {
    const { rig, recorder } = callOn(policy('reset'));
    reset(rig.upstream);
    rig.context.clock.advance(LONG_MS);
    const [first, second] = rig.pool.streams;
    expect([first.host, second.host]).toEqual(rig.cluster.hosts);
    for (const { messages, ended } of [first, second]) {
      expect(messages.map((message) => fromBinary(CheckRequestSchema, message))).toEqual([request]);
      expect(ended).toBe(true);
    }
    expect(second.requestHeaders).toEqual(first.requestHeaders);
    expect(second.requestHeaders).not.toBe(first.requestHeaders);
    // Nothing of the first one counts any more.
    first.answer(OK);
    expect(recorder.calls).toBe(0);
    second.answer(OK);
    expect(recorder.calls).toBe(1);
  });

  it('follows a pool that failed, but not one that was full', () => {
    for (const reason of ['remote-connection-failure', 'timeout', 'overflow'] as const) {
      const { rig, recorder } = (() => {
        const waiting = new Rig(policy('connect-failure'));
        waiting.pool.ready = false;
        const own = new UnaryRecorder<typeof CheckResponseSchema>();
        waiting.client.unary(check, request, undefined, own);
        return { rig: waiting, recorder: own };
      })();
      rig.upstream.fail(reason);
      rig.context.clock.advance(LONG_MS);
      const follows = reason !== 'overflow';
      expect(rig.pool.streams).toHaveLength(follows ? 2 : 1);
      expect(recorder.failures).toHaveLength(follows ? 0 : 1);
    }
  });

  it('gives up when it has had its number', () => {
    const { rig, recorder } = callOn(policy('reset', { num_retries: 2 }));
    for (let i = 0; i < 3; i++) {
      reset(rig.upstream);
      rig.context.clock.advance(LONG_MS);
    }
    expect(rig.pool.streams).toHaveLength(3);
    expect(recorder.failure.message).toBe(
      'upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote reset',
    );
    expect(rig.counted).toMatchObject({ upstream_rq_retry: 2, upstream_rq_retry_limit_exceeded: 1 });
    expect(rig.cluster.info.retries.used).toBe(0);
  });

  it('needs room in the circuit breaker', () => {
    const rig = new Rig(policy('reset'));
    rig.cluster.info.retries.max = 0;
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, undefined, recorder);
    reset(rig.upstream);
    expect(recorder.calls).toBe(1);
    expect(rig.counted).toMatchObject({ upstream_rq_retry_overflow: 1 });
  });

  it('can be turned off while the proxy runs', () => {
    const runtime = {
      ...emptyRuntime,
      featureEnabled: (key: string) => key !== 'upstream.use_retry',
    };
    const { rig, recorder } = callOn(policy('reset'), { context: { runtime } });
    reset(rig.upstream);
    expect(recorder.calls).toBe(1);
    expect(rig.pool.streams).toHaveLength(1);
  });

  it('waits longer each time, up to the maximum', () => {
    const backOff = { num_retries: 5, retry_back_off: { base_interval: '0.1s', max_interval: '0.3s' } };
    // One draw for the runtime, one for the delay: the longest that can be drawn.
    const intervals = [100, 200, 300, 300, 300];
    const random = new ScriptedRandom(intervals.flatMap((ms) => [0, ms - 1]));
    const { rig } = callOn(policy('reset', backOff), { context: { random: random as never } });
    for (const [i, ms] of intervals.entries()) {
      reset(rig.upstream);
      expect(rig.context.clock.nextTimerInMs).toBe(ms - 1);
      rig.context.clock.advance(ms - 1);
      expect(rig.pool.streams).toHaveLength(i + 2);
    }
  });

  it('ends with the call', () => {
    const { rig, recorder, call } = callOn(policy('reset'));
    reset(rig.upstream);
    expect(rig.cluster.info.retries.used).toBe(1);
    call.cancel();
    expect(rig.cluster.info.retries.used).toBe(0);
    rig.context.clock.advance(LONG_MS);
    expect(rig.pool.streams).toHaveLength(1);
    expect(recorder.calls).toBe(0);
  });

  it('ends with the time of the call, and nobody is late then', () => {
    const { rig, recorder } = callOn({
      timeout: '0.05s',
      ...policy('reset', { retry_back_off: { base_interval: '10s' } }),
    });
    reset(rig.upstream);
    rig.context.clock.advance(50);
    expect(recorder.failure.code).toBe(4);
    expect(rig.counted['upstream_rq_timeout']).toBeUndefined();
    expect(rig.cluster.info.retries.used).toBe(0);
  });

  it('finds no host, or no cluster, any more', () => {
    for (const lose of [
      (rig: Rig) => rig.clusters.byName.clear(),
      (rig: Rig) => (rig.cluster.hosts.length = 0),
    ]) {
      const { rig, recorder } = callOn(policy('reset'));
      reset(rig.upstream);
      lose(rig);
      rig.context.clock.advance(LONG_MS);
      expect(recorder.failure).toMatchObject({ code: 14, message: 'no healthy upstream' });
    }
  });

  it('does not follow an answer that has begun', () => {
    const { rig, recorder } = callOn(policy('reset,5xx'));
    rig.upstream.respond();
    reset(rig.upstream);
    expect(recorder.failure.code).toBe(13);
    rig.context.clock.advance(LONG_MS);
    expect(rig.pool.streams).toHaveLength(1);
  });

  it('is of the call where that has a policy of its own', () => {
    const rig = new Rig(policy('5xx'));
    const retry = rig.factory.compileRetryPolicy(create(CoreRetryPolicySchema), 'unavailable');
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, { retry }, recorder);
    grpc(14)(rig.upstream);
    rig.context.clock.advance(LONG_MS);
    expect(rig.pool.streams).toHaveLength(2);
  });

  it('chooses its host by predicates and priorities', () => {
    const tried: Host[] = [];
    const previous = defineRetryHostPredicate({
      name: 'test.previous',
      config: EmptySchema,
      create: () => () => ({
        shouldSkip: (host) => tried.includes(host),
        onHostAttempted: (host) => tried.push(host),
      }),
    });
    const priorities = defineRetryPriority({
      name: 'test.priorities',
      config: StructSchema,
      create: () => () => ({
        shares: () => ({ healthy: [0, 100], degraded: [] }),
        onHostAttempted: () => {},
      }),
    });
    const extensions = new ExtensionRegistry([previous, priorities]);
    const { rig } = callOn(
      policy('reset', {
        num_retries: 3,
        retry_host_predicate: [{ name: 'test.previous' }],
        retry_priority: { name: 'test.priorities' },
        host_selection_retry_max_attempts: 7,
      }),
      { context: { extensions } },
    );
    rig.cluster.hosts.reverse();
    reset(rig.upstream);
    rig.context.clock.advance(LONG_MS);
    expect(tried).toHaveLength(2);
    expect(new Set(tried).size).toBe(2);
    const choice = rig.cluster.choices[1];
    expect(choice?.hostSelectionAttempts).toBe(7);
    expect(choice?.priorityShares?.([], { healthy: [100], degraded: [] })).toEqual({
      healthy: [0, 100],
      degraded: [],
    });
  });
});

describe('a stream', () => {
  const message = create(DiscoveryRequestSchema, { versionInfo: 'a'.repeat(1000) });

  function streamOn(options: { keepForRetry?: boolean }) {
    const rig = new Rig(policy('reset,connect-failure'));
    rig.pool.ready = false;
    const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
    const stream = rig.client.stream(streamAggregatedResources, options, recorder);
    return { rig, recorder, stream };
  }

  it('is tried again as long as nothing was sent', () => {
    const { rig, recorder, stream } = streamOn({});
    stream.send(message);
    rig.upstream.fail('remote-connection-failure');
    rig.context.clock.advance(LONG_MS);
    rig.upstream.connect();
    stream.send(message);
    expect(rig.upstream.messages).toHaveLength(2);
    rig.upstream.lose();
    expect(recorder.end.code).toBe(14);
    rig.context.clock.advance(LONG_MS);
    expect(rig.pool.streams).toHaveLength(2);
  });

  it('is sent again where its messages are kept', () => {
    const { rig, recorder, stream } = streamOn({ keepForRetry: true });
    stream.send(message);
    rig.upstream.connect();
    stream.send(message);
    rig.upstream.lose();
    stream.send(message);
    stream.closeSend();
    rig.context.clock.advance(LONG_MS);
    rig.upstream.connect();
    expect(rig.upstream.messages).toHaveLength(3);
    expect(rig.upstream.ended).toBe(true);
    rig.upstream.respond();
    rig.upstream.end();
    expect(recorder.end.code).toBe(0);
  });

  it('keeps 64 KiB at most', () => {
    const { rig, recorder, stream } = streamOn({ keepForRetry: true });
    rig.upstream.connect();
    for (let i = 0; i < 66; i++) stream.send(message);
    rig.upstream.lose();
    expect(recorder.end.code).toBe(14);
  });

  it('is not tried again for an answer, when messages are gone', () => {
    for (const keepForRetry of [false, true]) {
      const rig = new Rig(policy('unavailable'));
      const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
      rig.client.stream(streamAggregatedResources, { keepForRetry }, recorder).send(message);
      grpc(14)(rig.upstream);
      rig.context.clock.advance(LONG_MS);
      expect(rig.pool.streams).toHaveLength(keepForRetry ? 2 : 1);
      expect(recorder.ends).toHaveLength(keepForRetry ? 0 : 1);
    }
  });

  it('keeps nothing once it is answered', () => {
    const { rig, recorder, stream } = streamOn({ keepForRetry: true });
    rig.upstream.connect();
    stream.send(message);
    rig.upstream.respond();
    rig.upstream.lose();
    expect(recorder.end.code).toBe(13);
  });
});
