import { eds } from '@dragoman/discovery-eds';
import type { ProxyOptions } from '@dragoman/server';
import {
  eventually,
  HttpUpstream,
  httpManager,
  type JsonObject,
  localAddress,
  startProxy,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { createXdsServer, SnapshotCache, type SnapshotParts, snapshot } from '@dragoman/xds-server';
import { describe, expect, test } from 'vitest';
import { THREADS } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';

const extensions = [...EXTENSIONS, eds];
const NODE = { id: 'proxy-1', cluster: 'test' };

interface Nack {
  readonly typeUrl: string;
  readonly message: string;
}

/** How a proxy is told to ask. */
interface Variant {
  readonly name: string;
  readonly delta: boolean;
  readonly aggregated: boolean;
}

const VARIANTS: readonly Variant[] = [
  { name: 'state of the world, aggregated', delta: false, aggregated: true },
  { name: 'state of the world, separate', delta: false, aggregated: false },
  { name: 'delta, aggregated', delta: true, aggregated: true },
  { name: 'delta, separate', delta: true, aggregated: false },
];

/** A control plane and what it was told. */
class Plane implements AsyncDisposable {
  readonly cache = new SnapshotCache({ check: 'none' });
  readonly nacks: Nack[] = [];
  readonly acks: string[] = [];
  private server = this.create();
  private version = 0;
  port = 0;

  static async start(): Promise<Plane> {
    const plane = new Plane();
    plane.port = await plane.server.listen({ port: 0 });
    return plane;
  }

  set(parts: SnapshotParts): void {
    this.cache.setSnapshot(NODE.id, snapshot(`${++this.version}`, parts));
  }

  /** Ends every stream; a new server listens at the same port. */
  async restart(): Promise<void> {
    await this.server.close({ graceMs: 0 });
    this.server = this.create();
    await this.server.listen({ port: this.port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ graceMs: 0 });
  }

  private create() {
    return createXdsServer({
      cache: this.cache,
      callbacks: {
        onAck: (_stream, { typeUrl, version }) => this.acks.push(`${typeUrl.split('.').at(-1)} ${version}`),
        onNack: (_stream, { typeUrl, error }) => this.nacks.push({ typeUrl, message: error.message }),
      },
    });
  }
}

const grpcServices = [{ envoy_grpc: { cluster_name: 'xds' } }];

function sourceOf({ delta, aggregated }: Variant): JsonObject {
  if (aggregated) return { ads: {}, resource_api_version: 'V3' };
  return {
    resource_api_version: 'V3',
    api_config_source: {
      api_type: delta ? 'DELTA_GRPC' : 'GRPC',
      transport_api_version: 'V3',
      grpc_services: grpcServices,
    },
  };
}

function bootstrapOf(port: number, variant: Variant): JsonObject {
  const source = sourceOf(variant);
  const { delta, aggregated } = variant;
  return {
    admin: { address: localAddress() },
    node: NODE,
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          connect_timeout: '2s',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: assignment('xds', port),
        },
      ],
    },
    dynamic_resources: {
      cds_config: source,
      lds_config: source,
      ...(aggregated
        ? {
            ads_config: {
              api_type: delta ? 'DELTA_GRPC' : 'GRPC',
              transport_api_version: 'V3',
              grpc_services: grpcServices,
            },
          }
        : {}),
    },
  };
}

function assignment(cluster: string, ...ports: number[]): JsonObject {
  const lb_endpoints = ports.map((port) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  }));
  return { cluster_name: cluster, endpoints: [{ lb_endpoints }] };
}

const routes = (name: string, cluster: string): JsonObject => ({
  name,
  virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
});

/** What a proxy needs to answer: a cluster by EDS, a listener by RDS. */
function world(variant: Variant, port: number, more: Partial<Record<keyof SnapshotParts, unknown>> = {}) {
  const source = sourceOf(variant);
  const { route_config: _, ...manager } = (httpManager({ routes: [] }) as { typed_config: JsonObject })
    .typed_config;
  return {
    clusters: [
      { name: 'web', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: source } },
    ],
    endpoints: [assignment('web', port)],
    listeners: [
      {
        name: 'in',
        address: localAddress(),
        filter_chains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.http_connection_manager',
                typed_config: { ...manager, rds: { route_config_name: 'r', config_source: source } },
              },
            ],
          },
        ],
      },
    ],
    routes: [routes('r', 'web')],
    ...more,
  } as SnapshotParts;
}

const start = (plane: Plane, variant: Variant, threads: ProxyOptions['threads']): Promise<TestProxy> =>
  startProxy(bootstrapOf(plane.port, variant), {
    extensions,
    threads,
    flags: { concurrency: 2, drainTimeMs: 20 },
  });

const answer = async (proxy: TestProxy): Promise<string> => (await proxy.get('/')).body.toString();

describe.each(THREADS)('%s', (_name, threads) => {
  test.each(VARIANTS)('$name: what a control plane says is done', async (variant) => {
    await using one = await HttpUpstream.start(text('one'));
    await using two = await HttpUpstream.start(text('two'));
    await using plane = await Plane.start();
    plane.set(world(variant, one.port));
    await using proxy = await start(plane, variant, threads);
    expect(await answer(proxy)).toBe('one');
    // Endpoints change.
    plane.set(world(variant, two.port));
    await eventually(async () => expect(await answer(proxy)).toBe('two'));
    // Routes change, to a cluster that comes with them.
    const more = {
      name: 'more',
      type: 'STATIC',
      connect_timeout: '1s',
      load_assignment: assignment('more', one.port),
    };
    const before = world(variant, two.port);
    plane.set(
      world(variant, two.port, {
        clusters: [...(before.clusters as unknown[]), more],
        routes: [routes('r', 'more')],
      }),
    );
    await eventually(async () => expect(await answer(proxy)).toBe('one'));
    // A route configuration that is wrong is refused, and the old one stays.
    const wrong = {
      ...routes('r', 'web'),
      request_headers_to_add: [{ header: { key: ':path', value: 'x' } }],
    };
    plane.set(
      world(variant, two.port, { clusters: [...(before.clusters as unknown[]), more], routes: [wrong] }),
    );
    await eventually(() => {
      const [nack] = plane.nacks;
      expect(nack?.typeUrl).toContain('RouteConfiguration');
      expect(nack?.message).toMatch(/r: .*request_headers_to_add/);
    });
    expect(await answer(proxy)).toBe('one');
    expect(proxy.stat('http.ingress.rds.r.update_rejected')).toBe(1);
    // It is mended.
    plane.set(world(variant, two.port));
    await eventually(async () => expect(await answer(proxy)).toBe('two'));
    await eventually(() => expect(proxy.stat('cluster_manager.cluster_removed')).toBe(1));
    // The control plane goes and comes back with something new.
    await plane.restart();
    expect(await answer(proxy)).toBe('two');
    plane.set(world(variant, one.port));
    await eventually(async () => expect(await answer(proxy)).toBe('one'), 10_000);
    // All listeners go.
    plane.set(world(variant, one.port, { listeners: [], routes: [] }));
    await eventually(() => expect(proxy.stat('listener_manager.total_listeners_active')).toBe(0));
  });
});
