import type { ExtensionCategory } from './extension.ts';

/** The prefix of Envoy's extension names in each category, and the stem of our package names. */
const CATEGORY_NAMES: Partial<
  Record<ExtensionCategory, readonly [envoyPrefix: string, packageStem: string]>
> = {
  'http-filters': ['envoy.filters.http.', 'http-filter'],
  'network-filters': ['envoy.filters.network.', 'network-filter'],
  'listener-filters': ['envoy.filters.listener.', 'listener-filter'],
  'transport-sockets': ['envoy.transport_sockets.', 'transport-socket'],
  'load-balancers': ['envoy.load_balancing_policies.', 'load-balancer'],
  discovery: ['envoy.cluster.', 'discovery'],
  'health-checkers': ['envoy.health_checkers.', 'health-checker'],
  'access-loggers': ['envoy.access_loggers.', 'access-logger'],
  'stats-sinks': ['envoy.stat_sinks.', 'stats-sink'],
  tracers: ['envoy.tracers.', 'tracer'],
  'retry-policies': ['envoy.retry_host_predicates.', 'retry-policy'],
  'resource-monitors': ['envoy.resource_monitors.', 'resource-monitor'],
  'dns-resolvers': ['envoy.network.dns_resolver.', 'dns-resolver'],
  formatters: ['envoy.formatter.', 'formatter'],
  'request-ids': ['envoy.request_id.', 'request-id'],
  'original-ip-detection': ['envoy.http.original_ip_detection.', 'original-ip-detection'],
  'cluster-specifiers': ['envoy.router.cluster_specifier_plugin.', 'cluster-specifier'],
  'path-matchers': ['envoy.path.match.', 'path-matcher'],
  'header-mutations': ['envoy.http.early_header_mutation.', 'header-mutation'],
  'internal-redirect-predicates': ['envoy.internal_redirect_predicates.', 'internal-redirect-predicate'],
  'header-formatters': ['envoy.http.stateful_header_formatters.', 'header-formatter'],
};

/** Extensions whose folder is not called as they are. */
const OTHER_FOLDERS: Readonly<Record<string, string>> = {
  'envoy.resource_monitors.global_downstream_max_connections': 'downstream_connections',
};

/**
 * The package that an extension of Envoy's would come in, by its name (`envoy.filters.http.cors` →
 * `@dragoman/http-filter-cors`) or the package of its config type; undefined for a name that is not Envoy's.
 */
export function plannedPackage(
  category: ExtensionCategory,
  name: string,
  typeName: string | undefined,
): string | undefined {
  const entry = CATEGORY_NAMES[category];
  if (entry === undefined) return undefined;
  const [envoyPrefix, stem] = entry;
  const short =
    OTHER_FOLDERS[name] ??
    (name.startsWith(envoyPrefix) ? name.slice(envoyPrefix.length) : shortNameOfType(typeName));
  return short === undefined || short === ''
    ? undefined
    : `@dragoman/${stem}-${short.replaceAll(/[._]/g, '-')}`;
}

/** `envoy.extensions.filters.http.cors.v3.Cors` → `cors`. */
function shortNameOfType(typeName: string | undefined): string | undefined {
  return typeName === undefined
    ? undefined
    : /^envoy\.extensions\.(?:\w+\.)*?(\w+)\.v\d\w*\.\w+$/.exec(typeName)?.[1];
}
