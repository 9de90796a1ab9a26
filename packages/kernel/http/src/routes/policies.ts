import type { Route, RouteAction, RouteConfiguration, VirtualHost } from '@dragoman/api';
import { type FactoryContext, type ForwardPolicies, type MirrorPolicy, NO_POLICIES } from '@dragoman/core';
import { compileMirrors } from './mirrors.ts';
import { compileUpgradePolicies } from './upgrades.ts';

/** The levels of a configuration that a route's policies are read from. */
export interface PolicyLevels {
  readonly table: RouteConfiguration;
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  readonly action: RouteAction;
  /** `request_mirror_policies` of the levels around the route. */
  readonly mirrors: readonly MirrorPolicy[] | undefined;
}

/**
 * The policies of a route that forwards; {@link NO_POLICIES} when no level asks for any.
 * @throws ConfigError with a path below the route action
 */
export function compilePolicies(levels: PolicyLevels, context: FactoryContext): ForwardPolicies {
  const policies: ForwardPolicies = {
    requestBufferLimitBytes:
      levels.route.perRequestBufferLimitBytes ?? levels.virtualHost.perRequestBufferLimitBytes,
    upgrades: compileUpgradePolicies(levels.action),
    mirrors: compileMirrors(levels.action.requestMirrorPolicies, context) ?? levels.mirrors,
    internalRedirect: undefined,
  };
  return Object.values(policies).every((policy) => policy === undefined) ? NO_POLICIES : policies;
}
