import { type Cluster, ClusterSchema, create } from '@dragoman/api';
import {
  ConfigError,
  defineProvidedCluster,
  ExtensionRegistry,
  type LoadBalancer,
  type SubClusterPlan,
} from '@dragoman/core';
import { FakeClock, RecordingLoggers } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import type { ClusterDirectory } from '../src/cluster-directory.ts';
import { MainSubClusters } from '../src/sub-clusters.ts';

/** Clusters that are there at once, or when a test says so. */
class Directory {
  readonly byName = new Map<string, Cluster>();
  readonly log: string[] = [];
  held: PromiseWithResolvers<void> | undefined = undefined;
  /** What is about to be added. */
  private readonly attempts = new Set<Cluster>();
  private watcher: (name: string) => void = () => {};

  get clusters() {
    return [...this.byName.values()].map((message) => ({ message, addedAt: undefined }));
  }

  get(name: string): Cluster | undefined {
    return this.byName.get(name);
  }

  has(name: string): boolean {
    return this.byName.has(name) || [...this.attempts].some((attempt) => attempt.name === name);
  }

  onChange(callback: (name: string) => void): () => void {
    this.watcher = callback;
    return () => {
      this.watcher = () => {};
    };
  }

  set(message: Cluster): void {
    this.byName.set(message.name, message);
    this.watcher(message.name);
  }

  delete(name: string): void {
    this.byName.delete(name);
    this.watcher(name);
  }

  async addOrUpdate(message: Cluster): Promise<boolean> {
    this.log.push(`add ${message.name}`);
    this.attempts.add(message);
    await this.held?.promise;
    if (!this.attempts.delete(message)) return false;
    this.set(message);
    return true;
  }

  async remove(name: string): Promise<boolean> {
    this.log.push(`remove ${name}`);
    for (const attempt of this.attempts) if (attempt.name === name) this.attempts.delete(attempt);
    this.delete(name);
    return true;
  }
}

function scene(plan: Partial<SubClusterPlan> = {}) {
  const type = defineProvidedCluster({
    name: 'test.parent',
    clusterType: 'ORIGINAL_DST',
    cluster: ClusterSchema,
    check() {},
    createBalancer: () => ({}) as LoadBalancer,
    subClusters: ({ name }) =>
      name.startsWith('parent')
        ? {
            max: 2,
            ttlMs: 1000,
            first: [],
            create: (own) => {
              if (own === 'bad') throw ConfigError.at('name', 'is bad');
              return create(ClusterSchema, { name: own });
            },
            ...plan,
          }
        : undefined,
  });
  const directory = new Directory();
  const clock = new FakeClock();
  const loggers = new RecordingLoggers();
  const subClusters = new MainSubClusters({
    directory: directory as unknown as ClusterDirectory,
    sources: () => undefined as never,
    extensions: new ExtensionRegistry([type]),
    clock,
    logger: loggers.logger('upstream'),
  });
  const parent = (name = 'parent', more: object = {}): Cluster =>
    create(ClusterSchema, { name, clusterDiscoveryType: { case: 'type', value: 4 }, ...more });
  return { directory, clock, loggers, subClusters, parent };
}

describe('a sub-cluster', () => {
  it('is made once, whoever asks for it', async () => {
    const { directory, subClusters, parent } = scene();
    directory.set(parent());
    directory.held = Promise.withResolvers();
    const asked = [subClusters.want('parent', 'a'), subClusters.want('parent', 'a')];
    expect(directory.log).toEqual(['add a']);
    directory.held.resolve();
    expect(await Promise.all(asked)).toEqual(['ready', 'ready']);
    expect(await subClusters.want('parent', 'a')).toBe('ready');
    expect(directory.log).toEqual(['add a']);
  });

  it('is one of so many', async () => {
    const { directory, subClusters, parent } = scene();
    directory.set(parent());
    expect(await subClusters.want('parent', 'a')).toBe('ready');
    expect(await subClusters.want('parent', 'b')).toBe('ready');
    expect(await subClusters.want('parent', 'c')).toBe('overflow');
    expect(await subClusters.want('parent', 'a')).toBe('ready');
  });

  it('goes when nobody has asked for it for its time', async () => {
    const { directory, subClusters, parent, clock } = scene();
    directory.set(parent());
    await subClusters.want('parent', 'a');
    await subClusters.want('parent', 'b');
    clock.advance(600);
    await subClusters.want('parent', 'b');
    clock.advance(1500);
    expect(directory.log).toEqual(['add a', 'add b', 'remove a', 'remove b']);
    expect(await subClusters.want('parent', 'a')).toBe('ready');
  });

  it('stays while it is asked for', async () => {
    const { directory, subClusters, parent, clock } = scene();
    directory.set(parent());
    for (let i = 0; i < 20; i++) {
      await subClusters.want('parent', 'a');
      clock.advance(900);
    }
    expect(directory.log).toEqual(['add a']);
  });

  it('goes with its parent, and with its version of it', async () => {
    const { directory, subClusters, parent } = scene();
    directory.set(parent());
    await subClusters.want('parent', 'a');
    directory.set(parent('parent', { altStatName: 'other' }));
    expect(directory.log).toEqual(['add a', 'remove a']);
    expect(await subClusters.want('parent', 'a')).toBe('ready');
    directory.delete('parent');
    expect(directory.log).toEqual(['add a', 'remove a', 'add a', 'remove a']);
    expect(await subClusters.want('parent', 'a')).toBe('gone');
  });

  it('goes at once when its parent has gone while it was made', async () => {
    const { directory, subClusters, parent } = scene();
    directory.set(parent());
    directory.held = Promise.withResolvers();
    const asked = subClusters.want('parent', 'a');
    directory.delete('parent');
    directory.held.resolve();
    expect(await asked).toBe('gone');
    expect(directory.byName.has('a')).toBe(false);
  });

  it('is not taken away by one of a version before that was not made in time', async () => {
    const { directory, subClusters, parent } = scene({ first: ['a'] });
    const { promise, resolve } = (directory.held = Promise.withResolvers<void>());
    directory.set(parent());
    const asked = subClusters.want('parent', 'a');
    directory.held = Promise.withResolvers();
    directory.set(parent('parent', { altStatName: 'other' }));
    resolve();
    await promise;
    expect(await asked).toBe('gone');
    directory.held.resolve();
    expect(await subClusters.want('parent', 'a')).toBe('ready');
    expect(directory.byName.has('a')).toBe(true);
    expect(directory.log).toEqual(['add a', 'remove a', 'add a']);
  });

  it('is not ready when it was taken away while it was made', async () => {
    const { directory, subClusters, parent, clock } = scene();
    directory.set(parent());
    directory.held = Promise.withResolvers();
    const asked = subClusters.want('parent', 'a');
    clock.advance(2500);
    directory.held.resolve();
    expect(await asked).toBe('gone');
    expect(directory.byName.has('a')).toBe(false);
    expect(await subClusters.want('parent', 'a')).toBe('ready');
  });

  it('does not fill the log with what clients make up', async () => {
    const { directory, subClusters, parent, loggers } = scene();
    directory.set(parent());
    for (let i = 0; i < 5; i++) await subClusters.want('parent', 'bad');
    expect(loggers.lines.filter((line) => line.includes('warning'))).toHaveLength(1);
    expect(loggers.lines.filter((line) => line.includes('debug'))).toHaveLength(4);
    directory.set(parent('parent', { altStatName: 'other' }));
    await subClusters.want('parent', 'bad');
    expect(loggers.lines.filter((line) => line.includes('warning'))).toHaveLength(2);
  });

  it('is refused where there is no such cluster to be had, and the log says why', async () => {
    const { directory, subClusters, parent, loggers } = scene({ max: 1 });
    directory.set(parent());
    expect(await subClusters.want('parent', 'bad')).toBe('refused');
    expect(loggers.lines).toEqual([
      'upstream warning: cluster parent: its sub-cluster "bad" cannot be made: name: is bad',
    ]);
    directory.set(parent('web'));
    expect(await subClusters.want('parent', 'web')).toBe('refused');
    expect(directory.log).toEqual([]);
    // What was refused takes no place.
    expect(await subClusters.want('parent', 'a')).toBe('ready');
  });

  it('is not made of a cluster that makes none', async () => {
    const { directory, subClusters, parent } = scene();
    directory.set(parent('web'));
    expect(await subClusters.want('web', 'a')).toBe('gone');
    expect(await subClusters.want('nobody', 'a')).toBe('gone');
  });

  it('may be one of the first', async () => {
    const { directory, subClusters, parent } = scene({ first: ['a', 'b'] });
    directory.byName.set('parent', parent());
    expect(directory.log).toEqual([]);
    subClusters.start();
    expect(directory.log).toEqual(['add a', 'add b']);
    await Promise.resolve();
    directory.set(parent('parent', { altStatName: 'other' }));
    expect(directory.log.slice(2)).toEqual(['remove a', 'remove b', 'add a', 'add b']);
  });
});

it('does nothing more when it is closed', async () => {
  const { directory, subClusters, parent, clock } = scene();
  directory.set(parent());
  await subClusters.want('parent', 'a');
  subClusters.close();
  clock.advance(10_000);
  directory.delete('parent');
  expect(directory.log).toEqual(['add a']);
});
