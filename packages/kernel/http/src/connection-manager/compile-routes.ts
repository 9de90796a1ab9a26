import {
  type HttpConnectionManager,
  nearest,
  type Rds,
  type RouteConfiguration,
  RouteConfigurationSchema,
  visitRouteClusters,
} from '@dragoman/api';
import { atPath, ConfigError, type HttpFilterContext, ProblemCollector } from '@dragoman/core';
import {
  compileRouteTable,
  compileScopedRoutes,
  type CurrentRoutes,
  DiscoveredScopes,
  LiveRoutes,
  type LiveRoutesOptions,
  NoRoutes,
  type RouteTableOptions,
} from '../routes/index.ts';
import { perFilterConfigResolver } from './compile-filters.ts';
import { allFilters } from './upgrades.ts';

type LiveOptions = Omit<LiveRoutesOptions, 'onChange'>;

/**
 * The routes of a connection manager, whichever way it has them. What is watched for them ends with the context's resources.
 * @param listeners who hears of what is compiled
 * @throws ConfigError with paths below the connection manager
 */
export function compileRoutes(
  config: HttpConnectionManager,
  context: HttpFilterContext,
  listeners: Pick<RouteTableOptions, 'onRoute' | 'onTable' | 'onWeighted'> = {},
): CurrentRoutes {
  const perFilterConfig = perFilterConfigResolver(allFilters(config), context);
  const options = { ...listeners, context, perFilterConfig };
  const live: LiveOptions = {
    ...options,
    resources: context.dynamicResources,
    logger: context.loggers.logger('router'),
    check: (found) => checkClusters(found, context),
  };
  const specifier = config.routeSpecifier;
  switch (specifier.case) {
    case 'routeConfig':
      return specifier.value.vhds === undefined
        ? { current: compileRouteTable(specifier.value, { ...options, path: 'route_config' }) }
        : atPath('route_config', () => withDiscoveredHosts(specifier.value, live));
    case 'rds':
      return atPath('rds', () => watchRoutes(specifier.value, live));
    case 'scopedRoutes': {
      const { value } = specifier;
      const { configSpecifier: scopes } = value;
      return atPath('scoped_routes', () =>
        scopes.case === 'scopedRds'
          ? new DiscoveredScopes(value, scopes.value, live)
          : { current: compileScopedRoutes(value, options) },
      );
    }
    default:
      throw ConfigError.at('route_config', 'a route configuration is required');
  }
}

/** A configuration that stands in the config, of which some virtual hosts are discovered. */
function withDiscoveredHosts(config: RouteConfiguration, options: LiveOptions): CurrentRoutes {
  const routes = new CurrentTable(config.name, { ...options, check: undefined });
  routes.live.prepare(config)();
  return routes;
}

/** A configuration that is discovered whole. */
function watchRoutes({ configSource, routeConfigName: name }: Rds, options: LiveOptions): CurrentRoutes {
  if (configSource === undefined) throw ConfigError.at('config_source', 'is required');
  const routes = new CurrentTable(name, options);
  options.resources.watch({ type: RouteConfigurationSchema, source: configSource, name }, routes.live);
  return routes;
}

class CurrentTable implements CurrentRoutes {
  current: CurrentRoutes['current'];
  readonly live: LiveRoutes;

  constructor(name: string, options: LiveOptions) {
    this.current = new NoRoutes(name);
    const live: LiveRoutes = new LiveRoutes({
      ...options,
      onChange: () => {
        if (live.current !== undefined) this.current = live.current;
      },
    });
    this.live = live;
  }
}

/** `validate_clusters`, false by default for what is discovered. @throws ConfigError with each cluster that is not there */
function checkClusters(config: RouteConfiguration, { clusters }: HttpFilterContext): void {
  if (config.validateClusters !== true) return;
  const names = new Set(clusters.clusterNames);
  // Who explains a request compiles without clusters.
  if (names.size === 0) return;
  const problems = new ProblemCollector();
  visitRouteClusters(config, (name, path) => {
    if (!names.has(name)) problems.add(path, `unknown cluster ${JSON.stringify(name)}`, nearest(name, names));
  });
  problems.throwIfAny();
}
