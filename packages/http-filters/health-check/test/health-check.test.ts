import { create, HttpHealthCheckSchema, type MessageInitShape } from '@dragoman/api';
import type { Cluster, HttpFilterContext, ResponseHeaders } from '@dragoman/core';
import { ResponseFlag } from '@dragoman/core';
import {
  httpFilterConformance,
  requestHeaders,
  responseHeaders,
  TestHttpStream,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { healthCheck } from '../src/index.ts';

type Config = MessageInitShape<typeof HttpHealthCheckSchema>;

const PATH = { name: ':path', headerMatchSpecifier: { case: 'exactMatch', value: '/healthz' } } as const;
const PREFIX = 'http.test.health_check.';

const hosts = (count: number) => Array.from({ length: count }) as never[];

/** Hosts of each priority: all, healthy, degraded. */
function cluster(...sets: readonly [number, number, number][]): Cluster {
  const hostSets = sets.map(([all, healthy, degraded]) => ({
    hosts: hosts(all),
    healthyHosts: hosts(healthy),
    degradedHosts: hosts(degraded),
  }));
  return { hostSets } as never;
}

function scene(config: Config, clusters: Record<string, Cluster> = {}) {
  const context = testContext({ clusters: { get: (name) => clusters[name], clusterNames: [] } });
  const message = create(HttpHealthCheckSchema, { headers: [PATH], ...config });
  const createFilter = healthCheck.create(message as never, context as HttpFilterContext);
  const stream = (path = '/healthz') => {
    const one = new TestHttpStream({ request: requestHeaders({ ':path': path }) });
    const filter = createFilter(one as never) as Required<ReturnType<typeof createFilter>>;
    return { stream: one, filter: filter as never as HealthFilter };
  };
  /** A request without a body: what the filter answered, or undefined when it passed. */
  const ask = (path?: string) => {
    const { stream: one, filter } = stream(path);
    const verdict = filter.onRequestHeaders(one.requestHeaders, true);
    expect(verdict).toBe(one.replies.length > 0 ? 'pause' : undefined);
    const [reply] = one.replies;
    const headers = responseHeaders(reply === undefined ? {} : { ':status': String(reply.status) });
    reply?.modifyHeaders?.(headers);
    const respond = (made = headers) => {
      filter.onResponseHeaders(made);
      return made;
    };
    return { reply, info: one.info, respond };
  };
  return { context, stream, ask };
}

interface HealthFilter {
  onRequestHeaders(headers: unknown, endStream: boolean): unknown;
  onRequestBody(chunk: Buffer, endStream: boolean): unknown;
  onRequestTrailers(): unknown;
  onResponseHeaders(headers: ResponseHeaders): void;
}

httpFilterConformance(
  { describe, it },
  {
    extension: healthCheck,
    config: create(HttpHealthCheckSchema, { passThroughMode: true, headers: [PATH] }) as never,
    invalid: [
      { name: 'no mode', config: create(HttpHealthCheckSchema) as never, path: 'pass_through_mode' },
      {
        name: 'a cache for nothing',
        config: create(HttpHealthCheckSchema, {
          passThroughMode: false,
          cacheTime: { seconds: 1n, nanos: 0 },
        }) as never,
        path: 'cache_time',
      },
    ],
  },
);

describe('answering itself', () => {
  const config: Config = { passThroughMode: false };

  it('is well', () => {
    const { ask, context } = scene(config);
    const { reply, info, respond } = ask();
    expect(reply).toEqual({ status: 200, details: 'health_check_ok' });
    expect([info.healthCheck, info.responseFlags]).toEqual([true, 0]);
    expect(respond().get('x-envoy-upstream-healthchecked-cluster')).toBe('test-cluster');
    expect(context.stats.used()).toEqual({ [`${PREFIX}request_total`]: 1, [`${PREFIX}ok`]: 1 });
  });

  it('lets other requests by', () => {
    const { ask, context } = scene(config);
    const { reply, info, respond } = ask('/other');
    expect([reply, info.healthCheck]).toEqual([undefined, false]);
    expect(respond().entries()).toEqual([[':status', '200']]);
    expect(context.stats.used()).toEqual({});
  });

  it('takes every request without headers to match', () => {
    expect(scene({ ...config, headers: [] }).ask('/any').reply?.status).toBe(200);
  });

  it('fails after /healthcheck/fail, and says so on every other response', () => {
    const { ask, context } = scene(config);
    context.drain.healthCheckFailed = true;
    const { reply, info, respond } = ask();
    expect(reply).toEqual({ status: 503, details: 'health_check_failed' });
    expect(info.hasResponseFlag(ResponseFlag.FailedLocalHealthCheck)).toBe(true);
    expect(respond().has('x-envoy-immediate-health-check-fail')).toBe(false);
    expect(ask('/other').respond().get('x-envoy-immediate-health-check-fail')).toBe('true');
    expect(context.stats.used()).toEqual({ [`${PREFIX}request_total`]: 1, [`${PREFIX}failed`]: 1 });
    context.drain.healthCheckFailed = false;
    expect(ask().reply?.status).toBe(200);
  });

  it('waits for the end of the request, and keeps nothing of it', () => {
    const { stream } = scene(config);
    const { stream: one, filter } = stream();
    expect(filter.onRequestHeaders(one.requestHeaders, false)).toBe('collect');
    expect(filter.onRequestBody(Buffer.from('a'), false)).toBe('collect');
    expect(one.replies).toEqual([]);
    expect(filter.onRequestBody(Buffer.from('b'), true)).toBe('collect');
    expect(one.replies.length).toBe(1);
    const { stream: other, filter: second } = stream();
    second.onRequestHeaders(other.requestHeaders, false);
    expect(second.onRequestTrailers()).toBe('pause');
    expect(other.replies.length).toBe(1);
  });
});

describe('cluster_min_healthy_percentages', () => {
  const clusters = {
    half: cluster([4, 2, 0]),
    degraded: cluster([4, 1, 1]),
    priorities: cluster([2, 0, 0], [2, 2, 0]),
    empty: cluster([0, 0, 0]),
    third: cluster([3, 1, 0]),
  };
  it.each<[Record<string, number>, number, string, string?]>([
    [{}, 200, 'health_check_ok'],
    [{ half: 50 }, 200, 'health_check_ok_cluster_healthy'],
    [{ half: 50.9 }, 200, 'health_check_ok_cluster_healthy'],
    [{ half: 51 }, 503, 'health_check_failed_cluster_unhealthy', 'failed_cluster_unhealthy'],
    [{ degraded: 50 }, 200, 'health_check_ok_cluster_healthy'],
    [{ priorities: 50 }, 200, 'health_check_ok_cluster_healthy'],
    [{ third: 33 }, 200, 'health_check_ok_cluster_healthy'],
    [{ third: 34 }, 503, 'health_check_failed_cluster_unhealthy', 'failed_cluster_unhealthy'],
    [{ empty: 0 }, 200, 'health_check_ok_cluster_healthy'],
    [{ empty: 1 }, 503, 'health_check_failed_cluster_empty', 'failed_cluster_empty'],
    [{ none: 0 }, 503, 'health_check_failed_no_cluster_found', 'failed_cluster_not_found'],
    [{ half: 50, none: 0 }, 503, 'health_check_failed_no_cluster_found', 'failed_cluster_not_found'],
    [{ none: 0, empty: 1 }, 503, 'health_check_failed_cluster_empty', 'failed_cluster_empty'],
  ])('%j: %d %s', (percentages, status, details, stat) => {
    const entries = Object.entries(percentages).map(([name, value]) => [name, { value }]);
    const { ask, context } = scene(
      { passThroughMode: false, clusterMinHealthyPercentages: Object.fromEntries(entries) },
      clusters,
    );
    const { reply, info } = ask();
    expect(reply).toEqual({ status, details });
    expect(info.hasResponseFlag(ResponseFlag.FailedLocalHealthCheck)).toBe(status === 503);
    const outcome = status === 200 ? 'ok' : 'failed';
    const expected = { request_total: 1, [outcome]: 1, ...(stat === undefined ? {} : { [stat]: 1 }) };
    for (const [name, value] of Object.entries(expected))
      expect(context.stats.value(PREFIX + name)).toBe(value);
    expect(Object.keys(context.stats.used()).length).toBe(Object.keys(expected).length);
  });
});

describe('passing through', () => {
  it('marks request and response', () => {
    const { ask, context } = scene({ passThroughMode: true });
    const { reply, info, respond } = ask();
    expect([reply, info.healthCheck]).toEqual([undefined, true]);
    expect(respond().get('x-envoy-upstream-healthchecked-cluster')).toBe('test-cluster');
    context.drain.healthCheckFailed = true;
    expect(ask().reply?.status).toBe(503);
  });

  it('remembers an answer until the end of its period', () => {
    const { ask, context } = scene({ passThroughMode: true, cacheTime: { seconds: 1n, nanos: 0 } });
    const { clock } = context;
    clock.advance(900);
    ask().respond(responseHeaders({ ':status': '204', 'x-envoy-degraded': '' }));
    const { reply, respond } = ask();
    expect(reply).toMatchObject({ status: 204, details: 'health_check_cached' });
    expect(respond().get('x-envoy-degraded')).toBe('');
    clock.advance(99);
    expect(ask().reply?.status).toBe(204);
    clock.advance(1);
    expect(ask().reply).toBeUndefined();
    expect(context.stats.used()).toEqual({
      [`${PREFIX}request_total`]: 4,
      [`${PREFIX}ok`]: 2,
      [`${PREFIX}cached_response`]: 2,
      [`${PREFIX}degraded`]: 2,
    });
  });

  it('remembers failures, too', () => {
    const { ask, context } = scene({ passThroughMode: true, cacheTime: { seconds: 1n, nanos: 0 } });
    ask().respond(responseHeaders({ ':status': '500' }));
    const { reply, info } = ask();
    expect(reply).toEqual({ status: 500, details: 'health_check_cached' });
    expect(info.hasResponseFlag(ResponseFlag.FailedLocalHealthCheck)).toBe(true);
    expect(context.stats.value(`${PREFIX}failed`)).toBe(1);
  });
});

describe('config', () => {
  it.each<[Config, string]>([
    [{}, 'pass_through_mode: is required'],
    [{ passThroughMode: false, cacheTime: { seconds: 1n, nanos: 0 } }, 'cache_time: must not be set'],
    [{ passThroughMode: false, headers: [{ name: 'a b' }] }, 'headers[0].name'],
  ])('%#: %s', (config, message) => expect(() => scene(config)).toThrow(message));

  it('warns of what has no effect', () => {
    const { context } = scene({ passThroughMode: true, clusterMinHealthyPercentages: { a: { value: 1 } } });
    expect(context.warnings).toEqual([
      'HealthCheck.cluster_min_healthy_percentages: has no effect with pass_through_mode: true',
    ]);
  });
});
