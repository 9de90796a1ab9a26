import type { MetadataValue } from '@dragoman/core';

/** What a route asks of its hosts: keys of `metadata_match` in the namespace `envoy.lb`. */
export type Criteria = Readonly<Record<string, MetadataValue>>;

/** The key whose value is a list of criteria to try one after the other (`metadata_fallback_policy: FALLBACK_LIST`). */
export const FALLBACK_LIST = 'fallback_list';

/** Lays nothing over criteria, but takes their {@link FALLBACK_LIST} away. */
export const NO_CHANGE: Criteria = {};

/**
 * One criterion; undefined when it is not asked for.
 *
 * @param over laid over `base`, whose {@link FALLBACK_LIST} then is no criterion. Undefined: `base` counts as it is.
 */
export function criterion(
  key: string,
  base: Criteria,
  over: Criteria | undefined,
): MetadataValue | undefined {
  if (over !== undefined) {
    if (Object.hasOwn(over, key)) return over[key];
    if (key === FALLBACK_LIST) return undefined;
  }
  return Object.hasOwn(base, key) ? base[key] : undefined;
}

/** How many criteria there are. @param over as for {@link criterion} */
export function countCriteria(base: Criteria, over: Criteria | undefined): number {
  let count = 0;
  // A loop over names makes no list of them.
  for (const key in base) if (over === undefined || !isHidden(key, over)) count++;
  if (over !== undefined) for (const _ in over) count++;
  return count;
}

function isHidden(key: string, over: Criteria): boolean {
  return key === FALLBACK_LIST || Object.hasOwn(over, key);
}
