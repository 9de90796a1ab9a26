import {
  type Cluster,
  ClusterSchema,
  durationMs,
  TcpKeepaliveSchema,
  TrackClusterStatsSchema,
  UpstreamConnectionOptionsSchema,
} from '@dragoman/api';
import {
  type Address,
  type ClusterBalancerContext,
  ConfigError,
  type ExtensionRegistry,
  type FactoryContext,
  type LoadBalancer,
  ProblemCollector,
  refuseUnsupported,
  type RoutingPriority,
} from '@dragoman/core';
import { type MetricReader, metricReader, unknownMetrics } from '@dragoman/orca';
import type { MetadataMap } from '../hosts/host.ts';
import { type OutlierSettings, readOutlierDetection } from '../outliers/outlier-settings.ts';
import { type HttpSettings, readHttpOptions } from './http-options.ts';
import { fieldsOf } from './cluster-fields.ts';
import { discoveryOf } from './cluster-type.ts';
import { type CommonLbSettings, type CreatePolicy, readCommonLb, readPolicy } from './load-balancing.ts';
import { readBindConfig, readMetadata } from './messages.ts';
import { readThresholds, type Thresholds } from './thresholds.ts';
import { closeSockets, readTransportSockets, type TransportSockets } from './transport-sockets.ts';

/** A cluster's configuration, read and checked. */
export interface ClusterSettings {
  readonly name: string;
  /** Name of the extension of its type. */
  readonly type: string | undefined;
  /** `alt_stat_name`, or the name. */
  readonly statName: string;
  /** Milliseconds. Default 5,000. */
  readonly connectTimeoutMs: number;
  /** Default 1 MiB. */
  readonly bufferLimitBytes: number;
  readonly http: HttpSettings;
  /** `per_upstream_preconnect_ratio`, 1 … 3. Undefined for 1: nothing is opened ahead. */
  readonly preconnectRatio: number | undefined;
  /** `predictive_preconnect_ratio`, 1 … 3. Undefined for 1: nothing is opened to hosts that come next. */
  readonly predictiveRatio: number | undefined;
  readonly thresholds: Readonly<Record<RoutingPriority, Thresholds>>;
  readonly commonLb: CommonLbSettings;
  /** A host that fails loses its TCP connections too. Default false. */
  readonly closeTcpOnHealthFailure: boolean;
  readonly bindAddress: Address | undefined;
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number } | undefined;
  readonly metadata: MetadataMap;
  readonly transport: TransportSockets;
  readonly createPolicy: CreatePolicy;
  /** The balancer of a cluster that chooses its hosts itself. */
  readonly provided: ((context: ClusterBalancerContext) => LoadBalancer) | undefined;
  /** The hosts that {@link provided} chooses are other clusters'. */
  readonly choosesMembers: boolean;
  /** Undefined: it makes no sub-clusters. */
  readonly subClusterTtlMs: number | undefined;
  /** Undefined: nobody is taken out for bad answers. */
  readonly outliers: OutlierSettings | undefined;
  /** Hosts are checked, so that their answers may say that they want no more traffic. */
  readonly healthChecked: boolean;
  /** What load reports say of the hosts' own reports. Undefined: nothing. */
  readonly reportedMetrics: MetricReader | undefined;
  /** `track_cluster_stats` */
  readonly tracked: { readonly timeoutBudgets: boolean; readonly messageSizes: boolean };
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
/** `per_connection_buffer_limit_bytes`. */
export const DEFAULT_BUFFER_LIMIT = 1024 * 1024;
/** Linux: the time before the first probe (`net.ipv4.tcp_keepalive_time`). */
const DEFAULT_KEEPALIVE_S = 7_200;

const CONNECTION_FIELDS = new Set(['tcp_keepalive']);
const TRACKED_FIELDS = new Set(['timeout_budgets', 'request_response_sizes']);
const KEEPALIVE_FIELDS = new Set(['keepalive_time']);
const KEEPALIVE_REASON = 'only keepalive_time can be set on sockets of this platform';

/**
 * Reads a cluster. Everything that is set and does not act is refused by name.
 *
 * @throws ConfigError with every problem found, paths relative to the cluster
 */
export function readCluster(
  message: Cluster,
  registry: ExtensionRegistry,
  context: FactoryContext,
): ClusterSettings {
  const type = discoveryOf(message, registry);
  const cluster = (type?.complete?.(message as never) ?? message) as Cluster;
  const problems = new ProblemCollector();
  const subClusters = problems.try('', () => type?.subClusters?.(cluster as never));
  const discovered = type?.createBalancer === undefined || subClusters !== undefined;
  const fields = fieldsOf(type, discovered);
  problems.try('', () => refuseUnsupported(cluster, ClusterSchema, fields.supported, '', fields.reasons));
  if (cluster.name === '') problems.add('name', 'a cluster needs a name');
  const connectTimeoutMs = durationMs(cluster.connectTimeout) ?? DEFAULT_CONNECT_TIMEOUT_MS;
  if (!(connectTimeoutMs > 0)) problems.add('connect_timeout', 'must be more than 0 s');
  const http = readHttpOptions(cluster, problems, registry, context);
  const thresholds = readThresholds(cluster.circuitBreakers, 'circuit_breakers', problems);
  const commonLb = readCommonLb(cluster, problems, discovered);
  const createPolicy = problems.try('', () => readPolicy(cluster, registry, type));
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
  problems.try('track_cluster_stats', () => {
    if (cluster.trackClusterStats !== undefined)
      refuseUnsupported(cluster.trackClusterStats, TrackClusterStatsSchema, TRACKED_FIELDS, '', {
        per_endpoint_stats:
          'stats of single endpoints are not supported yet; see /clusters for their numbers',
      });
  });
  if (problems.problems.length > 0 && transport !== undefined) closeSockets(transport);
  problems.throwIfAny();
  return {
    name: cluster.name,
    type: type?.name,
    statName: cluster.altStatName === '' ? cluster.name : cluster.altStatName,
    connectTimeoutMs,
    bufferLimitBytes: cluster.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT,
    http,
    preconnectRatio: readRatio(cluster.preconnectPolicy?.perUpstreamPreconnectRatio),
    predictiveRatio: readRatio(cluster.preconnectPolicy?.predictivePreconnectRatio),
    thresholds,
    commonLb,
    closeTcpOnHealthFailure: cluster.closeConnectionsOnHostHealthFailure,
    bindAddress,
    keepAlive,
    metadata: metadata as MetadataMap,
    transport: transport as TransportSockets,
    outliers,
    healthChecked: cluster.healthChecks.length > 0,
    reportedMetrics: readMetrics(cluster, context),
    tracked: {
      timeoutBudgets: cluster.trackClusterStats?.timeoutBudgets ?? false,
      messageSizes: cluster.trackClusterStats?.requestResponseSizes ?? false,
    },
    createPolicy: createPolicy as ClusterSettings['createPolicy'],
    provided: type?.createBalancer && ((own) => type.createBalancer?.(cluster as never, own) as LoadBalancer),
    choosesMembers: type?.choosesMembers ?? false,
    subClusterTtlMs: subClusters?.ttlMs,
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

/** As in Envoy a name that no report can have is passed over. */
function readMetrics(
  { lrsReportEndpointMetrics: names }: Cluster,
  context: FactoryContext,
): MetricReader | undefined {
  if (names.length === 0) return undefined;
  for (const name of unknownMetrics(names))
    context.warn(
      'lrs_report_endpoint_metrics',
      `"${name}" is no metric of a load report; there are cpu_utilization, named_metrics.<key>, named_metrics.* and their like`,
    );
  return metricReader(names);
}

/** A ratio of 1 is what happens without the field: one connection for each request that waits. */
function readRatio(ratio: number | undefined): number | undefined {
  return ratio === 1 ? undefined : ratio;
}
