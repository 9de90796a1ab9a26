import {
  type Host,
  type HostSet,
  type LocalityRouting,
  type PickerPolicy,
  type Runtime,
  emptyRuntime,
} from '@dragoman/core';
import { DEFAULT_LOCALITY_ROUTING } from '@dragoman/load-balancing';
import { hostSetOf, hostsInTurn, pickContext, SeededRandom, testHost } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalZone } from '../src/hosts/local-zone.ts';
import { effectiveWeights } from '../src/hosts/locality-pickers.ts';
import { PriorityBalancer } from '../src/hosts/priority-balancer.ts';
import { zoneRoutes } from '../src/hosts/zone-routing.ts';
import { ClusterStats } from '../src/stats/cluster-stats.ts';
import { changingRuntime } from './support/changing-runtime.ts';
import { MemoryStats } from './support/memory-stats.ts';

/** Hosts of zones: how many, and how many of them are healthy (all of them unless said otherwise). */
type Zones = Readonly<Record<string, number | readonly [total: number, healthy: number]>>;

function setOf(zones: Zones, localityWeights?: readonly number[], over: Partial<HostSet> = {}): HostSet {
  const names = Object.keys(zones);
  const counts = names.map((name) => [zones[name]].flat() as number[]);
  const hostsByLocality = counts.map(([total], zone) =>
    Array.from({ length: total }, (_, i) =>
      testHost(`10.${zone}.0.${i + 1}:80`, 1, { locality: localityOf(names[zone]) }),
    ),
  );
  const healthyHostsByLocality = hostsByLocality.map((hosts, i) => hosts.slice(0, counts[i].at(-1)));
  return hostSetOf(hostsByLocality.flat(), {
    localities: names.map(localityOf),
    hostsByLocality,
    healthyHosts: healthyHostsByLocality.flat(),
    healthyHostsByLocality,
    degradedHostsByLocality: names.map(() => []),
    excludedByLocality: names.map(() => 0),
    localityWeights,
    ...over,
  });
}

const localityOf = (zone: string) => ({ region: 'r', zone, subZone: '' });

interface Scene {
  readonly local?: Zones;
  readonly routing?: LocalityRouting;
  readonly runtime?: Runtime;
  readonly policy?: Partial<PickerPolicy>;
  readonly panicThreshold?: number;
}

function balancerOver(set: HostSet, { local, routing, runtime, policy, panicThreshold = 50 }: Scene) {
  const stats = new MemoryStats();
  const zone = new LocalZone({ cluster: '', node: '', region: 'r', zone: 'a', address: '' });
  if (local !== undefined) zone.update([setOf(local)]);
  const balancer = new PriorityBalancer(
    { ...hostsInTurn(), locality: routing, ...policy },
    {
      zone,
      runtime: runtime ?? emptyRuntime,
      random: new SeededRandom(5),
      stats: new ClusterStats(stats.scope('cluster.web')),
      panicThreshold: () => panicThreshold,
    },
  );
  balancer.update([set]);
  /** The share of picks that each zone gets, percent. */
  const shares = (picks = 4_000): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < picks; i++) {
      const zone = balancer.choose(undefined)?.locality.zone ?? 'none';
      counts[zone] = (counts[zone] ?? 0) + 100 / picks;
    }
    return counts;
  };
  return { balancer, zone, shares, counts: () => stats.nonZero('cluster.web.') };
}

const zoneAware = (over: Partial<Extract<LocalityRouting, { kind: 'zone-aware' }>>): LocalityRouting => ({
  ...(DEFAULT_LOCALITY_ROUTING as Extract<LocalityRouting, { kind: 'zone-aware' }>),
  ...over,
});

describe('zone-aware routing', () => {
  it('keeps all requests where the own zone has its share of the hosts', () => {
    const { shares, counts } = balancerOver(setOf({ a: 4, b: 4 }), { local: { a: 2, b: 2 } });
    expect(shares(100)).toEqual({ a: expect.closeTo(100) });
    expect(counts()).toMatchObject({ lb_zone_routing_all_directly: 100 });
  });

  it('sends what the own zone cannot carry where there is room', () => {
    // The proxies of zone a send half of all requests and have a third of the hosts: two thirds of theirs stay.
    const { shares, counts } = balancerOver(setOf({ a: 4, b: 4, c: 4 }), { local: { a: 4, b: 2, c: 2 } });
    const found = shares();
    expect(found.a).toBeCloseTo(66.67, -0.5);
    expect(found.b).toBeCloseTo(16.67, -0.5);
    expect(counts()).toHaveProperty('lb_zone_routing_sampled');
    expect(counts()).toHaveProperty('lb_zone_routing_cross_zone');
  });

  it.each<[string, HostSet, Scene]>([
    ['the proxy does not know its cluster', setOf({ a: 4, b: 4 }), {}],
    ['there are few hosts', setOf({ a: 2, b: 2 }), { local: { a: 1, b: 1 } }],
    ['the own zone has no healthy host', setOf({ a: [2, 0], b: 6 }), { local: { a: 1, b: 1 } }],
    ['one zone has them all', setOf({ a: 8, b: [2, 0] }), { local: { a: 1, b: 1 } }],
    [
      'runtime turns it off',
      setOf({ a: 4, b: 4 }),
      {
        local: { a: 1, b: 1 },
        runtime: {
          ...emptyRuntime,
          get: (key) => (key === 'upstream.zone_routing.enabled' ? '0' : undefined),
          featureEnabled: (key, fallback, draw) =>
            key === 'upstream.zone_routing.enabled'
              ? false
              : emptyRuntime.featureEnabled(key, fallback, draw),
        },
      },
    ],
    ['the proxies are in panic', setOf({ a: 4, b: 4 }), { local: { a: [4, 1], b: [4, 1] } }],
  ])('plays no part when %s', (_name, set, scene) => {
    const { shares } = balancerOver(set, scene);
    const found = shares(set.healthyHosts.length * 10);
    const healthy = set.healthyHosts.length;
    set.localities.forEach(({ zone }, i) => {
      const expected = (100 * set.healthyHostsByLocality[i].length) / healthy;
      expect(found[zone] ?? 0).toBeCloseTo(expected, 1);
    });
  });

  it('is forced into the own zone from so many hosts on', () => {
    const set = setOf({ a: 2, b: 8 });
    const local = { a: 5, b: 5 };
    const forced = balancerOver(set, { local, routing: zoneAware({ forceLocalZoneMinSize: 2 }) });
    expect(forced.shares(100)).toEqual({ a: expect.closeTo(100) });
    const few = balancerOver(set, { local, routing: zoneAware({ forceLocalZoneMinSize: 3 }) });
    expect(few.shares().a).toBeCloseTo(40, -0.5);
  });

  it('is forced into the own zone by runtime', () => {
    const set = setOf({ a: 2, b: 8 });
    const local = { a: 5, b: 5 };
    const key = 'upstream.zone_routing.force_local_zone.min_size';
    const forced = balancerOver(set, { local, runtime: changingRuntime({ [key]: '2' }) });
    expect(forced.shares(100)).toEqual({ a: expect.closeTo(100) });
    const routing = zoneAware({ forceLocalZoneMinSize: 2 });
    const few = balancerOver(set, { local, routing, runtime: changingRuntime({ [key]: '3' }) });
    expect(few.shares().a).toBeCloseTo(40, -0.5);
    // 0 says nothing, as in Envoy.
    const none = balancerOver(set, { local, routing, runtime: changingRuntime({ [key]: '0' }) });
    expect(none.shares(100)).toEqual({ a: expect.closeTo(100) });
  });

  it('follows the proxies as they come and go', () => {
    const { shares, zone } = balancerOver(setOf({ a: 4, b: 4 }), { local: { a: 4, b: 4 } });
    expect(shares(100).a).toBeCloseTo(100);
    zone.update([setOf({ a: 8, b: 2 })]);
    // Half of the hosts for four fifths of the requests.
    expect(shares().a).toBeCloseTo(62.5, -0.5);
  });

  it('loads every host alike, whatever the zones', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(sizes, sizes, (hosts, proxies) => {
        const names = ['a', 'b', 'c'];
        const zones = (counts: number[]): Zones =>
          Object.fromEntries(names.map((name, i) => [name, counts[i]]));
        const set = setOf(zones(hosts));
        const total = proxies.reduce((sum, count) => sum + count, 0);
        const load = [0, 0, 0];
        names.forEach((name, sender) => {
          const zone = new LocalZone({ cluster: '', node: '', region: 'r', zone: name, address: '' });
          zone.update([setOf(zones(proxies))]);
          const routing = DEFAULT_LOCALITY_ROUTING as Extract<LocalityRouting, { kind: 'zone-aware' }>;
          const { routes } = zoneRoutes(set, zone, routing, 1);
          const sent = proxies[sender] / total;
          if (routes?.kind === 'direct') load[sender] += sent;
          else if (routes?.kind === 'residual') {
            const own = routes.ownShare / 10_000;
            load[sender] += sent * own;
            const most = routes.room.at(-1) ?? 0;
            routes.room.forEach((room, i) => {
              const part = room - (routes.room[i - 1] ?? 0);
              load[i] += (sent * (1 - own) * part) / most;
            });
          } else throw new Error('zones play no part');
        });
        const count = hosts.reduce((sum, size) => sum + size, 0);
        for (const [i, size] of hosts.entries()) expect(load[i]).toBeCloseTo(size / count, 2);
      }),
    );
  });
});

describe('localities with weights', () => {
  const weighted: Scene = { routing: { kind: 'weighted' } };

  it('share by weight, whatever the number of their hosts', () => {
    const found = balancerOver(setOf({ a: 1, b: 9 }, [3, 1]), weighted).shares();
    expect([found.a, found.b]).toEqual([expect.closeTo(75), expect.closeTo(25)]);
  });

  it('give up what their healthy hosts cannot carry', () => {
    // 1.4 × 4/10 = 0.56 of its weight is left to a.
    const set = setOf({ a: [10, 4], b: 10 }, [1, 1]);
    expect(effectiveWeights(set, set.healthyHostsByLocality)).toEqual([expect.closeTo(0.56), 1]);
    const found = balancerOver(set, weighted).shares();
    expect(found.a).toBeCloseTo(35.9, 0);
  });

  it.each([
    ['a weight of 0', setOf({ a: 3, b: 3 }, [0, 1])],
    ['no healthy host', setOf({ a: [3, 0], b: 9 }, [5, 1])],
  ])('take nothing with %s', (_name, set) => {
    expect(balancerOver(set, weighted).shares(100)).toEqual({ b: expect.closeTo(100) });
  });

  it('do not count in panic, nor where the policy is not asked to weigh them', () => {
    const panic = balancerOver(setOf({ a: [5, 1], b: [5, 1] }, [9, 1]), weighted);
    expect(panic.shares(1_000).a).toBeCloseTo(50);
    expect(panic.counts()).toMatchObject({ lb_healthy_panic: 1_000 });
    expect(balancerOver(setOf({ a: 5, b: 5 }, [9, 1]), {}).shares(1_000).a).toBeCloseTo(50);
  });

  it('are told to policies that pick by hash, which weigh them themselves', () => {
    const seen: unknown[] = [];
    const policy: PickerPolicy = {
      usesHash: true,
      locality: { kind: 'weighted' },
      createPicker(hosts: readonly Host[], _previous, localities) {
        seen.push(localities?.weights);
        return { pick: () => hosts[0] };
      },
    };
    const { balancer } = balancerOver(setOf({ a: 1, b: 1 }, [3, 1]), { policy });
    balancer.choose(pickContext({ hash: { high: 0, low: 0 } }));
    expect(seen).toEqual([[3, 1]]);
  });
});

it('leaves hosts out of account that are excluded', () => {
  // Of ten hosts six are new and not checked yet: the four others are all there is.
  const all = setOf({ a: [10, 3] });
  const set = { ...all, excluded: 6, excludedByLocality: [6] };
  const { shares, counts } = balancerOver(set, {});
  expect([shares(30), counts()]).toMatchObject([{ a: expect.closeTo(100) }, {}]);
  expect(counts()).not.toHaveProperty('lb_healthy_panic');
  const without = balancerOver(all, {});
  without.shares(30);
  expect(without.counts()).toMatchObject({ lb_healthy_panic: 30 });
});

it('fails requests in panic where the config says so', () => {
  const set = setOf({ a: [4, 1] });
  const { balancer } = balancerOver(set, { routing: zoneAware({ failTrafficOnPanic: true }) });
  expect(balancer.choose(undefined)).toBeUndefined();
});
