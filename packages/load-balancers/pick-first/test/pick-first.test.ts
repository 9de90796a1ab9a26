import { PickFirstSchema, readLoose } from '@dragoman/api';
import type { Host, PickerPolicy, RandomSource } from '@dragoman/core';
import {
  loadBalancerConformance,
  loadBalancerContext,
  ScriptedRandom,
  SeededRandom,
  testHosts,
} from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pickFirst } from '../src/index.ts';

const SHUFFLED = { shuffle_address_list: true };

function policy(config: object = {}, random: RandomSource = new ScriptedRandom([])): PickerPolicy {
  return pickFirst.create(readLoose(PickFirstSchema, config) as never, loadBalancerContext({ random }));
}

for (const config of [{}, SHUFFLED])
  loadBalancerConformance(
    { describe, it },
    { extension: pickFirst, config: readLoose(PickFirstSchema, config), weighted: false, sticky: true },
  );

describe('in the order of the list', () => {
  const [a, b, c] = testHosts(3);

  it('takes the first, always', () => {
    const picker = policy().createPicker([a, b, c], undefined);
    expect(Array.from({ length: 4 }, () => picker.pick(undefined))).toEqual([a, a, a, a]);
  });

  it('takes the next when that goes, and stays with it when the first is back', () => {
    const first = policy();
    const whole = first.createPicker([a, b, c], undefined);
    const without = first.createPicker([b, c], whole);
    expect(without.pick(undefined)).toBe(b);
    const back = first.createPicker([a, b, c], without);
    expect(back.pick(undefined)).toBe(b);
    expect(first.createPicker([a, c], back).pick(undefined)).toBe(a);
  });

  it('stays with its host when others come before it', () => {
    const first = policy();
    const before = first.createPicker([b, c], undefined);
    expect(first.createPicker([c, a, b], before).pick(undefined)).toBe(b);
  });

  it('begins anew after there was none', () => {
    const first = policy();
    const none = first.createPicker([], first.createPicker([b], undefined));
    expect(none.pick(undefined)).toBeUndefined();
    expect(first.createPicker([a, b], none).pick(undefined)).toBe(a);
  });
});

describe('shuffled', () => {
  it('goes by the place that each host drew', () => {
    const hosts = testHosts(4);
    const first = policy(SHUFFLED, new ScriptedRandom([30, 10, 40, 20]));
    let picker = first.createPicker(hosts, undefined);
    const order: (Host | undefined)[] = [];
    for (let left = hosts; left.length > 0; picker = first.createPicker(left, picker)) {
      const chosen = picker.pick(undefined);
      order.push(chosen);
      left = left.filter((host) => host !== chosen);
    }
    expect(order).toEqual([hosts[1], hosts[3], hosts[0], hosts[2]]);
  });

  it('is shuffled once: a change of health draws nothing', () => {
    const [a, b, c] = testHosts(3);
    const first = policy(SHUFFLED, new ScriptedRandom([3, 1, 2]));
    const whole = first.createPicker([a, b, c], undefined);
    const without = first.createPicker([a, c], whole);
    expect([whole.pick(undefined), without.pick(undefined)]).toEqual([b, c]);
    expect(first.createPicker([a, b], without).pick(undefined)).toBe(b);
  });

  it('makes every host the first in as many proxies', () => {
    const hosts = testHosts(4);
    const counts = new Map<Host | undefined, number>();
    for (let seed = 0; seed < 4000; seed++) {
      const host = policy(SHUFFLED, new SeededRandom(seed)).createPicker(hosts, undefined).pick(undefined);
      counts.set(host, (counts.get(host) ?? 0) + 1);
    }
    for (const host of hosts) expect((counts.get(host) ?? 0) / 4000).toBeCloseTo(0.25, 1);
  });
});

it('keeps one host for as long as it is there, whatever else comes and goes', () => {
  const hosts = testHosts(6);
  const lists = fc.array(fc.subarray(hosts), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(lists, fc.boolean(), fc.integer(), (updates, shuffle, seed) => {
      const first = policy({ shuffle_address_list: shuffle }, new SeededRandom(seed));
      let picker: ReturnType<PickerPolicy['createPicker']> | undefined;
      for (const list of updates) {
        const before = picker?.pick(undefined);
        picker = first.createPicker(list, picker);
        const chosen = picker.pick(undefined);
        if (before !== undefined && list.includes(before)) expect(chosen).toBe(before);
        else if (!shuffle) expect(chosen).toBe(list[0]);
        else expect(chosen === undefined).toBe(list.length === 0);
      }
    }),
  );
});

it('lets no zone come before the list', () => {
  expect(policy().locality).toMatchObject({ kind: 'zone-aware', routingEnabled: 0 });
});
