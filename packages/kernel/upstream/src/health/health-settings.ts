import {
  anyTypeName,
  type Cluster,
  durationMs,
  type HealthCheck,
  HealthCheckSchema,
  HealthCheckEventFileSinkSchema,
  unpackAny,
  unpackAnyAs,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ExtensionRegistry,
  type HealthCheckerExtension,
  type MetadataValue,
  ProblemCollector,
  refuseUnsupported,
} from '@dragoman/core';

/** An entry of `health_checks`, read and checked. Times in milliseconds. */
export interface HealthSettings {
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** While the cluster has had no traffic. Default 60,000. */
  readonly noTrafficIntervalMs: number;
  /** The same for hosts that are healthy. Default {@link noTrafficIntervalMs}. */
  readonly noTrafficHealthyIntervalMs: number;
  /** Default {@link intervalMs}. */
  readonly unhealthyIntervalMs: number;
  /** After the first failures of a healthy host. Default {@link unhealthyIntervalMs}. */
  readonly unhealthyEdgeIntervalMs: number;
  /** After the first successes of an unhealthy host. Default {@link intervalMs}. */
  readonly healthyEdgeIntervalMs: number;
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  /** Percent of each interval. */
  readonly intervalJitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  /** Undefined: the host's own. */
  readonly altPort: number | undefined;
  readonly reuseConnection: boolean;
  readonly alwaysLogFailures: boolean;
  readonly alwaysLogSuccess: boolean;
  /** Files for events. */
  readonly eventLogs: readonly string[];
  /** `tls_options.alpn_protocols`. */
  readonly alpnProtocols: readonly string[];
  /** `transport_socket_match_criteria`, in place of the host's metadata. */
  readonly socketCriteria: Readonly<Record<string, MetadataValue>> | undefined;
  readonly checker: HealthCheckerExtension;
  readonly checkerConfig: unknown;
  /** Where the checker's config stands, below the cluster. */
  readonly checkerPath: string;
}

const DEFAULT_NO_TRAFFIC_INTERVAL_MS = 60_000;

const FIELDS = new Set([
  'timeout',
  'interval',
  'initial_jitter',
  'interval_jitter',
  'interval_jitter_percent',
  'unhealthy_threshold',
  'healthy_threshold',
  'alt_port',
  'reuse_connection',
  'http_health_check',
  'tcp_health_check',
  'grpc_health_check',
  'custom_health_check',
  'no_traffic_interval',
  'no_traffic_healthy_interval',
  'unhealthy_interval',
  'unhealthy_edge_interval',
  'healthy_edge_interval',
  'event_log_path',
  'event_logger',
  'always_log_health_check_failures',
  'always_log_health_check_success',
  'tls_options',
  'transport_socket_match_criteria',
]);

/** Undefined for a cluster without active health checks. @throws ConfigError with paths relative to the cluster */
export function readHealthCheck(cluster: Cluster, registry: ExtensionRegistry): HealthSettings | undefined {
  const [config, ...more] = cluster.healthChecks;
  if (config === undefined) return undefined;
  if (more.length > 0)
    throw ConfigError.at('health_checks[1]', 'a cluster has one health check at most (as in Envoy)');
  return atPath('health_checks[0]', () => readOne(config, registry));
}

function readOne(config: HealthCheck, registry: ExtensionRegistry): HealthSettings {
  const problems = new ProblemCollector();
  problems.try('', () =>
    refuseUnsupported(config, HealthCheckSchema, FIELDS, '', {
      event_service: 'events to a gRPC service are not built yet; use event_logger with a file',
    }),
  );
  const found = problems.try('', () => findChecker(config, registry));
  const positive = (field: string, ms: number | undefined): number => {
    if (ms === undefined || !(ms > 0))
      problems.add(field, ms === undefined ? 'is missing' : 'must be more than 0 s');
    return ms ?? 0;
  };
  const threshold = (field: string, value: number | undefined): number => {
    if (value === undefined) problems.add(field, 'is missing');
    return value ?? 1;
  };
  const intervalMs = positive('interval', durationMs(config.interval));
  const unhealthyIntervalMs = durationMs(config.unhealthyInterval) ?? intervalMs;
  const noTrafficIntervalMs = durationMs(config.noTrafficInterval) ?? DEFAULT_NO_TRAFFIC_INTERVAL_MS;
  const settings = {
    timeoutMs: positive('timeout', durationMs(config.timeout)),
    intervalMs,
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: durationMs(config.noTrafficHealthyInterval) ?? noTrafficIntervalMs,
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: durationMs(config.unhealthyEdgeInterval) ?? unhealthyIntervalMs,
    healthyEdgeIntervalMs: durationMs(config.healthyEdgeInterval) ?? intervalMs,
    initialJitterMs: durationMs(config.initialJitter) ?? 0,
    intervalJitterMs: durationMs(config.intervalJitter) ?? 0,
    intervalJitterPercent: config.intervalJitterPercent,
    unhealthyThreshold: threshold('unhealthy_threshold', config.unhealthyThreshold),
    healthyThreshold: threshold('healthy_threshold', config.healthyThreshold),
    altPort: config.altPort,
    reuseConnection: config.reuseConnection ?? true,
    alwaysLogFailures: config.alwaysLogHealthCheckFailures,
    alwaysLogSuccess: config.alwaysLogHealthCheckSuccess,
    eventLogs: problems.try('', () => readEventLogs(config)) ?? [],
    alpnProtocols: config.tlsOptions?.alpnProtocols ?? [],
    socketCriteria: config.transportSocketMatchCriteria as HealthSettings['socketCriteria'],
  };
  problems.throwIfAny();
  return { ...settings, ...(found as NonNullable<typeof found>) };
}

function findChecker(
  { healthChecker }: HealthCheck,
  registry: ExtensionRegistry,
): Pick<HealthSettings, 'checker' | 'checkerConfig' | 'checkerPath'> {
  if (healthChecker.case === undefined)
    throw ConfigError.at(
      '',
      'says nothing of what to check: set http_health_check, tcp_health_check or grpc_health_check',
    );
  if (healthChecker.case === 'customHealthCheck') {
    const { name, configType } = healthChecker.value;
    const any = configType.case === 'typedConfig' ? configType.value : undefined;
    const path = 'custom_health_check';
    const typeName = any === undefined ? undefined : anyTypeName(any);
    const checker = registry.resolve('health-checkers', name, typeName, path);
    const checkerPath = `${path}.typed_config`;
    const checkerConfig = any === undefined ? undefined : atPath(checkerPath, () => unpackAny(any));
    return { checker, checkerConfig, checkerPath };
  }
  const field = FIELD_OF[healthChecker.case];
  const checker =
    registry.ofCategory('health-checkers').find((extension) => extension.field === field) ??
    registry.resolve('health-checkers', `envoy.health_checkers.${field.split('_')[0]}`, undefined, field);
  return { checker, checkerConfig: healthChecker.value, checkerPath: field };
}

const FIELD_OF = {
  httpHealthCheck: 'http_health_check',
  tcpHealthCheck: 'tcp_health_check',
  grpcHealthCheck: 'grpc_health_check',
} as const;

function readEventLogs({ eventLogPath, eventLogger }: HealthCheck): string[] {
  const paths = eventLogPath === '' ? [] : [eventLogPath];
  eventLogger.forEach(({ name, typedConfig }, index) => {
    const path = `event_logger[${index}]`;
    const sink = typedConfig && unpackAnyAs(typedConfig, HealthCheckEventFileSinkSchema);
    if (sink === undefined)
      throw ConfigError.at(path, `"${name}" is not supported: envoy.health_check.event_sinks.file is`);
    if (sink.eventLogPath === '') throw ConfigError.at(`${path}.typed_config.event_log_path`, 'is missing');
    paths.push(sink.eventLogPath);
  });
  return paths;
}
