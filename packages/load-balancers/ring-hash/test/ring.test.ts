import { normalizeWeights, type WeightedHosts } from '@dragoman/consistent-hashing';
import { hashHex, murmurHash2, xxHash64 } from '@dragoman/hashing';
import { testHosts } from '@dragoman/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Ring } from '../src/ring.ts';
import { halves, MAX_HASH } from './support.ts';

/** Place by place as Envoy describes it, in numbers of 64 bits: a list of pairs that is sorted, and looked through from its beginning. */
function slow(
  { hosts, weights, min }: WeightedHosts,
  minSize: number,
  maxSize: number,
  hash: typeof xxHash64,
) {
  const scale = Math.min(Math.ceil(min * minSize) / min, maxSize);
  const places: { hash: bigint; owner: number }[] = [];
  let target = 0;
  hosts.forEach(({ address }, owner) => {
    target += scale * weights[owner];
    for (let i = 0; places.length < target; i++)
      places.push({ hash: BigInt(`0x${hashHex(hash(`${address.text}_${i}`))}`), owner });
  });
  places.sort((a, b) => (a.hash < b.hash ? -1 : 1));
  return (wanted: bigint, attempt: number) => {
    const at = Math.max(
      0,
      places.findIndex((place) => place.hash >= wanted),
    );
    return places[(at + attempt) % places.length].owner;
  };
}

it('is what the description gives', () => {
  const wanted = fc.tuple(fc.bigInt({ min: 0n, max: MAX_HASH }), fc.nat({ max: 3 }));
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 0, max: 300 }),
      fc.constantFrom(xxHash64, murmurHash2),
      fc.array(wanted, { maxLength: 30 }),
      (weights, minSize, more, hash, picks) => {
        const hosts = normalizeWeights(testHosts(weights.length, weights), undefined);
        const maxSize = minSize + more;
        const ring = new Ring(hosts, { minSize, maxSize, hash: (key) => hash(key) }, false);
        const find = slow(hosts, minSize, maxSize, hash);
        for (const [value, attempt] of picks) {
          const { high, low } = halves(value);
          expect(ring.find(high, low, attempt)).toBe(find(value, attempt));
        }
        expect(ring.size).toBeLessThanOrEqual(maxSize);
      },
    ),
    { numRuns: 60 },
  );
});
