import type { PriorityShares } from './retry.ts';
import type { Host, HostSet } from './upstream.ts';

/**
 * How much of all traffic the `available` hosts of a priority can carry, percent: their share of those that count (see
 * {@link HostSet.excluded}) times the overprovisioning factor, at most 100. By weight where {@link HostSet.countedWeight} is there.
 */
export function availability(set: HostSet, available: readonly Host[]): number {
  const { countedWeight, overprovisioningFactor } = set;
  const count = set.hosts.length - set.excluded;
  if (count <= 0) return 0;
  const share =
    countedWeight === undefined
      ? (overprovisioningFactor * available.length) / count
      : (overprovisioningFactor * totalWeight(available)) / countedWeight;
  return Math.min(100, Math.floor(share));
}

export function totalWeight(hosts: readonly Host[]): number {
  return hosts.reduce((all, { weight }) => all + weight, 0);
}

/**
 * Fills the priorities in order, healthy hosts first, each up to its share of `total`. Whole percentages, rounded down as Envoy
 * does; what rounding leaves goes to the first that takes any.
 *
 * @param health availability by priority
 * @param degradedHealth the same of degraded hosts
 * @param total what is available in all: 1 … 100
 */
export function spreadOverPriorities(
  health: readonly number[],
  degradedHealth: readonly number[],
  total: number,
): PriorityShares {
  let left = 100;
  const share = (part: number): number => {
    const load = Math.min(left, Math.floor((part * 100) / total));
    left -= load;
    return load;
  };
  const healthy = health.map(share);
  const degraded = degradedHealth.map(share);
  if (left !== 0) {
    const firstHealthy = health.findIndex((value) => value > 0);
    if (firstHealthy >= 0) healthy[firstHealthy] += left;
    else degraded[degradedHealth.findIndex((value) => value > 0)] += left;
  }
  return { healthy, degraded };
}

/** The shares of priorities and of their degraded hosts add up to this. */
export const PRIORITY_POINTS = 100;

/** Which priority, and whether its degraded hosts, for `draw` (any non-negative whole number). */
export function choosePriority(load: PriorityShares, draw: number): number {
  const { healthy, degraded } = load;
  const point = (draw % PRIORITY_POINTS) + 1;
  let reached = 0;
  for (let i = 0; i < healthy.length; i++) {
    reached += healthy[i];
    if (point <= reached) return i;
  }
  for (let i = 0; i < degraded.length; i++) {
    reached += degraded[i];
    if (point <= reached) return i | DEGRADED_BIT;
  }
  return 0;
}

/** Set in what {@link choosePriority} returns when degraded hosts are meant. A cluster has up to 128 priorities; one made of others has theirs together. */
export const DEGRADED_BIT = 1 << 24;
