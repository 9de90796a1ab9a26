import { expect, test } from 'vitest';
import { Fleet } from './support/xds-fleet.ts';

const MS = 2000;

test('a thousand clusters change under load, and no request fails', async () => {
  await using fleet = await Fleet.start();
  const [load] = await Promise.all([
    fleet.request(300, MS),
    fleet.change({ endpoints: 500, listeners: 2, clusters: 10 }, MS),
  ]);
  expect(load.failures).toEqual([]);
  expect(load.resent).toBeLessThan(10);
  expect(load.requests).toBe((300 * MS) / 1000);
  expect(fleet.proxy.stat('listener_manager.lds.update_success')).toBeGreaterThanOrEqual(3);
  expect(fleet.proxy.stat('cluster_manager.cluster_removed')).toBeGreaterThan(0);
}, 60_000);
