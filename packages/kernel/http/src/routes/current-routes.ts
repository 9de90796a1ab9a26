import type { Route, RouteMiss, RouteTable } from '@dragoman/core';

/** Where the routes of a connection manager are. */
export interface CurrentRoutes {
  /** Those of a request that comes now. A snapshot, replaced whole: a request keeps the one that it began with. */
  readonly current: RouteTable;
}

/** In the place of a route configuration that has not come yet: nothing matches, as in Envoy. */
export class NoRoutes implements RouteTable {
  readonly name = '';
  private readonly missing: RouteMiss;

  /** @param name of the configuration that is waited for */
  constructor(name: string) {
    this.missing = {
      details: 'no_route_configuration',
      text: `the route configuration "${name}" has not come from its config source yet`,
    };
  }

  match(): Route | undefined {
    return undefined;
  }

  miss(): RouteMiss {
    return this.missing;
  }
}
