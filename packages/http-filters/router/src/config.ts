import { type Router, RouterSchema } from '@dragoman/api';
import {
  type Clock,
  type ClusterManager,
  type Counter,
  type HttpFilterContext,
  type Logger,
  type RandomSource,
  refuseUnsupported,
  type StatsScope,
} from '@dragoman/core';

const SUPPORTED = new Set(['dynamic_stats', 'suppress_envoy_headers', 'respect_expected_rq_timeout']);

/** Documented, and counted once retries, internal redirects and the overload manager exist. */
const RESERVED = [
  'rq_overload_local_reply',
  'rq_retry_skipped_request_not_complete',
  'passthrough_internal_redirect_bad_location',
  'passthrough_internal_redirect_no_route',
  'passthrough_internal_redirect_predicate',
  'passthrough_internal_redirect_too_many_redirects',
  'passthrough_internal_redirect_unsafe_scheme',
] as const;

/** The router's part of `http.<stat_prefix>.*`. */
export interface RouterStats {
  readonly noRoute: Counter;
  readonly noCluster: Counter;
  readonly rqRedirect: Counter;
  readonly rqDirectResponse: Counter;
  readonly rqTotal: Counter;
  readonly rqResetAfterDownstreamResponseStarted: Counter;
}

/** The router's config, compiled. */
export interface RouterConfig {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly clusters: ClusterManager;
  readonly stats: RouterStats;
  /** Of this machine; mirrored requests say that they come from it. Empty: unknown. */
  readonly localAddress: string;
  /** `dynamic_stats`: counts `upstream_rq_<code>` and its kin. Default true. */
  readonly dynamicStats: boolean;
  /** `suppress_envoy_headers`: adds no `x-envoy-*` header. Default false. */
  readonly suppressEnvoyHeaders: boolean;
  /** `respect_expected_rq_timeout`. Default false. */
  readonly respectExpectedTimeout: boolean;
}

function createStats(scope: StatsScope): RouterStats {
  for (const name of RESERVED) scope.counter(name);
  return {
    noRoute: scope.counter('no_route'),
    noCluster: scope.counter('no_cluster'),
    rqRedirect: scope.counter('rq_redirect'),
    rqDirectResponse: scope.counter('rq_direct_response'),
    rqTotal: scope.counter('rq_total'),
    rqResetAfterDownstreamResponseStarted: scope.counter('rq_reset_after_downstream_response_started'),
  };
}

/** The config for requests of this proxy's own: as that of clients' requests, counted under `http.async-client.` */
export function ownRequests(config: RouterConfig, root: StatsScope): RouterConfig {
  return { ...config, stats: createStats(root.scope('http.async-client')) };
}

/** @throws ConfigError for a field that is not built */
export function compileRouter(config: Router, context: HttpFilterContext): RouterConfig {
  refuseUnsupported(config, RouterSchema, SUPPORTED);
  return {
    clock: context.clock,
    random: context.random,
    logger: context.loggers.logger('router'),
    clusters: context.clusters,
    stats: createStats(context.stats.scope(context.statPrefix)),
    localAddress: context.localInfo.address,
    dynamicStats: config.dynamicStats ?? true,
    suppressEnvoyHeaders: config.suppressEnvoyHeaders,
    respectExpectedTimeout: config.respectExpectedRqTimeout,
  };
}
