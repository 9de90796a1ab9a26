import {
  type BindConfig,
  BindConfigSchema,
  type Metadata,
  MetadataSchema,
  type SocketAddress,
  SocketAddressSchema,
} from '@dragoman/api';
import { Address, ConfigError, joinPath, type MetadataValue, refuseUnsupported } from '@dragoman/core';
import type { MetadataMap } from '../hosts/host.ts';

const METADATA_FIELDS = new Set(['filter_metadata']);
const BIND_FIELDS = new Set(['source_address']);
const SOCKET_FIELDS = new Set(['protocol', 'address', 'port_value', 'ipv4_compat']);

/** `filter_metadata` as a map. @throws ConfigError for typed metadata */
export function readMetadata(metadata: Metadata | undefined, path: string): MetadataMap {
  if (metadata === undefined) return new Map();
  refuseUnsupported(metadata, MetadataSchema, METADATA_FIELDS, path);
  return new Map(
    Object.entries(metadata.filterMetadata).map(([name, struct]) => [
      name,
      struct as Record<string, MetadataValue>,
    ]),
  );
}

/** The source address of `upstream_bind_config`. @throws ConfigError for what the platform cannot do */
export function readBindConfig(bind: BindConfig | undefined, path: string): Address | undefined {
  if (bind === undefined) return undefined;
  refuseUnsupported(bind, BindConfigSchema, BIND_FIELDS, path, {
    freebind: 'freebind (IP_FREEBIND) cannot be set on sockets of this platform',
    socket_options: 'socket_options cannot be set on upstream sockets of this platform',
  });
  if (bind.sourceAddress === undefined) return undefined;
  return readSocketAddress(bind.sourceAddress, joinPath(path, 'source_address'));
}

/** An IP and a port. @throws ConfigError for a name, a named port, or UDP */
export function readSocketAddress(socket: SocketAddress, path: string): Address {
  refuseUnsupported(socket, SocketAddressSchema, SOCKET_FIELDS, path);
  if (socket.protocol !== 0)
    throw ConfigError.at(joinPath(path, 'protocol'), 'must be TCP for an upstream connection');
  const port = socket.portSpecifier.case === 'portValue' ? socket.portSpecifier.value : 0;
  try {
    return Address.ip(socket.address, port);
  } catch {
    throw ConfigError.at(joinPath(path, 'address'), `"${socket.address}" is not an IP address`);
  }
}
