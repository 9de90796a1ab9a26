import type { ConsistentHashingLbConfig } from '@dragoman/api';

/** What policies that pick by hash have in common in their configs. */
export interface HashingSettings {
  /** Hosts are hashed by their hostname instead of their address. Default false. */
  readonly useHostname: boolean;
  /** The most load of one host, in percent of the average: 100 or more. 0: not bounded, the default. */
  readonly balanceFactor: number;
  /** The weights of localities count. Default false. */
  readonly localityWeighted: boolean;
}

/** Those fields, however a message has them. */
interface HashingConfig {
  readonly consistentHashingLbConfig?: ConsistentHashingLbConfig | undefined;
  readonly localityWeightedLbConfig?: unknown;
  /** Deprecated: of ring hash only. */
  readonly useHostnameForHashing?: boolean;
  /** Deprecated: of ring hash only. */
  readonly hashBalanceFactor?: number | { readonly value: number } | undefined;
}

/** Of `consistent_hashing_lb_config` where it is set, else of the deprecated fields beside it (as Envoy: never of both). */
export function readHashing(config: HashingConfig): HashingSettings {
  const source = config.consistentHashingLbConfig ?? config;
  const factor = source.hashBalanceFactor;
  return {
    useHostname: source.useHostnameForHashing ?? false,
    balanceFactor: (typeof factor === 'object' ? factor.value : factor) ?? 0,
    localityWeighted: config.localityWeightedLbConfig !== undefined,
  };
}
