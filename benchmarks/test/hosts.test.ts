import { describe, expect, test } from 'vitest';
import { HostLists } from '../src/hosts/lists.ts';
import { percentile } from '../src/load/paced-client.ts';

const addresses = (list: HostLists['current']) =>
  list.localities.filter(({ priority }) => priority === 1).flatMap(({ endpoints }) => endpoints);

describe('host lists', () => {
  test.each([
    ['ten', 10],
    ['all', 1000],
  ] as const)('%s: %i hosts are others, the first among them', (change, count) => {
    const lists = new HostLists(1000, 8080);
    const before = addresses(lists.current);
    const after = addresses(lists.next(change));
    expect(before).toHaveLength(1000);
    expect(new Set(after.map(({ address }) => address)).size).toBe(1000);
    const changed = after.filter(({ address }, i) => address !== before[i]?.address);
    expect(changed).toHaveLength(count);
    expect(changed[0]).toBe(after[0]);
    expect(after[0]?.hostname).toBe(lists.marker);
    expect(before[0]?.hostname).not.toBe(lists.marker);
  });

  test('the host with the traffic stays, alone in its priority', () => {
    const lists = new HostLists(100, 8080);
    for (const list of [lists.current, lists.next('all')]) {
      const first = list.localities.filter(({ priority }) => priority === 0);
      expect(first.flatMap(({ endpoints }) => endpoints.map(({ address }) => address))).toEqual([
        '127.0.0.1:8080',
      ]);
    }
  });
});

test('percentiles by nearest rank', () => {
  const sorted = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0, 0.5, 0.99, 1].map((share) => percentile(sorted, share))).toEqual([1, 50, 99, 100]);
});
