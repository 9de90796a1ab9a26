import {
  ApiConfigSource_ApiType,
  ApiConfigSourceSchema,
  ClusterSchema,
  ConfigSourceSchema,
  create,
  durationFromMs,
  type MessageInitShape,
  NodeSchema,
  VirtualHostSchema,
} from '@dragoman/api';
import { ConfigError, type ConfigSubscription } from '@dragoman/core';
import { FakeClock, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { createOtherSources, createRestSubscription, type RestSourceContext } from '../src/index.ts';
import { clustersOf, RestCluster } from './support/rest-cluster.ts';
import { Subscriber } from './support/subscriber.ts';

const TYPE = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

let clock: FakeClock;
let stats: MemoryStats;
let cluster: RestCluster;
let clusters: ReturnType<typeof clustersOf>;
let context: RestSourceContext;
let loggers: RecordingLoggers;
let subscriber: Subscriber<typeof ClusterSchema>;

beforeEach(() => {
  clock = new FakeClock();
  stats = new MemoryStats();
  cluster = new RestCluster('control', stats);
  clusters = clustersOf(cluster);
  loggers = new RecordingLoggers();
  subscriber = new Subscriber(ClusterSchema);
  context = {
    clock,
    loggers,
    clusters,
    random: { random: () => 0, next: () => 2300, uuid: () => '' },
    localInfo: { address: '192.0.2.2' },
    stats,
    node: create(NodeSchema, { id: 'n', cluster: 'c', metadata: { a: 1 } }),
  };
});

type Source = MessageInitShape<typeof ApiConfigSourceSchema>;

function source(over: Source = {}) {
  return create(ApiConfigSourceSchema, {
    apiType: ApiConfigSource_ApiType.REST,
    clusterNames: ['control'],
    refreshDelay: durationFromMs(2000),
    ...over,
  } as Source);
}

/** Subscribes; the first request is out. */
function subscribe(names?: readonly string[], initialFetchMs = 15_000): ConfigSubscription {
  const owner = create(ConfigSourceSchema, { initialFetchTimeout: durationFromMs(initialFetchMs) });
  const subscription = createRestSubscription(subscriber.options(names, owner), source(), context);
  clock.advance(0);
  return subscription;
}

function response(version: string, ...names: string[]) {
  return { version_info: version, resources: names.map((name) => ({ '@type': TYPE, name })) };
}

describe('a REST service', () => {
  it('is sent a DiscoveryRequest as JSON', () => {
    subscribe(['b', 'a']);
    expect(cluster.last.headersSent?.entries()).toEqual([
      [':authority', 'control'],
      [':path', '/v3/discovery:clusters'],
      [':method', 'POST'],
      [':scheme', 'http'],
      ['content-type', 'application/json'],
      ['content-length', String(cluster.last.bodySent.length)],
      ['x-envoy-internal', 'true'],
      ['x-forwarded-for', '192.0.2.2'],
      ['x-envoy-expected-rq-timeout-ms', '1000'],
    ]);
    expect(cluster.last.json).toEqual({
      node: { id: 'n', cluster: 'c', metadata: { a: 1 } },
      resource_names: ['a', 'b'],
      type_url: TYPE,
    });
    expect(stats.value('http.async-client.rq_total')).toBe(1);
  });

  it('is asked again after refresh_delay and some of it at random, with the version it gave', () => {
    subscribe();
    clock.advance(40);
    cluster.last.answer(response('1', 'a', 'b'));
    expect(subscriber.seen).toEqual(['1: a b']);
    expect(subscriber.updates[0]).toMatchObject({ full: true, removed: [] });
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_success: 1 });
    expect(subscriber.stats.text('s.version_text')).toBe('1');
    // 2300 modulo 2000.
    clock.advance(2299);
    expect(cluster.exchanges).toHaveLength(1);
    clock.advance(1);
    expect(cluster.exchanges).toHaveLength(2);
    expect(cluster.last.json['version_info']).toBe('1');
    cluster.last.answer(response('2', 'a'));
    expect(subscriber.seen).toEqual(['1: a b', '2: a']);
    expect(stats.samples('cluster.control.upstream_rq_time')).toEqual([40, 0]);
    expect(stats.value('cluster.control.internal.upstream_rq_200')).toBe(2);
  });

  it('may have nothing new (304)', () => {
    subscribe();
    cluster.last.answer('', 304);
    expect([subscriber.updates, subscriber.failures]).toEqual([[], []]);
    expect(subscriber.counts).toEqual({ update_attempt: 1 });
    clock.advance(2300);
    expect(cluster.exchanges).toHaveLength(2);
  });

  it('may send what this proxy does not know: it is warned of', () => {
    subscribe();
    const body = response('1', 'a');
    Object.assign(body.resources[0] ?? {}, { from_the_future: 1 });
    cluster.last.answer(body);
    expect(subscriber.seen).toEqual(['1: a']);
    expect(loggers.lines.join('\n')).toMatch(
      /control\/v3\/discovery:clusters:1:\d+: resources\[0\].from_the_future/,
    );
  });

  it('gives the names that are wanted, and is asked at once when those change', () => {
    const subscription = subscribe(['a']);
    cluster.last.answer(response('1', 'a', 'b'));
    subscription.setNames(['a']);
    clock.advance(0);
    expect(cluster.exchanges).toHaveLength(1);
    subscription.setNames(['b']);
    clock.advance(0);
    expect(cluster.last.json['resource_names']).toEqual(['b']);
    // While it is being asked.
    subscription.setNames(['c', 'b']);
    cluster.last.answer(response('1', 'a', 'b'));
    clock.advance(0);
    expect(cluster.last.json['resource_names']).toEqual(['b', 'c']);
    expect(subscriber.seen).toEqual(['1: a', '1: b']);
  });

  it('is not asked for nothing', () => {
    const subscription = subscribe([]);
    clock.advance(10_000);
    expect(cluster.exchanges).toHaveLength(0);
    subscription.setNames(['a']);
    clock.advance(0);
    expect(cluster.exchanges).toHaveLength(1);
  });

  it('waits until its subscriber is done', async () => {
    let open = (): void => {};
    subscriber.onUpdate = () =>
      new Promise((resolve) => {
        open = resolve;
      });
    subscribe();
    cluster.last.answer(response('1', 'a'));
    await clock.advanceAsync(60_000);
    expect(cluster.exchanges).toHaveLength(1);
    expect(subscriber.counts['update_success']).toBeUndefined();
    open();
    await clock.advanceAsync(2300);
    expect(subscriber.counts['update_success']).toBe(1);
    expect(cluster.exchanges).toHaveLength(2);
  });

  it('is left alone once it was stopped', () => {
    const subscription = subscribe();
    subscription.stop();
    expect(cluster.last.resetReason).toBe('local-reset');
    expect(clock.pendingTimers).toBe(0);
    subscription.setNames(['a']);
    expect(clock.pendingTimers).toBe(0);
    cluster.ready = false;
    subscribe().stop();
    expect(cluster.last.cancelled).toBe(true);
    expect([subscriber.updates, subscriber.failures]).toEqual([[], []]);
  });

  it('goes to https, with what the cluster makes of the request', () => {
    cluster = new RestCluster('control', stats, {
      secure: true,
      transportOptions: (headers) => ({ key: '', serverNameOverride: headers?.authority ?? '' }),
    });
    clusters.byName.set('control', cluster);
    subscribe();
    expect(cluster.last.headersSent?.scheme).toBe('https');
    expect(cluster.wishes).toEqual([{ transport: { key: '', serverNameOverride: 'control' } }]);
  });
});

describe('what goes wrong is told, and asked for again', () => {
  const failures: [string, () => void, string, Record<string, number>][] = [
    [
      'another status',
      () => cluster.last.answer('no', 503),
      'it answered with status 503',
      { upstream_rq_503: 1 },
    ],
    [
      'no connection',
      () => cluster.last.fail('remote-connection-failure', 'ECONNREFUSED'),
      'no connection to 10.0.0.1:80: remote-connection-failure: ECONNREFUSED',
      { upstream_rq_503: 1 },
    ],
    [
      'no room',
      () => cluster.last.fail('overflow'),
      'no connection to the cluster: overflow',
      { upstream_rq_503: 1 },
    ],
    [
      'a reset before the answer',
      () => {
        cluster.last.connect();
        cluster.last.lose('remote-reset');
      },
      'the connection broke: remote-reset',
      { upstream_rq_503: 1, upstream_rq_rx_reset: 1 },
    ],
    [
      'a reset in the answer',
      () => {
        cluster.last.connect();
        cluster.last.head(200, false);
        cluster.last.lose('connection-termination');
      },
      'the connection broke: connection-termination',
      { upstream_rq_200: 1, upstream_rq_rx_reset: 1 },
    ],
    [
      'silence',
      () => {
        cluster.last.connect();
        clock.advance(1000);
      },
      'no answer within 1000 ms',
      { upstream_rq_504: 1, upstream_rq_timeout: 1, upstream_rq_tx_reset: 1 },
    ],
    [
      'no connection in time',
      () => clock.advance(1000),
      'no answer within 1000 ms',
      { upstream_rq_504: 1, upstream_rq_timeout: 1 },
    ],
    [
      'an answer that says it is too long',
      () => {
        cluster.last.connect();
        cluster.last.head(200, false, { 'content-length': '67108865' });
      },
      'the response has more than 67108864 bytes',
      { upstream_rq_200: 1, upstream_rq_tx_reset: 1 },
    ],
    [
      'an answer that is too long',
      () => {
        cluster.last.connect();
        cluster.last.head(200, false);
        for (let i = 0; i < 5 && cluster.last.resetReason === undefined; i++)
          cluster.last.chunk(Buffer.alloc(16 * 1024 * 1024), false);
      },
      'the response has more than 67108864 bytes',
      { upstream_rq_200: 1, upstream_rq_tx_reset: 1 },
    ],
  ];

  it.each(failures)('%s', (_what, play, details, counts) => {
    cluster.ready = false;
    subscribe();
    play();
    expect(subscriber.failures).toEqual([`connection: control/v3/discovery:clusters: ${details}`]);
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_failure: 1 });
    const charged = Object.entries(stats.used())
      .filter(([name]) => name.startsWith('cluster.control.'))
      .map(([name, value]) => [name.replace(/^cluster\.control\.(internal\.)?/, ''), value]);
    expect(Object.fromEntries(charged)).toEqual(counts);
    clock.advance(2300);
    expect(cluster.exchanges).toHaveLength(2);
  });

  it('no host, no cluster, and maintenance', () => {
    cluster.hosts = [];
    subscribe();
    clusters.byName.delete('control');
    clock.advance(2300);
    clusters.byName.set('control', new RestCluster('control', stats, { maintenanceMode: true }));
    clock.advance(2300);
    const at = 'connection: control/v3/discovery:clusters:';
    expect(subscriber.failures).toEqual([
      `${at} no healthy upstream`,
      `${at} there is no cluster "control" any more`,
      `${at} the cluster is in maintenance mode`,
    ]);
    clock.advance(2300);
    expect(subscriber.counts).toEqual({ update_attempt: 4, update_failure: 4 });
  });

  it.each<[string, unknown, RegExp]>([
    ['no JSON', '{"resources": [}', /^rejected: control\/v3\/discovery:clusters:1:\d+: /],
    [
      'a resource of another type',
      {
        resources: [
          { '@type': `type.googleapis.com/${VirtualHostSchema.typeName}`, name: 'a', domains: ['*'] },
        ],
      },
      /resources\[0\]: expected envoy.config.cluster.v3.Cluster, found envoy.config.route.v3.VirtualHost/,
    ],
    ['what breaks a rule', response('1', ''), /resources\[0\].name: must not be empty/],
  ])('%s is rejected, which the server is told', (_what, body, message) => {
    subscribe();
    cluster.last.answer(body);
    expect(subscriber.failures).toEqual([expect.stringMatching(message)]);
    expect(subscriber.counts).toEqual({ update_attempt: 1, update_rejected: 1 });
    clock.advance(2300);
    expect(cluster.last.json['error_detail']).toEqual({
      code: 13,
      message: expect.stringMatching(message.source.replace('^rejected: ', '')),
    });
    expect(cluster.last.json).not.toHaveProperty('version_info');
    cluster.last.answer(response('2', 'a'));
    clock.advance(2300);
    expect(cluster.last.json).not.toHaveProperty('error_detail');
  });

  it('a subscriber that refuses', async () => {
    subscribe();
    cluster.last.answer(response('1', 'a'));
    subscriber.onUpdate = () => Promise.reject(ConfigError.at('a: name', 'is no good'));
    await clock.advanceAsync(2300);
    cluster.last.answer(response('2', 'a'));
    await clock.advanceAsync(2300);
    expect(cluster.last.json).toMatchObject({
      version_info: '1',
      error_detail: { message: expect.stringMatching(/^control.*:1:\d+: a: name: is no good$/) },
    });
    expect(subscriber.stats.text('s.version_text')).toBe('1');
  });
});

describe('the initial fetch', () => {
  it('times out when nothing has come, however often it failed', () => {
    cluster.hosts = [];
    subscribe(undefined, 4000);
    clock.advance(3999);
    expect(subscriber.failures.filter((text) => text.startsWith('timeout'))).toEqual([]);
    clock.advance(1);
    expect(subscriber.failures.at(-1)).toBe(
      'timeout: control/v3/discovery:clusters has given no config within 4000 ms',
    );
    expect(subscriber.counts['init_fetch_timeout']).toBe(1);
  });

  it.each([0, 4000])('does not when an answer has come, or it has no limit (%i)', (ms) => {
    subscribe(undefined, ms);
    if (ms > 0) cluster.last.answer('nonsense');
    clock.advance(20_000);
    expect(subscriber.stats.value('s.init_fetch_timeout')).toBe(0);
  });
});

it.each<[string, Source, string]>([
  ['no cluster', { clusterNames: [] }, 'cluster_names: must name one cluster, not 0'],
  ['two clusters', { clusterNames: ['a', 'b'] }, 'cluster_names: must name one cluster, not 2'],
  ['an unknown cluster', { clusterNames: ['a'] }, 'cluster_names[0]: there is no cluster "a"'],
  ['no delay', { refreshDelay: undefined as never }, 'refresh_delay: is required'],
  ['a delay of nothing', { refreshDelay: durationFromMs(0) }, 'refresh_delay: must be 1 ms or more'],
  ['gRPC services', { grpcServices: [{}] }, 'grpc_services: has no meaning with api_type REST'],
  ['a rate limit', { rateLimitSettings: {} }, 'rate_limit_settings: is for gRPC'],
  ['another kind', { apiType: ApiConfigSource_ApiType.GRPC }, 'api_type: must be REST'],
])('a config with %s is refused', (_what, over, message) => {
  expect(() => createRestSubscription(subscriber.options(), source(over), context)).toThrow(message);
});

it('types that have no REST service are refused', () => {
  const options = new Subscriber(VirtualHostSchema).options();
  expect(() => createOtherSources(context).rest(options, source())).toThrow(
    'api_type: resources of envoy.config.route.v3.VirtualHost are not served over REST',
  );
});
