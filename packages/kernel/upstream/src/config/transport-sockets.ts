import { type Cluster, resolveExtension, type TransportSocket } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ExtensionRegistry,
  type FactoryContext,
  type MetadataValue,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import type { MetadataMap } from '../hosts/host.ts';

/** One of `transport_socket_matches`. */
export interface TransportSocketMatch {
  /** In stats. */
  readonly name: string;
  /** Every one of them must stand in the host's metadata. */
  readonly criteria: readonly (readonly [key: string, value: MetadataValue])[];
  readonly socket: UpstreamTransportSocket | undefined;
}

/** The transport sockets of a cluster. */
export interface TransportSockets {
  /** `transport_socket`; undefined: plain. */
  readonly standard: UpstreamTransportSocket | undefined;
  readonly matches: readonly TransportSocketMatch[];
}

/** Of a host's metadata: what `match` speaks of. */
export const TRANSPORT_SOCKET_MATCH = 'envoy.transport_socket_match';

/** Reads `transport_socket` and `transport_socket_matches`. @throws ConfigError */
export function readTransportSockets(
  cluster: Cluster,
  registry: ExtensionRegistry,
  context: FactoryContext,
): TransportSockets {
  const made: (UpstreamTransportSocket | undefined)[] = [];
  const read = (socket: TransportSocket | undefined, path: string): UpstreamTransportSocket | undefined => {
    if (socket === undefined) return undefined;
    const one = atPath(path, () => readTransportSocket(socket, cluster, registry, context));
    made.push(one);
    return one;
  };
  try {
    return {
      standard: read(cluster.transportSocket, 'transport_socket'),
      matches: cluster.transportSocketMatches.map(({ name, match, transportSocket }, i) => ({
        name,
        criteria: Object.entries(match ?? {}) as [string, MetadataValue][],
        socket: read(transportSocket, `transport_socket_matches[${i}].transport_socket`),
      })),
    };
  } catch (error) {
    for (const socket of made) socket?.close?.();
    throw error;
  }
}

function readTransportSocket(
  socket: TransportSocket,
  cluster: Cluster,
  registry: ExtensionRegistry,
  context: FactoryContext,
): UpstreamTransportSocket | undefined {
  const any = socket.configType.case === 'typedConfig' ? socket.configType.value : undefined;
  const { extension, message } = resolveExtension(registry, 'transport-sockets', socket.name, any, '');
  if (extension.createUpstream === undefined)
    throw ConfigError.at('', `${extension.name} cannot be used upstream`);
  const transportContext = {
    ...context,
    clusterName: cluster.name,
    clusterScope: context.stats.scope(`cluster.${cluster.altStatName || cluster.name}`),
  };
  return atPath('typed_config', () => extension.createUpstream?.(message, transportContext));
}

/** Nobody will use them. */
export function closeSockets(transport: TransportSockets): void {
  for (const socket of allSockets(transport)) socket.close?.();
}

/** All of them, each once. */
export function allSockets({ standard, matches }: TransportSockets): UpstreamTransportSocket[] {
  const sockets = [standard, ...matches.map(({ socket }) => socket)];
  return sockets.filter((socket) => socket !== undefined);
}

/** The first match that fits a host's metadata; undefined: the cluster's own socket it is. */
export function matchFor(
  matches: readonly TransportSocketMatch[],
  metadata: MetadataMap,
): TransportSocketMatch | undefined {
  const values = metadata.get(TRANSPORT_SOCKET_MATCH);
  return matches.find(({ criteria }) =>
    criteria.every(
      ([key, value]) => values !== undefined && Object.hasOwn(values, key) && same(values[key], value),
    ),
  );
}

function same(a: MetadataValue | undefined, b: MetadataValue): boolean {
  if (a === b) return true;
  if (a === undefined || a === null || b === null || typeof a !== 'object' || typeof b !== 'object')
    return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), b as Readonly<Record<string, MetadataValue>>];
  if (left.length !== Object.keys(right).length) return false;
  return left.every(([key, value]) => Object.hasOwn(right, key) && same(value, right[key] as MetadataValue));
}
