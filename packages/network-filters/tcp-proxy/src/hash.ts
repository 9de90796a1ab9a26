import type { HashPolicy } from '@dragoman/api';
import { ConfigError, type HashValue, type StreamInfo } from '@dragoman/core';
import { xxHash64 } from '@dragoman/hashing';

/** The hash of a connection for load balancing; undefined when it has none. */
export type ConnectionHash = (info: StreamInfo) => HashValue | undefined;

/** `source_ip`: of the peer's address without its port. */
const hashSourceIp: ConnectionHash = ({ connection }) => {
  const { ip } = connection.remoteAddress;
  return ip === '' ? undefined : xxHash64(ip);
};

/**
 * Compiles `hash_policy`; undefined for none.
 * @throws ConfigError with a path below the filter's config
 */
export function compileHashPolicy(policies: readonly HashPolicy[]): ConnectionHash | undefined {
  const [policy] = policies;
  if (policy === undefined) return undefined;
  if (policies.length > 1) throw ConfigError.at('hash_policy', 'takes one policy at most');
  const specifier = policy.policySpecifier;
  switch (specifier.case) {
    case 'sourceIp':
      return hashSourceIp;
    case 'filterState': {
      const { key } = specifier.value;
      if (key === '') throw ConfigError.at('hash_policy[0].filter_state.key', 'is required');
      return (info) => (info.hasFilterState ? info.filterState.get(key)?.hash?.() : undefined);
    }
    default:
      throw ConfigError.at('hash_policy[0]', 'needs one of source_ip, filter_state');
  }
}
