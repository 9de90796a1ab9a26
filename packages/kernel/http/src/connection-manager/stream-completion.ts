import type { StreamInfo } from '@dragoman/core';
import type { ConnectionManagerStats } from './stats.ts';

/** Counts a response's head as it goes out; an interim one counts too. Requests of health checks are not counted. */
export function chargeResponse(stats: ConnectionManagerStats, info: StreamInfo, status: number): void {
  info.responseCode = status;
  if (info.healthCheck) return;
  stats.rqCompleted.inc();
  stats.listenerRqCompleted.inc();
  const digit = (status / 100) | 0;
  stats.rqClass[digit]?.inc();
  stats.listenerRqClass[digit]?.inc();
}

/**
 * Counts a stream that is over.
 * @param answered its response went out whole
 */
export function countStream(stats: ConnectionManagerStats, info: StreamInfo, answered: boolean): void {
  stats.rqActive.dec();
  if (info.healthCheck) stats.tracingHealthCheck.inc();
  if (answered) stats.rqTime.record(Math.round(info.end - info.start));
}
