import type { VirtualCluster as VirtualClusterConfig } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type HeaderPredicate,
  type RequestHeaders,
  type StatsScope,
  type VirtualCluster,
} from '@dragoman/core';
import { compileHeaderMatchers } from '@dragoman/matching';
import { CountedRequests } from './counted-requests.ts';

/** Envoy's name for requests that no virtual cluster takes, where there are any. */
export const OTHER_VIRTUAL_CLUSTER = 'other';

class CountedCluster extends CountedRequests implements VirtualCluster {
  readonly name: string;

  constructor(name: string, virtualHost: string, stats: StatsScope) {
    super(stats, `vhost.${virtualHost}.vcluster.${name}.`);
    this.name = name;
  }
}

/** The virtual clusters of a virtual host, in order. */
export class VirtualClusters {
  private readonly predicates: readonly HeaderPredicate[];
  private readonly clusters: readonly VirtualCluster[];
  private readonly other: VirtualCluster;

  /** @throws ConfigError with a path below the virtual host */
  constructor(configs: readonly VirtualClusterConfig[], virtualHost: string, stats: StatsScope) {
    this.predicates = configs.map((config, i) =>
      atPath(`virtual_clusters[${i}].headers`, () => {
        if (config.headers.length === 0)
          throw ConfigError.at('', 'a virtual cluster must have headers to match');
        return compileHeaderMatchers(config.headers);
      }),
    );
    this.clusters = configs.map(({ name }) => new CountedCluster(name, virtualHost, stats));
    this.other = new CountedCluster(OTHER_VIRTUAL_CLUSTER, virtualHost, stats);
  }

  /** The first that matches, else `other`. */
  of(headers: RequestHeaders): VirtualCluster {
    for (let i = 0; i < this.predicates.length; i++)
      if ((this.predicates[i] as HeaderPredicate)(headers)) return this.clusters[i] as VirtualCluster;
    return this.other;
  }
}
