import {
  durationMs,
  type Metadata,
  type TcpProxy,
  TcpProxySchema,
  type TcpProxy_WeightedCluster,
} from '@dragoman/api';
import {
  type AccessLogger,
  atPath,
  ConfigError,
  type ListenerFactoryContext,
  type MetadataValue,
  ProblemCollector,
  unsupportedFields,
} from '@dragoman/core';
import { type ConnectionHash, compileHashPolicy } from './hash.ts';

/** Metadata that hosts must have, for subset load balancing. */
export type MetadataMatch = Readonly<Record<string, MetadataValue>>;

/** The filter metadata that load balancing reads. */
export const LOAD_BALANCER_METADATA = 'envoy.lb';

/** Where a connection may go. */
export interface Route {
  readonly cluster: string;
  readonly metadataMatch: MetadataMatch | undefined;
}

/** `weighted_clusters`: `upTo[i]` is the sum of the weights up to and with `routes[i]`. */
export interface WeightedRoutes {
  readonly routes: readonly Route[];
  readonly upTo: readonly number[];
  readonly total: number;
}

/** What the filter works with: the config, checked and compiled. */
export interface Options {
  readonly statPrefix: string;
  readonly route: Route | undefined;
  readonly weighted: WeightedRoutes | undefined;
  /** `hash_policy`: what hosts are picked by; undefined: by chance. */
  readonly hash: ConnectionHash | undefined;
  /** ms without a byte in either direction; 0: never. Default 1 h. */
  readonly idleTimeoutMs: number;
  /** ms from the accepted connection; 0: for ever. */
  readonly maxDurationMs: number;
  /** Percent of {@link maxDurationMs} that is added at most, drawn for each connection. */
  readonly maxDurationJitterPercent: number;
  /** 1 or more. */
  readonly maxConnectAttempts: number;
  readonly accessLogs: readonly AccessLogger[];
  readonly logOnConnected: boolean;
  /** ms between entries while the connection is open; 0: none. */
  readonly logIntervalMs: number;
}

const SUPPORTED = new Set([
  'stat_prefix',
  'cluster',
  'weighted_clusters',
  'metadata_match',
  'idle_timeout',
  'access_log',
  'max_connect_attempts',
  'hash_policy',
  'max_downstream_connection_duration',
  'max_downstream_connection_duration_jitter_percentage',
  'access_log_flush_interval',
  'flush_access_log_on_connected',
  'access_log_options',
]);

const REASONS = {
  tunneling_config: 'tunnelling over HTTP is not supported yet: it needs CONNECT upstream; remove it',
  on_demand: 'clusters are not discovered on demand yet; remove it and name a configured cluster',
  backoff_options:
    'backoff between connect attempts is not supported yet: the next one follows at once; remove it',
  proxy_protocol_tlvs: 'there is no upstream PROXY protocol yet; remove it',
  downstream_idle_timeout: 'Envoy does not act on it either; use idle_timeout, which watches both sides',
  upstream_idle_timeout: 'Envoy does not act on it either; use idle_timeout, which watches both sides',
};

const ONE_HOUR_MS = 3_600_000;

/** @throws ConfigError with paths below the filter's config */
export function parseConfig(config: TcpProxy, context: ListenerFactoryContext): Options {
  const problems = new ProblemCollector();
  problems.problems.push(...unsupportedFields(config, TcpProxySchema, SUPPORTED, '', REASONS));
  if (config.statPrefix === '') problems.add('stat_prefix', 'may not be empty');
  const match = problems.try('', () => readMetadataMatch(config.metadataMatch, undefined));
  const specifier = config.clusterSpecifier;
  let route: Route | undefined;
  let weighted: WeightedRoutes | undefined;
  switch (specifier.case) {
    case 'cluster':
      if (specifier.value === '') problems.add('cluster', 'may not be empty');
      route = { cluster: specifier.value, metadataMatch: match };
      break;
    case 'weightedClusters':
      weighted = problems.try('weighted_clusters', () => readWeighted(specifier.value, match));
      break;
    default:
      problems.add('', 'needs one of cluster, weighted_clusters');
  }
  const hash = problems.try('', () => compileHashPolicy(config.hashPolicy));
  const logging = problems.try('', () => readLogging(config));
  const accessLogs = problems.try('access_log', () => context.accessLoggers(config.accessLog));
  const maxDurationMs = durationMs(config.maxDownstreamConnectionDuration) ?? 0;
  if (config.maxDownstreamConnectionDuration !== undefined && maxDurationMs < 1)
    problems.add('max_downstream_connection_duration', 'must be at least 1 ms');
  const jitter = config.maxDownstreamConnectionDurationJitterPercentage?.value ?? 0;
  if (!(jitter >= 0 && jitter <= 100))
    problems.add('max_downstream_connection_duration_jitter_percentage', 'must be between 0 and 100');
  const attempts = config.maxConnectAttempts ?? 1;
  if (attempts < 1) problems.add('max_connect_attempts', 'must be 1 or more');
  const idleTimeoutMs = durationMs(config.idleTimeout) ?? ONE_HOUR_MS;
  if (idleTimeoutMs < 0) problems.add('idle_timeout', 'may not be negative');
  problems.throwIfAny();
  return {
    statPrefix: config.statPrefix,
    route,
    weighted,
    hash,
    idleTimeoutMs,
    maxDurationMs,
    maxDurationJitterPercent: jitter,
    maxConnectAttempts: attempts,
    accessLogs: accessLogs as readonly AccessLogger[],
    ...(logging as Logging),
  };
}

function readWeighted(config: TcpProxy_WeightedCluster, match: MetadataMatch | undefined): WeightedRoutes {
  if (config.clusters.length === 0) throw ConfigError.at('clusters', 'needs at least one cluster');
  let total = 0;
  const upTo: number[] = [];
  const routes = config.clusters.map((cluster, i) =>
    atPath(`clusters[${i}]`, () => {
      if (cluster.name === '') throw ConfigError.at('name', 'may not be empty');
      if (cluster.weight < 1) throw ConfigError.at('weight', 'must be 1 or more');
      total += cluster.weight;
      upTo.push(total);
      return { cluster: cluster.name, metadataMatch: readMetadataMatch(cluster.metadataMatch, match) };
    }),
  );
  return { routes, upTo, total };
}

/** @param around what `own` is laid over */
function readMetadataMatch(
  own: Metadata | undefined,
  around: MetadataMatch | undefined,
): MetadataMatch | undefined {
  if (own === undefined) return around;
  if (Object.keys(own.typedFilterMetadata).length > 0) {
    throw ConfigError.at(
      'metadata_match.typed_filter_metadata',
      'typed metadata is not supported; use filter_metadata',
    );
  }
  const criteria = own.filterMetadata[LOAD_BALANCER_METADATA] as MetadataMatch | undefined;
  return criteria === undefined ? around : { ...around, ...criteria };
}

type Logging = Pick<Options, 'logOnConnected' | 'logIntervalMs'>;

/** `access_log_options`, or the two deprecated fields that it replaces. */
function readLogging(config: TcpProxy): Logging {
  const { accessLogOptions, accessLogFlushInterval, flushAccessLogOnConnected } = config;
  if (accessLogOptions !== undefined && (accessLogFlushInterval !== undefined || flushAccessLogOnConnected)) {
    throw ConfigError.at(
      'access_log_options',
      'replaces access_log_flush_interval and flush_access_log_on_connected: set it or them, not both',
    );
  }
  const interval = accessLogOptions?.accessLogFlushInterval ?? accessLogFlushInterval;
  const logIntervalMs = durationMs(interval) ?? 0;
  if (interval !== undefined && logIntervalMs < 1) {
    const path = accessLogOptions === undefined ? '' : 'access_log_options.';
    throw ConfigError.at(`${path}access_log_flush_interval`, 'must be at least 1 ms');
  }
  return {
    logOnConnected: accessLogOptions?.flushAccessLogOnConnected ?? flushAccessLogOnConnected,
    logIntervalMs,
  };
}
