import {
  type Bootstrap,
  BuildVersionSchema,
  clone,
  create,
  ExtensionSchema,
  LocalitySchema,
  type Node,
  NodeSchema,
  typeUrl,
} from '@dragoman/api';
import type { Extension, FactoryContext } from '@dragoman/core';

/** What management servers look for: Envoy's name, and the version of its API that this proxy speaks. */
const USER_AGENT = 'envoy';
const API_VERSION = { majorNumber: 1, minorNumber: 31, patch: 0 };

/** Envoy's, as far as this proxy does the same. */
const CLIENT_FEATURES = [
  'envoy.lrs.supports_send_all_clusters',
  'xds.config.supports-resource-ttl',
  'xds.config.supports-resource-in-sotw',
];

/**
 * Who this proxy is, for management servers: what the bootstrap says of it goes before what it would say itself.
 * @param version of this proxy
 */
export function nodeOf(
  { node }: Bootstrap,
  version: string,
  { localInfo, extensions }: Pick<FactoryContext, 'localInfo' | 'extensions'>,
): Node {
  const own = node === undefined ? create(NodeSchema) : clone(NodeSchema, node);
  own.id = localInfo.node;
  own.cluster = localInfo.cluster;
  const { region = '', zone, subZone = '' } = localInfo;
  if (region !== '' || zone !== '' || subZone !== '')
    own.locality = create(LocalitySchema, { region, zone, subZone });
  if (own.userAgentName === '') own.userAgentName = USER_AGENT;
  if (own.userAgentVersionType.case === undefined) {
    const value = create(BuildVersionSchema, {
      version: API_VERSION,
      metadata: { 'dragoman.version': version },
    });
    own.userAgentVersionType = { case: 'userAgentBuildVersion', value };
  }
  if (own.extensions.length === 0) own.extensions = extensions.extensions.map(describe);
  const known = new Set(own.clientFeatures);
  for (const feature of CLIENT_FEATURES) if (!known.has(feature)) own.clientFeatures.push(feature);
  return own;
}

/** The categories of Envoy's that ours are. */
const CATEGORIES: Readonly<Record<string, string>> = {
  'http-filters': 'envoy.filters.http',
  'network-filters': 'envoy.filters.network',
  'listener-filters': 'envoy.filters.listener',
  'load-balancers': 'envoy.load_balancing_policies',
  discovery: 'envoy.clusters',
  'health-checkers': 'envoy.health_checkers',
  'access-loggers': 'envoy.access_loggers',
  'retry-policies': 'envoy.retry_host_predicates',
  'resource-monitors': 'envoy.resource_monitors',
  'dns-resolvers': 'envoy.network.dns_resolver',
  formatters: 'envoy.formatter',
  'request-ids': 'envoy.request_id',
  'original-ip-detection': 'envoy.http.original_ip_detection',
  'path-matchers': 'envoy.path.match',
  'internal-redirect-predicates': 'envoy.internal_redirect_predicates',
  'header-formatters': 'envoy.http.stateful_header_formatters',
  matchers: 'envoy.matching',
  'transport-sockets': 'envoy.transport_sockets',
};

function describe({ name, category, config, configAliases = [] }: Extension): Node['extensions'][number] {
  const types = [config, ...configAliases].flatMap((type) => (type === undefined ? [] : [typeUrl(type)]));
  return create(ExtensionSchema, {
    name,
    category: CATEGORIES[category] ?? `dragoman.${category}`,
    typeUrls: types,
  });
}
