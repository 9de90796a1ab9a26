import type { Route, RouteAction, RouteConfiguration, VirtualHost } from '@dragoman/api';
import { type FactoryContext, type ForwardPolicies, NO_POLICIES, type RateLimitRule } from '@dragoman/core';
import { compileHashPolicy } from './hash-policy.ts';
import { compileRateLimits, joinRateLimits } from './rate-limits.ts';

/** The levels of a configuration that a route's policies are read from. */
export interface PolicyLevels {
  readonly table: RouteConfiguration;
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  readonly action: RouteAction;
  /** `rate_limits` of the virtual host, compiled once for all its routes. */
  readonly virtualHostRateLimits: readonly RateLimitRule[];
}

/**
 * The policies of a route that forwards; {@link NO_POLICIES} when no level asks for any.
 * @throws ConfigError with a path below the route action
 */
export function compilePolicies(levels: PolicyLevels, context: FactoryContext): ForwardPolicies {
  const policies: ForwardPolicies = {
    requestBufferLimitBytes:
      levels.route.perRequestBufferLimitBytes ?? levels.virtualHost.perRequestBufferLimitBytes,
    hash: compileHashPolicy(levels.action.hashPolicy),
    rateLimits: joinRateLimits(
      compileRateLimits(levels.action.rateLimits, context),
      levels.virtualHostRateLimits,
      levels.action.includeVhRateLimits ?? false,
    ),
  };
  return Object.values(policies).every((policy) => policy === undefined) ? NO_POLICIES : policies;
}
