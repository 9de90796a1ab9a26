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
  type ClusterSpecifier,
  ConfigError,
  type FactoryContext,
  type HttpMatchData,
  inResource,
  type MatchTree,
  type MetadataValue,
  type MirrorPolicy,
  ProblemCollector,
  type RequestStats,
  type Route,
  type RouteAction,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { compileHeaderMutation, type HeaderMutation } from '@dragoman/header-edits';
import { compileClusterSpecifier, compileClusterSpecifiers, SpecifiedRoutes } from './cluster-specifiers.ts';
import { CompiledRoute, type RouteMetadata, type RouteTarget } from './compiled-route.ts';
import { allOf, type ListedCondition, listConditions } from './conditions.ts';
import { CountedRequests } from './counted-requests.ts';
import { compileDirectResponse, DEFAULT_MAX_BODY_BYTES } from './direct-response.ts';
import { DomainTable } from './domains.ts';
import { CompiledForward, type ForwardSettings, readForwardSettings, readMetadataMatch } from './forward.ts';
import { type Level, type PerFilterConfigResolver, PerFilterConfigs } from './per-filter.ts';
import { compileMirrors } from './mirrors.ts';
import { compilePathCondition, type PathCondition } from './path-condition.ts';
import { checkOneLimit, compileHostPolicies, compilePolicies, type HostPolicies } from './policies.ts';
import { CompiledRedirect, tlsRedirect } from './redirect.ts';
import type { HostRewrite, PathRewrite } from './rewrite.ts';
import { hostRewrite, matchedLength, pathRewrite } from './compile-rewrites.ts';
import type { RouteEntry, RouteList } from './route-list.ts';
import { CompiledRouteTable } from './route-table.ts';
import { compileRouteTree } from './route-tree.ts';
import { GUARDS } from './support.ts';
import { VirtualClusters } from './virtual-clusters.ts';
import {
  ListedVirtualHost,
  type TlsRequirement,
  TreeVirtualHost,
  type VirtualHostRoutes,
} from './virtual-host.ts';
import { WeightedRoutes } from './weighted-clusters.ts';

export interface RouteTableOptions {
  readonly context: FactoryContext;
  /** Compiles `typed_per_filter_config`. */
  readonly perFilterConfig: PerFilterConfigResolver;
  /** Where the configuration stands, put before the paths of errors; default empty. */
  readonly path?: string;
  /**
   * Hears of every route, and of which part of the configuration it is made: once for each weighted cluster, and for each
   * cluster that an extension names, when it first does, besides once with an empty name.
   */
  readonly onRoute?: (route: Route, config: RouteConfig) => void;
  /** Hears of every choice among weighted clusters. */
  readonly onWeighted?: (routes: WeightedRoutes, config: WeightedCluster) => void;
  /** Hears of every table: with scoped routes there is one for each scope. */
  readonly onTable?: (table: CompiledRouteTable, config: RouteConfiguration) => void;
}

/**
 * Compiles a `RouteConfiguration` that holds all its virtual hosts. Whether its clusters exist is for the caller to check.
 * @throws ConfigError with every problem found
 */
export function compileRouteTable(
  config: RouteConfiguration,
  options: RouteTableOptions,
): CompiledRouteTable {
  const table = atPath(options.path ?? '', () => {
    if (config.vhds !== undefined)
      throw ConfigError.at('vhds', 'virtual hosts cannot be discovered here; write virtual_hosts');
    return new TableCompiler(config, options).compile().table;
  });
  options.onTable?.(table, config);
  return table;
}

/** Virtual hosts that were discovered, by resource name. */
export type DiscoveredHosts = ReadonlyMap<string, VirtualHostConfig>;

/** A table, and the hosts it is made of. */
export interface CompiledHosts {
  readonly table: CompiledRouteTable;
  /** Those of them that were discovered. */
  readonly discovered: ReadonlySet<VirtualHostRoutes>;
  /** All of them, as in the table. */
  readonly virtualHosts: readonly VirtualHostConfig[];
}

const NO_HOSTS: DiscoveredHosts = new Map();

/** Whether a level says nothing: most routes, which then share what is around them. */
function isPlain(config: LevelConfig): boolean {
  return (
    config.requestHeadersToAdd.length === 0 &&
    config.requestHeadersToRemove.length === 0 &&
    config.responseHeadersToAdd.length === 0 &&
    config.responseHeadersToRemove.length === 0 &&
    Object.keys(config.typedPerFilterConfig).length === 0
  );
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

/** Compiles a `RouteConfiguration`, again with each change of the hosts that are discovered besides its own: hosts that it knows are not compiled anew. */
export class TableCompiler {
  readonly config: RouteConfiguration;
  private readonly options: RouteTableOptions;
  private readonly maxBodyBytes: number;
  /** `cluster_specifier_plugins`, by name. */
  private specifiers: ReadonlyMap<string, ClusterSpecifier> = new Map();
  /** What is around the hosts; undefined before the first of them. */
  private around: { readonly top: Level; readonly mirrors: readonly MirrorPolicy[] | undefined } | undefined =
    undefined;
  private readonly compiled = new WeakMap<VirtualHostConfig, VirtualHostRoutes>();

  constructor(config: RouteConfiguration, options: RouteTableOptions) {
    this.config = config;
    this.options = options;
    this.maxBodyBytes = config.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_BODY_BYTES;
  }

  /**
   * @param discovered hosts besides those of the configuration; one of the same name takes the place of one of these
   * @throws ConfigError with every problem found; of a discovered host with its resource name as the beginning of the path
   */
  compile(discovered: DiscoveredHosts = NO_HOSTS): CompiledHosts {
    const { config } = this;
    const problems = new ProblemCollector();
    const around = (this.around ??= this.compileAround(problems));
    const domains = new DomainTable<VirtualHostRoutes>(config.ignorePortInHostMatching);
    const hosts: VirtualHostConfig[] = [];
    const add = (host: VirtualHostConfig): VirtualHostRoutes => {
      const compiled = this.hostOf(host, around);
      hosts.push(host);
      const taken = new ProblemCollector();
      host.domains.forEach((domain, at) => {
        taken.try(`domains[${at}]`, () => domains.add(domain, compiled));
      });
      taken.throwIfAny();
      return compiled;
    };
    const replaced = new Set<string>();
    for (const { name } of discovered.values()) replaced.add(name);
    config.virtualHosts.forEach((host, i) => {
      if (!replaced.has(host.name)) problems.try(`virtual_hosts[${i}]`, () => add(host));
    });
    const found = new Set<VirtualHostRoutes>();
    for (const [name, host] of discovered) {
      const compiled = problems.try('', () => inResource(name, () => add(host)));
      if (compiled !== undefined) found.add(compiled);
    }
    problems.throwIfAny();
    const internalOnly = config.internalOnlyHeaders.map((name) => name.toLowerCase());
    const table = new CompiledRouteTable(
      config.name,
      domains,
      internalOnly,
      config.vhostHeader.toLowerCase(),
    );
    return { table, discovered: found, virtualHosts: hosts };
  }

  private compileAround(problems: ProblemCollector): NonNullable<TableCompiler['around']> {
    const { config } = this;
    problems.try('', () => GUARDS.table.check(config, ''));
    // Filters may read it in Envoy; none here does.
    if (config.metadata !== undefined)
      this.context.warn('route_config.metadata', 'is read by nothing in this proxy');
    const top = problems.try('', () => this.level(config, PerFilterConfigs.none));
    const mirrors = problems.try('', () => compileMirrors(config.requestMirrorPolicies, this.context));
    const plugins = config.clusterSpecifierPlugins;
    if (plugins.length > 0)
      this.specifiers =
        problems.try('', () => compileClusterSpecifiers(plugins, this.context)) ?? this.specifiers;
    return { top: top ?? NO_LEVEL, mirrors };
  }

  private hostOf(
    host: VirtualHostConfig,
    { top, mirrors }: NonNullable<TableCompiler['around']>,
  ): VirtualHostRoutes {
    const known = this.compiled.get(host);
    if (known !== undefined) return known;
    const compiled = this.virtualHost(host, top, mirrors);
    this.compiled.set(host, compiled);
    return compiled;
  }

  private virtualHost(
    host: VirtualHostConfig,
    top: Level,
    mirrors: readonly MirrorPolicy[] | undefined,
  ): VirtualHostRoutes {
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
      mirrors,
    );
    const redirect = compiler.tlsRedirect();
    return host.matcher === undefined
      ? new ListedVirtualHost(
          host.name,
          requireTls,
          redirect,
          this.list(host, compiler),
          this.config.ignorePathParametersInPathMatching,
        )
      : new TreeVirtualHost(host.name, requireTls, redirect, this.tree(host, compiler));
  }

  private list(host: VirtualHostConfig, compiler: VirtualHostCompiler): readonly RouteEntry[] {
    const problems = new ProblemCollector();
    const entries: RouteEntry[] = [];
    for (let i = 0; i < host.routes.length; i++) {
      const entry = problems.try(`routes[${i}]`, () => compiler.route(host.routes[i] as RouteConfig));
      if (entry !== undefined) entries.push(entry);
    }
    problems.throwIfAny();
    return entries;
  }

  private tree(host: VirtualHostConfig, compiler: VirtualHostCompiler): MatchTree<HttpMatchData, RouteList> {
    if (host.routes.length > 0)
      throw ConfigError.at('matcher', 'a virtual host cannot have both matcher and routes');
    return atPath('matcher', () =>
      compileRouteTree(
        host.matcher as XdsMatcher,
        this.context,
        (route) => compiler.route(route),
        host.name,
        this.config.ignorePathParametersInPathMatching,
      ),
    );
  }

  /** @param around the filters' configs outside of this level */
  level(config: LevelConfig, around: PerFilterConfigs): Level {
    if (isPlain(config)) return around.plainLevel;
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

  chosenByWeight(routes: WeightedRoutes, config: WeightedCluster): void {
    this.options.onWeighted?.(routes, config);
  }

  /** @throws ConfigError when the route configuration has no such plugin */
  specifier(name: string): ClusterSpecifier {
    const specifier = this.specifiers.get(name);
    if (specifier === undefined)
      throw ConfigError.at(
        'cluster_specifier_plugin',
        `no plugin named "${name}" is among the cluster_specifier_plugins of the route configuration`,
      );
    return specifier;
  }

  directResponse(config: Parameters<typeof compileDirectResponse>[0]): RouteAction {
    return compileDirectResponse(config, this.maxBodyBytes, this.context.formatters);
  }
}

const NO_LEVEL: Level = PerFilterConfigs.none.plainLevel;
const NO_MUTATIONS: readonly HeaderMutation[] = [];

/** What is the same for all clusters of a route. */
interface RouteShell {
  readonly config: RouteConfig;
  readonly level: Level;
  readonly metadata: RouteMetadata;
  hostRewrite: HostRewrite | undefined;
  pathRewrite: PathRewrite | undefined;
  readonly stats: RequestStats | undefined;
}

class VirtualHostCompiler {
  private readonly table: TableCompiler;
  private readonly host: VirtualHostConfig;
  private readonly level: Level;
  private readonly top: Level;
  private readonly mostSpecificWins: boolean;
  private readonly policies: HostPolicies;
  private readonly virtualClusters: VirtualClusters | undefined;
  private readonly metadata: RouteMetadata;
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
    mirrors: readonly MirrorPolicy[] | undefined,
  ) {
    this.table = table;
    this.host = host;
    this.level = level;
    this.top = top;
    this.mostSpecificWins = mostSpecificWins;
    this.policies = compileHostPolicies(host, mirrors, table.context);
    this.virtualClusters =
      host.virtualClusters.length === 0
        ? undefined
        : new VirtualClusters(host.virtualClusters, host.name, table.context.stats);
    this.metadata = readMetadata(host.metadata, table.context);
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
    const target = this.target(config, path);
    const listed = atPath('match', () => listConditions(match, this.table.context.runtime));
    const choice = choosing(target);
    const conditions = choice === undefined ? listed : [...listed, choice];
    return { name: config.name, path, condition: allOf(conditions), conditions, target };
  }

  tlsRedirect(): CompiledRoute {
    return new CompiledRoute({
      routeName: '',
      virtualHostName: this.host.name,
      action: tlsRedirect,
      metadata: NO_METADATA,
      virtualHostMetadata: this.metadata,
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

  private target(config: RouteConfig, path: PathCondition): RouteTarget {
    checkOneLimit(config);
    const level = this.table.level(config, this.level.perFilter);
    const { action } = config;
    const metadata = readMetadata(config.metadata, this.table.context);
    const stats =
      config.statPrefix === ''
        ? undefined
        : new CountedRequests(
            this.table.context.stats,
            `vhost.${this.host.name}.route.${config.statPrefix}.`,
          );
    const shell = { config, level, metadata, stats, hostRewrite: undefined, pathRewrite: undefined };
    switch (action.case) {
      case 'route':
        return atPath('route', () => this.forward(action.value, shell, path));
      case 'redirect':
        return this.make(
          shell,
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
          shell,
          atPath('direct_response', () => {
            GUARDS.directResponse.check(action.value, '');
            return this.table.directResponse(action.value);
          }),
        );
      default:
        throw ConfigError.at('', 'a route needs one of route, redirect, direct_response');
    }
  }

  private forward(action: RouteActionConfig, shell: RouteShell, path: PathCondition): RouteTarget {
    shell.hostRewrite = hostRewrite(action);
    shell.pathRewrite = pathRewrite(action, path, this.table.context);
    GUARDS.action.check(action, '');
    const policies = compilePolicies(
      {
        table: this.table.config,
        virtualHost: this.host,
        host: this.policies,
        route: shell.config,
        action,
      },
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
      case 'clusterSpecifierPlugin':
        return this.specified(this.table.specifier(specifier.value), settings, criteria, shell);
      case 'inlineClusterSpecifierPlugin': {
        const plugin = atPath('inline_cluster_specifier_plugin', () =>
          compileClusterSpecifier(specifier.value, this.table.context),
        );
        return this.specified(plugin, settings, criteria, shell);
      }
      default:
        throw ConfigError.at(
          '',
          'a route action needs one of cluster, cluster_header, weighted_clusters, cluster_specifier_plugin, inline_cluster_specifier_plugin',
        );
    }
  }

  private specified(
    specifier: ClusterSpecifier,
    settings: ForwardSettings,
    criteria: Readonly<Record<string, MetadataValue>> | undefined,
    shell: RouteShell,
  ): SpecifiedRoutes {
    return new SpecifiedRoutes(specifier, (cluster) =>
      this.make(shell, new CompiledForward(settings, cluster, '', criteria)),
    );
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
    const { context } = this.table;
    const total = config.clusters.reduce((all, { weight = 0 }) => all + weight, 0);
    if ((config.totalWeight ?? total) !== total)
      context.warn(
        'weighted_clusters.total_weight',
        `is not used: the weights add up to ${total}, which counts`,
      );
    const choice = new WeightedRoutes(config, routes, settings.policies.hash, context.runtime);
    this.table.chosenByWeight(choice, config);
    return choice;
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
      virtualHostMetadata: this.metadata,
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

/** Comes last: whether the route's extension names a cluster, or the runtime leaves any weight. Undefined when neither is asked. */
function choosing(target: RouteTarget): ListedCondition | undefined {
  if (target instanceof SpecifiedRoutes)
    return {
      field: 'route.cluster_specifier_plugin',
      holds: (headers, info, random) => target.choose(headers, info, random),
    };
  if (target instanceof WeightedRoutes && target.byRuntime)
    return { field: 'route.weighted_clusters', holds: () => target.weigh() };
  return undefined;
}

/** A weighted cluster's edits come before all others. */
function withFirst(
  first: HeaderMutation | undefined,
  rest: readonly HeaderMutation[],
): readonly HeaderMutation[] {
  return first === undefined ? rest : [first, ...rest];
}

function readMetadata(metadata: Metadata | undefined, context: FactoryContext): RouteMetadata {
  if (metadata === undefined) return NO_METADATA;
  if (Object.keys(metadata.typedFilterMetadata).length > 0)
    context.warn('metadata.typed_filter_metadata', 'is read by nothing in this proxy');
  return new Map(Object.entries(metadata.filterMetadata)) as RouteMetadata;
}
