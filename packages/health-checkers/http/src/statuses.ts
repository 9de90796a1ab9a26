import type { Int64Range } from '@dragoman/api';
import { ConfigError, joinPath } from '@dragoman/core';

/** Whether a status is in one of some ranges. */
export type StatusPredicate = (status: number) => boolean;

const LOWEST = 100;
const END = 600;

/**
 * Compiles half-open ranges within 100 … 600.
 * @param path the field's, for errors
 * @throws ConfigError for a range that is empty or reaches outside
 */
export function compileStatuses(ranges: readonly Int64Range[], path: string): StatusPredicate {
  const listed = new Uint8Array(END);
  for (const [i, { start, end }] of ranges.entries()) {
    const at = `${path}[${i}]`;
    if (start >= end)
      throw ConfigError.at(
        at,
        `expected start < end (the end does not belong to it), found ${start} and ${end}`,
      );
    if (start < LOWEST)
      throw ConfigError.at(joinPath(at, 'start'), `expected a status from ${LOWEST} on, found ${start}`);
    if (end > END) throw ConfigError.at(joinPath(at, 'end'), `expected at most ${END}, found ${end}`);
    listed.fill(1, Number(start), Number(end));
  }
  return (status) => listed[status] === 1;
}
