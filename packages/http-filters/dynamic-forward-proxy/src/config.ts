import {
  type DnsCacheConfig,
  type DynamicForwardProxyFilterConfig,
  DynamicForwardProxyFilterConfigSchema,
  type DynamicForwardProxyPerRouteConfig,
  DynamicForwardProxyPerRouteConfigSchema,
  durationMs,
} from '@dragoman/api';
import { ConfigError, refuseUnsupported } from '@dragoman/core';

/** The filter's config, checked. */
export interface FilterConfig {
  /** Undefined: there is `sub_cluster_config`, and hosts are resolved for clusters of their own only. */
  readonly cache: DnsCacheConfig | undefined;
  /** `cluster_init_timeout`, ms; default 5,000. */
  readonly subClusterTimeoutMs: number;
  /** `save_upstream_address` */
  readonly savesAddress: boolean;
}

/** What becomes the host of a request before it is resolved. */
export type HostRewrite =
  /** Empty: it stays. */
  | { readonly literal: string }
  /** In lower case. */
  | { readonly header: string };

export const CACHE_PATH = 'dns_cache_config';
const FIELDS = new Set(['dns_cache_config', 'sub_cluster_config', 'save_upstream_address']);
const ROUTE_FIELDS = new Set(['host_rewrite_literal', 'host_rewrite_header']);
const DEFAULT_INIT_TIMEOUT_MS = 5000;
/** RFC 9110, section 5.6.2: token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, section 5.5: what a field value must not hold; and no spaces, which no host has. */
const NO_HOST = /[\0-\x20\x7f]/;

/** @throws ConfigError with a path below the filter's config */
export function readConfig(config: DynamicForwardProxyFilterConfig): FilterConfig {
  refuseUnsupported(config, DynamicForwardProxyFilterConfigSchema, FIELDS);
  const { implementationSpecifier: how, saveUpstreamAddress: savesAddress } = config;
  if (how.case === undefined)
    throw ConfigError.at(
      '',
      'needs dns_cache_config, the same as that of the cluster, or sub_cluster_config where the cluster has sub_clusters_config',
    );
  const timeout = how.case === 'subClusterConfig' ? durationMs(how.value.clusterInitTimeout) : undefined;
  return {
    cache: how.case === 'dnsCacheConfig' ? how.value : undefined,
    subClusterTimeoutMs: timeout ?? DEFAULT_INIT_TIMEOUT_MS,
    savesAddress,
  };
}

/** @throws ConfigError with a path below the route's config */
export function readHostRewrite(config: DynamicForwardProxyPerRouteConfig): HostRewrite {
  refuseUnsupported(config, DynamicForwardProxyPerRouteConfigSchema, ROUTE_FIELDS);
  const { hostRewriteSpecifier: rewrite } = config;
  if (rewrite.case === undefined || rewrite.value === '') return { literal: '' };
  const { value } = rewrite;
  if (rewrite.case === 'hostRewriteLiteral') {
    if (NO_HOST.test(value))
      throw ConfigError.at('host_rewrite_literal', `${JSON.stringify(value)} is no host`);
    return { literal: value };
  }
  if (!TOKEN.test(value))
    throw ConfigError.at('host_rewrite_header', `${JSON.stringify(value)} is no header name`);
  return { header: value.toLowerCase() };
}
