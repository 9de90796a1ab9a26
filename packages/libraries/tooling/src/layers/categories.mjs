/**
 * The floors of the house, as a table: which folder is what, what it is called, what it may import.
 * `docs/architecture.md` draws the same; a new category or kernel package is added here first.
 */

/**
 * Kernel packages and their height: one imports only packages that stand lower. Equal heights do not see each other.
 */
export const KERNEL_HEIGHT = Object.freeze({
  core: 0,
  api: 10,
  stats: 10,
  network: 20,
  http1: 20,
  http2: 20,
  'access-log': 20,
  grpc: 25,
  http: 30,
  upstream: 30,
  'xds-sources': 35,
  xds: 40,
  'load-reports': 40,
  admin: 40,
  supervisor: 40,
  server: 50,
  'route-check': 60,
});

/** Libraries import contracts only, so they stand between floor 0 and floor 1: the kernel may use them from this height on. */
export const LIBRARY_HEIGHT = 15;

/** Libraries for tests and for this repository: nothing that ships may import them. */
export const NOT_SHIPPED = Object.freeze(['testing', 'tooling']);

/** Kernel packages that extensions and libraries may import: the contracts. */
export const CONTRACTS = Object.freeze(['@dragoman/core', '@dragoman/api']);

/**
 * Categories of extensions. `npm`: `@dragoman/<npm>-<folder>`; `envoy`: the extension is named `<envoy>.<folder>` with
 * underscores, in one of these name spaces.
 */
export const CATEGORIES = Object.freeze({
  'http-filters': { npm: 'http-filter', envoy: ['envoy.filters.http'] },
  'network-filters': { npm: 'network-filter', envoy: ['envoy.filters.network'] },
  'listener-filters': { npm: 'listener-filter', envoy: ['envoy.filters.listener'] },
  'transport-sockets': { npm: 'transport-socket', envoy: ['envoy.transport_sockets'] },
  'load-balancers': { npm: 'load-balancer', envoy: ['envoy.load_balancing_policies'] },
  discovery: { npm: 'discovery', envoy: ['envoy.cluster', 'envoy.clusters'] },
  'health-checkers': {
    npm: 'health-checker',
    envoy: ['envoy.health_checkers', 'envoy.health_check.event_sinks'],
  },
  'access-loggers': { npm: 'access-logger', envoy: ['envoy.access_loggers'] },
  'stats-sinks': { npm: 'stats-sink', envoy: ['envoy.stat_sinks'] },
  tracers: { npm: 'tracer', envoy: ['envoy.tracers'] },
  'retry-policies': { npm: 'retry-policy', envoy: ['envoy.retry_host_predicates', 'envoy.retry_priorities'] },
  'resource-monitors': { npm: 'resource-monitor', envoy: ['envoy.resource_monitors'] },
  matchers: {
    npm: 'matcher',
    envoy: [
      'envoy.matching.inputs',
      'envoy.matching.input_matchers',
      'envoy.matching.matchers',
      'envoy.matching.common_inputs',
      'envoy.matching.custom_matchers',
    ],
  },
  'dns-resolvers': { npm: 'dns-resolver', envoy: ['envoy.network.dns_resolver'] },
  formatters: { npm: 'formatter', envoy: ['envoy.formatter'] },
  'request-ids': { npm: 'request-id', envoy: ['envoy.request_id'] },
  'original-ip-detection': { npm: 'original-ip-detection', envoy: ['envoy.http.original_ip_detection'] },
  'cluster-specifiers': { npm: 'cluster-specifier', envoy: ['envoy.router.cluster_specifier_plugin'] },
  'path-matchers': { npm: 'path-matcher', envoy: ['envoy.path.match', 'envoy.path.rewrite'] },
  'internal-redirect-predicates': {
    npm: 'internal-redirect-predicate',
    envoy: ['envoy.internal_redirect_predicates'],
  },
  'header-mutations': { npm: 'header-mutation', envoy: ['envoy.http.early_header_mutation'] },
  'header-formatters': { npm: 'header-formatter', envoy: ['envoy.http.stateful_header_formatters'] },
});

/** @param {string} name kebab-case @returns {string} snake_case */
export const snake = (name) => name.replaceAll('-', '_');

/** Packages of extensions that make one thing only together, or whose names in Envoy are not their folder's. */
const GROUPS = Object.freeze({
  'matchers/consistent-hashing': ['envoy.matching.matchers.consistent_hashing'],
  'matchers/http-inputs': [
    'envoy.matching.inputs.request_headers',
    'envoy.matching.inputs.request_trailers',
    'envoy.matching.inputs.response_headers',
    'envoy.matching.inputs.response_trailers',
    'envoy.matching.inputs.query_params',
    'envoy.matching.inputs.status_code_input',
    'envoy.matching.inputs.status_code_class_input',
  ],
  'matchers/ip': ['envoy.matching.matchers.ip', 'envoy.matching.custom_matchers.trie_matcher'],
  'matchers/metadata': ['envoy.matching.inputs.dynamic_metadata', 'envoy.matching.matchers.metadata_matcher'],
  'matchers/network-inputs': [
    'envoy.matching.inputs.destination_ip',
    'envoy.matching.inputs.destination_port',
    'envoy.matching.inputs.source_ip',
    'envoy.matching.inputs.source_port',
    'envoy.matching.inputs.direct_source_ip',
    'envoy.matching.inputs.source_type',
    'envoy.matching.inputs.server_name',
    'envoy.matching.inputs.transport_protocol',
    'envoy.matching.inputs.application_protocol',
    'envoy.matching.inputs.filter_state',
  ],
  'matchers/server-name': ['envoy.matching.custom_matchers.domain_matcher'],
  'matchers/ssl-inputs': [
    'envoy.matching.inputs.uri_san',
    'envoy.matching.inputs.dns_san',
    'envoy.matching.inputs.subject',
  ],
  'resource-monitors/downstream-connections': ['envoy.resource_monitors.global_downstream_max_connections'],
  'path-matchers/uri-template': [
    'envoy.path.match.uri_template.uri_template_matcher',
    'envoy.path.rewrite.uri_template.uri_template_rewriter',
  ],
});

/**
 * Names under which the extension in `packages/<category>/<name>` may be known: Envoy's, or the same under `dragoman.` for
 * one that Envoy does not have. A package of several has the names of all.
 */
export function extensionNames(category, name) {
  const group = GROUPS[`${category}/${name}`];
  if (group !== undefined) return group;
  const names = CATEGORIES[category].envoy.map((space) => `${space}.${snake(name)}`);
  return [...names, ...names.map((one) => one.replace(/^envoy\./, 'dragoman.'))];
}

/**
 * @typedef {{ kind: 'kernel' | 'library' | 'extension' | 'app' | 'tests', category: string, folder: string,
 *   npm: string[] | undefined }} Place
 */

/**
 * What a workspace's folder makes of it.
 *
 * @param {string} dir relative to the root
 * @returns {Place | string} or what is wrong with the folder
 */
export function placeOf(dir) {
  const [top, category, folder, more] = dir.split('/');
  if (more !== undefined) return `${dir}: packages are two folders deep`;
  if (top === 'apps' && folder === undefined) {
    const npm = category === 'sidecar' ? ['dragoman'] : [`dragoman-${category}`];
    return { kind: 'app', category: 'apps', folder: category, npm };
  }
  if (top === 'test-e2e' || top === 'benchmarks') {
    return { kind: 'tests', category: top, folder: top, npm: [`@dragoman/${top}`] };
  }
  if (top !== 'packages' || folder === undefined) return `${dir}: a workspace has no place here`;
  if (category === 'kernel') {
    if (KERNEL_HEIGHT[folder] === undefined)
      return `${dir}: the kernel has no package of this name in the table of floors`;
    return { kind: 'kernel', category, folder, npm: [`@dragoman/${folder}`] };
  }
  if (category === 'libraries') return { kind: 'library', category, folder, npm: [`@dragoman/${folder}`] };
  const known = CATEGORIES[category];
  if (known === undefined) return `${dir}: unknown category; one of ${Object.keys(CATEGORIES).join(', ')}`;
  return { kind: 'extension', category, folder, npm: [`@dragoman/${known.npm}-${folder}`] };
}
