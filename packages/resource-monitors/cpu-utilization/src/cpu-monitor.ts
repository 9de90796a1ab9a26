import type { ResourceMonitor } from '@dragoman/core';
import type { CpuSample, CpuSources, ReadCpu } from './cpu-usage.ts';

/** How much of the present is in the smoothed value: little, so that a spike is no overload. Envoy's. */
const ALPHA = 0.05;

/** CPU utilisation between two measurements, smoothed. The baseline is taken when it is made: @throws Error where that cannot be read */
export function createCpuMonitor(sources: CpuSources, read: ReadCpu): ResourceMonitor {
  let before: CpuSample = read(sources);
  let utilisation = 0;
  return {
    measure() {
      const now = read(sources);
      const work = now.work - before.work;
      const total = now.total - before.total;
      // A group may have been granted less meanwhile: the next two fit together again.
      before = now;
      if (work < 0 || total <= 0)
        throw new Error(`CPU times do not grow: ${work} used of ${total} since the last time`);
      utilisation = ALPHA * Math.min(1, work / total) + (1 - ALPHA) * utilisation;
      return utilisation;
    },
  };
}
