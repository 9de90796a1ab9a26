import type { HttpConnectionManager } from '@dragoman/api';
import { atPath, ConfigError, type HttpFilterContext, type RouteTable } from '@dragoman/core';
import { compileRouteTable, compileScopedRoutes, type RouteTableOptions } from '../routes/index.ts';
import { perFilterConfigResolver } from './compile-filters.ts';
import { allFilters } from './upgrades.ts';

/**
 * The routes of a connection manager, whichever way it has them.
 * @param listeners who hears of what is compiled
 * @throws ConfigError with paths below the connection manager
 */
export function compileRoutes(
  config: HttpConnectionManager,
  context: HttpFilterContext,
  listeners: Pick<RouteTableOptions, 'onRoute' | 'onTable' | 'onWeighted'> = {},
): RouteTable {
  const perFilterConfig = perFilterConfigResolver(allFilters(config), context);
  const options = { ...listeners, context, perFilterConfig };
  const specifier = config.routeSpecifier;
  switch (specifier.case) {
    case 'routeConfig':
      return compileRouteTable(specifier.value, { ...options, path: 'route_config' });
    case 'scopedRoutes':
      return atPath('scoped_routes', () => compileScopedRoutes(specifier.value, options));
    default:
      throw ConfigError.at('route_config', 'a route configuration is required');
  }
}
