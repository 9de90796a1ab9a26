import { readLoose, RoundRobinSchema } from '@dragoman/api';
import type { Host, HostPicker, LoadBalancerContextForCluster, PickerPolicy } from '@dragoman/core';
import {
  FakeClock,
  loadBalancerConformance,
  loadBalancerContext,
  ScriptedRandom,
  SeededRandom,
  testHost,
  testHosts,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { roundRobin } from '../src/index.ts';

function policy(
  random: LoadBalancerContextForCluster['random'] = new SeededRandom(),
  config: object = {},
  clock = new FakeClock(),
): PickerPolicy {
  return roundRobin.create(
    readLoose(RoundRobinSchema, config) as never,
    loadBalancerContext({ random, clock }),
  );
}

function picks(picker: HostPicker, count: number): (Host | undefined)[] {
  return Array.from({ length: count }, () => picker.pick(undefined));
}

const hosts = (...weights: number[]): Host[] => testHosts(weights.length, weights);

loadBalancerConformance({ describe, it }, { extension: roundRobin, config: readLoose(RoundRobinSchema, {}) });

describe('hosts of equal weight', () => {
  const [a, b, c] = hosts(1, 1, 1);

  it('come one after the other, from a random start', () => {
    const picker = policy(new ScriptedRandom([7])).createPicker([a, b, c], undefined);
    expect(picks(picker, 5)).toEqual([b, c, a, b, c]);
  });

  it('go on where the picker before them was', () => {
    const rounds = policy(new ScriptedRandom([0]));
    const before = rounds.createPicker([a, b, c], undefined);
    picks(before, 2);
    expect(picks(rounds.createPicker([a, b, c], before), 2)).toEqual([c, a]);
    expect(picks(rounds.createPicker([a, b], before), 2)).toEqual([a, b]);
  });

  it('are in turn whatever their weight, as long as it is the same', () => {
    const heavy = hosts(9, 9);
    const picker = policy(new ScriptedRandom([0])).createPicker(heavy, undefined);
    expect(picks(picker, 4)).toEqual([heavy[0], heavy[1], heavy[0], heavy[1]]);
  });
});

describe('hosts of different weights', () => {
  it('come in proportion, spread evenly', () => {
    const [a, b] = hosts(4, 1);
    const picker = policy(new ScriptedRandom([0])).createPicker([a, b], undefined);
    expect(picks(picker, 10)).toEqual([a, a, a, b, a, a, a, a, b, a]);
  });

  it('begin at a random place', () => {
    const [a, b] = hosts(2, 1);
    const first = new Set<Host | undefined>();
    for (let seed = 1; seed < 20; seed++)
      first.add(policy(new SeededRandom(seed)).createPicker([a, b], undefined).pick(undefined));
    expect(first.size).toBe(2);
  });
});

it('has no host when there is none', () => {
  expect(policy().createPicker([], undefined).pick(undefined)).toBeUndefined();
});

it('serves an update while the old picker is in use', () => {
  const rounds = policy();
  const [a, b, c] = hosts(1, 2, 3);
  const old = rounds.createPicker([a, b], undefined);
  const fresh = rounds.createPicker([c], old);
  expect(fresh.pick(undefined)).toBe(c);
  expect([a, b]).toContain(old.pick(undefined));
});

it('gives a new host its share by and by', () => {
  const clock = new FakeClock();
  const rounds = policy(new SeededRandom(), { slow_start_config: { slow_start_window: '10s' } }, clock);
  const [old] = hosts(1);
  const fresh = testHost('10.0.1.1:80', 1, { healthySince: clock.now() });
  const share = (): number => {
    const found = picks(rounds.createPicker([old, fresh], undefined), 1100);
    return found.filter((host) => host === fresh).length / found.filter((host) => host === old).length;
  };
  expect(share()).toBeCloseTo(0.1, 1);
  clock.advance(5_000);
  expect(share()).toBeCloseTo(0.5, 1);
  clock.advance(5_000);
  expect(share()).toBeCloseTo(1, 1);
});

it.each([
  [{}, { kind: 'zone-aware', minClusterSize: 6, routingEnabled: 100 }],
  [{ locality_lb_config: { locality_weighted_lb_config: {} } }, { kind: 'weighted' }],
  [
    { locality_lb_config: { zone_aware_lb_config: { min_cluster_size: 2, fail_traffic_on_panic: true } } },
    { kind: 'zone-aware', minClusterSize: 2, failTrafficOnPanic: true },
  ],
])('says how localities count: %j', (config, routing) => {
  expect(policy(undefined, config).locality).toMatchObject(routing);
});

it('may be asked ahead', () => {
  expect(policy().foreseeable).toBe(true);
});
