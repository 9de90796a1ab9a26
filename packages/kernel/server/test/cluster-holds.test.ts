import { ClusterSchema, create } from '@dragoman/api';
import type { ClusterSources } from '@dragoman/upstream';
import { FakeSubscriptions, MemoryStats, RecordingLoggers } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { ClusterDirectory } from '../src/cluster-directory.ts';
import { OnDemandClusters } from '../src/dynamic/on-demand-clusters.ts';
import { Workers } from '../src/workers/workers.ts';

/** A directory whose clusters wait for what they name; by default for ever. */
function scene(ready = new Promise<void>(() => {})) {
  const log: string[] = [];
  let holds = 0;
  const sources = {
    warmCluster: () => ({
      warmed: Promise.resolve(),
      take: () => undefined,
      activate() {},
      discard: () => void log.push('discard'),
    }),
    removeCluster: () => false,
  } as unknown as ClusterSources;
  const directory = new ClusterDirectory([], {
    workers: new Workers([], () => 0),
    ledger: undefined,
    check() {},
    hold: () => {
      const number = ++holds;
      return { waits: true, missing: [], ready, release: () => void log.push(`release ${number}`) };
    },
  });
  return { directory, sources, log };
}

const cluster = (altStatName = '') => create(ClusterSchema, { name: 'a', altStatName });

test('a cluster that is removed while it waits lets go of what it names', async () => {
  const { directory, sources, log } = scene();
  const done = directory.begin(cluster(), sources, 0);
  expect(await directory.remove('a', sources)).toBe(true);
  expect(await done).toBe(false);
  expect(log).toContain('release 1');
  expect([directory.has('a'), directory.warming.length]).toEqual([false, 0]);
});

test('a cluster on demand goes when all that there is does not hold it any more', async () => {
  const { directory, sources } = scene(Promise.resolve());
  const subscriptions = new FakeSubscriptions();
  const stats = new MemoryStats();
  const logger = new RecordingLoggers().logger('upstream');
  const options = { directory, sources, subscriptions, source: {}, stats, logger, wallTime: () => 0 };
  const clusters = new OnDemandClusters(options);
  const wanted = clusters.demand('a');
  const [subscription = expect.unreachable()] = subscriptions.all;
  const a = { name: 'a', version: '1', message: cluster() } as never;
  await subscription.update({ changed: [a], full: true });
  expect(await wanted).toBe(true);
  const other = clusters.demand('b');
  await subscription.update({ full: true });
  expect(directory.has('a')).toBe(false);
  // What did not come from here is somebody else's.
  await directory.begin(create(ClusterSchema, { name: 'b' }), sources, 0);
  await subscription.update({ removed: ['b'] });
  expect([await other, directory.has('b')]).toEqual([false, true]);
});

test('a change that is given up is over, whatever it waits for', async () => {
  const { directory, sources, log } = scene();
  const done = directory.begin(cluster(), sources, 0);
  const other = directory.begin(cluster('other'), sources, 0);
  expect(directory.warming).toHaveLength(2);
  directory.close();
  await expect(Promise.all([done, other])).rejects.toThrow('the proxy was closed');
  expect(log).toEqual(expect.arrayContaining(['release 1', 'release 2']));
  await directory.settled();
});
