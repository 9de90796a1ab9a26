import {
  type Cluster,
  Cluster_PreconnectPolicySchema,
  ClusterSchema,
  durationMs,
  TcpKeepaliveSchema,
  UpstreamConnectionOptionsSchema,
} from '@dragoman/api';
import {
  type Address,
  ConfigError,
  type ExtensionRegistry,
  type FactoryContext,
  ProblemCollector,
  refuseUnsupported,
  type RoutingPriority,
} from '@dragoman/core';
import type { MetadataMap } from '../hosts/host.ts';
import { type OutlierSettings, readOutlierDetection } from '../outliers/outlier-settings.ts';
import type { Thresholds } from '../resources.ts';
import { type HttpSettings, readHttpOptions } from './http-options.ts';
import { type CommonLbSettings, type CreatePolicy, readCommonLb, readPolicy } from './load-balancing.ts';
import { readBindConfig, readMetadata } from './messages.ts';
import { readThresholds } from './thresholds.ts';
import { readTransportSockets, type TransportSockets } from './transport-sockets.ts';

/** A cluster's configuration, read and checked. */
export interface ClusterSettings {
  readonly name: string;
  /** `alt_stat_name`, or the name. */
  readonly statName: string;
  /** Milliseconds. Default 5,000. */
  readonly connectTimeoutMs: number;
  /** Default 1 MiB. */
  readonly bufferLimitBytes: number;
  readonly http: HttpSettings;
  /** `per_upstream_preconnect_ratio`, 1 … 3. Undefined for 1: nothing is opened ahead. */
  readonly preconnectRatio: number | undefined;
  readonly thresholds: Readonly<Record<RoutingPriority, Thresholds>>;
  readonly commonLb: CommonLbSettings;
  /** A host that fails loses its TCP connections too. Default false. */
  readonly closeTcpOnHealthFailure: boolean;
  readonly bindAddress: Address | undefined;
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number } | undefined;
  readonly metadata: MetadataMap;
  readonly transport: TransportSockets;
  readonly createPolicy: CreatePolicy;
  /** Undefined: nobody is taken out for bad answers. */
  readonly outliers: OutlierSettings | undefined;
  /** Hosts are checked, so that their answers may say that they want no more traffic. */
  readonly healthChecked: boolean;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
/** `per_connection_buffer_limit_bytes`. */
export const DEFAULT_BUFFER_LIMIT = 1024 * 1024;
/** Linux: the time before the first probe (`net.ipv4.tcp_keepalive_time`). */
const DEFAULT_KEEPALIVE_S = 7_200;

/** Fields that the worker acts on, or the sources on main, or the discovery extension. */
const FIELDS = new Set([
  'name',
  'alt_stat_name',
  'type',
  'cluster_type',
  'connect_timeout',
  'per_connection_buffer_limit_bytes',
  'lb_policy',
  'load_balancing_policy',
  'round_robin_lb_config',
  'least_request_lb_config',
  'ring_hash_lb_config',
  'maglev_lb_config',
  'lb_subset_config',
  'common_lb_config',
  'load_assignment',
  'max_requests_per_connection',
  'circuit_breakers',
  'common_http_protocol_options',
  'http_protocol_options',
  'http2_protocol_options',
  'protocol_selection',
  'upstream_http_protocol_options',
  'typed_extension_protocol_options',
  'dns_refresh_rate',
  'dns_failure_refresh_rate',
  'dns_jitter',
  'respect_dns_ttl',
  'dns_lookup_family',
  'dns_resolvers',
  'dns_resolution_config',
  'typed_dns_resolver_config',
  'wait_for_warm_on_init',
  'cleanup_interval',
  'ignore_health_on_host_removal',
  'close_connections_on_host_health_failure',
  'health_checks',
  'outlier_detection',
  'upstream_bind_config',
  'upstream_connection_options',
  'preconnect_policy',
  'metadata',
  'transport_socket',
  'transport_socket_matches',
]);

const REASONS = {
  eds_cluster_config: 'EDS is not built yet; list the endpoints in load_assignment',
  use_tcp_for_dns_lookups: 'DNS over TCP is not possible with the resolver of this platform',
  original_dst_lb_config: 'clusters of type ORIGINAL_DST are not built yet',
} as const;

const CONNECTION_FIELDS = new Set(['tcp_keepalive']);
const KEEPALIVE_FIELDS = new Set(['keepalive_time']);
const KEEPALIVE_REASON = 'only keepalive_time can be set on sockets of this platform';

/**
 * Reads a cluster. Everything that is set and does not act is refused by name.
 *
 * @throws ConfigError with every problem found, paths relative to the cluster
 */
export function readCluster(
  cluster: Cluster,
  registry: ExtensionRegistry,
  context: FactoryContext,
): ClusterSettings {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(cluster, ClusterSchema, FIELDS, '', REASONS));
  if (cluster.name === '') problems.add('name', 'a cluster needs a name');
  const connectTimeoutMs = durationMs(cluster.connectTimeout) ?? DEFAULT_CONNECT_TIMEOUT_MS;
  if (!(connectTimeoutMs > 0)) problems.add('connect_timeout', 'must be more than 0 s');
  const http = readHttpOptions(cluster, problems, registry, context);
  const thresholds = readThresholds(cluster.circuitBreakers, 'circuit_breakers', problems);
  const commonLb = readCommonLb(cluster, problems);
  const createPolicy = problems.try('', () => readPolicy(cluster, registry));
  const bindAddress = problems.try('', () =>
    readBindConfig(cluster.upstreamBindConfig, 'upstream_bind_config'),
  );
  const keepAlive = problems.try('upstream_connection_options', () => readKeepAlive(cluster));
  const metadata = problems.try('', () => readMetadata(cluster.metadata, 'metadata'));
  const transport = problems.try('', () => readTransportSockets(cluster, registry, context));
  if (transport !== undefined) problems.try(http.protocolPath, () => checkAlpn(http, transport));
  const outliers = problems.try('outlier_detection', () =>
    cluster.outlierDetection === undefined ? undefined : readOutlierDetection(cluster.outlierDetection),
  );
  const preconnectRatio = problems.try('preconnect_policy', () => readPreconnect(cluster));
  problems.throwIfAny();
  return {
    name: cluster.name,
    statName: cluster.altStatName === '' ? cluster.name : cluster.altStatName,
    connectTimeoutMs,
    bufferLimitBytes: cluster.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT,
    http,
    preconnectRatio,
    thresholds,
    commonLb,
    closeTcpOnHealthFailure: cluster.closeConnectionsOnHostHealthFailure,
    bindAddress,
    keepAlive,
    metadata: metadata as MetadataMap,
    transport: transport as TransportSockets,
    outliers,
    healthChecked: cluster.healthChecks.length > 0,
    createPolicy: createPolicy as ClusterSettings['createPolicy'],
  };
}

function readKeepAlive(cluster: Cluster): ClusterSettings['keepAlive'] {
  const options = cluster.upstreamConnectionOptions;
  if (options === undefined) return undefined;
  refuseUnsupported(options, UpstreamConnectionOptionsSchema, CONNECTION_FIELDS);
  const { tcpKeepalive } = options;
  if (tcpKeepalive === undefined) return undefined;
  refuseUnsupported(tcpKeepalive, TcpKeepaliveSchema, KEEPALIVE_FIELDS, 'tcp_keepalive', {
    keepalive_probes: KEEPALIVE_REASON,
    keepalive_interval: KEEPALIVE_REASON,
  });
  return { enabled: true, initialDelayMs: (tcpKeepalive.keepaliveTime ?? DEFAULT_KEEPALIVE_S) * 1000 };
}

/** @throws ConfigError when there is nothing that could choose a protocol */
function checkAlpn({ protocol }: HttpSettings, { standard, matches }: TransportSockets): void {
  if (protocol !== 'auto') return;
  const plain = [standard, ...matches.map(({ socket }) => socket)].some((socket) => socket?.secure !== true);
  if (plain)
    throw ConfigError.at(
      '',
      'needs ALPN: every transport socket of the cluster must be one of TLS (envoy.transport_sockets.tls)',
    );
}

/** A ratio of 1 is what happens without the field: one connection for each request that waits. */
function readPreconnect({ preconnectPolicy: policy }: Cluster): number | undefined {
  if (policy === undefined) return undefined;
  const supported = new Set(['per_upstream_preconnect_ratio']);
  if ((policy.predictivePreconnectRatio ?? 1) === 1) supported.add('predictive_preconnect_ratio');
  refuseUnsupported(policy, Cluster_PreconnectPolicySchema, supported, '', {
    predictive_preconnect_ratio:
      'load balancers here do not tell which host they will pick next; only 1.0 is accepted, per_upstream_preconnect_ratio connects ahead to the hosts in use',
  });
  const ratio = policy.perUpstreamPreconnectRatio ?? 1;
  return ratio === 1 ? undefined : ratio;
}
