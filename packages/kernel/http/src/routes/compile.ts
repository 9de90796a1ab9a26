import type {
  Any,
  Metadata,
  RouteAction as RouteActionConfig,
  Route as RouteConfig,
  RouteConfiguration,
  VirtualHost as VirtualHostConfig,
  WeightedCluster,
  WeightedCluster_ClusterWeight,
  XdsMatcher,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FactoryContext,
  type HttpMatchData,
  type MatchTree,
  type MetadataValue,
  ProblemCollector,
  type RequestStats,
  type Route,
  type RouteAction,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { compileHeaderMutation, type HeaderMutation } from '../headers/header-mutation.ts';
import { CompiledRoute, type RouteMetadata } from './compiled-route.ts';
import { compileConditions } from './conditions.ts';
import { CountedRequests } from './counted-requests.ts';
import { compileDirectResponse, DEFAULT_MAX_BODY_BYTES } from './direct-response.ts';
import { DomainTable } from './domains.ts';
import {
  CompiledForward,
  type ForwardSettings,
  readForwardSettings,
  readMetadataMatch,
  refuseTypedMetadata,
} from './forward.ts';
import { type PerFilterConfigResolver, PerFilterConfigs } from './per-filter.ts';
import { compilePathCondition, type PathCondition } from './path-condition.ts';
import { compilePolicies } from './policies.ts';
import { CompiledRedirect, tlsRedirect } from './redirect.ts';
import {
  type HostRewrite,
  hostFromHeader,
  hostFromPath,
  literalHost,
  compilePolicyRewrite,
  type PathRewrite,
  PrefixRewrite,
  RegexRewrite,
} from './rewrite.ts';
import { type RouteEntry, RouteList } from './route-list.ts';
import { CompiledRouteTable } from './route-table.ts';
import { compileRouteTree } from './route-tree.ts';
import { GUARDS } from './support.ts';
import { VirtualClusters } from './virtual-clusters.ts';
import { type TlsRequirement, VirtualHostRoutes } from './virtual-host.ts';
import { WeightedRoutes } from './weighted-clusters.ts';

export interface RouteTableOptions {
  readonly context: FactoryContext;
  /** Compiles `typed_per_filter_config`. */
  readonly perFilterConfig: PerFilterConfigResolver;
  /** Where the configuration stands, put before the paths of errors; default empty. */
  readonly path?: string;
  /** Hears of every route, and of which part of the configuration it is made: once for each weighted cluster. */
  readonly onRoute?: (route: Route, config: RouteConfig) => void;
}

/**
 * Compiles a `RouteConfiguration`. Whether its clusters exist is for the caller to check.
 * @throws ConfigError with every problem found
 */
export function compileRouteTable(
  config: RouteConfiguration,
  options: RouteTableOptions,
): CompiledRouteTable {
  return atPath(options.path ?? '', () => new TableCompiler(config, options).compile());
}

/** The header edits of one level. */
interface Level {
  readonly request: HeaderMutation | undefined;
  readonly response: HeaderMutation | undefined;
  readonly perFilter: PerFilterConfigs;
}

/** The fields that every level has. */
interface LevelConfig {
  readonly requestHeadersToAdd: RouteConfiguration['requestHeadersToAdd'];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: RouteConfiguration['responseHeadersToAdd'];
  readonly responseHeadersToRemove: readonly string[];
  readonly typedPerFilterConfig: { readonly [name: string]: Any };
}

const NO_METADATA: RouteMetadata = new Map();
const TLS_REQUIREMENTS: readonly TlsRequirement[] = ['none', 'external-only', 'all'];

class TableCompiler {
  readonly config: RouteConfiguration;
  private readonly options: RouteTableOptions;
  private readonly problems = new ProblemCollector();
  private readonly maxBodyBytes: number;

  constructor(config: RouteConfiguration, options: RouteTableOptions) {
    this.config = config;
    this.options = options;
    this.maxBodyBytes = config.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_BODY_BYTES;
  }

  compile(): CompiledRouteTable {
    const { config, problems } = this;
    problems.try('', () => GUARDS.table.check(config, ''));
    const top = problems.try('', () => this.level(config, PerFilterConfigs.none));
    const domains = new DomainTable<VirtualHostRoutes>(config.ignorePortInHostMatching);
    config.virtualHosts.forEach((host, i) => {
      const path = `virtual_hosts[${i}]`;
      const compiled = problems.try(path, () => this.virtualHost(host, top ?? NO_LEVEL));
      if (compiled === undefined) return;
      host.domains.forEach((domain, at) => {
        problems.try(`${path}.domains[${at}]`, () => domains.add(domain, compiled));
      });
    });
    problems.throwIfAny();
    const internalOnly = config.internalOnlyHeaders.map((name) => name.toLowerCase());
    return new CompiledRouteTable(config.name, domains, internalOnly, config.vhostHeader.toLowerCase());
  }

  private virtualHost(host: VirtualHostConfig, top: Level): VirtualHostRoutes {
    GUARDS.virtualHost.check(host, '');
    if (host.domains.length === 0) throw ConfigError.at('domains', 'a virtual host must have a domain');
    const requireTls = TLS_REQUIREMENTS[host.requireTls];
    if (requireTls === undefined) throw ConfigError.at('require_tls', 'is no known requirement');
    const compiler = new VirtualHostCompiler(
      this,
      host,
      this.level(host, top.perFilter),
      top,
      this.config.mostSpecificHeaderMutationsWins,
    );
    return new VirtualHostRoutes(
      host.name,
      requireTls,
      compiler.tlsRedirect(),
      host.matcher === undefined ? this.list(host, compiler) : this.tree(host, compiler),
    );
  }

  private list(host: VirtualHostConfig, compiler: VirtualHostCompiler): RouteList {
    const problems = new ProblemCollector();
    const entries: RouteEntry[] = [];
    for (let i = 0; i < host.routes.length; i++) {
      const entry = problems.try(`routes[${i}]`, () => compiler.route(host.routes[i] as RouteConfig));
      if (entry !== undefined) entries.push(entry);
    }
    problems.throwIfAny();
    return new RouteList(entries, this.config.ignorePathParametersInPathMatching);
  }

  private tree(host: VirtualHostConfig, compiler: VirtualHostCompiler): MatchTree<HttpMatchData, RouteList> {
    if (host.routes.length > 0)
      throw ConfigError.at('matcher', 'a virtual host cannot have both matcher and routes');
    return atPath('matcher', () =>
      compileRouteTree(
        host.matcher as XdsMatcher,
        this.context,
        (route) => compiler.route(route),
        this.config.ignorePathParametersInPathMatching,
      ),
    );
  }

  /** @param around the filters' configs outside of this level */
  level(config: LevelConfig, around: PerFilterConfigs): Level {
    const { formatters } = this.options.context;
    return {
      request: compileHeaderMutation(
        config.requestHeadersToAdd,
        config.requestHeadersToRemove,
        formatters,
        'request_headers_to_add',
        'request_headers_to_remove',
      ),
      response: compileHeaderMutation(
        config.responseHeadersToAdd,
        config.responseHeadersToRemove,
        formatters,
        'response_headers_to_add',
        'response_headers_to_remove',
      ),
      perFilter: around.with(
        config.typedPerFilterConfig,
        this.options.perFilterConfig,
        'typed_per_filter_config',
      ),
    };
  }

  get context(): FactoryContext {
    return this.options.context;
  }

  made(route: Route, config: RouteConfig): void {
    this.options.onRoute?.(route, config);
  }

  directResponse(config: Parameters<typeof compileDirectResponse>[0]): RouteAction {
    return compileDirectResponse(config, this.maxBodyBytes);
  }
}

const NO_LEVEL: Level = { request: undefined, response: undefined, perFilter: PerFilterConfigs.none };
const NO_MUTATIONS: readonly HeaderMutation[] = [];

/** What is the same for all clusters of a route. */
interface RouteShell {
  readonly config: RouteConfig;
  readonly level: Level;
  readonly metadata: RouteMetadata;
  readonly hostRewrite: HostRewrite | undefined;
  readonly pathRewrite: PathRewrite | undefined;
  readonly stats: RequestStats | undefined;
}

class VirtualHostCompiler {
  private readonly table: TableCompiler;
  private readonly host: VirtualHostConfig;
  private readonly level: Level;
  private readonly top: Level;
  private readonly mostSpecificWins: boolean;
  private readonly virtualClusters: VirtualClusters | undefined;
  private readonly attempts: { readonly inRequest: boolean; readonly inResponse: boolean };
  /** What routes without edits of their own share. */
  private readonly sharedRequest: readonly HeaderMutation[];
  private readonly sharedResponse: readonly HeaderMutation[];

  constructor(
    table: TableCompiler,
    host: VirtualHostConfig,
    level: Level,
    top: Level,
    mostSpecificWins: boolean,
  ) {
    this.table = table;
    this.host = host;
    this.level = level;
    this.top = top;
    this.mostSpecificWins = mostSpecificWins;
    this.virtualClusters =
      host.virtualClusters.length === 0
        ? undefined
        : new VirtualClusters(host.virtualClusters, host.name, table.context.stats);
    this.attempts = {
      inRequest: host.includeRequestAttemptCount,
      inResponse: host.includeAttemptCountInResponse,
    };
    this.sharedRequest = this.inOrder(undefined, level.request, top.request);
    this.sharedResponse = this.inOrder(undefined, level.response, top.response);
  }

  route(config: RouteConfig): RouteEntry {
    GUARDS.route.check(config, '');
    const { match } = config;
    if (match === undefined) throw ConfigError.at('match', 'is required');
    const path = atPath('match', () => {
      GUARDS.match.check(match, '');
      return compilePathCondition(match, this.table.context);
    });
    const condition = atPath('match', () => compileConditions(match, this.table.context.runtime));
    return { path, condition, target: this.target(config, path) };
  }

  tlsRedirect(): CompiledRoute {
    return new CompiledRoute({
      routeName: '',
      virtualHostName: this.host.name,
      action: tlsRedirect,
      metadata: NO_METADATA,
      decoratorOperation: undefined,
      perFilter: PerFilterConfigs.none,
      requestMutations: NO_MUTATIONS,
      responseMutations: NO_MUTATIONS,
      clusterHost: '',
      hostRewrite: undefined,
      pathRewrite: undefined,
      virtualClusters: undefined,
      stats: undefined,
    });
  }

  private target(config: RouteConfig, path: PathCondition): CompiledRoute | WeightedRoutes {
    refuseTypedMetadata(config.metadata, 'metadata');
    const level = this.table.level(config, this.level.perFilter);
    if (config.decorator?.propagate !== undefined)
      throw ConfigError.at('decorator.propagate', 'propagate of a decorator is not supported yet; remove it');
    const { action } = config;
    const metadata = readMetadata(config.metadata);
    const stats =
      config.statPrefix === ''
        ? undefined
        : new CountedRequests(
            this.table.context.stats,
            `vhost.${this.host.name}.route.${config.statPrefix}.`,
          );
    const plain = { config, level, metadata, hostRewrite: undefined, pathRewrite: undefined, stats };
    switch (action.case) {
      case 'route':
        return atPath('route', () =>
          this.forward(action.value, { ...plain, ...rewrites(action.value, path, this.table.context) }),
        );
      case 'redirect':
        return this.make(
          plain,
          atPath('redirect', () => {
            GUARDS.redirect.check(action.value, '');
            if (path.kind === 'policy' && action.value.pathRewriteSpecifier.case === 'prefixRewrite')
              throw ConfigError.at(
                'prefix_rewrite',
                'a path_match_policy matches no prefix; use regex_rewrite',
              );
            return new CompiledRedirect(action.value, matchedLength(path));
          }),
        );
      case 'directResponse':
        return this.make(
          plain,
          atPath('direct_response', () => {
            GUARDS.directResponse.check(action.value, '');
            return this.table.directResponse(action.value);
          }),
        );
      default:
        throw ConfigError.at('', 'a route needs one of route, redirect, direct_response');
    }
  }

  private forward(action: RouteActionConfig, shell: RouteShell): CompiledRoute | WeightedRoutes {
    GUARDS.action.check(action, '');
    const policies = compilePolicies(
      { table: this.table.config, virtualHost: this.host, route: shell.config, action },
      this.table.context,
    );
    const settings = readForwardSettings(action, this.attempts, policies);
    const criteria = readMetadataMatch(action.metadataMatch, undefined);
    const specifier = action.clusterSpecifier;
    switch (specifier.case) {
      case 'cluster':
        if (specifier.value === '') throw ConfigError.at('cluster', 'may not be empty');
        return this.make(shell, new CompiledForward(settings, specifier.value, '', criteria));
      case 'clusterHeader':
        if (specifier.value === '') throw ConfigError.at('cluster_header', 'may not be empty');
        return this.make(shell, new CompiledForward(settings, '', specifier.value.toLowerCase(), criteria));
      case 'weightedClusters':
        return atPath('weighted_clusters', () => this.weighted(specifier.value, settings, criteria, shell));
      default:
        throw ConfigError.at('', 'a route action needs one of cluster, cluster_header, weighted_clusters');
    }
  }

  private weighted(
    config: WeightedCluster,
    settings: ForwardSettings,
    criteria: Readonly<Record<string, MetadataValue>> | undefined,
    shell: RouteShell,
  ): WeightedRoutes {
    GUARDS.weightedClusters.check(config, '');
    const routes = config.clusters.map((cluster, i) =>
      atPath(`clusters[${i}]`, () => this.weightedCluster(cluster, settings, criteria, shell)),
    );
    return new WeightedRoutes(config, routes, this.table.context.runtime);
  }

  private weightedCluster(
    cluster: WeightedCluster_ClusterWeight,
    settings: ForwardSettings,
    around: Readonly<Record<string, MetadataValue>> | undefined,
    shell: RouteShell,
  ): CompiledRoute {
    GUARDS.clusterWeight.check(cluster, '');
    const { name, clusterHeader } = cluster;
    if ((name === '') === (clusterHeader === ''))
      throw ConfigError.at('', 'a weighted cluster needs either name or cluster_header');
    const host = cluster.hostRewriteSpecifier;
    const criteria = readMetadataMatch(cluster.metadataMatch, around);
    const action = new CompiledForward(settings, name, clusterHeader.toLowerCase(), criteria);
    const own = this.table.level(cluster, shell.level.perFilter);
    return this.make(shell, action, own, host.case === 'hostRewriteLiteral' ? utf8Bytes(host.value) : '');
  }

  /** @param own the level of a weighted cluster */
  private make(
    shell: RouteShell,
    action: RouteAction,
    own: Level = NO_LEVEL,
    clusterHost = '',
  ): CompiledRoute {
    const { config, level } = shell;
    const route = new CompiledRoute({
      routeName: config.name,
      virtualHostName: this.host.name,
      action,
      metadata: shell.metadata,
      decoratorOperation: config.decorator?.operation,
      perFilter: own === NO_LEVEL ? level.perFilter : own.perFilter,
      requestMutations: withFirst(
        own.request,
        level.request === undefined
          ? this.sharedRequest
          : this.inOrder(level.request, this.level.request, this.top.request),
      ),
      responseMutations: withFirst(
        own.response,
        level.response === undefined
          ? this.sharedResponse
          : this.inOrder(level.response, this.level.response, this.top.response),
      ),
      clusterHost,
      hostRewrite: shell.hostRewrite,
      pathRewrite: shell.pathRewrite,
      virtualClusters: this.virtualClusters,
      stats: shell.stats,
    });
    this.table.made(route, config);
    return route;
  }

  /** What is applied last wins: by default the table's edits, with `most_specific_header_mutations_wins` the route's. */
  private inOrder(
    route: HeaderMutation | undefined,
    host: HeaderMutation | undefined,
    table: HeaderMutation | undefined,
  ): readonly HeaderMutation[] {
    const all = this.mostSpecificWins ? [table, host, route] : [route, host, table];
    const present = all.filter((mutation) => mutation !== undefined);
    return present.length === 0 ? NO_MUTATIONS : present;
  }
}

/** A weighted cluster's edits come before all others. */
function withFirst(
  first: HeaderMutation | undefined,
  rest: readonly HeaderMutation[],
): readonly HeaderMutation[] {
  return first === undefined ? rest : [first, ...rest];
}

/** How much of the path `prefix_rewrite` replaces: what a prefix or a path matched, −1 for all of it. */
function matchedLength(path: PathCondition): number {
  return 'path' in path ? path.path.length : -1;
}

function rewrites(
  action: RouteActionConfig,
  path: PathCondition,
  context: FactoryContext,
): { hostRewrite: HostRewrite | undefined; pathRewrite: PathRewrite | undefined } {
  return { hostRewrite: hostRewrite(action), pathRewrite: pathRewrite(action, path, context) };
}

function pathRewrite(
  action: RouteActionConfig,
  path: PathCondition,
  context: FactoryContext,
): PathRewrite | undefined {
  const { prefixRewrite: prefix, regexRewrite: regex, pathRewritePolicy: policy } = action;
  if (Number(prefix !== '') + Number(regex !== undefined) + Number(policy !== undefined) > 1)
    throw ConfigError.at('', 'only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set');
  if (prefix !== '') {
    if (path.kind === 'policy')
      throw ConfigError.at(
        'prefix_rewrite',
        'cannot be used with path_match_policy, which matches no prefix',
      );
    return new PrefixRewrite(prefix, matchedLength(path));
  }
  if (regex !== undefined) return atPath('regex_rewrite', () => new RegexRewrite(regex));
  if (policy === undefined) return undefined;
  const matcher = path.kind === 'policy' ? path.matcher : undefined;
  return atPath('path_rewrite_policy', () => compilePolicyRewrite(policy, matcher, context));
}

function hostRewrite(action: RouteActionConfig): HostRewrite | undefined {
  const specifier = action.hostRewriteSpecifier;
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      return specifier.value === '' ? undefined : literalHost(specifier.value);
    case 'hostRewriteHeader':
      return specifier.value === '' ? undefined : hostFromHeader(specifier.value);
    case 'hostRewritePathRegex':
      return atPath('host_rewrite_path_regex', () => hostFromPath(specifier.value));
    default:
      return undefined;
  }
}

function readMetadata(metadata: Metadata | undefined): RouteMetadata {
  if (metadata === undefined) return NO_METADATA;
  return new Map(Object.entries(metadata.filterMetadata)) as RouteMetadata;
}
