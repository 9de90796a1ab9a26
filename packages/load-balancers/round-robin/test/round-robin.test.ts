import { readLoose, RoundRobinSchema } from '@dragoman/api';
import type { Host, HostPicker, LoadBalancerContextForCluster, LoadBalancerPolicy } from '@dragoman/core';
import { loadBalancerConformance, ScriptedRandom, SeededRandom, testHosts } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { roundRobin } from '../src/index.ts';

function policy(random: { random(): number; next(): number } = new SeededRandom()): LoadBalancerPolicy {
  const context = { clusterName: 'test', stats: {}, random, clock: { now: () => 0 } };
  return roundRobin.create(undefined as never, context as unknown as LoadBalancerContextForCluster);
}

function picks(picker: HostPicker, count: number): (Host | undefined)[] {
  return Array.from({ length: count }, () => picker.pick(undefined));
}

const hosts = (...weights: number[]): Host[] => testHosts(weights.length, weights);

loadBalancerConformance(
  { describe, it },
  {
    extension: roundRobin,
    config: undefined,
    invalid: [
      {
        name: 'slow start',
        config: readLoose(RoundRobinSchema, { slow_start_config: {} }),
        path: 'slow_start_config',
      },
    ],
  },
);

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

describe('config', () => {
  const context = { clusterName: 'test', stats: {}, random: new SeededRandom(), clock: { now: () => 0 } };
  const make = (json: object) =>
    roundRobin.create(
      readLoose(RoundRobinSchema, json) as never,
      context as unknown as LoadBalancerContextForCluster,
    );

  it('accepts an empty message', () => {
    expect(() => make({})).not.toThrow();
    expect(() => make({ locality_lb_config: {} })).not.toThrow();
  });

  it.each([
    [{ slow_start_config: { slow_start_window: '10s' } }, 'slow_start_config: slow start is not built yet'],
    [
      { locality_lb_config: { locality_weighted_lb_config: {} } },
      'locality_lb_config.locality_weighted_lb_config: load balancing weighted by locality is not built yet',
    ],
    [
      { locality_lb_config: { zone_aware_lb_config: {} } },
      'locality_lb_config.zone_aware_lb_config: routing by zone is not built yet',
    ],
  ])('refuses %j', (json, message) => {
    expect(() => make(json)).toThrow(message);
  });
});
