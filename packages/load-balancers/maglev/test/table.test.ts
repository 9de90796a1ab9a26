import { type WeightedHosts, normalizeWeights } from '@dragoman/consistent-hashing';
import { hashHex, xxHash64 } from '@dragoman/hashing';
import { testHosts } from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MaglevTable } from '../src/table.ts';

const hash = (key: string, seed: number) => BigInt(`0x${hashHex(xxHash64(key, { high: 0, low: seed }))}`);

/** The paper's listing 1 with weights: every host is looked at in every round, permutations are computed, nothing is kept. */
function slow({ hosts, weights, max }: WeightedHosts, size: number): number[] {
  const modulus = BigInt(size);
  const candidates = hosts
    .map(({ address }, owner) => ({
      key: address.text,
      owner,
      weight: weights[owner],
      offset: hash(address.text, 0) % modulus,
      skip: (hash(address.text, 1) % (modulus - 1n)) + 1n,
      target: 0,
      next: 0n,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const entries: number[] = new Array(size).fill(-1);
  let taken = 0;
  for (let round = 1; taken < size; round++) {
    for (const one of candidates) {
      if (taken === size || round * one.weight < one.target) continue;
      one.target += max;
      const place = () => Number((one.offset + one.skip * one.next++) % modulus);
      let at = place();
      while (entries[at] !== -1) at = place();
      entries[at] = one.owner;
      taken++;
    }
  }
  return entries;
}

it('is what the description gives', () => {
  const weight = fc.oneof(
    fc.constant(1),
    fc.integer({ min: 1, max: 10 }),
    fc.integer({ min: 1, max: 100_000 }),
  );
  fc.assert(
    fc.property(
      fc.array(weight, { minLength: 2, maxLength: 40 }),
      fc.constantFrom(2, 3, 7, 31, 257),
      (weights, size) => {
        const hosts = normalizeWeights(testHosts(weights.length, weights), undefined);
        const table = new MaglevTable(hosts, size, false);
        const expected = slow(hosts, size);
        expect(Array.from(expected, (_, entry) => table.find(0, entry, 0))).toEqual(expected);
        const counts = hosts.hosts.map((_, owner) => expected.filter((one) => one === owner).length);
        expect([table.minEntriesPerHost, table.maxEntriesPerHost]).toEqual([
          Math.min(...counts),
          Math.max(...counts),
        ]);
      },
    ),
  );
});
