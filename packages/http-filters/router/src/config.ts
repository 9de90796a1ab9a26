import { durationMs, type Router, RouterSchema } from '@dragoman/api';
import {
  atPath,
  type Clock,
  type ClusterManager,
  ConfigError,
  type Counter,
  type HttpFilterContext,
  type LoadShedPoint,
  LoadShedPointName,
  type Logger,
  type RandomSource,
  refuseUnsupported,
  type Runtime,
  type StatsScope,
  type UpstreamHttpFilters,
} from '@dragoman/core';
import { type StrictHeader, strictHeader } from './strict-headers.ts';
import type { UpstreamLogs } from './try-log.ts';

const SUPPORTED = new Set([
  'dynamic_stats',
  'suppress_envoy_headers',
  'respect_expected_rq_timeout',
  'strict_check_headers',
  'suppress_grpc_request_failure_code_stats',
  'upstream_log',
  'upstream_log_options',
  'upstream_http_filters',
]);

/** Documented, and counted by nothing here. */
const RESERVED = ['rq_retry_skipped_request_not_complete'] as const;

/** The router's part of `http.<stat_prefix>.*`. */
export interface RouterStats {
  readonly noRoute: Counter;
  readonly noCluster: Counter;
  readonly rqRedirect: Counter;
  readonly rqDirectResponse: Counter;
  readonly rqOverloadLocalReply: Counter;
  readonly rqTotal: Counter;
  readonly rqResetAfterDownstreamResponseStarted: Counter;
  /** `passthrough_internal_redirect_*`: redirects that went to the client although there is a policy. */
  readonly passthrough: Readonly<Record<RedirectRefusal, Counter>>;
}

/** Why a redirect is not followed. */
export type RedirectRefusal = 'badLocation' | 'noRoute' | 'predicate' | 'tooManyRedirects' | 'unsafeScheme';

/** The router's config, compiled. */
export interface RouterConfig {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly clusters: ClusterManager;
  readonly stats: RouterStats;
  /** `envoy.load_shed_points.http_downstream_filter_check`, where it is configured. */
  readonly shedRequest: LoadShedPoint | undefined;
  /** Of this machine; mirrored requests say that they come from it. Empty: unknown. */
  readonly localAddress: string;
  /** `dynamic_stats`: counts `upstream_rq_<code>` and its kin. Default true. */
  readonly dynamicStats: boolean;
  /** `suppress_envoy_headers`: adds no `x-envoy-*` header. Default false. */
  readonly suppressEnvoyHeaders: boolean;
  /** `respect_expected_rq_timeout`. Default false. */
  readonly respectExpectedTimeout: boolean;
  /** `strict_check_headers`; undefined for none. */
  readonly strictCheckHeaders: readonly StrictHeader[] | undefined;
  /** `suppress_grpc_request_failure_code_stats`. Default false. */
  readonly suppressGrpcCodes: boolean;
  /** `upstream_http_filters`: for tries to clusters that name none of their own. */
  readonly upstreamFilters: UpstreamHttpFilters | undefined;
  /** Undefined for no `upstream_log`. */
  readonly upstreamLogs: UpstreamLogs | undefined;
}

function createStats(scope: StatsScope): RouterStats {
  for (const name of RESERVED) scope.counter(name);
  return {
    noRoute: scope.counter('no_route'),
    noCluster: scope.counter('no_cluster'),
    rqRedirect: scope.counter('rq_redirect'),
    rqDirectResponse: scope.counter('rq_direct_response'),
    rqOverloadLocalReply: scope.counter('rq_overload_local_reply'),
    rqTotal: scope.counter('rq_total'),
    rqResetAfterDownstreamResponseStarted: scope.counter('rq_reset_after_downstream_response_started'),
    passthrough: {
      badLocation: scope.counter('passthrough_internal_redirect_bad_location'),
      noRoute: scope.counter('passthrough_internal_redirect_no_route'),
      predicate: scope.counter('passthrough_internal_redirect_predicate'),
      tooManyRedirects: scope.counter('passthrough_internal_redirect_too_many_redirects'),
      unsafeScheme: scope.counter('passthrough_internal_redirect_unsafe_scheme'),
    },
  };
}

/** The config for requests of this proxy's own: as that of clients' requests, counted under `http.async-client.` */
export function ownRequests(config: RouterConfig, root: StatsScope): RouterConfig {
  return { ...config, shedRequest: undefined, stats: createStats(root.scope('http.async-client')) };
}

/** @throws ConfigError for a field that is not built */
export function compileRouter(config: Router, context: HttpFilterContext): RouterConfig {
  refuseUnsupported(config, RouterSchema, SUPPORTED);
  return {
    clock: context.clock,
    random: context.random,
    runtime: context.runtime,
    logger: context.loggers.logger('router'),
    clusters: context.clusters,
    stats: createStats(context.stats.scope(context.statPrefix)),
    shedRequest: context.overload.loadShedPoint(LoadShedPointName.httpDownstreamFilterCheck),
    localAddress: context.localInfo.address,
    dynamicStats: config.dynamicStats ?? true,
    suppressEnvoyHeaders: config.suppressEnvoyHeaders,
    respectExpectedTimeout: config.respectExpectedRqTimeout,
    strictCheckHeaders: readStrictHeaders(config.strictCheckHeaders),
    suppressGrpcCodes: config.suppressGrpcRequestFailureCodeStats,
    upstreamLogs: readUpstreamLogs(config, context),
    upstreamFilters: readUpstreamFilters(config, context),
  };
}

function readStrictHeaders(names: readonly string[]): readonly StrictHeader[] | undefined {
  if (names.length === 0) return undefined;
  return names.map((name, i) => {
    const header = strictHeader(name);
    if (header !== undefined) return header;
    throw ConfigError.at(`strict_check_headers[${i}]`, `"${name}" is no header that can be checked`);
  });
}

function readUpstreamFilters(config: Router, context: HttpFilterContext): UpstreamHttpFilters | undefined {
  const { upstreamHttpFilters } = config;
  if (upstreamHttpFilters.length === 0) return undefined;
  return context.upstreamFilters(upstreamHttpFilters, {
    statPrefix: context.statPrefix,
    field: 'upstream_http_filters',
    scope: context.listenerScope,
    stats: context.stats,
  });
}

function readUpstreamLogs(config: Router, context: HttpFilterContext): UpstreamLogs | undefined {
  const { upstreamLog, upstreamLogOptions: options } = config;
  if (upstreamLog.length === 0) return undefined;
  return {
    loggers: atPath('upstream_log', () => context.accessLoggers(upstreamLog)),
    onPoolReady: options?.flushUpstreamLogOnUpstreamStream ?? false,
    intervalMs: durationMs(options?.upstreamLogFlushInterval) ?? 0,
  };
}
