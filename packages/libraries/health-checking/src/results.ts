import type { HealthCheckResult } from '@dragoman/core';

export const HEALTHY: HealthCheckResult = { ok: true };
export const DEGRADED: HealthCheckResult = { ok: true, degraded: true };

/** The host answered, and not as it should. */
export function unhealthy(
  reason: string,
  more: { readonly retriable?: boolean; readonly immediate?: boolean } = {},
): HealthCheckResult {
  return { ok: false, kind: 'active', reason, ...more };
}

/** The host could not be reached, or the connection broke. */
export function unreachable(reason: string): HealthCheckResult {
  return { ok: false, kind: 'network', reason };
}
