import type { StreamInfo } from '@dragoman/core';
import type { ConnectionManagerStats } from './stats.ts';

/** Counts a stream that is over. `answered` is false for a response that did not go downstream. */
export function countStream(stats: ConnectionManagerStats, info: StreamInfo, answered: boolean): void {
  stats.rqActive.dec();
  if (answered && info.responseCode !== 0) {
    stats.rqCompleted.inc();
    stats.listenerRqCompleted.inc();
    const digit = (info.responseCode / 100) | 0;
    stats.rqClass[digit]?.inc();
    stats.listenerRqClass[digit]?.inc();
  }
  stats.rqTime.record(Math.round(info.end - info.start));
}
