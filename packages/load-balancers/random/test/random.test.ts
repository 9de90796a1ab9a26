import { RandomSchema, readLoose } from '@dragoman/api';
import type { PickerPolicy, RandomSource } from '@dragoman/core';
import {
  loadBalancerConformance,
  loadBalancerContext,
  ScriptedRandom,
  SeededRandom,
  testHosts,
} from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { random } from '../src/index.ts';

function policy(config: object = {}, source: RandomSource = new SeededRandom()): PickerPolicy {
  return random.create(readLoose(RandomSchema, config) as never, loadBalancerContext({ random: source }));
}

loadBalancerConformance(
  { describe, it },
  { extension: random, config: readLoose(RandomSchema, {}), weighted: false },
);

it('takes the drawn number modulo the hosts', () => {
  const draw = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(draw, { maxLength: 20 }), (count, draws) => {
      const hosts = testHosts(count);
      const picker = policy({}, new ScriptedRandom(draws)).createPicker(hosts, undefined);
      for (const value of draws)
        expect(picker.pick(undefined)).toBe(hosts[Number(BigInt(value) % BigInt(count))]);
    }),
  );
});

it('is even over hosts, whatever they weigh', () => {
  const hosts = testHosts(5, [1, 100, 1, 7, 1]);
  const picker = policy({}, new SeededRandom(23)).createPicker(hosts, undefined);
  const counts = new Map(hosts.map((host) => [host, 0]));
  for (let i = 0; i < 50_000; i++) {
    const host = picker.pick(undefined);
    if (host !== undefined) counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  // χ² with four degrees of freedom: 18.5 is exceeded by one seed in a thousand.
  const chi = [...counts.values()].reduce((sum, found) => sum + (found - 10_000) ** 2 / 10_000, 0);
  expect(chi).toBeLessThan(18.5);
});

it.each([
  [{}, { kind: 'zone-aware', minClusterSize: 6, routingEnabled: 100 }],
  [{ locality_lb_config: { locality_weighted_lb_config: {} } }, { kind: 'weighted' }],
  [
    { locality_lb_config: { zone_aware_lb_config: { routing_enabled: { value: 30 } } } },
    { kind: 'zone-aware', routingEnabled: 30 },
  ],
])('says how localities count: %j', (config, routing) => {
  expect(policy(config).locality).toMatchObject(routing);
});

it('may be asked ahead', () => {
  expect(policy().foreseeable).toBe(true);
});
