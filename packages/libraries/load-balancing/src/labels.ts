import { isDeepStrictEqual } from 'node:util';
import type { HostDescription, MetadataValue } from '@dragoman/core';

/** The namespace of metadata that is for load balancers: of endpoints, routes and requests. */
export const LB_METADATA = 'envoy.lb';

/** A key and the value it must have. */
export type Label = readonly [key: string, value: MetadataValue];

/**
 * Whether a host's metadata has every label; values are compared by content.
 *
 * @param listAsAny a list stands for each of its values. Otherwise it is a value like others.
 */
export function hasLabels(host: HostDescription, labels: readonly Label[], listAsAny: boolean): boolean {
  if (labels.length === 0) return true;
  const values = host.metadata.get(LB_METADATA);
  if (values === undefined) return false;
  return labels.every(([key, wanted]) => Object.hasOwn(values, key) && holds(values[key], wanted, listAsAny));
}

function holds(value: MetadataValue, wanted: MetadataValue, listAsAny: boolean): boolean {
  if (listAsAny && Array.isArray(value)) return value.some((one) => isDeepStrictEqual(one, wanted));
  return isDeepStrictEqual(value, wanted);
}
