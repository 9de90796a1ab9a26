import {
  DefaultEarlyDataPolicySchema,
  durationMs,
  type Route,
  type RouteAction,
  type RouteConfiguration,
  unpackAnyAs,
  type VirtualHost,
} from '@dragoman/api';
import {
  ConfigError,
  type FactoryContext,
  type ForwardPolicies,
  type GrpcTimeoutPolicy,
  type MirrorPolicy,
  NO_POLICIES,
  type RateLimitRule,
  type RetryPolicy,
} from '@dragoman/core';
import { notNegative } from './forward.ts';
import { compileHashPolicy } from './hash-policy.ts';
import { compileInternalRedirect } from './internal-redirect.ts';
import { compileMirrors } from './mirrors.ts';
import { compileRateLimits, joinRateLimits } from './rate-limits.ts';
import { compileHedgePolicy, compileLevelRetry } from './retry-policy.ts';
import { compileUpgradePolicies } from './upgrades.ts';

/** The levels of a configuration that a route's policies are read from. */
export interface PolicyLevels {
  readonly table: RouteConfiguration;
  readonly virtualHost: VirtualHost;
  /** Of {@link virtualHost}. */
  readonly host: HostPolicies;
  readonly route: Route;
  readonly action: RouteAction;
}

/** What a virtual host says for all its routes, compiled once. */
export interface HostPolicies {
  readonly retry: RetryPolicy | undefined;
  /** Its own, or the table's. */
  readonly mirrors: readonly MirrorPolicy[] | undefined;
  readonly rateLimits: readonly RateLimitRule[];
}

/**
 * @param mirrors those of the table
 * @throws ConfigError with a path below the virtual host
 */
export function compileHostPolicies(
  virtualHost: VirtualHost,
  mirrors: readonly MirrorPolicy[] | undefined,
  context: FactoryContext,
): HostPolicies {
  checkOneLimit(virtualHost);
  return {
    retry: compileLevelRetry(virtualHost, context),
    mirrors: compileMirrors(virtualHost.requestMirrorPolicies, context) ?? mirrors,
    rateLimits: compileRateLimits(virtualHost.rateLimits, context),
  };
}

/**
 * The policies of a route that forwards; {@link NO_POLICIES} when no level asks for any.
 * @throws ConfigError with a path below the route action
 */
export function compilePolicies(levels: PolicyLevels, context: FactoryContext): ForwardPolicies {
  const { virtualHost, host, route, action } = levels;
  checkEarlyData(action);
  const policies: ForwardPolicies = {
    ...bufferLimits(route, virtualHost),
    retry: compileLevelRetry(action, context) ?? host.retry,
    hedge: compileHedgePolicy(action.hedgePolicy ?? virtualHost.hedgePolicy, context),
    tellTimeoutRetry: virtualHost.includeIsTimeoutRetryHeader || undefined,
    grpcTimeout: grpcTimeoutPolicy(action),
    upgrades: compileUpgradePolicies(action),
    mirrors: compileMirrors(action.requestMirrorPolicies, context) ?? levels.host.mirrors,
    internalRedirect: compileInternalRedirect(action, route.name, context),
    hash: compileHashPolicy(action.hashPolicy),
    rateLimits: joinRateLimits(
      compileRateLimits(action.rateLimits, context),
      host.rateLimits,
      action.includeVhRateLimits ?? false,
    ),
  };
  return Object.values(policies).every((policy) => policy === undefined) ? NO_POLICIES : policies;
}

/** The newer field goes before the older one, at each level; the route before its virtual host. */
function bufferLimits(
  route: Route,
  virtualHost: VirtualHost,
): Pick<ForwardPolicies, 'requestBufferLimitBytes' | 'requestBodyBufferLimitBytes'> {
  const body = route.requestBodyBufferLimit ?? virtualHost.requestBodyBufferLimit;
  return {
    requestBufferLimitBytes: route.perRequestBufferLimitBytes ?? virtualHost.perRequestBufferLimitBytes,
    requestBodyBufferLimitBytes: body === undefined ? undefined : Number(body),
  };
}

/** @throws ConfigError when both are set: Envoy knows no order between them at one level */
export function checkOneLimit(level: Route | VirtualHost): void {
  if (level.requestBodyBufferLimit !== undefined && level.perRequestBufferLimitBytes !== undefined)
    throw ConfigError.at(
      'request_body_buffer_limit',
      'may not be set beside per_request_buffer_limit_bytes, which it takes the place of',
    );
}

function grpcTimeoutPolicy(action: RouteAction): GrpcTimeoutPolicy | undefined {
  const { maxStreamDuration } = action;
  const routeMaxMs = notNegative(durationMs(action.maxGrpcTimeout), 'max_grpc_timeout');
  if (maxStreamDuration === undefined && routeMaxMs === undefined) return undefined;
  const path = 'max_stream_duration';
  return {
    routeMaxMs,
    routeOffsetMs: notNegative(durationMs(action.grpcTimeoutOffset), 'grpc_timeout_offset') ?? 0,
    streamMaxMs: notNegative(
      durationMs(maxStreamDuration?.grpcTimeoutHeaderMax),
      `${path}.grpc_timeout_header_max`,
    ),
    streamOffsetMs:
      notNegative(
        durationMs(maxStreamDuration?.grpcTimeoutHeaderOffset),
        `${path}.grpc_timeout_header_offset`,
      ) ?? 0,
    byStreamDuration: maxStreamDuration !== undefined,
  };
}

/** Which requests may go upstream as TLS early data or over QUIC's: none do, whatever the policy allows. */
function checkEarlyData({ earlyDataPolicy: policy }: RouteAction): void {
  const any = policy?.typedConfig;
  if (any !== undefined && unpackAnyAs(any, DefaultEarlyDataPolicySchema) === undefined)
    throw ConfigError.at(
      'early_data_policy',
      `unknown policy "${policy?.name}"; envoy.route.early_data_policy.default is known`,
    );
}
