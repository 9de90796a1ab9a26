import type { Counter, StatsScope } from '@dragoman/core';

/** Of one version of the protocol. */
interface VersionStats {
  readonly found: Counter;
  readonly disallowed: Counter;
  readonly error: Counter;
}

/** `proxy_proto.[<stat_prefix>.]*`, and the older `downstream_cx_proxy_proto_error`. */
export interface ProxyProtocolStats {
  readonly notFoundAllowed: Counter;
  readonly notFoundDisallowed: Counter;
  /** By version. */
  readonly versions: Readonly<Record<1 | 2, VersionStats>>;
  /** All errors. */
  readonly error: Counter;
}

export function createStats(root: StatsScope, prefix: string): ProxyProtocolStats {
  const scope = root.scope(prefix === '' ? 'proxy_proto' : `proxy_proto.${prefix}`);
  const version = (name: string): VersionStats => {
    const versions = scope.scope(`versions.${name}`);
    return {
      found: versions.counter('found'),
      disallowed: versions.counter('disallowed'),
      error: versions.counter('error'),
    };
  };
  return {
    notFoundAllowed: scope.counter('not_found_allowed'),
    notFoundDisallowed: scope.counter('not_found_disallowed'),
    versions: { 1: version('v1'), 2: version('v2') },
    error: root.counter('downstream_cx_proxy_proto_error'),
  };
}
