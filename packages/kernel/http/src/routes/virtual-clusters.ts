import type { VirtualCluster } from '@dragoman/api';
import { atPath, ConfigError, type HeaderPredicate, type RequestHeaders } from '@dragoman/core';
import { compileHeaderMatchers } from '@dragoman/matching';

/** Envoy's name for requests that no virtual cluster takes, where there are any. */
export const OTHER_VIRTUAL_CLUSTER = 'other';

/** The virtual clusters of a virtual host, in order. */
export class VirtualClusters {
  private readonly names: readonly string[];
  private readonly predicates: readonly HeaderPredicate[];

  /** @throws ConfigError with a path below the virtual host */
  constructor(configs: readonly VirtualCluster[]) {
    this.names = configs.map((config) => config.name);
    this.predicates = configs.map((config, i) =>
      atPath(`virtual_clusters[${i}].headers`, () => {
        if (config.headers.length === 0)
          throw ConfigError.at('', 'a virtual cluster must have headers to match');
        return compileHeaderMatchers(config.headers);
      }),
    );
  }

  /** The first that matches, else `other`. */
  nameOf(headers: RequestHeaders): string {
    for (let i = 0; i < this.predicates.length; i++)
      if ((this.predicates[i] as HeaderPredicate)(headers)) return this.names[i] as string;
    return OTHER_VIRTUAL_CLUSTER;
  }
}
