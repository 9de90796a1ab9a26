import type { Cancellable } from './upstream.ts';

/** What came of asking for a sub-cluster. */
export type SubClusterOutcome =
  /** It is there, and its hosts are known or could not be found. */
  | 'ready'
  /** Its parent has as many as it may. */
  | 'overflow'
  /** The parent is gone, or makes none. */
  | 'gone'
  /** There cannot be such a cluster; the log says why. */
  | 'refused';

/** What a type of clusters says of those that are made beside one of them, each for a host that requests ask for. */
export interface SubClusterPlan {
  /** How many there may be at a time, ≥ 1. */
  readonly max: number;
  /** One that nobody has asked for in this time goes, ms. */
  readonly ttlMs: number;
  /** Names of those to be made at once. */
  readonly first: readonly string[];
  /**
   * The `envoy.config.cluster.v3.Cluster` of that name, typed unknown because contracts know no generated code.
   * @throws ConfigError for a name that stands for no host
   */
  create(name: string): unknown;
}

/** Asks main for clusters that are made when a request wants them. */
export interface SubClusters {
  /**
   * The sub-cluster `name` of `parent`; asking for it also keeps it from going. Undefined: it is there. Else `callback` is called once, later, when main has
   * answered; how long to wait is for the caller to say.
   */
  request(
    parent: string,
    name: string,
    callback: (outcome: SubClusterOutcome) => void,
  ): Cancellable | undefined;
}

/** Where there is nobody to make any. */
export const noSubClusters: SubClusters = {
  request(_parent, _name, callback) {
    let waiting = true;
    queueMicrotask(() => {
      if (waiting) callback('gone');
    });
    return {
      cancel() {
        waiting = false;
      },
    };
  },
};
