import { availability, type HostSet, type PriorityShares, spreadOverPriorities } from '@dragoman/core';

export { choosePriority, DEGRADED_BIT, PRIORITY_POINTS } from '@dragoman/core';

/** How traffic is spread over the priorities. Percentages; healthy and degraded together add up to 100. */
export interface PriorityLoad extends PriorityShares {
  /** Priorities whose unhealthy hosts are used too, since too few are healthy. */
  readonly panic: readonly boolean[];
}

/**
 * Envoy's priority levels: a priority whose healthy share times the overprovisioning factor reaches 100 % takes all
 * traffic that is left, less takes its share and spills the rest to the next; degraded hosts take what no healthy ones
 * can. Below the panic threshold, and only when the priorities together cannot carry 100 %, a priority uses all its hosts.
 *
 * @param panicThreshold percent, 0 … 100
 */
export function priorityLoad(sets: readonly HostSet[], panicThreshold: number): PriorityLoad {
  const health = sets.map((set) => availability(set, set.healthyHosts));
  const degradedHealth = sets.map((set) => availability(set, set.degradedHosts));
  const total = Math.min(100, sum(health) + sum(degradedHealth));
  const load = total === 0 ? nothingAvailable(sets) : spreadOverPriorities(health, degradedHealth, total);
  if (panicThreshold === 0 && total === 0) {
    const first = sets.map((_, index) => (index === 0 ? 100 : 0));
    return { healthy: first, degraded: sets.map(() => 0), panic: sets.map(() => false) };
  }
  const panic = sets.map((set) => total < 100 && inPanic(set, panicThreshold));
  return panic.every(Boolean)
    ? { healthy: byHostCount(sets), degraded: sets.map(() => 0), panic }
    : { ...load, panic };
}

function nothingAvailable(sets: readonly HostSet[]): PriorityShares {
  return { healthy: sets.map((_, index) => (index === 0 ? 100 : 0)), degraded: sets.map(() => 0) };
}

/** Whether too few hosts of a priority are usable. @param threshold percent */
export function inPanic(set: HostSet, threshold: number): boolean {
  const count = set.hosts.length - set.excluded;
  const usable = count <= 0 ? 0 : (100 * (set.healthyHosts.length + set.degradedHosts.length)) / count;
  return usable < threshold;
}

/** When every priority is in panic, each takes the share that its hosts have of all. */
function byHostCount(sets: readonly HostSet[]): number[] {
  const count = sets.reduce((all, set) => all + set.hosts.length, 0);
  if (count === 0) return sets.map((_, index) => (index === 0 ? 100 : 0));
  const load = sets.map((set) => Math.floor((100 * set.hosts.length) / count));
  load[sets.findIndex((set) => set.hosts.length > 0)] += 100 - sum(load);
  return load;
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
