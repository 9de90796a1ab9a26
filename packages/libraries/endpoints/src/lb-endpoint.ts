import {
  type Address as AddressMessage,
  type Endpoint,
  type Endpoint_HealthCheckConfig,
  Endpoint_HealthCheckConfigSchema,
  EndpointSchema,
  HealthStatus,
  type LbEndpoint,
  LbEndpointSchema,
  MetadataSchema,
  PipeSchema,
  type SocketAddress,
  SocketAddressSchema,
} from '@dragoman/api';
import {
  Address,
  ConfigError,
  type EndpointData,
  joinPath,
  type MetadataValue,
  refuseUnsupported,
} from '@dragoman/core';

/** One entry of `lb_endpoints`. Its address is not yet an address: it may be a name. */
export interface ConfiguredEndpoint {
  /** An IP or a DNS name; empty for a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** Path of a Unix socket (`@name` for an abstract one); empty otherwise. */
  readonly pipe: string;
  /** All but the address. `hostname` is as configured, perhaps empty. */
  readonly data: Omit<EndpointData, 'address'>;
  /** `health_check_config.port_value`: checks go there at the endpoint's address; 0: they do not. */
  readonly healthCheckPort: number;
  /** Where its address stands, below the message that was read. */
  readonly path: string;
}

/** `named_endpoints` and where they stand. */
export interface NamedEndpoints {
  readonly byName: Readonly<Record<string, Endpoint>>;
  readonly path: string;
}

const LB_ENDPOINT_FIELDS = new Set([
  'endpoint',
  'endpoint_name',
  'health_status',
  'metadata',
  'load_balancing_weight',
]);
const ENDPOINT_FIELDS = new Set(['address', 'hostname', 'health_check_config']);
const CHECK_FIELDS = new Set(['port_value', 'hostname', 'address', 'disable_active_health_check']);
const SOCKET_FIELDS = new Set(['protocol', 'address', 'port_value', 'ipv4_compat']);
const PIPE_FIELDS = new Set(['path']);
const METADATA_FIELDS = new Set(['filter_metadata']);

/**
 * Reads one entry of `lb_endpoints`, or a resource of a collection.
 *
 * @param path before the paths of errors
 * @param named what `endpoint_name` refers to. Default: there are none
 * @throws ConfigError
 */
export function readLbEndpoint(entry: LbEndpoint, path: string, named?: NamedEndpoints): ConfiguredEndpoint {
  refuseUnsupported(entry, LbEndpointSchema, LB_ENDPOINT_FIELDS, path);
  const [endpoint, where] = identified(entry, path, named);
  refuseUnsupported(endpoint, EndpointSchema, ENDPOINT_FIELDS, where, {
    additional_addresses: 'several addresses for one endpoint are not built yet',
  });
  const address = joinPath(where, 'address');
  return {
    ...readAddress(endpoint, address),
    path: address,
    data: {
      hostname: endpoint.hostname,
      weight: readWeight(entry, path),
      ...readMetadata(entry, path),
      ...readHealth(entry),
      ...readCheckConfig(endpoint.healthCheckConfig, joinPath(where, 'health_check_config')),
    },
    healthCheckPort: endpoint.healthCheckConfig?.portValue ?? 0,
  };
}

/** The endpoint itself, and where it stands. */
function identified(
  { hostIdentifier }: LbEndpoint,
  path: string,
  named: NamedEndpoints | undefined,
): [endpoint: Endpoint, path: string] {
  if (hostIdentifier.case === 'endpoint') return [hostIdentifier.value, joinPath(path, 'endpoint')];
  if (hostIdentifier.case === undefined) throw ConfigError.at(path, 'has no endpoint');
  const name = hostIdentifier.value;
  if (named === undefined || !Object.hasOwn(named.byName, name))
    throw ConfigError.at(
      joinPath(path, 'endpoint_name'),
      `there is no "${name}" among named_endpoints; write the endpoint there, or here in place of its name`,
    );
  return [named.byName[name], `${named.path}[${JSON.stringify(name)}]`];
}

/**
 * What a source publishes of an endpoint that is given by its address.
 *
 * @param type of the cluster, for the error
 * @throws ConfigError when it is given by a name
 */
export function endpointByAddress(endpoint: ConfiguredEndpoint, type: string): EndpointData {
  const { host, port, pipe, path } = endpoint;
  if (pipe !== '') return endpointAt(endpoint, Address.pipe(pipe));
  let address: Address;
  try {
    address = Address.ip(host, port);
  } catch {
    throw ConfigError.at(
      `${path}.socket_address.address`,
      `"${host}" is not an IP address; a cluster of type ${type} takes no names: use STRICT_DNS or LOGICAL_DNS`,
    );
  }
  return endpointAt(endpoint, address);
}

/** What a source publishes of an endpoint once its address is known. @param hostname where the endpoint has none of its own */
export function endpointAt(
  { data, healthCheckPort }: ConfiguredEndpoint,
  address: Address,
  hostname = '',
): EndpointData {
  const own = data.hostname === '' ? { ...data, hostname } : data;
  const { text, ip, family } = address;
  return healthCheckPort === 0 || data.healthCheckAddress !== undefined || family === 'pipe'
    ? { ...own, address: text }
    : { ...own, address: text, healthCheckAddress: Address.ip(ip, healthCheckPort).text };
}

/** `health_check_config`, but for a port that goes with the endpoint's own address. */
function readCheckConfig(
  config: Endpoint_HealthCheckConfig | undefined,
  path: string,
): Pick<EndpointData, 'healthCheckAddress' | 'healthCheckHostname' | 'noHealthCheck'> {
  if (config === undefined) return {};
  refuseUnsupported(config, Endpoint_HealthCheckConfigSchema, CHECK_FIELDS, path);
  if (config.portValue > 65_535)
    throw ConfigError.at(`${path}.port_value`, `must be at most 65535, is ${config.portValue}`);
  return {
    ...(config.address === undefined
      ? {}
      : { healthCheckAddress: checkAddress(config.address, config.portValue, `${path}.address`) }),
    ...(config.hostname === '' ? {} : { healthCheckHostname: config.hostname }),
    ...(config.disableActiveHealthCheck ? { noHealthCheck: true } : {}),
  };
}

function checkAddress({ address }: AddressMessage, port: number, path: string): string {
  if (address.case !== 'socketAddress') throw ConfigError.at(path, 'must be a socket_address');
  const socket = readSocketAddress(address.value, `${path}.socket_address`);
  try {
    return Address.ip(socket.host, port || socket.port).text;
  } catch {
    throw ConfigError.at(`${path}.socket_address.address`, `"${socket.host}" is not an IP address`);
  }
}

function readAddress(endpoint: Endpoint, path: string): { host: string; port: number; pipe: string } {
  const address = endpoint.address?.address;
  switch (address?.case) {
    case 'socketAddress':
      return { ...readSocketAddress(address.value, `${path}.socket_address`), pipe: '' };
    case 'pipe':
      refuseUnsupported(address.value, PipeSchema, PIPE_FIELDS, `${path}.pipe`);
      if (Address.parse(address.value.path)?.family !== 'pipe')
        throw ConfigError.at(`${path}.pipe.path`, 'must be an absolute path, or begin with @');
      return { host: '', port: 0, pipe: address.value.path };
    case 'envoyInternalAddress':
      throw ConfigError.at(`${path}.envoy_internal_address`, 'internal addresses are not built yet');
    default:
      throw ConfigError.at(path, 'is missing');
  }
}

function readSocketAddress(socket: SocketAddress, path: string): { host: string; port: number } {
  refuseUnsupported(socket, SocketAddressSchema, SOCKET_FIELDS, path, {
    named_port: 'ports by name are not supported; give port_value',
    resolver_name: 'custom resolvers are not supported',
  });
  if (socket.protocol !== 0) throw ConfigError.at(`${path}.protocol`, 'must be TCP');
  if (socket.address === '') throw ConfigError.at(`${path}.address`, 'is empty');
  const port = socket.portSpecifier.case === 'portValue' ? socket.portSpecifier.value : 0;
  if (port > 65_535) throw ConfigError.at(`${path}.port_value`, `must be at most 65535, is ${port}`);
  return { host: socket.address, port };
}

function readWeight(entry: LbEndpoint, path: string): number {
  const weight = entry.loadBalancingWeight ?? 1;
  if (weight < 1) throw ConfigError.at(joinPath(path, 'load_balancing_weight'), 'must be at least 1');
  return weight;
}

function readMetadata(entry: LbEndpoint, path: string): Pick<EndpointData, 'metadata'> {
  if (entry.metadata === undefined) return {};
  refuseUnsupported(entry.metadata, MetadataSchema, METADATA_FIELDS, joinPath(path, 'metadata'));
  return {
    metadata: entry.metadata.filterMetadata as { [name: string]: { [key: string]: MetadataValue } },
  };
}

/** UNKNOWN counts as healthy, as in Envoy. */
function readHealth(entry: LbEndpoint): Pick<EndpointData, 'health'> {
  switch (entry.healthStatus) {
    case HealthStatus.UNHEALTHY:
      return { health: 'unhealthy' };
    case HealthStatus.DRAINING:
      return { health: 'draining' };
    case HealthStatus.TIMEOUT:
      return { health: 'timeout' };
    case HealthStatus.DEGRADED:
      return { health: 'degraded' };
    default:
      return {};
  }
}
