import type {
  HttpConnectionManager,
  Route as RouteConfig,
  RouteConfiguration,
  VirtualHost,
  WeightedCluster,
} from '@dragoman/api';
import type {
  HttpFilterContext,
  ListenerFactoryContext,
  RequestHeaders,
  Route,
  RouteTable,
} from '@dragoman/core';
import { compileRoutes } from '../connection-manager/compile-routes.ts';
import { utf8Text } from '@dragoman/matching';
import { DomainTable } from '../routes/domains.ts';
import type { CurrentRoutes } from '../routes/index.ts';
import type { WeightedRoutes } from '../routes/weighted-clusters.ts';
import type { HttpExplanation, Passed } from './explanation.ts';
import { type AskedRequest, compileWhyNot, type WhyNot } from './why-not.ts';

/** A route of a request, with the messages around it. */
export interface FoundRoute {
  /** Undefined when the request has no scope. */
  readonly table: RouteConfiguration | undefined;
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
  private readonly context: ListenerFactoryContext;
  private readonly current: CurrentRoutes;
  private readonly tables = new Map<RouteTable, RouteConfiguration>();
  private readonly routes = new Map<Route, RouteConfig>();
  private readonly weighted = new Map<WeightedCluster, WeightedRoutes>();
  private readonly whyNot = new Map<RouteConfig, WhyNot>();
  /** By table: looked up again for each request, made once. */
  private readonly domains = new Map<RouteConfiguration, Domains>();

  /** @throws ConfigError with paths below the connection manager */
  constructor(manager: HttpConnectionManager, context: ListenerFactoryContext) {
    this.context = context;
    const filterContext: HttpFilterContext = { ...context, statPrefix: '' };
    this.current = compileRoutes(manager, filterContext, {
      onRoute: (route, config) => this.routes.set(route, config),
      onTable: (table, config) => this.tables.set(table, config),
      onWeighted: (routes, config) => this.weighted.set(config, routes),
    });
  }

  /** How a route's weighted clusters share requests out, since the lookup that {@link explain} did last. */
  weights(config: WeightedCluster): WeightedRoutes | undefined {
    return this.weighted.get(config);
  }

  explain(request: AskedRequest): FoundRoute {
    const { headers, info, random } = request;
    const { current } = this.current;
    const table = current.tableFor === undefined ? current : current.tableFor(headers);
    const of = table === undefined ? undefined : this.tables.get(table);
    const missed = () => current.miss?.(headers, info, random).text ?? '';
    if (of === undefined) return { ...NOTHING, miss: missed() };
    const found = this.hostOf(of, headers);
    if (found === undefined) return { ...NOTHING, table: of, miss: noVirtualHost(of, headers) };
    const host = of.virtualHosts[found.index] as VirtualHost;
    const at = `virtual_hosts[${found.index}]`;
    const virtualHost = { path: at, name: host.name, domain: found.domain };
    const route = current.match(headers, info, random);
    const config = route === undefined ? undefined : this.routes.get(route);
    const taken = config === undefined ? -1 : host.routes.indexOf(config);
    const miss =
      route === undefined ? `no route of the virtual host "${host.name}" matches; ${missed()}` : '';
    // What require_tls turns away is not put to the routes.
    const asked = route !== undefined && config === undefined ? 0 : taken < 0 ? host.routes.length : taken;
    const passed = host.routes
      .slice(0, asked)
      .map((each, i) => this.passed(each, `${at}.routes[${i}]`, request, of));
    const place =
      config === undefined
        ? undefined
        : { path: taken < 0 ? `${at}.matcher` : `${at}.routes[${taken}]`, name: config.name };
    return { table: of, virtualHost, passed, place, miss, route, host, config };
  }

  /** Which virtual host takes a request, and by which of its domains. */
  private hostOf(config: RouteConfiguration, headers: RequestHeaders) {
    let domains = this.domains.get(config);
    if (domains === undefined) this.domains.set(config, (domains = domainsOf(config)));
    if (config.vhostHeader === '') return domains.find(headers.authority);
    const value = headers.get(config.vhostHeader.toLowerCase());
    return value === '' ? domains.rest : domains.find(value ?? '');
  }

  private passed(
    route: RouteConfig,
    path: string,
    request: AskedRequest,
    { ignorePathParametersInPathMatching: ignoreParameters }: RouteConfiguration,
  ): Passed {
    let whyNot = this.whyNot.get(route);
    if (whyNot === undefined) {
      whyNot =
        route.match === undefined
          ? () => undefined
          : compileWhyNot(route.match, this.context, ignoreParameters);
      this.whyNot.set(route, whyNot);
    }
    return { path, name: route.name, why: whyNot(request) ?? OTHERWISE };
  }
}

/** Every condition of the match holds: a cluster specifier or the runtime's weights turned the request away. */
const OTHERWISE = 'it names no cluster for the request';

type Domains = DomainTable<{ readonly index: number; readonly domain: string }>;

function domainsOf(config: RouteConfiguration): Domains {
  const domains: Domains = new DomainTable(config.ignorePortInHostMatching);
  config.virtualHosts.forEach((host, index) => {
    for (const domain of host.domains) domains.add(domain, { index, domain });
  });
  return domains;
}

function noVirtualHost(config: RouteConfiguration, headers: RequestHeaders): string {
  const domains = config.virtualHosts.flatMap((host) => host.domains);
  const some = domains.slice(0, 5).join(', ');
  const more = domains.length > 5 ? ` and ${domains.length - 5} more` : '';
  const { vhostHeader } = config;
  const value = vhostHeader === '' ? headers.authority : headers.get(vhostHeader.toLowerCase());
  const what = value === undefined ? `a request without ${vhostHeader}` : JSON.stringify(utf8Text(value));
  return `no virtual host has a domain for ${what}; there are ${some}${more}`;
}

const NOTHING = {
  table: undefined,
  virtualHost: undefined,
  passed: [],
  place: undefined,
  miss: '',
  route: undefined,
  host: undefined,
  config: undefined,
} satisfies FoundRoute;
