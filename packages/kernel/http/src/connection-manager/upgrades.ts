import type { HttpConnectionManager } from '@dragoman/api';
import {
  ConfigError,
  type HttpFilterContext,
  ProblemCollector,
  type RequestHeaders,
  type Route,
  wellKnownId,
} from '@dragoman/core';
import { compileFilterChain } from './compile-filters.ts';
import type { CompiledFilterChain } from './filter-chain.ts';

const ID_UPGRADE = wellKnownId('upgrade');

/** One of `upgrade_configs`, compiled. */
interface UpgradeType {
  readonly enabled: boolean;
  /** Undefined: the chain of all other requests. */
  readonly chain: CompiledFilterChain | undefined;
}

/** Which upgrades a connection manager lets through, by type in lower case. CONNECT counts as the type `connect`. */
export type UpgradeTypes = ReadonlyMap<string, UpgradeType>;

export const NO_UPGRADES: UpgradeTypes = new Map();

/**
 * Compiles `upgrade_configs`.
 * @throws ConfigError for a type that stands twice, and for filters that make no chain
 */
export function compileUpgrades(
  configs: HttpConnectionManager['upgradeConfigs'],
  context: HttpFilterContext,
): UpgradeTypes {
  if (configs.length === 0) return NO_UPGRADES;
  const types = new Map<string, UpgradeType>();
  const problems = new ProblemCollector();
  configs.forEach((config, i) => {
    problems.try(`upgrade_configs[${i}]`, () => {
      const type = config.upgradeType.toLowerCase();
      if (type === '') throw ConfigError.at('upgrade_type', 'may not be empty');
      if (types.has(type))
        throw ConfigError.at('upgrade_type', `"${config.upgradeType}" stands twice; leave one of them`);
      const chain =
        config.filters.length === 0 ? undefined : compileFilterChain(config.filters, context, 'filters');
      types.set(type, { enabled: config.enabled ?? true, chain });
    });
  });
  problems.throwIfAny();
  return types;
}

/** The filters of every chain, for `typed_per_filter_config`. */
export function allFilters(config: HttpConnectionManager): HttpConnectionManager['httpFilters'] {
  return [...config.httpFilters, ...config.upgradeConfigs.flatMap(({ filters }) => filters)];
}

/** The type that a request asks to be upgraded to, in lower case; undefined for nearly all requests. */
export function upgradeType(headers: RequestHeaders): string | undefined {
  if (headers.hasKnown(ID_UPGRADE)) return headers.getJoined('upgrade')?.toLowerCase();
  return headers.method === 'CONNECT' ? 'connect' : undefined;
}

/**
 * The filter chain of an upgrade; undefined when it is not let through. What the route says counts before the
 * connection manager.
 */
export function upgradeChain(
  type: string,
  types: UpgradeTypes,
  route: Route | undefined,
  otherwise: CompiledFilterChain,
): CompiledFilterChain | undefined {
  const action = route?.action;
  const byRoute = action?.kind === 'forward' ? action.policies.upgrades?.enabled.get(type) : undefined;
  const found = types.get(type);
  if (!(byRoute ?? found?.enabled ?? false)) return undefined;
  return found?.chain ?? otherwise;
}
