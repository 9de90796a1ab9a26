import type { Host, PickerLocalities } from '@dragoman/core';

/** Hosts and their shares of the traffic, which together are 1. */
export interface WeightedHosts {
  readonly hosts: readonly Host[];
  /** One for each host. */
  readonly weights: Float64Array;
  /** The smallest and the largest of the weights. */
  readonly min: number;
  readonly max: number;
}

/**
 * The shares of hosts (Envoy: normalizeWeights, operation by operation, so that not a bit of a sum differs). Localities of
 * weight 0 are left out with their hosts.
 */
export function normalizeWeights(
  hosts: readonly Host[],
  localities: PickerLocalities | undefined,
): WeightedHosts {
  const groups = localities === undefined ? [{ hosts, share: 1 }] : sharesOf(localities);
  const all = localities === undefined ? hosts : groups.flatMap((group) => group.hosts);
  const weights = new Float64Array(all.length);
  let min = 1;
  let max = 0;
  let at = 0;
  for (const group of groups) {
    let sum = 0;
    for (const host of group.hosts) sum += host.weight;
    for (const host of group.hosts) {
      const weight = (host.weight * group.share) / sum;
      weights[at++] = weight;
      min = Math.min(min, weight);
      max = Math.max(max, weight);
    }
  }
  return { hosts: all, weights, min, max };
}

function sharesOf({ hosts, weights }: PickerLocalities): { hosts: readonly Host[]; share: number }[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.flatMap((weight, index) =>
    weight === 0 ? [] : [{ hosts: hosts[index], share: weight / sum }],
  );
}
