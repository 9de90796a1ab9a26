import { type ClusterSpecifierPlugin, anyTypeName, resolveExtension } from '@dragoman/api';
import {
  atPath,
  type ClusterSpecifier,
  ConfigError,
  type FactoryContext,
  type RequestHeaders,
  type StreamInfo,
} from '@dragoman/core';
import type { CompiledRoute, RouteChoice } from './compiled-route.ts';

const CATEGORY = 'cluster-specifiers';

/** A plugin that is optional and not part of this proxy: routes that name it never match, as in Envoy. */
export const ABSENT_SPECIFIER: ClusterSpecifier = { clusterName: () => undefined };

/** @throws ConfigError with a path below the plugin */
export function compileClusterSpecifier(
  { extension, isOptional }: ClusterSpecifierPlugin,
  context: FactoryContext,
): ClusterSpecifier {
  if (extension === undefined) throw ConfigError.at('extension', 'is required');
  const { name, typedConfig } = extension;
  const path = 'extension.typed_config';
  if (isOptional) {
    const { extensions } = context;
    const typeName = typedConfig === undefined ? '' : anyTypeName(typedConfig);
    if ((extensions.findByType(CATEGORY, typeName) ?? extensions.find(CATEGORY, name)) === undefined)
      return ABSENT_SPECIFIER;
  }
  const resolved = resolveExtension(context.extensions, CATEGORY, name, typedConfig, path);
  return atPath(path, () => resolved.extension.create(resolved.message, context));
}

/**
 * The `cluster_specifier_plugins` of a route configuration, by name.
 * @throws ConfigError with a path below the route configuration
 */
export function compileClusterSpecifiers(
  plugins: readonly ClusterSpecifierPlugin[],
  context: FactoryContext,
): ReadonlyMap<string, ClusterSpecifier> {
  const specifiers = new Map<string, ClusterSpecifier>();
  plugins.forEach((plugin, i) => {
    atPath(`cluster_specifier_plugins[${i}]`, () => {
      const name = plugin.extension?.name ?? '';
      if (specifiers.has(name))
        throw ConfigError.at('extension.name', `a plugin named "${name}" is there already`);
      specifiers.set(name, compileClusterSpecifier(plugin, context));
    });
  });
  return specifiers;
}

/** Routes by cluster that are kept: a name that comes from a client must not fill the memory. */
const MAX_KEPT = 1000;

/** A route whose cluster an extension names for each request. */
export class SpecifiedRoutes implements RouteChoice {
  private readonly specifier: ClusterSpecifier;
  private readonly make: (cluster: string) => CompiledRoute;
  private readonly made = new Map<string, CompiledRoute>();
  /** What {@link choose} found: the lookup that asked runs to its end before the next. */
  private chosen: string | undefined = undefined;

  /** @param make the route, to a cluster */
  constructor(specifier: ClusterSpecifier, make: (cluster: string) => CompiledRoute) {
    this.specifier = specifier;
    this.make = make;
    // Whoever counts routes hears of this one before any request.
    this.made.set('', make(''));
  }

  /** Asks the extension; false: this route does not take the request. To be called before {@link pick}. */
  choose(headers: RequestHeaders, info: StreamInfo, random: number): boolean {
    this.chosen = this.specifier.clusterName(headers, info, random);
    return this.chosen !== undefined;
  }

  pick(): CompiledRoute | undefined {
    const { chosen } = this;
    if (chosen === undefined) return undefined;
    const known = this.made.get(chosen);
    if (known !== undefined) return known;
    const route = this.make(chosen);
    if (this.made.size < MAX_KEPT) this.made.set(chosen, route);
    return route;
  }
}
