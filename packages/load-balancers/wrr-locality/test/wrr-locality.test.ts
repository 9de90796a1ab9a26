import { readLoose, WrrLocalitySchema } from '@dragoman/api';
import type {
  BalancerPolicy,
  Host,
  HostSet,
  LoadBalancer,
  LoadBalancerPolicy,
  PickerLocalities,
  PickerPolicy,
} from '@dragoman/core';
import { EdfScheduler } from '@dragoman/load-balancing';
import { hostSetOf, loadBalancerConformance, loadBalancerContext, testHosts } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { wrrLocality } from '../src/index.ts';

const CONFIG = readLoose(WrrLocalitySchema, {
  endpoint_picking_policy: { policies: [{ typed_extension_config: { name: 'child' } }] },
});

/** The policy that the kit hands out: hosts in turn. */
const inTurn = (): PickerPolicy => loadBalancerContext().policy(undefined, '') as PickerPolicy;

function around(child: LoadBalancerPolicy): LoadBalancerPolicy {
  return wrrLocality.create(CONFIG as never, loadBalancerContext({ policy: () => child }));
}

function picking(child: PickerPolicy): PickerPolicy {
  const policy = around(child);
  if ('createBalancer' in policy) throw new Error('it picks');
  return policy;
}

/** Weighs localities as a cluster does, when the policy says so. */
function byLocality(policy: LoadBalancerPolicy): LoadBalancer {
  if ('createBalancer' in policy) return policy.createBalancer(byLocality);
  let choose: () => Host | undefined = () => undefined;
  return {
    update([set]) {
      if (policy.locality?.kind !== 'weighted' || set.localityWeights === undefined)
        throw new Error('its localities are not weighted');
      const pickers = set.hostsByLocality.map((hosts) => policy.createPicker(hosts, undefined));
      const turns = new EdfScheduler(set.localityWeights);
      choose = () => pickers[turns.next()].pick(undefined);
    },
    choose: () => choose(),
    close: () => policy.close?.(),
  };
}

/** Three localities of the given weights, two hosts each. */
function weightedSet(weights: readonly number[]): HostSet {
  const hosts = testHosts(weights.length * 2);
  const lists = weights.map((_, index) => hosts.slice(2 * index, 2 * index + 2));
  return hostSetOf(hosts, {
    localities: weights.map((_, index) => ({ region: '', zone: String(index), subZone: '' })),
    hostsByLocality: lists,
    healthyHostsByLocality: lists,
    localityWeights: weights,
  });
}

for (const child of [inTurn(), { createBalancer: (standard) => standard(inTurn()) } as BalancerPolicy])
  loadBalancerConformance(
    { describe, it },
    {
      extension: { ...wrrLocality, create: () => around(child) },
      config: CONFIG,
      weighted: false,
    },
  );

it('asks for the policy that stands in its config, at its path', () => {
  const asked: unknown[] = [];
  const policy = (config: unknown, path: string): PickerPolicy => {
    asked.push(config, path);
    return inTurn();
  };
  wrrLocality.create(CONFIG as never, loadBalancerContext({ policy }));
  expect(asked).toEqual([CONFIG.endpointPickingPolicy, 'endpoint_picking_policy']);
});

it.each<[string, LoadBalancerPolicy]>([
  ['picks', { ...inTurn(), locality: { kind: 'weighted' } }],
  ['picks, and says nothing of localities', inTurn()],
  ['decides for itself', { createBalancer: (standard) => standard(inTurn()) }],
  [
    'has a policy inside that decides for itself',
    { createBalancer: (standard) => standard({ createBalancer: (inner) => inner(inTurn()) }) },
  ],
])('shares by the weights of localities around a policy that %s', (_, child) => {
  const balancer = byLocality(around(child));
  const set = weightedSet([1, 5, 2]);
  balancer.update([set]);
  const counts = new Map<Host | undefined, number>();
  for (let i = 0; i < 800; i++) {
    const host = balancer.choose(undefined);
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  expect(set.hosts.map((host) => counts.get(host))).toEqual([50, 50, 250, 250, 100, 100]);
});

describe('around a policy that picks', () => {
  it('overrides what it says of localities, and keeps that it picks by hash', () => {
    const zone = { ...inTurn(), usesHash: true, locality: undefined };
    expect(picking(zone)).toMatchObject({ usesHash: true, locality: { kind: 'weighted' } });
    expect(picking(inTurn()).usesHash).toBeUndefined();
  });

  it('may be asked ahead where that may', () => {
    expect(picking({ ...inTurn(), foreseeable: true }).foreseeable).toBe(true);
    expect(picking(inTurn()).foreseeable).toBeUndefined();
  });

  it('hands on hosts, predecessor and localities', () => {
    const seen: unknown[] = [];
    const child: PickerPolicy = {
      createPicker(...given) {
        seen.push(...given);
        return { pick: () => undefined };
      },
    };
    const hosts = testHosts(1);
    const previous = { pick: () => undefined };
    const localities: PickerLocalities = { hosts: [hosts], weights: [1] };
    picking(child).createPicker(hosts, previous, localities);
    expect(seen).toEqual([hosts, previous, localities]);
  });

  it('ends with it', () => {
    let ended = 0;
    const policy = picking({ ...inTurn(), close: () => void ended++ });
    policy.close?.();
    expect(ended).toBe(1);
    expect(() => picking(inTurn()).close?.()).not.toThrow();
  });
});
