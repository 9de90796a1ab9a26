import { ClusterSchema, create } from '@dragoman/api';
import type { ClusterSources } from '@dragoman/upstream';
import { expect, test } from 'vitest';
import { ClusterDirectory } from '../src/cluster-directory.ts';
import { Workers } from '../src/workers/workers.ts';

/** A directory whose clusters wait for ever for what they name. */
function scene() {
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
      const ready = new Promise<void>(() => {});
      return { waits: true, ready, release: () => void log.push(`release ${number}`) };
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
