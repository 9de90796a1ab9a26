import { ClusterSchema, readLoose } from '@dragoman/api';
import type {
  Cluster,
  Host,
  HostDescription,
  HostSet,
  LoadBalancer,
  LoadBalancerContext,
  MemberClusters,
  PriorityShares,
} from '@dragoman/core';
import { hostSetOf, ProvidedScene, ScriptedRandom, testHost } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { aggregateCluster } from '../src/index.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig';

function cluster(members: readonly string[]) {
  return readLoose(ClusterSchema, {
    name: 'web',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: { name: 'envoy.clusters.aggregate', typed_config: { '@type': TYPE, clusters: members } },
  }) as never;
}

/** Hosts of a member's priorities: how many each has. */
function setsOf(name: string, counts: readonly number[]): HostSet[] {
  return counts.map((count, priority) =>
    hostSetOf(
      Array.from({ length: count }, (_, i) =>
        testHost(`10.${priority}.0.${i + 1}:80`, 1, { clusterName: name, priority }),
      ),
      { priority },
    ),
  );
}

/** Members which note what they were asked, and hand out the first host of the priority that they were told. */
class FakeMembers implements MemberClusters {
  readonly sets = new Map<string, HostSet[]>();
  readonly asked: string[] = [];
  readonly watchers = new Set<(name: string) => void>();

  set(name: string, ...counts: number[]): void {
    this.sets.set(name, setsOf(name, counts));
    for (const watcher of this.watchers) watcher(name);
  }

  remove(name: string): void {
    this.sets.delete(name);
    for (const watcher of this.watchers) watcher(name);
  }

  get(name: string): Cluster | undefined {
    const hostSets = this.sets.get(name);
    return hostSets && ({ hostSets } as Partial<Cluster> as Cluster);
  }

  get clusterNames(): Iterable<string> {
    return this.sets.keys();
  }

  chooseHost(name: string, context: LoadBalancerContext | undefined): Host | undefined {
    const sets = this.sets.get(name) ?? [];
    const shares = context?.priorityShares?.(sets, { healthy: [], degraded: [] }) as PriorityShares;
    this.asked.push(`${name} ${shares.healthy.join('/')} ${shares.degraded.join('/')}`);
    const priority = shares.healthy.includes(100)
      ? shares.healthy.indexOf(100)
      : shares.degraded.indexOf(100);
    return sets[priority].hosts[0];
  }

  onChange(callback: (name: string) => void): () => void {
    this.watchers.add(callback);
    return () => this.watchers.delete(callback);
  }
}

/** @param shares of the joined priorities */
function scene(
  members: readonly string[],
  shares: (sets: readonly HostSet[]) => PriorityShares = evenly,
  draws: readonly number[] = [],
) {
  const clusters = new FakeMembers();
  const seen: (readonly HostSet[])[] = [];
  const { context } = new ProvidedScene({
    clusters,
    random: new ScriptedRandom([...draws]),
    priorityShares: (sets) => {
      seen.push(sets);
      return shares(sets);
    },
  });
  const balancer = aggregateCluster.createBalancer?.(cluster(members), context) as LoadBalancer;
  return { clusters, balancer, seen };
}

function evenly(sets: readonly HostSet[]): PriorityShares {
  return { healthy: sets.map(() => 100 / sets.length), degraded: sets.map(() => 0) };
}

function contextOf(over: Partial<LoadBalancerContext> = {}): LoadBalancerContext {
  return { hash: undefined, info: undefined, requestHeaders: undefined, metadataMatch: undefined, ...over };
}

describe('the priorities of members', () => {
  it('follow each other; those without hosts are left out', () => {
    const { clusters, seen } = scene(['a', 'b', 'c', 'd']);
    clusters.set('b', 2, 0, 1);
    clusters.set('a', 1, 3);
    clusters.set('d', 4);
    const sets = seen.at(-1) ?? [];
    expect(sets.map(({ priority }) => priority)).toEqual([0, 1, 2, 3, 4]);
    expect(sets.map(({ hosts }) => [hosts[0].clusterName, hosts.length])).toEqual([
      ['a', 1],
      ['a', 3],
      ['b', 2],
      ['b', 1],
      ['d', 4],
    ]);
  });

  it('are chosen by their shares, and the member is told its own number', () => {
    const { clusters, balancer } = scene(['a', 'b'], evenly, [0, 25, 50, 75, 99]);
    clusters.set('a', 1, 0, 1);
    clusters.set('b', 1, 1);
    const chosen = Array.from({ length: 5 }, () => balancer.choose(contextOf()));
    expect(clusters.asked).toEqual([
      'a 100/0/0 0/0/0',
      'a 0/0/100 0/0/0',
      'b 100/0 0/0',
      'b 0/100 0/0',
      'b 0/100 0/0',
    ]);
    expect(chosen.map((host) => [host?.clusterName, host?.priority])).toEqual([
      ['a', 0],
      ['a', 2],
      ['b', 0],
      ['b', 1],
      ['b', 1],
    ]);
  });

  it('have degraded hosts of their own', () => {
    const shares = (sets: readonly HostSet[]) => ({ healthy: sets.map(() => 0), degraded: [0, 100] });
    const { clusters, balancer } = scene(['a', 'b'], shares, [7]);
    clusters.set('a', 1);
    clusters.set('b', 1);
    balancer.choose(undefined);
    expect(clusters.asked).toEqual(['b 0 100']);
  });

  it('may be more than a cluster has', () => {
    const names = Array.from({ length: 200 }, (_, i) => `c${i}`);
    const shares = (sets: readonly HostSet[]) => ({
      healthy: sets.map((_, i) => (i === 199 ? 100 : 0)),
      degraded: sets.map(() => 0),
    });
    const { clusters, balancer } = scene(names, shares, [0]);
    for (const name of names) clusters.set(name, 1);
    expect(balancer.choose(undefined)?.clusterName).toBe('c199');
  });

  it('are looked through again when a member changes, comes or goes, and not for others', () => {
    const { clusters, balancer, seen } = scene(['a', 'b'], evenly, [0, 0, 0]);
    expect(balancer.choose(undefined)).toBeUndefined();
    clusters.set('b', 1);
    expect(balancer.choose(undefined)?.clusterName).toBe('b');
    clusters.set('a', 1);
    expect(balancer.choose(undefined)?.clusterName).toBe('a');
    const before = seen.length;
    clusters.set('other', 1);
    expect(seen).toHaveLength(before);
    clusters.remove('a');
    expect(balancer.choose(undefined)?.clusterName).toBe('b');
    clusters.remove('b');
    expect(balancer.choose(undefined)).toBeUndefined();
    balancer.close?.();
    expect(clusters.watchers.size).toBe(0);
  });
});

describe('what is known of a request', () => {
  it('reaches the member, but for the priority', () => {
    const { clusters, balancer } = scene(['a'], evenly, [0]);
    clusters.set('a', 1);
    let seen: Partial<LoadBalancerContext> = {};
    const skipped: Host[] = [];
    clusters.chooseHost = (_, context) => {
      const { hash, info, requestHeaders, metadataMatch, hostSelectionAttempts } =
        context as LoadBalancerContext;
      seen = { hash, info, requestHeaders, metadataMatch, hostSelectionAttempts };
      const [host] = (clusters.sets.get('a') as HostSet[])[0].hosts;
      expect(context?.shouldSkip?.(host)).toBe(true);
      // A policy with other priorities than its cluster goes by its own.
      const original = { healthy: [1, 2], degraded: [3, 4] };
      expect(context?.priorityShares?.(setsOf('a', [1, 1]), original)).toBe(original);
      return host;
    };
    const given = {
      hash: 7 as never,
      info: {} as never,
      requestHeaders: {} as never,
      metadataMatch: { a: 1 },
      hostSelectionAttempts: 3,
    };
    balancer.choose(contextOf({ ...given, shouldSkip: (host) => skipped.push(host) > 0 }));
    expect(seen).toEqual(given);
    expect(skipped).toHaveLength(1);
  });

  it('spreads retries over the joined priorities, by their numbers there', () => {
    const { clusters, balancer } = scene(['a', 'b'], evenly, [0, 0]);
    clusters.set('a', 1, 1);
    clusters.set('b', 1);
    const numbers: (number | undefined)[] = [];
    const context = contextOf({
      priorityShares(sets, original, priorityOf) {
        expect(original.healthy).toHaveLength(3);
        const gone = { clusterName: 'a', priority: 2 } as HostDescription;
        for (const host of [...sets.flatMap(({ hosts }) => hosts), gone]) numbers.push(priorityOf?.(host));
        return { healthy: [0, 0, 100], degraded: [0, 0, 0] };
      },
    });
    expect(balancer.choose(context)?.clusterName).toBe('b');
    expect(numbers).toEqual([0, 1, 2, undefined]);
    // What was kept of a longer list does not fit any more.
    clusters.remove('b');
    const stale = contextOf({ priorityShares: () => ({ healthy: [0, 0, 100], degraded: [0, 0, 0] }) });
    expect(balancer.choose(stale)?.clusterName).toBe('a');
  });
});

describe('the config', () => {
  it.each<[string[], RegExp]>([
    [[], /^cluster_type\.typed_config\.clusters: is empty/],
    [['a', ''], /^cluster_type\.typed_config\.clusters\[1\]: is empty/],
    [['a', 'web'], /^cluster_type\.typed_config\.clusters\[1\]: "web" is the cluster itself/],
    [['a', 'b', 'a'], /^cluster_type\.typed_config\.clusters\[2\]: "a" is listed twice/],
  ])('%j is refused on main', (members, message) => {
    expect(() => aggregateCluster.create(cluster(members), {} as never)).toThrow(message);
  });

  it('without a message is refused', () => {
    const bare = readLoose(ClusterSchema, {
      name: 'web',
      cluster_type: { name: 'envoy.clusters.aggregate' },
    });
    expect(() => aggregateCluster.create(bare as never, {} as never)).toThrow(
      /^cluster_type\.typed_config: is missing/,
    );
  });
});
