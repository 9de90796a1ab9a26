import { durationFromMs } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it, test } from 'vitest';
import { CONFIG, load, locality, Rig } from './rig.ts';

const ALL = { sendAllClusters: true, loadReportingInterval: durationFromMs(10_000) };
const only = (...clusters: string[]) => ({ clusters, loadReportingInterval: durationFromMs(10_000) });

function started(config?: object): Rig {
  const rig = new Rig(config);
  rig.reporter.start();
  return rig;
}

it('says who it is, and nothing more until it is asked', async () => {
  const rig = started();
  expect(rig.stream.sent).toHaveLength(1);
  expect(rig.stream.sent[0]?.node).toMatchObject({
    id: 'me',
    cluster: 'us',
    clientFeatures: ['other', 'envoy.lrs.supports_send_all_clusters'],
  });
  expect(rig.take()).toEqual([{}]);
  await rig.advance(60_000);
  expect(rig.take()).toEqual([]);
  expect(rig.loads.asked).toEqual([]);
  expect(rig.stats()).toEqual({ requests: 0, responses: 1, errors: 0, retries: 0 });
});

it('does nothing before it is started, nor after it was closed', () => {
  const rig = new Rig();
  rig.reporter.close();
  rig.reporter.start();
  expect(rig.grpc.stream).toBeUndefined();
});

it('reports what has happened since it was asked, each interval', async () => {
  const rig = started();
  rig.take();
  rig.loads.next.set('worker_0', [load('web', locality('a', '100/90/10/5'))]);
  rig.stream.say(ALL);
  await rig.advance(9_999);
  rig.loads.next.set('worker_0', [load('web', locality('a', '5/3/1/2'), locality('b', '1/0/0/1'))]);
  rig.loads.next.set('worker_1', [
    load('web', locality('a', '2/2/0/1'), locality('a', '1/1', { priority: 1 })),
  ]);
  expect(rig.take()).toEqual([]);
  await rig.advance(1);
  expect(rig.take()).toEqual([
    {
      clusterStats: [
        {
          clusterName: 'web',
          loadReportInterval: '10s',
          upstreamLocalityStats: [
            {
              locality: { zone: 'a' },
              totalIssuedRequests: '7',
              totalSuccessfulRequests: '5',
              totalErrorRequests: '1',
              totalRequestsInProgress: '3',
            },
            { locality: { zone: 'b' }, totalIssuedRequests: '1', totalRequestsInProgress: '1' },
            { locality: { zone: 'a' }, priority: 1, totalIssuedRequests: '1', totalSuccessfulRequests: '1' },
          ],
        },
        { clusterName: 'api', clusterServiceName: 'api-endpoints', loadReportInterval: '10s' },
      ],
    },
  ]);
  await rig.advance(10_000);
  expect(rig.take()).toMatchObject([
    { clusterStats: [{ clusterName: 'web', loadReportInterval: '10s' }, { clusterName: 'api' }] },
  ]);
  expect(rig.stats()).toEqual({ requests: 1, responses: 3, errors: 0, retries: 0 });
});

it('reports drops, and metrics of hosts', async () => {
  const rig = started();
  rig.stream.say(only('web'));
  await rig.advance(1);
  rig.take();
  const metrics = (answers: number, total: number) => [{ name: 'cpu_utilization', answers, total }];
  const loads = load('web', locality('a', '1/1', { metrics: metrics(1, 0.5) }));
  rig.loads.next.set('worker_0', [{ ...loads, dropped: 3, overloads: [{ category: 'lb', count: 2 }] }]);
  rig.loads.next.set('main', [load('web', locality('a', '0', { metrics: metrics(2, 1.5) }))]);
  await rig.advance(9_999);
  expect(rig.take()).toEqual([
    {
      clusterStats: [
        {
          clusterName: 'web',
          totalDroppedRequests: '3',
          droppedRequests: [{ category: 'lb', droppedCount: '2' }],
          loadReportInterval: '10s',
          upstreamLocalityStats: [
            {
              locality: { zone: 'a' },
              totalIssuedRequests: '1',
              totalSuccessfulRequests: '1',
              loadMetricStats: [
                { metricName: 'cpu_utilization', numRequestsFinishedWithMetric: '3', totalMetricValue: 2 },
              ],
            },
          ],
        },
      ],
    },
  ]);
});

it('has the numbers of each endpoint where the server can take them', async () => {
  const rig = started();
  rig.stream.say({ ...only('web'), reportEndpointGranularity: true });
  await rig.advance(1);
  rig.take();
  const endpoint = { address: '10.0.0.1:80', issued: 2, success: 1, error: 1, active: 4, metrics: [] };
  for (const thread of ['worker_0', 'worker_1'])
    rig.loads.next.set(thread, [load('web', locality('a', '2/1/1/4', { endpoints: [endpoint] }))]);
  await rig.advance(9_999);
  expect(rig.loads.asked).toEqual(['web +endpoints', 'web +endpoints']);
  expect(rig.take()).toMatchObject([
    {
      clusterStats: [
        {
          upstreamLocalityStats: [
            {
              totalIssuedRequests: '4',
              totalRequestsInProgress: '8',
              upstreamEndpointStats: [
                {
                  address: { socketAddress: { address: '10.0.0.1', portValue: 80 } },
                  totalIssuedRequests: '4',
                  totalSuccessfulRequests: '2',
                  totalErrorRequests: '2',
                  totalRequestsInProgress: '8',
                },
              ],
            },
          ],
        },
      ],
    },
  ]);
});

describe('another wish of the server', () => {
  it('goes on with clusters that it had, and begins with new ones', async () => {
    const rig = started();
    rig.stream.say(only('web'));
    await rig.advance(4_000);
    rig.take();
    const before = [load('web', locality('a', '1/1')), load('api', locality('a', '8/8'))];
    rig.loads.next.set('worker_0', before);
    rig.stream.say(only('web', 'api'));
    await rig.advance(1);
    rig.loads.next.set('worker_0', [load('web', locality('a', '1/1')), load('api', locality('a', '2/2'))]);
    await rig.advance(9_999);
    expect(rig.take()).toMatchObject([
      {
        clusterStats: [
          {
            clusterName: 'web',
            loadReportInterval: '14s',
            upstreamLocalityStats: [{ totalIssuedRequests: '2' }],
          },
          {
            clusterName: 'api',
            loadReportInterval: '10s',
            upstreamLocalityStats: [{ totalIssuedRequests: '2' }],
          },
        ],
      },
    ]);
  });

  it('ends with clusters that it does not want any more', async () => {
    const rig = started();
    rig.stream.say(ALL);
    await rig.advance(1);
    rig.stream.say(only('api'));
    rig.take();
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([{ clusterStats: [{ clusterName: 'api' }] }]);
    expect(rig.loads.asked).toEqual(['web api', 'api']);
  });

  it('that comes while threads are asked holds for the next report', async () => {
    const rig = started();
    rig.stream.say(only('web'));
    await rig.advance(10_000 - 1);
    rig.take();
    const { latch } = rig.loads;
    rig.loads.latch = async (...args) => {
      rig.loads.latch = latch;
      rig.stream.say(only('web', 'api'));
      await latch.apply(rig.loads, args);
    };
    await rig.advance(1);
    expect(rig.take()).toMatchObject([{ clusterStats: [{ clusterName: 'web', loadReportInterval: '10s' }] }]);
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([
      {
        clusterStats: [
          { clusterName: 'web', loadReportInterval: '10s' },
          { clusterName: 'api', loadReportInterval: '10s' },
        ],
      },
    ]);
  });
});

describe('clusters', () => {
  it('that are not there are left out, and reported on when they come', async () => {
    const rig = started();
    rig.stream.say(only('web', 'new'));
    rig.take();
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([{ clusterStats: [{ clusterName: 'web' }] }]);
    rig.names.add('new');
    rig.loads.next.set('worker_0', [load('new', locality('', '4/4'))]);
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([
      {
        clusterStats: [
          { clusterName: 'web' },
          {
            clusterName: 'new',
            loadReportInterval: '20s',
            upstreamLocalityStats: [{ totalIssuedRequests: '4' }],
          },
        ],
      },
    ]);
  });

  it('come and go where all are wanted', async () => {
    const rig = started();
    rig.stream.say(ALL);
    rig.take();
    rig.names.delete('web');
    rig.names.add('new');
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([{ clusterStats: [{ clusterName: 'api' }] }]);
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([{ clusterStats: [{ clusterName: 'api' }, { clusterName: 'new' }] }]);
  });
});

describe('a stream that ends', () => {
  test.each([
    [14, 1, 'load reports to lrs failed: status 14, gone; the next try is in 700 ms'],
    [0, 0, 'lrs has ended the stream of load reports; the next try is in 700 ms'],
  ])('with status %d counts %d errors', (code, errors, line) => {
    const rig = started();
    rig.stream.end(code);
    expect(rig.stats()).toMatchObject({ errors, retries: 0 });
    expect(rig.context.loggers.lines.join('\n')).toContain(line);
    rig.stream.open();
    expect(rig.stats()).toMatchObject({ errors, retries: 1 });
  });

  it('is opened again: node first, and what was counted meanwhile in the next report', async () => {
    const rig = started();
    rig.stream.say(only('web'));
    await rig.advance(10_000);
    rig.stream.end(14);
    rig.loads.next.set('worker_0', [load('web', locality('a', '7/7'))]);
    rig.take();
    await rig.advance(30_000);
    expect(rig.take()).toEqual([]);
    rig.stream.open();
    expect(rig.stream.sent[0]?.node?.id).toBe('me');
    expect(rig.take()).toEqual([{}]);
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([
      {
        clusterStats: [{ loadReportInterval: '40s', upstreamLocalityStats: [{ totalIssuedRequests: '7' }] }],
      },
    ]);
  });

  it('while threads are asked loses nothing', async () => {
    const rig = started();
    rig.stream.say(only('web'));
    await rig.advance(9_999);
    rig.take();
    rig.loads.next.set('worker_0', [load('web', locality('a', '7/7'))]);
    const { latch } = rig.loads;
    rig.loads.latch = async (...args) => {
      rig.loads.latch = latch;
      await latch.apply(rig.loads, args);
      rig.stream.end(14);
    };
    await rig.advance(1);
    expect(rig.take()).toEqual([]);
    rig.stream.open();
    rig.take();
    await rig.advance(10_000);
    expect(rig.take()).toMatchObject([
      {
        clusterStats: [{ loadReportInterval: '20s', upstreamLocalityStats: [{ totalIssuedRequests: '7' }] }],
      },
    ]);
  });

  it.each([
    ['has no connection', { host: undefined }],
    ['takes no more', { writable: false }],
  ])('nobody is asked while it %s', async (_, state) => {
    const rig = started();
    rig.stream.say(only('web'));
    rig.take();
    const usual = { host: rig.stream.host, writable: true };
    Object.assign(rig.stream, state);
    await rig.advance(35_000);
    expect(rig.take()).toEqual([]);
    expect(rig.loads.asked).toHaveLength(1);
    Object.assign(rig.stream, usual);
    await rig.advance(5_000);
    expect(rig.take()).toMatchObject([{ clusterStats: [{ loadReportInterval: '40s' }] }]);
  });
});

it('takes what a thread says late into the next report', async () => {
  const rig = started();
  rig.stream.say(only('web'));
  await rig.advance(1);
  rig.take();
  rig.loads.next.set('worker_0', [load('web', locality('a', '3/1/0/2'))]);
  rig.loads.next.set('worker_1', [load('web', locality('a', '1/1'))]);
  rig.loads.late.add('worker_0');
  await rig.advance(9_999);
  expect(rig.take()).toMatchObject([
    { clusterStats: [{ upstreamLocalityStats: [{ totalIssuedRequests: '1' }] }] },
  ]);
  rig.loads.late.clear();
  rig.loads.answerLate();
  rig.loads.next.set('worker_0', [load('web', locality('a', '1/1/0/2'))]);
  await rig.advance(10_000);
  expect(rig.take()).toMatchObject([
    {
      clusterStats: [{ upstreamLocalityStats: [{ totalIssuedRequests: '4', totalRequestsInProgress: '2' }] }],
    },
  ]);
});

it.each([
  ['none', undefined],
  ['nothing', 0],
  ['less than nothing', -5],
])('is not kept busy by an interval of %s', async (_, ms) => {
  const rig = started();
  rig.stream.say({
    clusters: ['web'],
    loadReportingInterval: ms === undefined ? undefined : durationFromMs(ms),
  });
  rig.take();
  await rig.advance(1_000);
  expect(rig.take()).toHaveLength(10);
});

it('waits for as long as timers can, and no shorter, where an interval is longer', async () => {
  const rig = started();
  rig.stream.say({ clusters: ['web'], loadReportingInterval: durationFromMs(1e12) });
  expect(rig.context.clock.nextTimerInMs).toBe(2 ** 31 - 1);
});

it('ends with its stream, and no timer stays', async () => {
  const rig = started();
  rig.stream.say(only('web'));
  rig.reporter.close();
  expect(rig.stream.closed).toBe(true);
  expect(rig.context.clock.pendingTimers).toBe(0);
});

it('leaves the node out after the first message where that is said', async () => {
  const rig = started({ ...CONFIG, set_node_on_first_message_only: true });
  rig.stream.say(only('web'));
  await rig.advance(10_000);
  rig.stream.open();
  expect(rig.stream.sent.map(({ node }) => node?.id)).toEqual(['me', undefined, 'me']);
});

it('warns of what has no effect', () => {
  expect(new Rig({ ...CONFIG, refresh_delay: '5s' }).context.warnings).toEqual([
    'cluster_manager.load_stats_config.refresh_delay: has no effect with gRPC, as in Envoy: it is for REST',
  ]);
});

test.each([
  [{ api_type: 'REST' }, /^api_type: must be GRPC/],
  [{ api_type: 'AGGREGATED_GRPC' }, /^api_type: must be GRPC/],
  [{ transport_api_version: 'V2' }, /^transport_api_version: V2 is gone/],
  [{ grpc_services: [] }, /^grpc_services: must name one service.* there are 0/],
  [{ grpc_services: [{}, {}] }, /there are 2/],
  [{ grpc_services: [{}] }, /^grpc_services\[0\]: needs envoy_grpc/],
  [{ cluster_names: ['a'] }, /^cluster_names: cluster_names is for REST/],
  [{ rate_limit_settings: {} }, /^rate_limit_settings: has no effect/],
])('refuses %j', (over, message) => {
  let problem: unknown;
  try {
    new Rig({ ...CONFIG, ...over });
  } catch (error) {
    problem = error;
  }
  expect(problem).toBeInstanceOf(ConfigError);
  expect((problem as ConfigError).message).toMatch(message);
});

it('takes DELTA_GRPC for what it is, as Envoy does', () => {
  expect(() => new Rig({ ...CONFIG, api_type: 'DELTA_GRPC' })).not.toThrow();
});
