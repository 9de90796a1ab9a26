import { optionalFunction } from './libc.ts';

/**
 * Has the C library give memory back to the system that the process has freed, in the arenas of all threads (`malloc_trim`). A thread
 * that has loaded its code leaves some megabytes behind, which glibc keeps for later. Takes a few milliseconds.
 *
 * @returns false where there is no such function (musl) or no `node:ffi`: nothing has happened then
 */
export function trimMemory(): boolean {
  const trim = optionalFunction('malloc_trim');
  if (trim === undefined) return false;
  trim(0n);
  return true;
}
