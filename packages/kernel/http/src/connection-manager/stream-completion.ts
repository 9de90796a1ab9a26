import type { StreamInfo } from '@dragoman/core';
import type { ConnectionManagerStats } from './stats.ts';

/** Counts a stream that is over. */
export function countStream(stats: ConnectionManagerStats, info: StreamInfo): void {
  stats.rqActive.dec();
  if (info.responseCode !== 0) {
    stats.rqCompleted.inc();
    stats.listenerRqCompleted.inc();
    const digit = (info.responseCode / 100) | 0;
    stats.rqClass[digit]?.inc();
    stats.listenerRqClass[digit]?.inc();
  }
  stats.rqTime.record(Math.round(info.end - info.start));
}
