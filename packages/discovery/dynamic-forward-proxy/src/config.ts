import {
  type Cluster,
  create,
  type DnsCacheConfig,
  type DynamicForwardProxyClusterConfig,
  DynamicForwardProxyClusterConfigSchema,
  type SubClustersConfig,
  unpackAny,
  type UpstreamHttpProtocolOptions,
  UpstreamHttpProtocolOptionsSchema,
  type UpstreamsHttpProtocolOptions,
} from '@dragoman/api';
import { atPath, ConfigError, refuseUnsupported } from '@dragoman/core';

const AT = 'cluster_type.typed_config';
/** Where the config of the cache stands, relative to the cluster. */
export const CACHE_PATH = `${AT}.dns_cache_config`;
export const SUB_CLUSTERS_PATH = `${AT}.sub_clusters_config`;
const FIELDS = new Set(['dns_cache_config', 'sub_clusters_config', 'allow_insecure_cluster_options']);
const REASONS = {
  allow_coalesced_connections: 'connections are not shared between hosts here; remove it',
};
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** Where the hosts come from. */
export type Implementation =
  | { readonly case: 'dnsCacheConfig'; readonly value: DnsCacheConfig }
  | { readonly case: 'subClustersConfig'; readonly value: SubClustersConfig };

/** The server's name is sent and checked unless the config says something of that: whoever answers has to be who was asked for. */
export function withServerNames(cluster: Cluster): Cluster {
  if (cluster.upstreamHttpProtocolOptions !== undefined) return cluster;
  if (Object.hasOwn(cluster.typedExtensionProtocolOptions, OPTIONS)) return cluster;
  const both = create(UpstreamHttpProtocolOptionsSchema, { autoSni: true, autoSanValidation: true });
  return { ...cluster, upstreamHttpProtocolOptions: both };
}

/** Checks the cluster and finds where its hosts come from. @throws ConfigError, paths relative to the cluster */
export function readImplementation(cluster: Cluster): Implementation {
  const { clusterDiscoveryType: type } = cluster;
  const any = type.case === 'clusterType' ? type.value.typedConfig : undefined;
  if (any === undefined) throw ConfigError.at(AT, 'is missing: it says how names are resolved');
  const config = atPath(AT, () => unpackAny(any)) as DynamicForwardProxyClusterConfig;
  refuseUnsupported(config, DynamicForwardProxyClusterConfigSchema, FIELDS, AT, REASONS);
  const { clusterImplementationSpecifier: how } = config;
  if (how.case === undefined)
    throw ConfigError.at(
      AT,
      'needs dns_cache_config, which takes one address for each host, or sub_clusters_config, which makes a cluster for each',
    );
  if (!config.allowInsecureClusterOptions) checkServerNames(cluster);
  return how;
}

function checkServerNames(cluster: Cluster): void {
  const [options, path] = serverNames(cluster);
  for (const [set, field] of [
    [options?.autoSni, 'auto_sni'],
    [options?.autoSanValidation, 'auto_san_validation'],
  ] as const)
    if (set !== true)
      throw ConfigError.at(
        `${path}.${field}`,
        'must be true in a dynamic forward proxy, or anybody could answer for a name; allow_insecure_cluster_options lets it be false',
      );
}

function serverNames(cluster: Cluster): [UpstreamHttpProtocolOptions | undefined, string] {
  const typed = cluster.typedExtensionProtocolOptions[OPTIONS];
  if (typed === undefined) return [cluster.upstreamHttpProtocolOptions, 'upstream_http_protocol_options'];
  const path = `typed_extension_protocol_options["${OPTIONS}"]`;
  const { upstreamHttpProtocolOptions } = atPath(path, () =>
    unpackAny(typed),
  ) as UpstreamsHttpProtocolOptions;
  return [upstreamHttpProtocolOptions, `${path}.upstream_http_protocol_options`];
}
