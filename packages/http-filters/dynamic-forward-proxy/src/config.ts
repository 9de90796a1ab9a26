import {
  type DnsCacheConfig,
  type DynamicForwardProxyFilterConfig,
  DynamicForwardProxyFilterConfigSchema,
  type DynamicForwardProxyPerRouteConfig,
  DynamicForwardProxyPerRouteConfigSchema,
} from '@dragoman/api';
import { ConfigError, refuseUnsupported } from '@dragoman/core';

/** The filter's config, checked. */
export interface FilterConfig {
  readonly cache: DnsCacheConfig;
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
const FIELDS = new Set(['dns_cache_config', 'save_upstream_address']);
const ROUTE_FIELDS = new Set(['host_rewrite_literal', 'host_rewrite_header']);
/** RFC 9110, section 5.6.2: token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, section 5.5: what a field value must not hold; and no spaces, which no host has. */
const NO_HOST = /[\0-\x20\x7f]/;

/** @throws ConfigError with a path below the filter's config */
export function readConfig(config: DynamicForwardProxyFilterConfig): FilterConfig {
  refuseUnsupported(config, DynamicForwardProxyFilterConfigSchema, FIELDS, '', {
    sub_cluster_config: 'a cluster for each host is not built yet; use dns_cache_config',
  });
  const { implementationSpecifier: how, saveUpstreamAddress: savesAddress } = config;
  if (how.case !== 'dnsCacheConfig')
    throw ConfigError.at(CACHE_PATH, 'is missing: it is the same as that of the cluster');
  return { cache: how.value, savesAddress };
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
