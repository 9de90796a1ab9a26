import {
  createXdsServer,
  KINDS,
  type KindName,
  SnapshotCache,
  type ResourceInput,
  type SnapshotParts,
  snapshot,
  type StreamInfo,
  type XdsCache,
  XdsError,
  type XdsServer,
} from '@dragoman/xds-server';
import { clusterConfig, eventually, type JsonObject, loadAssignment, localAddress } from '@dragoman/testing';

const PATIENCE_MS = 15_000;

export const NODE = { id: 'proxy-1', cluster: 'test' };

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

/** When a stream ends that brings a change. */
export type Cut =
  /** There is no server when the change is made. */
  | 'away'
  /** Before the response is sent. */
  | 'unsent'
  /** When it has been sent, and is perhaps being applied. */
  | 'sent'
  /** When its acknowledgement comes, which is not looked at. */
  | 'acknowledged';

export const CUTS: readonly Cut[] = ['away', 'unsent', 'sent', 'acknowledged'];

/** What a resource is made from. */
export type Input = ResourceInput | JsonObject;
export type Parts = { readonly [K in KindName]?: readonly Input[] };

/** A control plane and what it was told. */
export class Plane implements AsyncDisposable {
  readonly cache = new SnapshotCache({ check: 'none' });
  readonly nacks: Nack[] = [];
  /** Type URL and version. */
  readonly acks = new Set<string>();
  /** Requests and responses by type. */
  readonly requests = new Map<string, number>();
  readonly responses = new Map<string, number>();
  port = 0;
  /** Of the last {@link set}. */
  version = 0;
  private readonly seen: XdsCache;
  private server: XdsServer;
  private cut: { readonly when: Cut; readonly typeUrl: string } | undefined = undefined;

  private constructor(wrap: (cache: SnapshotCache) => XdsCache) {
    this.seen = wrap(this.cache);
    this.server = this.create();
  }

  /** @param wrap what clients see of {@link cache} */
  static async start(wrap = (cache: SnapshotCache): XdsCache => cache): Promise<Plane> {
    const plane = new Plane(wrap);
    plane.port = await plane.server.listen({ port: 0 });
    return plane;
  }

  set(parts: Parts): void {
    this.cache.setSnapshot(NODE.id, snapshot(`${++this.version}`, parts as SnapshotParts));
  }

  /** {@link set}, while the stream that brings a kind ends once. Resolves when that was so. */
  async setCutting(parts: Parts, kind: KindName, when: Cut): Promise<void> {
    if (when === 'away') {
      await this.stop();
      this.set(parts);
      await this.resume();
      return;
    }
    this.cut = { when, typeUrl: KINDS[kind].typeUrl };
    this.set(parts);
    await eventually(() => this.cut === undefined, PATIENCE_MS);
  }

  async stop(): Promise<void> {
    await this.server.close({ graceMs: 0 });
  }

  /** A new server listens at the same port. */
  async resume(): Promise<void> {
    this.server = this.create();
    await this.server.listen({ port: this.port });
  }

  /** Ends every stream. */
  async restart(): Promise<void> {
    await this.stop();
    await this.resume();
  }

  asked(kind: KindName): number {
    return this.requests.get(KINDS[kind].typeUrl) ?? 0;
  }

  answered(kind: KindName): number {
    return this.responses.get(KINDS[kind].typeUrl) ?? 0;
  }

  /** The last {@link set} was taken over. */
  async acked(kind: KindName): Promise<void> {
    const wanted = `${KINDS[kind].typeUrl} ${this.version}`;
    await eventually(() => this.acks.has(wanted), PATIENCE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private create(): XdsServer {
    const server = createXdsServer({
      cache: this.seen,
      callbacks: {
        onRequest: (stream, { typeUrl, responseNonce }) => {
          count(this.requests, stream.typeUrl ?? typeUrl);
          if (responseNonce !== '' && this.takeCut('acknowledged', stream.typeUrl ?? typeUrl))
            throw new XdsError('UNAVAILABLE', 'the control plane goes away');
        },
        onResponse: (stream, { typeUrl }) => {
          if (this.takeCut('unsent', typeUrl))
            throw new XdsError('UNAVAILABLE', 'the control plane goes away');
          count(this.responses, typeUrl);
          if (this.cut?.when === 'sent' && this.cut.typeUrl === typeUrl)
            queueMicrotask(() => this.end(server, stream, typeUrl));
        },
        onAck: (_stream, { typeUrl, version }) => this.acks.add(`${typeUrl} ${version}`),
        onNack: (_stream, { typeUrl, error }) => this.nacks.push({ typeUrl, message: error.message }),
      },
    });
    return server;
  }

  private end({ protocol }: XdsServer, { id }: StreamInfo, typeUrl: string): void {
    if (!this.takeCut('sent', typeUrl)) return;
    for (const stream of protocol.streams)
      if (stream.id === id) stream.end(new XdsError('UNAVAILABLE', 'the control plane goes away'));
  }

  private takeCut(when: Cut, typeUrl: string): boolean {
    if (this.cut?.when !== when || this.cut.typeUrl !== typeUrl) return false;
    this.cut = undefined;
    return true;
  }
}

function count(counts: Map<string, number>, typeUrl: string): void {
  counts.set(typeUrl, (counts.get(typeUrl) ?? 0) + 1);
}

/** Streams are opened again at once. */
const grpcServices = [
  {
    envoy_grpc: {
      cluster_name: 'xds',
      retry_policy: { retry_back_off: { base_interval: '0.001s', max_interval: '0.005s' } },
    },
  },
];

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

/** A bootstrap that has nothing but where everything else comes from. */
export function xdsBootstrap(port: number, variant: Variant, more: JsonObject = {}): JsonObject {
  const source = sourceOf(variant);
  const { delta, aggregated } = variant;
  const ads_config = {
    api_type: delta ? 'DELTA_GRPC' : 'GRPC',
    transport_api_version: 'V3',
    grpc_services: grpcServices,
  };
  return {
    admin: { address: localAddress() },
    node: NODE,
    static_resources: {
      clusters: [
        clusterConfig('xds', {
          connect_timeout: '2s',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: loadAssignment('xds', [port]),
        }),
      ],
    },
    dynamic_resources: {
      cds_config: source,
      lds_config: source,
      ...(aggregated ? { ads_config } : {}),
    },
    ...more,
  };
}
