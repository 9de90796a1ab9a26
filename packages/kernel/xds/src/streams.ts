import {
  AggregatedDiscoveryService,
  type ApiConfigSource,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DescMessage,
  type DiscoveryRequest,
  type DiscoveryResponse,
  type MessageShape,
} from '@dragoman/api';
import type { DescMethodStreaming } from '@bufbuild/protobuf';
import { atPath, ConfigError, type GrpcClient, type GrpcClientFactory } from '@dragoman/core';
import { DeltaProtocol } from './delta-protocol.ts';
import type { DiscoveryType } from './discovery-types.ts';
import type { KnownResources } from './known-resources.ts';
import type { OpenLink } from './link.ts';
import { Mux, type MuxOptions, type MuxSource } from './mux.ts';
import type { ResourceReader } from './resource-reader.ts';
import type { GrpcSource } from './source-config.ts';
import { SotwProtocol } from './sotw-protocol.ts';
import type { WatchMap } from './watch-map.ts';

/** A stream of either protocol, with how it is connected. */
export type AnyMux =
  | Mux<DiscoveryRequest, DiscoveryResponse>
  | Mux<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface Stream {
  readonly mux: AnyMux;
  /** @throws ConfigError with a path below the ApiConfigSource; the stream is as it was then */
  connect(source: GrpcSource): void;
}

type Common = Omit<MuxOptions<never, never>, 'channel' | 'method' | 'aggregated'>;

/**
 * A stream that is not connected yet.
 * @param type of a stream for one type; undefined: an aggregated one
 * @throws ConfigError when there is no such service
 */
export function createStream(
  delta: boolean,
  type: DiscoveryType | undefined,
  common: Common,
  reader: ResourceReader,
  grpc: GrpcClientFactory,
): Stream {
  const aggregated = type === undefined;
  if (delta) {
    const method =
      type === undefined ? AggregatedDiscoveryService.method.deltaAggregatedResources : type.delta;
    if (method === undefined) throw noService(type, 'an incremental');
    const createProtocol = (typeUrl: string, watches: WatchMap, known: KnownResources) =>
      new DeltaProtocol(
        typeUrl,
        () => watches,
        () => known.versions(),
      );
    const mux = new Mux<DeltaDiscoveryRequest, DeltaDiscoveryResponse>({
      ...common,
      aggregated,
      method: method.name,
      channel: { reader, createProtocol },
    });
    return { mux, connect: (source) => mux.connect(muxSource(source, method, grpc)) };
  }
  const method = type === undefined ? AggregatedDiscoveryService.method.streamAggregatedResources : type.sotw;
  if (method === undefined) throw noService(type, 'a state-of-the-world');
  const mux = new Mux<DiscoveryRequest, DiscoveryResponse>({
    ...common,
    aggregated,
    method: method.name,
    channel: { reader, createProtocol: (typeUrl, watches) => new SotwProtocol(typeUrl, () => watches) },
  });
  return { mux, connect: (source) => mux.connect(muxSource(source, method, grpc)) };
}

/** @throws ConfigError when there is no such service */
export function checkService(delta: boolean, type: DiscoveryType): void {
  if ((delta ? type.delta : type.sotw) === undefined)
    throw noService(type, delta ? 'an incremental' : 'a state-of-the-world');
}

function noService(type: DiscoveryType | undefined, kind: string): ConfigError {
  return ConfigError.at(
    'api_config_source.api_type',
    `there is no discovery service of ${kind} stream for ${type?.label}; write ads: {}, or another api_type`,
  );
}

function muxSource<I extends DescMessage, O extends DescMessage>(
  { config, limit, nodeOnFirstMessageOnly }: GrpcSource,
  method: DescMethodStreaming<I, O>,
  grpc: GrpcClientFactory,
): MuxSource<MessageShape<I>, MessageShape<O>> {
  const clients = makeClients(config, grpc);
  return {
    servers: clients.map((client) => openLink(client, method)),
    destination: clients.map(({ destination }) => destination).join(', '),
    limit,
    nodeOnFirstMessageOnly,
  };
}

function makeClients({ grpcServices }: ApiConfigSource, grpc: GrpcClientFactory): GrpcClient[] {
  return grpcServices.map((service, i) => atPath(`grpc_services[${i}]`, () => grpc.create(service)));
}

/** The protocol's seam on a stream of gRPC, which is opened again by itself. */
function openLink<I extends DescMessage, O extends DescMessage>(
  client: GrpcClient,
  method: DescMethodStreaming<I, O>,
): OpenLink<MessageShape<I>, MessageShape<O>> {
  return (callbacks) =>
    client.reconnectingStream(method, undefined, {
      onOpen: (stream) => callbacks.onOpen(stream),
      onMessage: (message) => callbacks.onMessage(message),
      onWritable: () => callbacks.onWritable(),
      onEnd: (status) => callbacks.onEnd(status),
    });
}
