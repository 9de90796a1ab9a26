import {
  type LoadStatsRequest,
  LoadReportingService,
  type LoadStatsResponseSchema,
  create,
  durationFromMs,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@dragoman/api';
import {
  clusterRoute,
  eventually,
  HttpUpstream,
  type JsonObject,
  startProxy,
  text,
  type TestProxy,
} from '@dragoman/testing';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { extensions } from './support/thread-extensions.ts';
import { closeAll, connectToEach, startOnThreads, threadBootstrap } from './support/thread-proxy.ts';

const METHOD = LoadReportingService.method.streamLoadStats;

const DEFINITION = {
  stream: {
    path: `/${METHOD.parent.typeName}/${METHOD.name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: LoadStatsRequest) => Buffer.from(toBinary(METHOD.input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(METHOD.input, bytes),
    responseSerialize: (message: never) => Buffer.from(toBinary(METHOD.output, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(METHOD.output, bytes),
  },
} as unknown as ServiceDefinition;

type Wish = MessageInitShape<typeof LoadStatsResponseSchema>;

/** A server of load reports on grpc-js. It says at once what it wants. */
class LoadServer {
  readonly requests: LoadStatsRequest[] = [];
  private readonly wish: Wish;
  private readonly server = new Server();
  port = 0;

  constructor(wish: Wish) {
    this.wish = wish;
  }

  async start(port = 0): Promise<this> {
    this.server.addService(DEFINITION, {
      stream: (call: ServerDuplexStream<LoadStatsRequest, unknown>) => {
        call.on('data', (request: LoadStatsRequest) => this.requests.push(request));
        call.on('error', () => {});
        call.on('end', () => call.end());
        call.write(create(METHOD.output, this.wish));
      },
    } as never);
    this.port = await new Promise((resolve, reject) =>
      this.server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    return this;
  }

  stop(): void {
    this.server.forceShutdown();
  }

  /** All reports together: `cluster zone issued/success/error`, and endpoints where there are some. */
  get sums(): Record<string, string> {
    const sums = new Map<string, [number, number, number]>();
    const add = (key: string, issued: bigint, success: bigint, error: bigint): void => {
      const [a, b, c] = sums.get(key) ?? [0, 0, 0];
      sums.set(key, [a + Number(issued), b + Number(success), c + Number(error)]);
    };
    for (const { clusterStats } of this.requests)
      for (const { clusterName, upstreamLocalityStats } of clusterStats)
        for (const stats of upstreamLocalityStats) {
          const { locality, totalIssuedRequests, totalSuccessfulRequests, totalErrorRequests } = stats;
          const key = `${clusterName} ${locality?.zone}`;
          add(key, totalIssuedRequests, totalSuccessfulRequests, totalErrorRequests);
        }
    return Object.fromEntries(Array.from(sums, ([key, numbers]) => [key, numbers.join('/')]));
  }
}

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

const WISH: Wish = { clusters: ['web'], loadReportingInterval: durationFromMs(100) };

describe('load reports', () => {
  const servers: LoadServer[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.stop();
  });

  async function serve(wish: Wish, port = 0): Promise<LoadServer> {
    const server = await new LoadServer(wish).start(port);
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
