import { type JsonObject, localAddress } from '@dragoman/testing';
import {
  createXdsServer,
  SnapshotCache,
  type SnapshotParts,
  snapshot,
  type XdsCache,
} from '@dragoman/xds-server';

const NODE = { id: 'proxy-1', cluster: 'test' };

/** What a proxy refused. */
export interface Nack {
  readonly typeUrl: string;
  readonly message: string;
}

/** How a proxy is told to ask. */
export interface Variant {
  readonly name: string;
  readonly delta: boolean;
  readonly aggregated: boolean;
}

export const VARIANTS: readonly Variant[] = [
  { name: 'state of the world, aggregated', delta: false, aggregated: true },
  { name: 'state of the world, separate', delta: false, aggregated: false },
  { name: 'delta, aggregated', delta: true, aggregated: true },
  { name: 'delta, separate', delta: true, aggregated: false },
];

/** A control plane and what it was told. */
export class Plane implements AsyncDisposable {
  readonly cache = new SnapshotCache({ check: 'none' });
  readonly nacks: Nack[] = [];
  readonly acks: string[] = [];
  private readonly seen: XdsCache;
  private server: ReturnType<Plane['create']>;
  private version = 0;
  port = 0;

  private constructor(wrap: ((cache: SnapshotCache) => XdsCache) | undefined) {
    this.seen = wrap?.(this.cache) ?? this.cache;
    this.server = this.create();
  }

  /** @param wrap what clients see of {@link cache} */
  static async start(wrap?: (cache: SnapshotCache) => XdsCache): Promise<Plane> {
    const plane = new Plane(wrap);
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
      cache: this.seen,
      callbacks: {
        onAck: (_stream, { typeUrl, version }) => this.acks.push(`${typeUrl.split('.').at(-1)} ${version}`),
        onNack: (_stream, { typeUrl, error }) => this.nacks.push({ typeUrl, message: error.message }),
      },
    });
  }
}

const grpcServices = [{ envoy_grpc: { cluster_name: 'xds' } }];

export function sourceOf({ delta, aggregated }: Variant): JsonObject {
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

export function bootstrapOf(port: number, variant: Variant): JsonObject {
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

export function assignment(cluster: string, ...ports: number[]): JsonObject {
  const lb_endpoints = ports.map((port) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  }));
  return { cluster_name: cluster, endpoints: [{ lb_endpoints }] };
}
