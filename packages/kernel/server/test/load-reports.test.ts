import { durationFromMs } from '@dragoman/api';
import { LoadReportServer, type LoadReportWish } from '@dragoman/grpc-testing';
import {
  clusterRoute,
  eventually,
  HttpUpstream,
  type JsonObject,
  startProxy,
  text,
  type TestProxy,
} from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { extensions } from './support/thread-extensions.ts';
import { closeAll, connectToEach, startOnThreads, threadBootstrap } from './support/thread-proxy.ts';

const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

const place = (zone: string, port: number) => ({
  locality: { zone },
  lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }],
});

function reporting(lrs: number, a: number, b: number, over: JsonObject = {}): JsonObject {
  const bootstrap = threadBootstrap({
    clusters: {
      web: { load_assignment: { cluster_name: 'web', endpoints: [place('a', a), place('b', b)] }, ...over },
      idle: a,
    },
    routes: [clusterRoute('/', 'web')],
    bootstrap: {
      node: { id: 'me', cluster: 'us' },
      cluster_manager: {
        load_stats_config: {
          api_type: 'GRPC',
          transport_api_version: 'V3',
          grpc_services: [
            {
              envoy_grpc: {
                cluster_name: 'lrs',
                retry_policy: { retry_back_off: { base_interval: '0.01s', max_interval: '0.02s' } },
              },
            },
          ],
        },
      },
    },
  });
  const resources = bootstrap['static_resources'] as { clusters: JsonObject[] };
  resources.clusters.push({
    name: 'lrs',
    load_assignment: { cluster_name: 'lrs', endpoints: [place('', lrs)] },
    typed_extension_protocol_options: HTTP2,
  });
  return bootstrap;
}

const WISH: LoadReportWish = { clusters: ['web'], loadReportingInterval: durationFromMs(100) };

describe('load reports', () => {
  const servers: LoadReportServer[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.stop();
  });

  async function serve(wish: LoadReportWish, port = 0): Promise<LoadReportServer> {
    const server = await new LoadReportServer(wish).start(port);
    servers.push(server);
    return server;
  }

  const inline = (bootstrap: JsonObject): Promise<TestProxy> => startProxy(bootstrap, { extensions });

  it('of a proxy on one thread: requests by locality, endpoints, errors', async () => {
    const server = await serve({ ...WISH, reportEndpointGranularity: true });
    await using good = await HttpUpstream.start(text('x'));
    await using bad = await HttpUpstream.start(text('', 503));
    await using proxy = await inline(reporting(server.port, good.port, bad.port));
    await proxy.untilStat('load_reporter.requests', 1);
    for (let i = 0; i < 6; i++) await proxy.get('/');
    await eventually(() => expect(server.sums).toEqual({ 'web a': '3/3/0', 'web b': '3/0/3' }));
    expect(server.requests[0]?.node).toMatchObject({ id: 'me', cluster: 'us', userAgentName: 'envoy' });
    const endpoints = server.requests.flatMap(({ clusterStats }) =>
      clusterStats.flatMap(({ upstreamLocalityStats }) =>
        upstreamLocalityStats.flatMap(({ upstreamEndpointStats }) => upstreamEndpointStats),
      ),
    );
    const { address } = endpoints[0]?.address ?? {};
    expect(address?.case === 'socketAddress' && address.value.address).toBe('127.0.0.1');
  });

  it('of all clusters, with what was turned away', async () => {
    const server = await serve({ sendAllClusters: true, loadReportingInterval: durationFromMs(100) });
    await using upstream = await HttpUpstream.start(text('x'));
    const policy = { drop_overloads: [{ category: 'lb', drop_percentage: { numerator: 100 } }] };
    const endpoints = [place('a', upstream.port)];
    await using proxy = await inline(
      reporting(server.port, upstream.port, upstream.port, {
        load_assignment: { cluster_name: 'web', endpoints, policy },
      }),
    );
    await proxy.untilStat('load_reporter.requests', 1);
    for (let i = 0; i < 3; i++) await proxy.get('/');
    const stats = () => server.requests.flatMap(({ clusterStats }) => clusterStats);
    await eventually(() => {
      const web = stats().filter(({ clusterName }) => clusterName === 'web');
      const sum = (of: readonly bigint[]) => Number(of.reduce((a, b) => a + b, 0n));
      expect(sum(web.map(({ totalDroppedRequests }) => totalDroppedRequests))).toBe(3);
      const drops = web.flatMap(({ droppedRequests }) => droppedRequests);
      expect(new Set(drops.map(({ category }) => category))).toEqual(new Set(['lb']));
      expect(sum(drops.map(({ droppedCount }) => droppedCount))).toBe(3);
    });
    expect(new Set(stats().map(({ clusterName }) => clusterName))).toEqual(new Set(['web', 'idle', 'lrs']));
    // The stream of the reports is main's own, and under way.
    expect(
      stats().some(
        ({ clusterName, upstreamLocalityStats: [first] }) =>
          clusterName === 'lrs' && first?.totalRequestsInProgress === 1n,
      ),
    ).toBe(true);
  });

  it('of worker threads are those of all together, and go on with a server that comes back', async () => {
    const server = await serve(WISH);
    await using a = await HttpUpstream.start(text('a'));
    await using b = await HttpUpstream.start(text('b'));
    await using proxy = await startOnThreads(reporting(server.port, a.port, b.port));
    await proxy.untilStat('load_reporter.requests', 1);
    const connections = await connectToEach(proxy, 2);
    const answers = { a: 0, b: 0 };
    const ask = async (): Promise<void> => {
      for (const connection of connections)
        for (let i = 0; i < 5; i++) answers[(await connection.ask('/')) as 'a' | 'b']++;
    };
    const expected = () => ({
      'web a': `${answers.a}/${answers.a}/0`,
      'web b': `${answers.b}/${answers.b}/0`,
    });
    await ask();
    await eventually(() => expect(server.sums).toEqual(expected()));
    server.stop();
    await eventually(() => expect(proxy.stat('load_reporter.errors')).toBeGreaterThan(0));
    answers.a = 0;
    answers.b = 0;
    await ask();
    const again = await serve(WISH, server.port);
    await eventually(() => expect(again.sums).toEqual(expected()));
    expect(proxy.stat('load_reporter.retries')).toBeGreaterThan(0);
    await closeAll(connections);
  });

  it('need a cluster that is there', async () => {
    const bootstrap = reporting(1, 1, 1);
    (bootstrap['static_resources'] as { clusters: JsonObject[] }).clusters.pop();
    await expect(inline(bootstrap)).rejects.toThrow(
      'cluster_manager.load_stats_config.grpc_services[0].envoy_grpc.cluster_name: unknown gRPC client cluster "lrs"',
    );
  });
});
