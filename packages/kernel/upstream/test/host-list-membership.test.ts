import { isDeepStrictEqual } from 'node:util';
import type { HostListUpdate } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Membership } from '../src/sources/membership.ts';
import { hostList, localityOf } from './support/clusters.ts';
import { histories } from './support/host-lists.ts';
import { MemoryStats } from './support/memory-stats.ts';

function changes(...lists: HostListUpdate[]): number[] {
  const stats = new MemoryStats();
  const membership = new Membership(stats);
  return lists.map((list) => {
    const before = stats.value('membership_change') ?? 0;
    membership.record(list);
    return (stats.value('membership_change') ?? 0) - before;
  });
}

describe('membership_change', () => {
  it('counts lists with other members, whatever their order and how often they are listed', () => {
    const members = ({ localities }: HostListUpdate) =>
      new Set(
        localities.flatMap(({ priority, endpoints }) =>
          endpoints.map((one) => `${priority} ${one.id ?? one.address}`),
        ),
      );
    fc.assert(
      fc.property(histories, (lists) => {
        let known = new Set<string>();
        const expected = lists.map((list) => {
          const now = members(list);
          const changed = isDeepStrictEqual(now, known) ? 0 : 1;
          known = now;
          return changed;
        });
        expect(changes(...lists)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('does not count a repetition that is gone', () => {
    expect(
      changes(hostList('10.0.0.1:80', '10.0.0.2:80', '10.0.0.1:80'), hostList('10.0.0.1:80', '10.0.0.2:80')),
    ).toEqual([1, 0]);
  });

  it('counts a host of another priority', () => {
    expect(changes(hostList('10.0.0.1:80'), { localities: [localityOf(1, '10.0.0.1:80')] })).toEqual([1, 1]);
  });
});
