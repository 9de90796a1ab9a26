import type { ClusterInfo, ClusterManager } from '@dragoman/core';
import { MemoryStats, requestHeaders, SeededRandom, TestHttpStream } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clusterOfStream, GrpcCallStats, grpcCallOf } from '../src/index.ts';

function clusterWith(stats: MemoryStats, name = 'users'): ClusterInfo {
  return { name, statsScope: stats.scope(`cluster.${name}`) } as Partial<ClusterInfo> as ClusterInfo;
}

describe('grpcCallOf', () => {
  it.each([
    ['/acme.Users/Get', 'acme.Users', 'Get'],
    ['acme.Users/Get', 'acme.Users', 'Get'],
    ['//acme.Users//Get/', 'acme.Users', 'Get'],
    ['/acme.Users/Get?a=/b/c', 'acme.Users', 'Get'],
  ])('%j is %s.%s', (path, service, method) => {
    expect(grpcCallOf(path)).toEqual({ service, method });
  });

  it.each(['', '/', '*', '/a', '/a/', '/a/b/c', '/a?/b', '?a/b', '///'])('%j is no call', (path) => {
    expect(grpcCallOf(path)).toBeUndefined();
  });

  it('agrees with splitting at slashes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('/', '?', 'a', '.'), maxLength: 12 }), (path) => {
        const parts = (path.split('?')[0] as string).split('/').filter((part) => part !== '');
        const [service, method] = parts;
        expect(grpcCallOf(path)).toEqual(parts.length === 2 ? { service, method } : undefined);
      }),
    );
  });

  it('takes a long path in its stride', () => {
    expect(grpcCallOf(`${'/'.repeat(60_000)}a${'/'.repeat(60_000)}`)).toBeUndefined();
  });
});

describe('GrpcCallStats', () => {
  it('counts calls under their names, and makes what it counts', () => {
    const stats = new MemoryStats();
    const call = new GrpcCallStats('grpc').of(clusterWith(stats), { service: 'acme.Users', method: 'Get' });
    expect(stats.names).toEqual([]);
    call.chargeStatus('0');
    call.chargeStatus('14');
    call.chargeStatus(undefined);
    call.chargeOutcome(true);
    call.addRequestMessages(2);
    call.addResponseMessages(3);
    call.recordUpstreamTime(7);
    expect(stats.used()).toEqual({
      'cluster.users.grpc.acme.Users.Get.0': 1,
      'cluster.users.grpc.acme.Users.Get.14': 1,
      'cluster.users.grpc.acme.Users.Get.failure': 1,
      'cluster.users.grpc.acme.Users.Get.request_message_count': 2,
      'cluster.users.grpc.acme.Users.Get.response_message_count': 3,
      'cluster.users.grpc.acme.Users.Get.success': 2,
      'cluster.users.grpc.acme.Users.Get.total': 3,
    });
    expect(stats.samples('cluster.users.grpc.acme.Users.Get.upstream_rq_time')).toEqual([7]);
  });

  it('counts calls without a name, and by protocol and cluster', () => {
    const stats = new MemoryStats();
    const web = new GrpcCallStats('grpc-web');
    web.of(clusterWith(stats), undefined).chargeStatus('1');
    web.of(clusterWith(stats, 'other'), { service: 's', method: 'm' }).chargeStatus('0');
    expect(stats.used()).toEqual({
      'cluster.other.grpc-web.s.m.0': 1,
      'cluster.other.grpc-web.s.m.success': 1,
      'cluster.other.grpc-web.s.m.total': 1,
      'cluster.users.grpc-web.1': 1,
      'cluster.users.grpc-web.failure': 1,
      'cluster.users.grpc-web.total': 1,
    });
  });

  it('bounds the calls that get stats of their own', () => {
    const stats = new MemoryStats();
    const cluster = clusterWith(stats);
    const calls = new GrpcCallStats('grpc', { maxCallNames: 3 });
    for (let i = 0; i < 10; i++) calls.of(cluster, { service: 's', method: `m${i}` }).chargeOutcome(true);
    calls.of(cluster, { service: 's', method: 'm0' }).chargeOutcome(true);
    calls.of(cluster, { service: 's'.repeat(600), method: 'm' }).chargeOutcome(true);
    expect(stats.used()).toMatchObject({
      'cluster.users.grpc.s.m0.total': 2,
      'cluster.users.grpc.s.m2.total': 1,
      'cluster.users.grpc.total': 8,
    });
  });

  it('bounds the statuses that an upstream can make up', () => {
    const stats = new MemoryStats();
    const call = new GrpcCallStats('grpc').of(clusterWith(stats), undefined);
    for (let i = 0; i < 1000; i++) call.chargeStatus(String(i));
    for (const odd of ['', 'x'.repeat(17)]) call.chargeStatus(odd);
    expect(stats.used()).toMatchObject({
      'cluster.users.grpc.16': 1,
      'cluster.users.grpc.17': 1,
      'cluster.users.grpc.success': 1,
      'cluster.users.grpc.failure': 1001,
      'cluster.users.grpc.total': 1002,
    });
    expect(stats.names).toHaveLength(17 + 32 + 3);
  });
});

describe('clusterOfStream', () => {
  const random = new SeededRandom();
  const stats = new MemoryStats();
  const users = clusterWith(stats);
  const clusters: ClusterManager = {
    get: (name) => (name === 'users' ? ({ info: users } as never) : undefined),
    clusterNames: ['users'],
  };
  const routeTo = (name: string) => ({ action: { kind: 'forward', clusterName: () => name } }) as never;

  it('is the one that the router has chosen', () => {
    const stream = new TestHttpStream({ route: routeTo('users') });
    const chosen = clusterWith(stats, 'chosen');
    stream.info.upstreamClusterInfo = chosen;
    expect(clusterOfStream(stream, clusters, random)).toBe(chosen);
  });

  it('is else the one of the route', () => {
    const request = requestHeaders();
    expect(clusterOfStream(new TestHttpStream({ request, route: routeTo('users') }), clusters, random)).toBe(
      users,
    );
    expect(
      clusterOfStream(new TestHttpStream({ request, route: routeTo('none') }), clusters, random),
    ).toBeUndefined();
  });

  it('is none without a route that goes to one', () => {
    expect(clusterOfStream(new TestHttpStream(), clusters, random)).toBeUndefined();
    const route = { action: { kind: 'direct-response' } } as never;
    expect(clusterOfStream(new TestHttpStream({ route }), clusters, random)).toBeUndefined();
  });
});
