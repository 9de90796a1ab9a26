import {
  type Subset,
  type Subset_LbSubsetSelector,
  Subset_LbSubsetFallbackPolicy as ClusterFallback,
  Subset_LbSubsetMetadataFallbackPolicy as MetadataFallback,
  Subset_LbSubsetSelector_LbSubsetSelectorFallbackPolicy as SelectorFallback,
} from '@dragoman/api';
import { ConfigError, ProblemCollector } from '@dragoman/core';
import type { Label } from '@dragoman/load-balancing';

/** Where a request goes for which there is no subset. */
export type Fallback = 'none' | 'any' | 'default';

/** One of `subset_selectors`. */
export interface Selector {
  /** Sorted, each once; at least one. */
  readonly keys: readonly string[];
  /** `keys`: once more, with {@link fallbackKeys} only. Undefined: as the policy says. */
  readonly fallback: Fallback | 'keys' | undefined;
  /** Fewer than {@link keys}, and among them. */
  readonly fallbackKeys: readonly string[];
  /** `single_host_per_subset` */
  readonly singleHost: boolean;
}

/** A `Subset` message, read. */
export interface SubsetOptions {
  readonly fallback: Fallback;
  /** `default_subset` */
  readonly defaultLabels: readonly Label[];
  /** Those with more keys first when {@link allowRedundantKeys}, otherwise as configured. */
  readonly selectors: readonly Selector[];
  /** Criteria need not be those of a selector alone. */
  readonly allowRedundantKeys: boolean;
  readonly localityWeightAware: boolean;
  readonly scaleLocalityWeight: boolean;
  readonly panicModeAny: boolean;
  readonly listAsAny: boolean;
  /** `metadata_fallback_policy: FALLBACK_LIST` */
  readonly fallbackList: boolean;
}

/** @throws ConfigError with every problem of the selectors */
export function readSubset(config: Subset): SubsetOptions {
  const problems = new ProblemCollector();
  const selectors = config.subsetSelectors
    .map((selector, index) => problems.try(`subset_selectors[${index}]`, () => readSelector(selector)))
    .filter((selector) => selector !== undefined);
  problems.throwIfAny();
  if (config.allowRedundantKeys) selectors.sort((a, b) => b.keys.length - a.keys.length);
  return {
    fallback: clusterFallback(config.fallbackPolicy),
    defaultLabels: Object.entries(config.defaultSubset ?? {}) as Label[],
    selectors,
    allowRedundantKeys: config.allowRedundantKeys,
    localityWeightAware: config.localityWeightAware,
    scaleLocalityWeight: config.scaleLocalityWeight,
    panicModeAny: config.panicModeAny,
    listAsAny: config.listAsAny,
    fallbackList: config.metadataFallbackPolicy === MetadataFallback.FALLBACK_LIST,
  };
}

/** Undefined for one without keys, which selects nothing. */
function readSelector(selector: Subset_LbSubsetSelector): Selector | undefined {
  const keys = sortedSet(selector.keys);
  const fallbackKeys = sortedSet(selector.fallbackKeysSubset);
  const fallback = selectorFallback(selector.fallbackPolicy);
  const singleHost = selector.singleHostPerSubset;
  if (keys.length === 0) {
    if (fallback === undefined && fallbackKeys.length === 0 && !singleHost) return undefined;
    throw ConfigError.at('keys', 'is empty, so that the selector has no subsets: name at least one key');
  }
  checkFallbackKeys(keys, fallback, fallbackKeys);
  return { keys, fallback, fallbackKeys, singleHost };
}

function checkFallbackKeys(
  keys: readonly string[],
  fallback: Selector['fallback'],
  fallbackKeys: readonly string[],
): void {
  const path = 'fallback_keys_subset';
  if (fallback !== 'keys') {
    if (fallbackKeys.length > 0)
      throw ConfigError.at(path, 'acts only with fallback_policy KEYS_SUBSET: set that, or leave this out');
    return;
  }
  if (fallbackKeys.length === 0)
    throw ConfigError.at(path, 'may not be empty with fallback_policy KEYS_SUBSET: name some of the keys');
  const stranger = fallbackKeys.find((key) => !keys.includes(key));
  if (stranger !== undefined)
    throw ConfigError.at(path, `has "${stranger}", which is not among the keys (${keys.join(', ')})`);
  if (fallbackKeys.length === keys.length)
    throw ConfigError.at(path, 'may not have all of the keys: leave out at least one');
}

function sortedSet(keys: readonly string[]): string[] {
  return [...new Set(keys)].sort();
}

function clusterFallback(policy: ClusterFallback): Fallback {
  switch (policy) {
    case ClusterFallback.ANY_ENDPOINT:
      return 'any';
    case ClusterFallback.DEFAULT_SUBSET:
      return 'default';
    default:
      return 'none';
  }
}

function selectorFallback(policy: SelectorFallback): Selector['fallback'] {
  switch (policy) {
    case SelectorFallback.NO_FALLBACK:
      return 'none';
    case SelectorFallback.ANY_ENDPOINT:
      return 'any';
    case SelectorFallback.DEFAULT_SUBSET:
      return 'default';
    case SelectorFallback.KEYS_SUBSET:
      return 'keys';
    default:
      return undefined;
  }
}
