import {
  anyTypeName,
  type Route,
  RouteListSchema,
  RouteSchema,
  unpackAnyAs,
  type XdsMatcher,
} from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext, type HttpMatchData, type MatchTree } from '@dragoman/core';
import { compileMatchTree, httpMatchResolver, type NamedExtension } from '@dragoman/matching';
import { type RouteEntry, RouteList } from './route-list.ts';

/** Envoy's rule: routes are found before anything else of a request is known for sure. */
const ALLOWED_INPUTS: ReadonlySet<string> = new Set([
  'envoy.type.matcher.v3.HttpRequestHeaderMatchInput',
  'envoy.extensions.matching.common_inputs.network.v3.FilterStateInput',
]);

/**
 * Compiles `VirtualHost.matcher`, whose actions are a `Route` or a `RouteList`.
 * @param compileRoute throws ConfigError with a path below the route
 * @throws ConfigError with a path below the matcher
 */
export function compileRouteTree(
  config: XdsMatcher,
  context: FactoryContext,
  compileRoute: (route: Route) => RouteEntry,
  virtualHost: string,
  ignoreParameters: boolean,
): MatchTree<HttpMatchData, RouteList> {
  const action = (extension: NamedExtension) =>
    atPath(
      'typed_config',
      () => new RouteList(virtualHost, routesOf(extension, compileRoute), ignoreParameters),
    );
  return compileMatchTree(config, httpMatchResolver(context, action, { checkInput }));
}

function checkInput(typeName: string): void {
  if (!ALLOWED_INPUTS.has(typeName))
    throw ConfigError.at(
      '',
      `a route table can match on request headers and filter state only, not on ${typeName}`,
    );
}

function routesOf(
  { name, typedConfig }: NamedExtension,
  compileRoute: (route: Route) => RouteEntry,
): readonly RouteEntry[] {
  if (typedConfig !== undefined) {
    const route = unpackAnyAs(typedConfig, RouteSchema);
    if (route !== undefined) return [compileRoute(route)];
    const list = unpackAnyAs(typedConfig, RouteListSchema);
    if (list !== undefined)
      return list.routes.map((each, i) => atPath(`routes[${i}]`, () => compileRoute(each)));
  }
  const found = typedConfig === undefined ? `"${name}" without a config` : anyTypeName(typedConfig);
  throw ConfigError.at(
    '',
    `expected envoy.config.route.v3.Route or envoy.config.route.v3.RouteList, found ${found}`,
  );
}
