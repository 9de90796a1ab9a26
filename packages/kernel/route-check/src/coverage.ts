import { type Route as RouteConfig, toConfigJson } from '@dragoman/api';
import type { Route } from '@dragoman/core';

/** What of a route can be tested. */
export type CoveredField =
  | 'cluster_name'
  | 'virtual_cluster_name'
  | 'virtual_host_name'
  | 'path_rewrite'
  | 'host_rewrite'
  | 'path_redirect'
  | 'code_redirect';

/** How many fields there are of a route that forwards, and of one that answers. */
const FORWARD_FIELDS = 5;
const REPLY_FIELDS = 2;

interface KnownRoute {
  readonly place: string;
  readonly virtualHost: string;
  readonly config: RouteConfig;
  readonly fields: Set<CoveredField>;
}

/** Which routes tests have had right. Each weighted cluster is a route of its own, as in Envoy. */
export class Coverage {
  private readonly routes = new Map<Route, KnownRoute>();
  /** Routes whose cluster an extension names: all that are made for one entry count as one. */
  private readonly specified = new Map<RouteConfig, KnownRoute>();

  /** @param place as a person finds it: `virtual_hosts[0].routes[3]` */
  add(route: Route, config: RouteConfig, place: string): void {
    const known = this.specified.get(config) ?? {
      place,
      virtualHost: route.virtualHostName,
      config,
      fields: new Set(),
    };
    if (isSpecified(config)) this.specified.set(config, known);
    this.routes.set(route, known);
  }

  /** A redirect to https that `require_tls` asks for is nobody's route. */
  mark(route: Route | undefined, field: CoveredField): void {
    if (route !== undefined) this.routes.get(route)?.fields.add(field);
  }

  /** Percent of the routes of which something was tested; 100 when there is none. */
  get percent(): number {
    return this.share(({ fields }) => (fields.size > 0 ? 1 : 0));
  }

  /** Percent of all that could be tested of all routes (`--covall`). */
  get comprehensivePercent(): number {
    return this.share(
      ({ fields, config }) => fields.size / (config.action.case === 'route' ? FORWARD_FIELDS : REPLY_FIELDS),
    );
  }

  /** A line for each route of which nothing was tested. @param match prints what it matches in place of its name */
  missing(match: boolean): string[] {
    const tested = new Set<RouteConfig>();
    for (const { config, fields } of this.routes.values()) if (fields.size > 0) tested.add(config);
    const lines = new Set<string>();
    for (const { config, virtualHost, place } of this.routes.values()) {
      if (tested.has(config)) continue;
      const what = match
        ? `route: ${config.match === undefined ? '{}' : JSON.stringify(toConfigJson(config.match))}`
        : `route name: ${config.name === '' ? place : config.name}`;
      lines.add(`Missing test for host: ${virtualHost}, ${what}`);
    }
    return [...lines];
  }

  private share(weight: (route: KnownRoute) => number): number {
    const all = [...new Set(this.routes.values())];
    if (all.length === 0) return 100;
    return (100 * all.reduce((sum, route) => sum + weight(route), 0)) / all.length;
  }
}

function isSpecified({ action }: RouteConfig): boolean {
  if (action.case !== 'route') return false;
  const specifier = action.value.clusterSpecifier.case;
  return specifier === 'clusterSpecifierPlugin' || specifier === 'inlineClusterSpecifierPlugin';
}
