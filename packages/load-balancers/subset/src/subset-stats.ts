import type { Counter, Gauge, StatsScope } from '@dragoman/core';

/** Stats of one cluster's subsets. */
export interface SubsetStats {
  readonly active: Gauge;
  readonly created: Counter;
  readonly removed: Counter;
  readonly selected: Counter;
  readonly fallback: Counter;
  readonly fallbackPanic: Counter;
  /** Every worker counts the same hosts, so it is the largest, not the sum. */
  readonly singleHostDuplicate: Gauge;
}

/** @param scope `cluster.<name>.` */
export function createSubsetStats(scope: StatsScope): SubsetStats {
  return {
    active: scope.gauge('lb_subsets_active'),
    created: scope.counter('lb_subsets_created'),
    removed: scope.counter('lb_subsets_removed'),
    selected: scope.counter('lb_subsets_selected'),
    fallback: scope.counter('lb_subsets_fallback'),
    fallbackPanic: scope.counter('lb_subsets_fallback_panic'),
    singleHostDuplicate: scope.gauge('lb_subsets_single_host_per_subset_duplicate', 'max'),
  };
}
