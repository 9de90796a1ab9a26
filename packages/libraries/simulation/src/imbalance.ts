import type { SimHost } from './host.ts';

/** How unevenly requests have come to hosts. */
export interface Imbalance {
  /** Requests of the busiest host in proportion to the mean. 1: all had the same. */
  readonly maxToMean: number;
  /** Standard deviation in proportion to the mean. */
  readonly variation: number;
}

/** @param before what each host had at the start of the span that counts, by position. Default: nothing */
export function imbalance(hosts: readonly SimHost[], before?: readonly number[]): Imbalance {
  const counts = hosts.map(({ arrived }, index) => arrived - (before?.[index] ?? 0));
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  if (!(mean > 0)) return { maxToMean: 0, variation: 0 };
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
  return {
    maxToMean: counts.reduce((most, count) => Math.max(most, count), 0) / mean,
    variation: Math.sqrt(variance) / mean,
  };
}
