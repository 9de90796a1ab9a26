import {
  Authorization,
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
  create,
  fromBinary,
  toBinary,
} from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { Rig, UnaryRecorder } from './support/rig.ts';

const { check } = Authorization.method;
const request = create(CheckRequestSchema, { attributes: { contextExtensions: { a: 'b' } } });
const response = create(CheckResponseSchema, { status: { code: 7, message: 'no' } });
const bytes = toBinary(CheckResponseSchema, response);

function callOn(rig: Rig) {
  const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
  const call = rig.client.unary(check, request, undefined, recorder);
  return { call, recorder };
}

describe('a unary call', () => {
  it('sends its request and hands over the answer', () => {
    const rig = new Rig();
    const { call, recorder } = callOn(rig);
    const { upstream } = rig;
    expect(upstream.ended).toBe(true);
    expect(upstream.messages.map((message) => fromBinary(CheckRequestSchema, message))).toEqual([request]);
    upstream.answer(bytes, { 'x-server': 'a' });
    expect(recorder.responses).toEqual([response]);
    expect(recorder.failures).toEqual([]);
    expect(recorder.headers?.get('x-server')).toBe('a');
    expect(recorder.trailers?.get('grpc-status')).toBe('0');
    expect(call.host).toBe(rig.cluster.hosts[0]);
    expect(call.cluster).toBe(rig.cluster.info);
    expect(call.bytesSent).toBe(5 + toBinary(CheckRequestSchema, request).length);
    expect(call.bytesReceived).toBe(5 + bytes.length);
    expect(upstream.resetReason).toBeUndefined();
  });

  it('is typed by its method', () => {
    const rig = new Rig();
    rig.client.unary(check, request, undefined, {
      onSuccess(answer: CheckResponse) {
        expect(answer.status?.code).toBe(7);
      },
      onFailure() {},
    });
    rig.upstream.answer(bytes);
    expect.assertions(1);
  });

  it('says what it is in the headers, in the order that gRPC wants', () => {
    const rig = new Rig();
    callOn(rig);
    expect(rig.upstream.requestHeaders?.entries()).toEqual([
      [':authority', 'authz'],
      [':path', '/envoy.service.auth.v3.Authorization/Check'],
      [':method', 'POST'],
      [':scheme', 'http'],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['grpc-accept-encoding', 'identity,gzip'],
      ['x-envoy-internal', 'true'],
      ['x-forwarded-for', '192.0.2.2'],
    ]);
  });

  it('goes to https where the cluster has TLS', () => {
    const rig = new Rig();
    rig.cluster.info.secure = true;
    callOn(rig);
    expect(rig.upstream.requestHeaders?.scheme).toBe('https');
  });

  it('waits for a connection', () => {
    const rig = new Rig();
    rig.pool.ready = false;
    const { call, recorder } = callOn(rig);
    expect(call.host).toBeUndefined();
    rig.upstream.connect();
    expect(rig.upstream.messages).toHaveLength(1);
    rig.upstream.answer(bytes);
    expect(recorder.responses).toHaveLength(1);
  });

  it('takes an answer that comes before the call returns', () => {
    const rig = new Rig();
    rig.pool.onRequestEnd = (stream) => stream.answer(bytes);
    const { call, recorder } = callOn(rig);
    expect(recorder.responses).toEqual([response]);
    call.cancel();
    expect(recorder.calls).toBe(1);
  });

  it('takes an answer that comes before the request is out, and resets the rest', () => {
    const rig = new Rig();
    rig.pool.onRequestHeaders = (stream) => stream.respond({ 'grpc-status': '7' }, 200, true);
    const { recorder } = callOn(rig);
    expect(recorder.failure.code).toBe(7);
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(rig.upstream.chunks).toEqual([]);
  });

  it('takes the last of several messages, as Envoy', () => {
    const rig = new Rig();
    const { recorder } = callOn(rig);
    rig.upstream.respond();
    rig.upstream.message(toBinary(CheckResponseSchema, create(CheckResponseSchema)));
    rig.upstream.message(bytes);
    rig.upstream.end();
    expect(recorder.responses).toEqual([response]);
  });

  it('takes an empty message', () => {
    const rig = new Rig();
    const { recorder } = callOn(rig);
    rig.upstream.answer(Buffer.alloc(0));
    expect(recorder.responses).toEqual([create(CheckResponseSchema)]);
  });

  it('keeps nothing of memory that was lent to it', () => {
    const rig = new Rig();
    const schema = Authorization.method.check.output;
    const withUnknown = Buffer.concat([bytes, Buffer.from([0xfa, 0x3f, 3, 1, 2, 3])]);
    const recorder = new UnaryRecorder<typeof schema>();
    rig.client.unary(check, request, undefined, recorder);
    rig.upstream.answer(withUnknown);
    expect(Buffer.from(toBinary(schema, recorder.responses[0]))).toEqual(withUnknown);
  });

  it('counts on its cluster as any request of the proxy', () => {
    const rig = new Rig();
    callOn(rig);
    rig.context.clock.advance(7);
    rig.upstream.answer(bytes);
    expect(rig.counted).toEqual({
      upstream_rq_200: 1,
      upstream_rq_completed: 1,
      'internal.upstream_rq_200': 1,
      'internal.upstream_rq_completed': 1,
    });
    expect(rig.context.stats.samples('cluster.authz.upstream_rq_time')).toEqual([7]);
    expect(rig.context.stats.samples('cluster.authz.internal.upstream_rq_time')).toEqual([7]);
    expect(rig.context.stats.value('http.async-client.rq_total')).toBe(1);
    expect(rig.cluster.hosts[0].stats.rqSuccess.value()).toBe(1);
    expect(rig.cluster.info.charged).toEqual([rig.cluster.hosts[0]]);
  });

  it('is a canary when its host or its answer is', () => {
    const rig = new Rig();
    callOn(rig);
    rig.upstream.answer(bytes, { 'x-envoy-upstream-canary': 'true' });
    expect(rig.counted['canary.upstream_rq_200']).toBe(1);
  });

  it('ends when it is cancelled, and nothing comes of it', () => {
    const rig = new Rig();
    const { call, recorder } = callOn(rig);
    call.cancel();
    call.cancel();
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(rig.counted['upstream_rq_tx_reset']).toBe(1);
    rig.upstream.answer(bytes);
    rig.upstream.lose();
    rig.upstream.drain();
    expect(recorder.calls).toBe(0);
  });

  it('gives up its place in the queue when it is cancelled there', () => {
    const rig = new Rig();
    rig.pool.ready = false;
    const { call, recorder } = callOn(rig);
    call.cancel();
    expect(rig.upstream.cancelled).toBe(true);
    expect(rig.counted['upstream_rq_tx_reset']).toBeUndefined();
    // A pool that calls all the same.
    rig.upstream.connect();
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(rig.upstream.requestHeaders).toBeUndefined();
    expect(recorder.calls).toBe(0);
  });

  it('logs what a callback throws, and hurts nobody', () => {
    const rig = new Rig();
    rig.client.unary(check, request, undefined, {
      onSuccess() {
        throw new Error('oops');
      },
      onFailure() {},
    });
    rig.upstream.answer(bytes);
    expect(rig.context.loggers.lines.join()).toContain(
      'grpc error: a callback of the call /envoy.service.auth.v3.Authorization/Check to authz threw: Error: oops',
    );
  });
});

describe('the promise form', () => {
  it('comes to the answer', async () => {
    const rig = new Rig();
    const promise = rig.client.unaryPromise(check, request);
    rig.upstream.answer(bytes);
    const result = await promise;
    expect(result.ok && result.response).toEqual(response);
    expect(result.status.code).toBe(0);
  });

  it('comes to a status, never a rejection', async () => {
    const rig = new Rig();
    rig.clusters.byName.clear();
    const result = await rig.client.unaryPromise(check, request);
    expect(result).toMatchObject({ ok: false, status: { code: 14, message: 'Cluster not available' } });
  });

  it('is cancelled by its signal', async () => {
    const rig = new Rig();
    const controller = new AbortController();
    const promise = rig.client.unaryPromise(check, request, { signal: controller.signal });
    controller.abort();
    expect(await promise).toMatchObject({ ok: false, status: { code: 1 } });
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(await rig.client.unaryPromise(check, request, { signal: controller.signal })).toMatchObject({
      ok: false,
      status: { code: 1 },
    });
    expect(rig.pool.streams).toHaveLength(1);
  });

  it('lets go of its signal', async () => {
    const rig = new Rig();
    const controller = new AbortController();
    rig.pool.onRequestEnd = (stream) => stream.answer(bytes);
    const result = await rig.client.unaryPromise(check, request, { signal: controller.signal });
    controller.abort();
    expect(result.ok).toBe(true);
    expect(rig.upstream.resetReason).toBeUndefined();
  });
});
