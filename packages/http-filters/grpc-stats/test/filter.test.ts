import { create, GrpcStatsFilterConfigSchema, type MessageInitShape } from '@dragoman/api';
import { type ClusterInfo, type CreateHttpFilter, type HttpFilter, Trailers } from '@dragoman/core';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import {
  httpFilterConformance,
  requestHeaders,
  responseHeaders,
  TestHttpStream,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { grpcStats } from '../src/index.ts';

type Fields = MessageInitShape<typeof GrpcStatsFilterConfigSchema>;
const config = (fields: Fields = {}) => create(GrpcStatsFilterConfigSchema, fields) as never;
const all: Fields = { perMethodStatSpecifier: { case: 'statsForAllMethods', value: { value: true } } };
const listed: Fields = {
  perMethodStatSpecifier: {
    case: 'individualMethodStatsAllowlist',
    value: {
      services: [{ name: 'BadCompanions', methodNames: ['GetBadCompanions', 'AnotherMethod'] }],
    },
  },
};

httpFilterConformance({ describe, it }, { extension: grpcStats, config: config(all) });

function trailers(fields: Record<string, string>): Trailers {
  const made = new Trailers();
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return made;
}

class Scene {
  readonly context = testContext();
  readonly stream: TestHttpStream;
  readonly filter: HttpFilter;
  readonly cluster: ClusterInfo = {
    name: 'c',
    statsScope: this.context.stats.scope('cluster.c'),
  } as Partial<ClusterInfo> as ClusterInfo;

  constructor(fields: Fields, request: Record<string, string>) {
    this.stream = new TestHttpStream({ request: requestHeaders(request) });
    this.stream.info.upstreamClusterInfo = this.cluster;
    this.filter = (grpcStats.create(config(fields), this.context) as CreateHttpFilter)(this.stream);
  }

  request(chunks: readonly Buffer[] = []): void {
    this.filter.onRequestHeaders?.(this.stream.requestHeaders, chunks.length === 0);
    for (const [i, chunk] of chunks.entries()) this.filter.onRequestBody?.(chunk, i === chunks.length - 1);
  }

  response(
    headers: Record<string, string>,
    chunks: readonly Buffer[] = [],
    end?: Record<string, string>,
  ): void {
    this.filter.onResponseHeaders?.(responseHeaders(headers), chunks.length === 0 && end === undefined);
    for (const [i, chunk] of chunks.entries())
      this.filter.onResponseBody?.(chunk, end === undefined && i === chunks.length - 1);
    if (end !== undefined) this.filter.onResponseTrailers?.(trailers(end));
  }

  /** Below `cluster.c.grpc.`. */
  get counted(): Record<string, number> {
    const entries = Object.entries(this.context.stats.used());
    return Object.fromEntries(entries.map(([name, value]) => [name.replace('cluster.c.grpc.', ''), value]));
  }
}

const GRPC = { 'content-type': 'application/grpc', ':path': '/BadCompanions/GetBadCompanions' };
const LYFT = { 'content-type': 'application/grpc', ':path': '/lyft.users.BadCompanions/GetBadCompanions' };
const frame = (text: string) => encodeGrpcFrame(Buffer.from(text));

describe('what a call is counted as', () => {
  it.each([
    ['all methods', all, LYFT, 'lyft.users.BadCompanions.GetBadCompanions.'],
    [
      '+proto',
      all,
      { ...LYFT, 'content-type': 'application/grpc+proto' },
      'lyft.users.BadCompanions.GetBadCompanions.',
    ],
    [
      'dots replaced',
      { ...all, replaceDotsInGrpcServiceName: true },
      LYFT,
      'lyft_users_BadCompanions.GetBadCompanions.',
    ],
    ['listed', listed, GRPC, 'BadCompanions.GetBadCompanions.'],
    ['another method', listed, { ...GRPC, ':path': '/BadCompanions/GetGoodCompanions' }, ''],
    ['another service', listed, { ...GRPC, ':path': '/GoodCompanions/GetBadCompanions' }, ''],
    [
      'not all methods',
      { perMethodStatSpecifier: { case: 'statsForAllMethods', value: { value: false } } as const },
      GRPC,
      '',
    ],
    ['no specifier', {}, GRPC, ''],
  ])('%s', (_, fields, request, prefix) => {
    const scene = new Scene(fields, request);
    scene.request();
    scene.response({}, [Buffer.from('hello')], { 'grpc-status': '0' });
    expect(scene.counted).toEqual({ [`${prefix}0`]: 1, [`${prefix}success`]: 1, [`${prefix}total`]: 1 });
  });

  it.each([
    ['another type', { ...GRPC, 'content-type': 'application/json' }],
    ['a path that is no call', { ...GRPC, ':path': '/a/b/c' }],
    ['no path', { ...GRPC, ':path': '' }],
  ])('nothing of %s', (_, request) => {
    const scene = new Scene(all, request);
    scene.request([frame('a')]);
    scene.response({}, [], { 'grpc-status': '0' });
    scene.filter.onComplete?.();
    expect(scene.counted).toEqual({});
  });

  it('warns of a field that changes nothing', () => {
    const { context } = new Scene({ ...listed, replaceDotsInGrpcServiceName: true }, GRPC);
    expect(context.warnings).toEqual([
      'replace_dots_in_grpc_service_name: has no effect without stats_for_all_methods: true',
    ]);
    expect(new Scene({ ...all, replaceDotsInGrpcServiceName: true }, GRPC).context.warnings).toEqual([]);
  });

  it('the path before the router rewrites it', () => {
    const scene = new Scene(all, GRPC);
    scene.request();
    scene.stream.requestHeaders.path = '/other/Path';
    scene.response({ 'grpc-status': '0' });
    expect(scene.counted).toHaveProperty('BadCompanions.GetBadCompanions.success', 1);
  });
});

describe('how calls end', () => {
  it('by trailers only', () => {
    const scene = new Scene({}, GRPC);
    scene.request();
    scene.response({ 'grpc-status': '1' });
    expect(scene.counted).toEqual({ '1': 1, failure: 1, total: 1 });
  });

  it('without a status: not counted', () => {
    const scene = new Scene({}, GRPC);
    scene.request();
    scene.response({ ':status': '503' });
    expect(scene.counted).toEqual({});
  });

  it('before the router ran: for the cluster of the route', () => {
    const scene = new Scene({}, GRPC);
    const { stream, context } = scene;
    stream.info.upstreamClusterInfo = undefined;
    stream.route = { action: { kind: 'forward', clusterName: () => 'c' } } as never;
    Object.assign(context.clusters, { get: () => ({ info: scene.cluster }) });
    scene.request([frame('a')]);
    expect(scene.counted).toEqual({});
    scene.response({ 'grpc-status': '16' });
    expect(scene.counted).toEqual({ '16': 1, failure: 1, total: 1, request_message_count: 1 });
  });

  it('without any cluster: not counted', () => {
    const scene = new Scene({}, GRPC);
    scene.stream.info.upstreamClusterInfo = undefined;
    scene.request([frame('a')]);
    scene.response({ 'grpc-status': '16' });
    scene.filter.onComplete?.();
    expect(scene.counted).toEqual({});
  });

  it('by a reset: with the messages that came', () => {
    const scene = new Scene({}, GRPC);
    scene.stream.info.upstreamClusterInfo = undefined;
    scene.request([frame('a'), frame('b')]);
    scene.stream.info.upstreamClusterInfo = scene.cluster;
    scene.filter.onComplete?.();
    expect(scene.counted).toEqual({ request_message_count: 2 });
  });
});

describe('messages', () => {
  it('are counted both ways, and shown to logs', () => {
    const scene = new Scene({ ...all, emitFilterState: true }, LYFT);
    const prefix = 'lyft.users.BadCompanions.GetBadCompanions';
    const state = () => scene.stream.info.filterState.get('envoy.filters.http.grpc_stats');
    scene.filter.onRequestHeaders?.(scene.stream.requestHeaders, false);
    expect(state()).toBeUndefined();
    scene.filter.onRequestBody?.(frame('v1'), false);
    scene.filter.onRequestBody?.(frame('v2'), true);
    expect(scene.counted).toEqual({ [`${prefix}.request_message_count`]: 2 });
    expect([state()?.toText?.(), state()?.toJson?.()]).toEqual(['2,0', { request_message_count: '2' }]);
    scene.filter.onResponseHeaders?.(responseHeaders({ 'content-type': 'application/grpc+proto' }), false);
    scene.filter.onResponseBody?.(Buffer.concat([frame('v1'), frame('v2')]), false);
    scene.filter.onResponseBody?.(frame('v1'), true);
    expect(scene.counted).toEqual({
      [`${prefix}.request_message_count`]: 2,
      [`${prefix}.response_message_count`]: 3,
    });
    expect([state()?.toText?.(), state()?.toJson?.()]).toEqual([
      '2,3',
      { request_message_count: '2', response_message_count: '3' },
    ]);
  });

  it('are not looked for in an answer that is no gRPC, nor shown unless asked for', () => {
    const scene = new Scene({}, GRPC);
    scene.request([frame('a')]);
    scene.response({ ':status': '503', 'content-type': 'application/grpc' }, [frame('x')]);
    scene.response({ 'content-type': 'text/html' }, [frame('x')]);
    expect(scene.counted).toEqual({ request_message_count: 1 });
    expect(scene.stream.info.hasFilterState).toBe(false);
  });
});

describe('enable_upstream_stats', () => {
  const time = 'cluster.c.grpc.upstream_rq_time';
  it.each([
    ['trailers', GRPC, {}, [frame('a')], { 'grpc-status': '0' }],
    ['trailers only', GRPC, { ':status': '500' }, [], undefined],
    [
      'the body of a unary answer of Connect',
      { ':path': '/s/m', 'connect-protocol-version': '1' },
      {},
      [Buffer.from('{}')],
      undefined,
    ],
  ])('records the time at %s', (_, request, headers, body, end) => {
    const scene = new Scene({ enableUpstreamStats: true }, request);
    Object.assign(scene.stream.info, { lastUpstreamTxByteSent: 20.4, lastUpstreamRxByteReceived: 30.9 });
    scene.request();
    scene.response(headers as Record<string, string>, body, end);
    expect(scene.context.stats.samples(time)).toEqual([10]);
  });

  it('records nothing without both times, or without being asked', () => {
    const silent = new Scene({ enableUpstreamStats: true }, GRPC);
    silent.stream.info.lastUpstreamRxByteReceived = 30;
    silent.request();
    silent.response({ 'grpc-status': '0' });
    expect(silent.context.stats.samples(time)).toEqual([]);
    const unasked = new Scene({}, GRPC);
    Object.assign(unasked.stream.info, { lastUpstreamTxByteSent: 20, lastUpstreamRxByteReceived: 30 });
    unasked.request();
    unasked.response({ 'grpc-status': '0' });
    expect(unasked.context.stats.samples(time)).toEqual([]);
  });

  it('takes an answer that was there before the end of the request for none', () => {
    const scene = new Scene({ enableUpstreamStats: true }, GRPC);
    Object.assign(scene.stream.info, { lastUpstreamTxByteSent: 40, lastUpstreamRxByteReceived: 30 });
    scene.request();
    scene.response({ 'grpc-status': '0' });
    expect(scene.context.stats.samples(time)).toEqual([0]);
  });
});

describe('Connect', () => {
  const unary = { ':path': '/s/m', 'content-type': 'application/json', 'connect-protocol-version': '1' };
  const streaming = {
    ':path': '/s/m',
    'content-type': 'application/connect+json',
    'connect-protocol-version': '1',
  };
  const end = (json: string) => encodeGrpcFrame(Buffer.from(json), 2);

  it.each([
    ['200', 'success'],
    ['400', 'failure'],
  ])('a unary call with %s is a %s', (status, outcome) => {
    const scene = new Scene({ ...all, emitFilterState: true }, unary);
    scene.request([Buffer.from('{'), Buffer.from('}')]);
    scene.response({ ':status': status }, [Buffer.from('{'), Buffer.from('}')]);
    expect(scene.counted).toEqual({
      [`s.m.${outcome}`]: 1,
      's.m.total': 1,
      's.m.request_message_count': 1,
      's.m.response_message_count': 1,
    });
    expect(scene.stream.info.filterState.get('envoy.filters.http.grpc_stats')?.toText?.()).toBe('1,1');
  });

  it.each([
    ['{}', 'success'],
    ['{"error":{"code":"internal"}}', 'failure'],
  ])('a stream that ends with %s is a %s', (json, outcome) => {
    const scene = new Scene({}, streaming);
    scene.request([frame('a'), frame('b')]);
    scene.response({ 'content-type': 'application/connect+json' }, [frame('x'), end(json)]);
    expect(scene.counted).toEqual({
      [outcome]: 1,
      total: 1,
      request_message_count: 2,
      response_message_count: 1,
    });
  });

  it('a stream refused by the proxy has the status of gRPC', () => {
    const scene = new Scene({}, streaming);
    scene.request();
    scene.response({ 'grpc-status': '14' });
    expect(scene.counted).toEqual({ '14': 1, failure: 1, total: 1 });
  });
});
