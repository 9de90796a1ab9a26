import { HealthFlag } from '@dragoman/core';

const EXCLUDED = HealthFlag.excluded_via_immediate_hc_fail | HealthFlag.pending_active_hc;

/** Whether a host with these flags is left out when the health of all is judged. */
export function isExcluded(flags: number): boolean {
  return (flags & EXCLUDED) !== 0;
}
