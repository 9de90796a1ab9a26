import { createFormatterFactory } from '@dragoman/access-log';
import {
  create,
  HealthCheck_GrpcHealthCheckSchema as GrpcHealthCheckSchema,
  type MessageInitShape,
} from '@dragoman/api';
import { type HealthCheckResult, Trailers } from '@dragoman/core';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import { HealthScene, responseHeaders } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grpcHealthChecker } from '../src/index.ts';
import { decodeStatus, encodeRequest } from '../src/messages.ts';

type Config = MessageInitShape<typeof GrpcHealthCheckSchema>;

const GRPC = { 'content-type': 'application/grpc' };
const frame = (...bytes: number[]) => encodeGrpcFrame(Buffer.from(bytes));
const SERVING = frame(8, 1);

function scene(config: Config = {}, hostname = '') {
  const formatters = createFormatterFactory({ hostname: 'proxy.test' });
  const made = new HealthScene({ context: { formatters } });
  const checker = grpcHealthChecker.create(create(GrpcHealthCheckSchema, config) as never, made.context);
  const session = made.session(checker, { hostname });
  made.check(session);
  made.lastHttp.handler.onReady();
  return { scene: made, session };
}

/** Headers, then chunks, then trailers; without the latter two the headers end the stream. */
function answer(
  one: HealthScene,
  headers: Record<string, string>,
  chunks?: readonly Buffer[],
  trailers?: Record<string, string>,
): HealthCheckResult | undefined {
  const { decoder } = one.lastHttp.last;
  decoder.onHeaders(responseHeaders(headers), chunks === undefined && trailers === undefined);
  for (const chunk of chunks ?? []) {
    const borrowed = Buffer.from(chunk);
    decoder.onBody(borrowed, false, false);
    borrowed.fill(0xfe);
  }
  if (trailers !== undefined) {
    const map = new Trailers();
    for (const [name, value] of Object.entries(trailers)) map.append(name, value);
    decoder.onTrailers(map);
  }
  return one.results.at(-1);
}

it('calls Check', () => {
  const { scene: one } = scene({ serviceName: 'users', authority: 'api.test' });
  const { headers, body, ended } = one.lastHttp.last;
  expect(one.lastHttp.protocol).toBe('http2');
  expect(headers.entries()).toEqual([
    [':authority', 'api.test'],
    [':path', '/grpc.health.v1.Health/Check'],
    [':method', 'POST'],
    [':scheme', 'http'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['user-agent', 'Envoy/HC'],
    ['grpc-timeout', '2000m'],
  ]);
  expect(body.toString('latin1')).toBe('\u0000\u0000\u0000\u0000\u0007\n\u0005users');
  expect(ended).toBe(true);
});

it.each<[Config, string, string]>([
  [{}, '', 'test'],
  [{ authority: 'api.test' }, 'one.test', 'one.test'],
])('authority of %j and %j: %s', (config, hostname, expected) => {
  expect(scene(config, hostname).scene.lastHttp.last.headers.authority).toBe(expected);
});

it('adds metadata', () => {
  const { scene: one } = scene({
    initialMetadata: [
      { header: { key: 'x-proxy', value: '%HOSTNAME%' } },
      { header: { key: 'grpc-timeout', value: '1H' }, appendAction: 2 },
    ],
  });
  expect(one.lastHttp.last.headers.get('x-proxy')).toBe('proxy.test');
  expect(one.lastHttp.last.headers.getAll('grpc-timeout')).toEqual(['2000m']);
});

describe('answers', () => {
  const OK = { 'grpc-status': '0' };
  it.each<[string, Record<string, string>, Buffer[] | undefined, Record<string, string> | undefined, string]>(
    [
      ['serving', GRPC, [SERVING], OK, 'healthy'],
      ['in pieces', GRPC, [...SERVING].map((byte) => Buffer.from([byte])), OK, 'healthy'],
      ['with fields of its own', GRPC, [frame(8, 1, 18, 1, 65)], OK, 'healthy'],
      ['an empty frame before', GRPC, [frame(), SERVING], OK, 'healthy'],
      ['+proto', { 'content-type': 'application/grpc+proto' }, [SERVING], OK, 'healthy'],
      ['not serving', GRPC, [frame(8, 2)], OK, 'not_serving'],
      ['unknown', GRPC, [frame(8, 0)], OK, 'unknown'],
      ['service unknown', GRPC, [frame(8, 3)], OK, 'service_unknown'],
      ['a new status', GRPC, [frame(8, 9)], OK, 'serving status 9'],
      ['no message', GRPC, [], OK, 'no message'],
      ['an empty message', GRPC, [frame()], OK, 'no message'],
      ['half a message', GRPC, [SERVING.subarray(0, 6)], OK, 'no message'],
      [
        'a status with a text',
        GRPC,
        [SERVING],
        { 'grpc-status': '14', 'grpc-message': 'busy%21' },
        'gRPC status 14: busy!',
      ],
      ['no status', GRPC, [SERVING], {}, 'gRPC status 13: the trailers have no grpc-status'],
      ['a broken status', GRPC, [SERVING], { 'grpc-status': 'x' }, 'gRPC status -1'],
      ['trailers only', { ...GRPC, 'grpc-status': '12' }, undefined, undefined, 'gRPC status 12'],
      ['trailers only, status 0', { ...GRPC, 'grpc-status': '0' }, undefined, undefined, 'no message'],
      ['nothing', GRPC, undefined, undefined, 'gRPC status 13: the answer is not gRPC'],
      ['not gRPC', { 'content-type': 'text/html' }, [], undefined, 'gRPC status 13: the answer is not gRPC'],
      ['503', { ':status': '503' }, [], undefined, 'gRPC status 14: HTTP status 503 without a gRPC status'],
      ['503 with a status', { ':status': '503', 'grpc-status': '8' }, undefined, undefined, 'gRPC status 8'],
      ['two messages', GRPC, [SERVING, SERVING], undefined, 'gRPC status 13: more than one message'],
      [
        'compressed',
        GRPC,
        [encodeGrpcFrame(Buffer.from([8, 1]), 1)],
        undefined,
        'gRPC status 13: unknown flags 0x1',
      ],
      ['no protobuf', GRPC, [frame(0xff)], undefined, 'no grpc.health.v1.HealthCheckResponse'],
      [
        'a message without end',
        GRPC,
        [Buffer.from([0, 255, 255, 255, 255])],
        undefined,
        'the limit is 65536',
      ],
    ],
  )('%s', (_name, headers, chunks, trailers, expected) => {
    const { scene: one } = scene();
    const result = answer(one, headers, chunks, trailers);
    if (expected === 'healthy') expect(result).toEqual({ ok: true });
    else {
      expect(result).toMatchObject({ ok: false, kind: 'active' });
      expect((result as { reason: string }).reason).toContain(expected);
    }
  });

  it('ends without trailers', () => {
    const { scene: one } = scene();
    answer(one, GRPC, []);
    one.lastHttp.last.decoder.onBody(SERVING, true, false);
    expect(one.results).toMatchObject([{ ok: false, reason: expect.stringContaining('without trailers') }]);
  });

  it.each([
    [SERVING, { 'grpc-status': '0' }, true],
    [frame(8, 2), { 'grpc-status': '0' }, true],
    [frame(0xff), {}, false],
  ])('keeps the connection when the answer was read to its end', (chunk, trailers, kept) => {
    const { scene: one, session } = scene();
    answer(one, GRPC, [chunk], trailers);
    expect(one.lastHttp.closed).toBe(!kept);
    one.check(session);
    expect(one.http.length).toBe(kept ? 1 : 2);
    if (!kept) one.lastHttp.handler.onReady();
    expect(answer(one, GRPC, [SERVING], { 'grpc-status': '0' })).toEqual({ ok: true });
  });

  it('lets a check finish after GOAWAY, and is unreachable after a reset', () => {
    const { scene: one, session } = scene();
    one.lastHttp.handler.onClosed('GOAWAY');
    expect(answer(one, GRPC, [SERVING], { 'grpc-status': '0' })).toEqual({ ok: true });
    one.check(session);
    one.lastHttp.handler.onReady();
    one.lastHttp.last.decoder.onReset('remote-reset', '');
    expect(one.results[1]).toEqual({ ok: false, kind: 'network', reason: 'stream reset: remote-reset' });
    expect(one.http.length).toBe(2);
  });
});

describe('messages', () => {
  it.each([
    ['', ''],
    ['users', '0a057573657273'],
    ['é', '0a02c3a9'],
  ])('%j', (service, hex) => expect(Buffer.from(encodeRequest(service)).toString('hex')).toBe(hex));

  it.each<[number[], number | undefined]>([
    [[], 0],
    [[8, 1], 1],
    [[8, 2, 8, 1], 1],
    [[8], undefined],
    [[10, 5, 1], undefined],
    [[15], undefined],
    [[0, 1], undefined],
  ])('%j is status %s', (bytes, status) => expect(decodeStatus(Uint8Array.from(bytes))).toBe(status));

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const status = decodeStatus(bytes);
        expect(status === undefined || Number.isInteger(status)).toBe(true);
        const { scene: one } = scene();
        answer(one, GRPC, [Buffer.from(bytes)], {});
        expect(one.results).toMatchObject([{ ok: false, kind: 'active' }]);
      }),
      { seed: 17, numRuns: 200 },
    );
  });
});
