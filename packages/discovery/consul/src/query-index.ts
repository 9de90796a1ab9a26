import type { ApiHeaders } from '@dragoman/api-discovery';

/** Consul's indexes are unsigned 64-bit numbers. */
const INDEX = /^\d{1,20}$/;

/**
 * The index to wait from after an answer, by Consul's rules for blocking queries: one that went backwards begins anew (0: do not
 * wait), and one below 1 counts as 1, since 0 would not wait.
 * @param previous the one that was asked with; 0 for none
 */
export function nextIndex(previous: bigint, header: string): bigint {
  const read = INDEX.test(header) ? BigInt(header) : 0n;
  const index = read < 1n ? 1n : read;
  return index < previous ? 0n : index;
}

/** Why an answer may be old, or undefined: the server knows no leader, or has not heard of it for longer than `maxStaleMs`. */
export function staleness(headers: ApiHeaders, maxStaleMs: number): string | undefined {
  if (headers['x-consul-knownleader'] === 'false') return 'the server knows no leader';
  const contact = headers['x-consul-lastcontact'];
  if (typeof contact !== 'string' || !INDEX.test(contact) || Number(contact) <= maxStaleMs) return undefined;
  return `the server last heard of the leader ${contact} ms ago`;
}
