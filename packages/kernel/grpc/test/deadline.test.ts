import {
  AggregatedDiscoveryService,
  Authorization,
  CheckRequestSchema,
  CheckResponseSchema,
  create,
  DiscoveryRequestSchema,
  type DiscoveryResponseSchema,
  toBinary,
} from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { Rig, StreamRecorder, UnaryRecorder } from './support/rig.ts';

const { check } = Authorization.method;
const { streamAggregatedResources } = AggregatedDiscoveryService.method;
const request = create(CheckRequestSchema);
const OK = toBinary(CheckResponseSchema, create(CheckResponseSchema));

function callOn(rig: Rig, timeoutMs?: number) {
  const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
  const call = rig.client.unary(check, request, { timeoutMs }, recorder);
  return { call, recorder };
}

describe('the time of a call', () => {
  it.each([
    [{}, undefined, undefined],
    [{ timeout: '0.25s' }, undefined, '250m'],
    [{ timeout: '0.25s' }, 10, '10m'],
    [{ timeout: '0.25s' }, 0, undefined],
    [{ timeout: '0s' }, undefined, undefined],
    [{}, 10, '10m'],
    [{}, 0.2, '1m'],
    [{ timeout: '200000s' }, undefined, '200000S'],
  ])('service %j, call %s: grpc-timeout is %s', (config, timeoutMs, header) => {
    const rig = new Rig(config);
    callOn(rig, timeoutMs);
    expect(rig.upstream.requestHeaders?.get('grpc-timeout')).toBe(header);
    expect(rig.upstream.requestHeaders?.has('x-envoy-expected-rq-timeout-ms')).toBe(header !== undefined);
    expect(rig.context.clock.pendingTimers).toBe(header === undefined ? 0 : 1);
  });

  it('is known to whoever has a default of its own', () => {
    expect(new Rig({ timeout: '0.25s' }).client.timeoutMs).toBe(250);
    expect(new Rig().client.timeoutMs).toBeUndefined();
  });

  it('ends a call that nobody answers', () => {
    const rig = new Rig({ timeout: '1s' });
    const { recorder } = callOn(rig);
    rig.context.clock.advance(999);
    expect(recorder.calls).toBe(0);
    rig.context.clock.advance(1);
    const { failure } = recorder;
    expect([failure.code, failure.message, failure.details]).toEqual([
      4,
      'upstream request timeout',
      'response_timeout',
    ]);
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(rig.counted).toMatchObject({
      upstream_rq_timeout: 1,
      upstream_rq_504: 1,
      'internal.upstream_rq_504': 1,
      upstream_rq_tx_reset: 1,
    });
    const { stats } = rig.cluster.hosts[0];
    expect([stats.rqTimeout.value(), stats.rqError.value(), stats.rqSuccess.value()]).toEqual([1, 1, 0]);
    rig.upstream.answer(OK);
    expect(recorder.calls).toBe(1);
  });

  it('ends one that waits for a connection', () => {
    const rig = new Rig({ timeout: '1s' });
    rig.pool.ready = false;
    const { recorder } = callOn(rig);
    rig.context.clock.advance(1000);
    expect(recorder.failure.code).toBe(4);
    expect(rig.upstream.cancelled).toBe(true);
    expect(rig.counted['upstream_rq_tx_reset']).toBeUndefined();
  });

  it('ends one whose answer has begun, and counts the answer as it was', () => {
    const rig = new Rig({ timeout: '1s' });
    const { recorder } = callOn(rig);
    rig.upstream.respond();
    rig.upstream.message(OK);
    rig.context.clock.advance(1000);
    expect(recorder.failure.code).toBe(4);
    expect(rig.counted).toMatchObject({ upstream_rq_timeout: 1, upstream_rq_200: 1 });
    expect(rig.counted['upstream_rq_504']).toBeUndefined();
  });

  it('is over with the call', () => {
    const rig = new Rig({ timeout: '1s' });
    const { recorder } = callOn(rig);
    rig.upstream.answer(OK);
    expect(rig.context.clock.pendingTimers).toBe(0);
    const second = callOn(rig);
    second.call.cancel();
    expect(rig.context.clock.pendingTimers).toBe(0);
    rig.context.clock.advance(5000);
    expect(recorder.calls).toBe(1);
  });

  it('is told anew to each try', () => {
    const rig = new Rig({
      timeout: '1s',
      retry_policy: { retry_on: 'reset', retry_back_off: { base_interval: '0.1s' } },
    });
    callOn(rig);
    rig.context.clock.advance(300);
    rig.upstream.lose();
    rig.context.clock.advance(100);
    const elapsed = rig.context.clock.now() - 1000;
    expect(rig.pool.streams).toHaveLength(2);
    const left = Number.parseInt(rig.upstream.requestHeaders?.get('grpc-timeout') ?? '', 10);
    expect(left).toBeGreaterThanOrEqual(1000 - elapsed);
    expect(left).toBeLessThanOrEqual(700);
    expect(rig.pool.streams[0].requestHeaders?.get('grpc-timeout')).toBe('1000m');
  });
});

describe('the time of a stream', () => {
  const message = create(DiscoveryRequestSchema);

  it('is not that of its service, as in Envoy', () => {
    const rig = new Rig({ timeout: '1s' });
    const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
    rig.client.stream(streamAggregatedResources, undefined, recorder).send(message);
    expect(rig.context.clock.pendingTimers).toBe(0);
    expect(rig.upstream.requestHeaders?.has('grpc-timeout')).toBe(false);
  });

  it('runs from its beginning to its last byte', () => {
    const rig = new Rig();
    const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
    rig.client.stream(streamAggregatedResources, { timeoutMs: 500 }, recorder).send(message);
    rig.upstream.respond();
    rig.context.clock.advance(500);
    expect(recorder.end.code).toBe(4);
  });

  it('does not run while a reader takes its time with what is all there', () => {
    const rig = new Rig();
    const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
    const stream = rig.client.stream(streamAggregatedResources, { timeoutMs: 500 }, recorder);
    stream.pause();
    rig.upstream.respond();
    rig.upstream.end();
    rig.context.clock.advance(5000);
    expect(recorder.ends).toEqual([]);
    stream.resume();
    expect(recorder.end.code).toBe(0);
  });
});

describe('max_stream_duration of a cluster', () => {
  it.each([
    ['unary', 14, 'upstream max stream duration reached'],
    ['stream', 2, 'upstream max stream duration reached'],
    ['answered', 13, ''],
  ])('ends a %s call', (kind, code, text) => {
    const rig = new Rig();
    rig.cluster.info.maxStreamDurationMs = 300;
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    const streamRecorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
    if (kind === 'stream') rig.client.stream(streamAggregatedResources, undefined, streamRecorder);
    else rig.client.unary(check, request, undefined, recorder);
    if (kind === 'answered') rig.upstream.respond();
    rig.context.clock.advance(300);
    const status = kind === 'stream' ? streamRecorder.end : recorder.failure;
    expect([status.code, status.message, status.details]).toEqual([
      code,
      text,
      'upstream_max_stream_duration_reached',
    ]);
    expect(rig.counted).toMatchObject({ upstream_rq_max_duration_reached: 1, upstream_rq_tx_reset: 1 });
    expect(rig.context.clock.pendingTimers).toBe(0);
  });
});
