import { MemoryStats, SeededRandom, testHosts } from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BoundedLoad } from '../src/bounded-load.ts';
import { normalizeWeights } from '../src/index.ts';
import { MersenneTwister } from '../src/mersenne-twister.ts';

function scene(weights: readonly number[], active: readonly number[], factor: number) {
  const hosts = testHosts(weights.length, weights);
  hosts.forEach((host, index) => {
    host.activeRequests = active[index] ?? 0;
  });
  const open = new MemoryStats().gauge('upstream_rq_active');
  open.set(active.reduce((sum, count) => sum + count, 0));
  const table = normalizeWeights(hosts, undefined);
  return { hosts, open, table, bounds: new BoundedLoad(table, factor, open) };
}

/** Step by step as Envoy describes it, with a list that is shuffled anew for each pick. */
function slow(
  { hosts, open, table }: ReturnType<typeof scene>,
  factor: number,
  chosen: number,
  seed: number,
) {
  const slots = Math.floor(((open.value() + 1) * factor + 99) / 100);
  const load = (index: number) =>
    hosts[index].activeRequests / Math.max(1, Math.ceil(slots * table.weights[index]));
  if (load(chosen) <= 1) return chosen;
  const twister = new MersenneTwister();
  twister.seed(seed);
  const order = hosts.map((_, index) => index);
  let least = chosen;
  for (let i = 0; i < order.length; i++) {
    const left = order.length - i;
    let drawn = left;
    while (drawn >= left) drawn = Number(BigInt(twister.next()) / (2n ** 32n / BigInt(left)));
    [order[i], order[i + drawn]] = [order[i + drawn], order[i]];
    const host = order[i];
    if (host === chosen) continue;
    if (load(host) <= 1) return host;
    if (load(host) < load(least)) least = host;
  }
  return least;
}

it('keeps to the host of the hash as long as that has a slot', () => {
  // 11 open, one to come: 12 × 150 % = 18 slots, of which half is 9.
  const { bounds, hosts } = scene([1, 1], [9, 2], 150);
  expect(bounds.choose(0, 1)).toBe(0);
  hosts[0].activeRequests = 10;
  expect(bounds.choose(0, 1)).toBe(1);
});

it('takes the least overloaded host when all are', () => {
  const { bounds, open } = scene([1, 1, 1], [9, 7, 8], 100);
  open.set(0);
  for (let seed = 0; seed < 20; seed++) expect(bounds.choose(0, seed)).toBe(1);
});

it('takes the same other host for the same hash, and not one host for all', () => {
  const { bounds } = scene(new Array(20).fill(1), [50], 100);
  const others = Array.from({ length: 50 }, (_, seed) => bounds.choose(0, seed));
  expect(Array.from({ length: 50 }, (_, seed) => bounds.choose(0, seed))).toEqual(others);
  expect(others).not.toContain(0);
  expect(new Set(others).size).toBeGreaterThan(10);
});

it('picks as the description does, pick after pick', () => {
  const host = fc.record({ weight: fc.integer({ min: 1, max: 9 }), active: fc.nat({ max: 12 }) });
  const picks = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 2 ** 32 - 1 })), { maxLength: 8 });
  fc.assert(
    fc.property(
      fc.array(host, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 100, max: 200 }),
      picks,
      (list, factor, sequence) => {
        const subject = scene(
          list.map(({ weight }) => weight),
          list.map(({ active }) => active),
          factor,
        );
        for (const [at, seed] of sequence) {
          const chosen = at % list.length;
          expect(subject.bounds.choose(chosen, seed)).toBe(slow(subject, factor, chosen, seed));
        }
      },
    ),
  );
});

it('bounds the load: no host has more than its slots and the one request that came last', () => {
  const random = new SeededRandom(3);
  const { bounds, hosts, open, table } = scene([1, 2, 3, 4, 5, 6], [], 125);
  for (let i = 0; i < 3000; i++) {
    // Nearly all want the same host.
    const wanted = random.random() < 0.9 ? 0 : random.next() % hosts.length;
    const slots = Math.floor(((open.value() + 1) * 125 + 99) / 100);
    const chosen = bounds.choose(wanted, random.next() % 2 ** 32);
    hosts[chosen].activeRequests++;
    open.inc();
    expect(hosts[chosen].activeRequests).toBeLessThanOrEqual(Math.ceil(slots * table.weights[chosen]) + 1);
  }
  expect(hosts.every(({ activeRequests }) => activeRequests > 0)).toBe(true);
});
