import {
  type Address as AddressMessage,
  type Cluster,
  type ClusterLoadAssignment,
  ClusterLoadAssignment_PolicySchema,
  ClusterLoadAssignmentSchema,
  type Endpoint,
  type Endpoint_HealthCheckConfig,
  Endpoint_HealthCheckConfigSchema,
  EndpointSchema,
  HealthStatus,
  type LbEndpoint,
  LbEndpointSchema,
  type LocalityLbEndpoints,
  LocalityLbEndpointsSchema,
  MetadataSchema,
  PipeSchema,
  type SocketAddress,
  SocketAddressSchema,
} from '@dragoman/api';
import {
  Address,
  ConfigError,
  type EndpointData,
  type Locality,
  type MetadataValue,
  ProblemCollector,
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
  /** Where it stands, below the cluster. */
  readonly path: string;
}

export interface ConfiguredLocality {
  readonly locality: Locality;
  /** 0: not weighted. */
  readonly weight: number;
  /** 0 … 127. */
  readonly priority: number;
  readonly endpoints: readonly ConfiguredEndpoint[];
}

/** `load_assignment` of a cluster, read and checked. */
export interface LoadAssignment {
  readonly localities: readonly ConfiguredLocality[];
  /** Percent; undefined: the default of 140. */
  readonly overprovisioningFactor: number | undefined;
}

const ROOT = 'load_assignment';
const ASSIGNMENT_FIELDS = new Set(['cluster_name', 'endpoints', 'policy']);
const POLICY_FIELDS = new Set(['overprovisioning_factor']);
const LOCALITY_FIELDS = new Set(['locality', 'lb_endpoints', 'load_balancing_weight', 'priority']);
const LB_ENDPOINT_FIELDS = new Set(['endpoint', 'health_status', 'metadata', 'load_balancing_weight']);
const ENDPOINT_FIELDS = new Set(['address', 'hostname', 'health_check_config']);
const CHECK_FIELDS = new Set(['port_value', 'hostname', 'address', 'disable_active_health_check']);
const SOCKET_FIELDS = new Set(['protocol', 'address', 'port_value', 'ipv4_compat']);
const PIPE_FIELDS = new Set(['path']);
const METADATA_FIELDS = new Set(['filter_metadata']);

/** The highest priority of Envoy's API. */
const MAX_PRIORITY = 127;

/**
 * Reads the endpoints of a cluster's config. A cluster without any has no hosts.
 *
 * @throws ConfigError with every problem, paths relative to the cluster
 */
export function readLoadAssignment(cluster: Cluster): LoadAssignment {
  const assignment = cluster.loadAssignment;
  if (assignment === undefined) return { localities: [], overprovisioningFactor: undefined };
  const problems = new ProblemCollector();
  problems.try(ROOT, () => checkAssignment(assignment));
  const localities = assignment.endpoints.map((group, index) =>
    readLocality(group, `${ROOT}.endpoints[${index}]`, problems),
  );
  problems.throwIfAny();
  return { localities, overprovisioningFactor: assignment.policy?.overprovisioningFactor };
}

function checkAssignment(assignment: ClusterLoadAssignment): void {
  refuseUnsupported(assignment, ClusterLoadAssignmentSchema, ASSIGNMENT_FIELDS, '', {
    named_endpoints: 'endpoints by name are not built yet; write them into lb_endpoints',
  });
  if (assignment.policy !== undefined)
    refuseUnsupported(assignment.policy, ClusterLoadAssignment_PolicySchema, POLICY_FIELDS, 'policy');
}

function readLocality(
  group: LocalityLbEndpoints,
  path: string,
  problems: ProblemCollector,
): ConfiguredLocality {
  problems.try(path, () => refuseUnsupported(group, LocalityLbEndpointsSchema, LOCALITY_FIELDS));
  if (group.priority > MAX_PRIORITY)
    problems.add(`${path}.priority`, `must be at most ${MAX_PRIORITY}, is ${group.priority}`);
  const endpoints: ConfiguredEndpoint[] = [];
  group.lbEndpoints.forEach((entry, index) => {
    const where = `${path}.lb_endpoints[${index}]`;
    const endpoint = problems.try('', () => readEndpoint(entry, where));
    if (endpoint !== undefined) endpoints.push(endpoint);
  });
  return {
    locality: {
      region: group.locality?.region ?? '',
      zone: group.locality?.zone ?? '',
      subZone: group.locality?.subZone ?? '',
    },
    weight: group.loadBalancingWeight ?? 0,
    priority: group.priority,
    endpoints,
  };
}

function readEndpoint(entry: LbEndpoint, path: string): ConfiguredEndpoint {
  refuseUnsupported(entry, LbEndpointSchema, LB_ENDPOINT_FIELDS, path, {
    endpoint_name: 'endpoints by name are not built yet; write the endpoint itself',
  });
  if (entry.hostIdentifier.case !== 'endpoint') throw ConfigError.at(path, 'has no endpoint');
  const endpoint = entry.hostIdentifier.value;
  refuseUnsupported(endpoint, EndpointSchema, ENDPOINT_FIELDS, `${path}.endpoint`, {
    additional_addresses: 'several addresses for one endpoint are not built yet',
  });
  return {
    ...readAddress(endpoint, `${path}.endpoint.address`),
    path: `${path}.endpoint.address`,
    data: {
      hostname: endpoint.hostname,
      weight: readWeight(entry, path),
      ...readMetadata(entry, path),
      ...readHealth(entry),
      ...readCheckConfig(endpoint.healthCheckConfig, `${path}.endpoint.health_check_config`),
    },
    healthCheckPort: endpoint.healthCheckConfig?.portValue ?? 0,
  };
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
  if (weight < 1) throw ConfigError.at(`${path}.load_balancing_weight`, 'must be at least 1');
  return weight;
}

function readMetadata(entry: LbEndpoint, path: string): Pick<EndpointData, 'metadata'> {
  if (entry.metadata === undefined) return {};
  refuseUnsupported(entry.metadata, MetadataSchema, METADATA_FIELDS, `${path}.metadata`);
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
