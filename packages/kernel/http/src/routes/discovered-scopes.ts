import {
  RouteConfigurationSchema,
  type ScopedRds,
  type ScopedRouteConfiguration,
  ScopedRouteConfigurationSchema,
  type ScopedRoutes,
  ScopedRoutesSchema,
} from '@dragoman/api';
import {
  type CollectionUser,
  ConfigError,
  inResource,
  ProblemCollector,
  type ResourceWatch,
  refuseUnsupported,
} from '@dragoman/core';
import type { CurrentRoutes } from './current-routes.ts';
import { LiveRoutes, type LiveRoutesOptions } from './live-routes.ts';
import type { CompiledRouteTable } from './route-table.ts';
import { compileScopeKey, type FragmentReader, ScopedRouteTable, scopeKey } from './scoped-routes.ts';

const SUPPORTED = new Set(['name', 'scope_key_builder', 'rds_config_source', 'scoped_rds']);
const SCOPE_SUPPORTED = new Set(['name', 'key', 'route_configuration_name']);
const SCOPE_REASONS = {
  route_configuration:
    'scopes of a management server name their route configuration, in Envoy too; write route_configuration_name',
  on_demand: 'route configurations of scopes are not loaded on demand yet; leave it out',
};

type Scopes = ReadonlyMap<string, ScopedRouteConfiguration>;
/** Names of route configurations by the keys of scopes. */
type NamesByKey = ReadonlyMap<string, string>;

/** A route configuration that scopes name. */
interface NamedRoutes {
  readonly routes: LiveRoutes;
  readonly watch: ResourceWatch;
}

const NO_SCOPES: NamesByKey = new Map();

/** Scopes that a management server gives (SRDS), each with a route configuration that is discovered by its name (RDS). */
export class DiscoveredScopes
  implements CurrentRoutes, CollectionUser<typeof ScopedRouteConfigurationSchema>
{
  current: ScopedRouteTable;
  private readonly config: ScopedRoutes;
  private readonly options: Omit<LiveRoutesOptions, 'onChange'>;
  private readonly readers: readonly FragmentReader[];
  private scopes: NamesByKey = NO_SCOPES;
  /** By name: those of {@link scopes}, and those of a version that is being prepared. */
  private readonly named = new Map<string, NamedRoutes>();

  /** @throws ConfigError with every problem, paths below `scoped_routes` */
  constructor(config: ScopedRoutes, scopedRds: ScopedRds, options: Omit<LiveRoutesOptions, 'onChange'>) {
    const problems = new ProblemCollector();
    problems.try('', () => refuseUnsupported(config, ScopedRoutesSchema, SUPPORTED));
    const source = scopedRds.scopedRdsConfigSource;
    if (source === undefined) problems.add('scoped_rds.scoped_rds_config_source', 'is required');
    if (config.rdsConfigSource === undefined)
      problems.add(
        'rds_config_source',
        'is required: it is where the route configurations of scopes come from',
      );
    this.config = config;
    this.options = options;
    this.readers = problems.try('', () => compileScopeKey(config)) ?? [];
    this.current = new ScopedRouteTable(config.name, this.readers, new Map());
    problems.throwIfAny();
    const locator = scopedRds.srdsResourcesLocator;
    const collection = { type: ScopedRouteConfigurationSchema, source, locator };
    problems.try('scoped_rds', () => options.resources.watchAll(collection, this));
    problems.throwIfAny();
  }

  prepare(resources: Scopes): () => void {
    // What a version that was refused elsewhere has left.
    this.closeUnused();
    const scopes = this.readScopes(resources);
    const problems = new ProblemCollector();
    for (const name of new Set(scopes.values()))
      if (!this.named.has(name))
        problems.try('', () =>
          inResource(`route configuration ${JSON.stringify(name)}`, () => this.open(name)),
        );
    if (problems.problems.length > 0) this.closeUnused();
    problems.throwIfAny();
    return () => {
      this.scopes = scopes;
      this.closeUnused();
      this.rebuild();
    };
  }

  private readScopes(resources: Scopes): NamesByKey {
    const problems = new ProblemCollector();
    const names = new Map<string, string>();
    const owners = new Map<string, string>();
    for (const [resource, scope] of resources) {
      problems.try('', () =>
        inResource(resource, () => {
          refuseUnsupported(scope, ScopedRouteConfigurationSchema, SCOPE_SUPPORTED, '', SCOPE_REASONS);
          if (scope.routeConfigurationName === '')
            throw ConfigError.at('route_configuration_name', 'is required');
          const key = scopeKey(scope, this.readers.length);
          const owner = owners.get(key);
          if (owner !== undefined) throw ConfigError.at('key', `the scope "${owner}" has the same key`);
          owners.set(key, resource);
          names.set(key, scope.routeConfigurationName);
        }),
      );
    }
    problems.throwIfAny();
    return names;
  }

  private open(name: string): void {
    let there = false;
    const routes = new LiveRoutes({ ...this.options, onChange: () => there && this.rebuild() });
    const reference = { type: RouteConfigurationSchema, source: this.config.rdsConfigSource, name };
    const watch = this.options.resources.watch(reference, routes);
    // What is known already is put together with the scopes that name it.
    there = true;
    this.named.set(name, { routes, watch });
  }

  private closeUnused(): void {
    const used = new Set(this.scopes.values());
    for (const [name, { routes, watch }] of this.named) {
      if (used.has(name)) continue;
      watch.close();
      routes.close();
      this.named.delete(name);
    }
  }

  private rebuild(): void {
    const tables = new Map<string, CompiledRouteTable>();
    for (const [key, name] of this.scopes) {
      const table = this.named.get(name)?.routes.current;
      if (table !== undefined) tables.set(key, table);
    }
    this.current = new ScopedRouteTable(this.config.name, this.readers, tables);
  }
}
