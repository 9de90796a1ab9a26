import type {
  HttpConnectionManager,
  Route as RouteConfig,
  RouteConfiguration,
  VirtualHost,
} from '@dragoman/api';
import {
  ConfigError,
  type HttpFilterContext,
  type ListenerFactoryContext,
  type RequestHeaders,
  type Route,
} from '@dragoman/core';
import { perFilterConfigResolver } from '../connection-manager/compile-filters.ts';
import { allFilters } from '../connection-manager/upgrades.ts';
import { compileRouteTable } from '../routes/compile.ts';
import { DomainTable } from '../routes/domains.ts';
import type { HttpExplanation, Passed } from './explanation.ts';
import { type AskedRequest, whyNot } from './why-not.ts';

/** A route of a request, with the messages around it. */
export interface FoundRoute {
  readonly virtualHost: HttpExplanation['virtualHost'];
  readonly passed: readonly Passed[];
  readonly place: HttpExplanation['route'];
  readonly miss: string;
  readonly route: Route | undefined;
  readonly host: VirtualHost | undefined;
  /** The message that the route was compiled from; undefined for a redirect to TLS. */
  readonly config: RouteConfig | undefined;
}

/** The routes of a connection manager, with what compiling them forgets. */
export class ExplainedRoutes {
  readonly config: RouteConfiguration;
  private readonly context: ListenerFactoryContext;
  private readonly table: ReturnType<typeof compileRouteTable>;
  private readonly configs = new Map<Route, RouteConfig>();
  private readonly domains: DomainTable<{ readonly index: number; readonly domain: string }>;

  constructor(manager: HttpConnectionManager, context: ListenerFactoryContext) {
    if (manager.routeSpecifier.case !== 'routeConfig')
      throw ConfigError.at('route_config', 'only routes of a route_config can be explained');
    this.config = manager.routeSpecifier.value;
    this.context = context;
    const filterContext: HttpFilterContext = { ...context, statPrefix: '' };
    this.table = compileRouteTable(this.config, {
      context,
      perFilterConfig: perFilterConfigResolver(allFilters(manager), filterContext),
      path: 'route_config',
      onRoute: (route, config) => this.configs.set(route, config),
    });
    this.domains = new DomainTable(this.config.ignorePortInHostMatching);
    this.config.virtualHosts.forEach((host, index) => {
      for (const domain of host.domains) this.domains.add(domain, { index, domain });
    });
  }

  explain(request: AskedRequest): FoundRoute {
    const { headers, info, random } = request;
    const found = this.domains.find(headers.authority);
    if (found === undefined) {
      return { ...NOTHING, miss: this.noVirtualHost(headers) };
    }
    const host = this.config.virtualHosts[found.index] as VirtualHost;
    const at = `virtual_hosts[${found.index}]`;
    const virtualHost = { path: at, name: host.name, domain: found.domain };
    const route = this.table.match(headers, info, random);
    const config = route === undefined ? undefined : this.configs.get(route);
    const taken = config === undefined ? -1 : host.routes.indexOf(config);
    const place = taken < 0 ? undefined : { path: `${at}.routes[${taken}]`, name: config?.name ?? '' };
    const miss =
      route !== undefined
        ? ''
        : `no route of the virtual host "${host.name}" matches; ${this.table.miss(headers, info, random).text}`;
    // What require_tls turns away is not put to the routes.
    const asked = route !== undefined && config === undefined ? 0 : taken < 0 ? host.routes.length : taken;
    const passed = host.routes
      .slice(0, asked)
      .map((each, i) => this.passed(each, `${at}.routes[${i}]`, request));
    return { virtualHost, passed, place, miss, route, host, config };
  }

  private passed(route: RouteConfig, path: string, request: AskedRequest): Passed {
    const why =
      route.match === undefined
        ? undefined
        : whyNot(route.match, request, this.context.runtime, this.config.ignorePathParametersInPathMatching);
    return { path, name: route.name, why: why ?? 'it takes the request only with another draw' };
  }

  private noVirtualHost({ authority }: RequestHeaders): string {
    const domains = this.config.virtualHosts.flatMap((host) => host.domains);
    const some = domains.slice(0, 5).join(', ');
    const more = domains.length > 5 ? ` and ${domains.length - 5} more` : '';
    return `no virtual host has a domain for "${authority}"; there are ${some}${more}`;
  }
}

const NOTHING = {
  virtualHost: undefined,
  passed: [],
  place: undefined,
  miss: '',
  route: undefined,
  host: undefined,
  config: undefined,
} satisfies FoundRoute;
