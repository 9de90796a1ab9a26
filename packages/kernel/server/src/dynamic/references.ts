import {
  type Any,
  checkConstraints,
  type DescMessage,
  type ExtensionConfigSource,
  type Filter,
  formatPath,
  type HttpConnectionManager,
  type HttpFilter,
  type ListenerFilter,
  type Message,
  type RouteConfiguration,
  RouteConfigurationSchema,
  type ScopedRouteConfiguration,
  ScopedRouteConfigurationSchema,
  type SdsSecretConfig,
  SecretSchema,
  TypedExtensionConfigSchema,
  VirtualHostSchema,
  type Visitor,
} from '@dragoman/api';
import { joinPath, type ResourceCollection, type ResourceReference } from '@dragoman/core';

/** What both kinds of {@link Found} have. */
interface FoundBase {
  /** Of the server's stats: where the subscription counts. */
  readonly statPrefix: string;
  /** Where its config source stands, below the config. */
  readonly path: string;
  /** Whoever names it does not begin before it has come. */
  readonly waits: boolean;
}

/** A resource that a config names. */
export interface FoundReference extends ResourceReference, FoundBase {
  readonly kind: 'single';
  /** `http.<stat_prefix>` of the connection manager that named it: what it names in its turn counts there, too. */
  readonly managerPrefix?: string | undefined;
}

/** A collection that a config names. */
export interface FoundCollection extends ResourceCollection, FoundBase {
  readonly kind: 'collection';
  /** What the config calls it; of a namespace the namespace. */
  readonly label: string;
  /** What one of them names in its turn. */
  membersNames(member: Message): readonly Found[];
}

export type Found = FoundReference | FoundCollection;

/** What a subscription asks for to get it, as in `SubscriptionOptions`. */
export function askedFor(found: Found): {
  readonly names: readonly string[] | undefined;
  readonly namespaced: boolean;
} {
  if (found.kind === 'single') return { names: [found.name], namespaced: false };
  const { namespace, locator } = found;
  if (namespace !== undefined) return { names: [namespace], namespaced: true };
  return { names: locator ? [locator] : undefined, namespaced: false };
}

/**
 * Every resource that a config names in place of holding it, also inside `Any`.
 * @param managerPrefix where it counts that names no connection manager itself
 */
export function referencesIn(message: Message, type: DescMessage, managerPrefix = 'http'): readonly Found[] {
  const search = new Search(managerPrefix);
  // What is wrong with it otherwise is for others to say.
  checkConstraints(type, message, { visitors: search.visitors });
  return search.found;
}

class Search {
  readonly found: Found[] = [];
  /** Of the connection manager that was met last: its routes come after it. */
  private statPrefix: string;
  /** Of the message that is looked at. */
  private path = '';
  readonly visitors: ReadonlyMap<string, readonly Visitor[]>;

  constructor(managerPrefix: string) {
    this.statPrefix = managerPrefix;
    const visit = <M>(look: (message: M) => void): Visitor[] => [
      (message, checker) => {
        this.path = formatPath(checker.path);
        look(message);
      },
    ];
    this.visitors = new Map([
      [
        'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
        visit((manager: HttpConnectionManager) => this.manager(manager)),
      ],
      [
        'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
        visit((filter: HttpFilter) => this.extension(filter, 'http_filter')),
      ],
      [
        'envoy.config.listener.v3.Filter',
        visit((filter: Filter) => this.extension(filter, 'network_filter')),
      ],
      [
        'envoy.config.listener.v3.ListenerFilter',
        visit((filter: ListenerFilter) => this.extension(filter, 'tcp_listener_filter')),
      ],
      [
        'envoy.config.route.v3.RouteConfiguration',
        visit((routes: RouteConfiguration) => this.virtualHosts(routes)),
      ],
      [
        'envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig',
        visit((secret: SdsSecretConfig) => this.secret(secret)),
      ],
    ]);
  }

  private manager({ routeSpecifier, statPrefix }: HttpConnectionManager): void {
    this.statPrefix = `http.${statPrefix}`;
    if (routeSpecifier.case === 'rds') {
      const { configSource, routeConfigName } = routeSpecifier.value;
      this.add(routesNamed(routeConfigName, configSource, this.statPrefix, this.at('rds.config_source')));
    }
    if (routeSpecifier.case !== 'scopedRoutes') return;
    const { name, configSpecifier, rdsConfigSource } = routeSpecifier.value;
    if (configSpecifier.case !== 'scopedRds') return;
    const { scopedRdsConfigSource: source, srdsResourcesLocator: locator } = configSpecifier.value;
    if (source === undefined) return;
    const prefix = this.statPrefix;
    this.found.push({
      kind: 'collection',
      label: name,
      type: ScopedRouteConfigurationSchema,
      source,
      locator,
      statPrefix: `${prefix}.scoped_rds.${name}`,
      path: this.at('scoped_routes.scoped_rds.scoped_rds_config_source'),
      waits: true,
      membersNames: (member) => {
        const { routeConfigurationName } = member as ScopedRouteConfiguration;
        const routes = routesNamed(routeConfigurationName, rdsConfigSource, prefix, '');
        return routes === undefined ? [] : [routes];
      },
    });
  }

  private virtualHosts({ name, vhds }: RouteConfiguration): void {
    if (vhds?.configSource === undefined) return;
    const prefix = this.statPrefix;
    this.found.push({
      kind: 'collection',
      label: name,
      type: VirtualHostSchema,
      source: vhds.configSource,
      namespace: name,
      statPrefix: `${this.statPrefix}.vhds.${name}`,
      path: this.at('vhds.config_source'),
      waits: true,
      membersNames: (member) => referencesIn(member, VirtualHostSchema, prefix),
    });
  }

  private extension({ name, configType }: ConfiguredFilter, kind: string): void {
    if (configType.case !== 'configDiscovery') return;
    const { configSource: source, applyDefaultConfigWithoutWarming } = configType.value;
    if (source === undefined) return;
    this.found.push({
      kind: 'single',
      type: TypedExtensionConfigSchema,
      source,
      name,
      statPrefix: `extension_config_discovery.${kind}.${name}`,
      path: this.at('config_discovery.config_source'),
      managerPrefix: this.statPrefix,
      waits: !applyDefaultConfigWithoutWarming,
    });
  }

  /** Files each thread reads for itself: with a secret it follows the files that the secret names. */
  private secret({ name, sdsConfig: source }: SdsSecretConfig): void {
    const how = source?.configSourceSpecifier.case;
    if (source === undefined || how === 'path' || how === 'pathConfigSource') return;
    this.found.push({
      kind: 'single',
      type: SecretSchema,
      source,
      name,
      statPrefix: `sds.${name}`,
      path: this.at('sds_config'),
      waits: true,
    });
  }

  private at(field: string): string {
    return joinPath(this.path, field);
  }

  private add(reference: Found | undefined): void {
    if (reference !== undefined) this.found.push(reference);
  }
}

function routesNamed(
  name: string,
  source: unknown,
  prefix: string,
  path: string,
): FoundReference | undefined {
  if (source === undefined || name === '') return undefined;
  return {
    kind: 'single',
    type: RouteConfigurationSchema,
    source,
    name,
    statPrefix: `${prefix}.rds.${name}`,
    managerPrefix: prefix,
    path,
    waits: true,
  };
}

interface ConfiguredFilter {
  readonly name: string;
  readonly configType:
    | { readonly case: 'configDiscovery'; readonly value: ExtensionConfigSource }
    | { readonly case: 'typedConfig'; readonly value: Any }
    | { readonly case: undefined; readonly value?: undefined };
}
