import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SortedHashes } from '../src/sorted-hashes.ts';
import { halves } from './support.ts';

function sorted(hashes: readonly bigint[]): SortedHashes {
  const parts = hashes.map(halves);
  return new SortedHashes(
    Uint32Array.from(parts, ({ high }) => high),
    Uint32Array.from(parts, ({ low }) => low),
    Uint32Array.from(parts, (_, index) => index),
  );
}

/** Evenly spread ones, and some that are alike in their first bits or altogether. */
const hash = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 2n ** 33n - 3n, max: 2n ** 33n + 3n }),
  fc.constantFrom(0n, 2n ** 64n - 1n, 2n ** 63n),
);

/** ketama's search, as Envoy has it, on numbers of 64 bits. */
function ketama(ring: readonly bigint[], wanted: bigint): number {
  let low = 0;
  let high = ring.length;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (middle === ring.length) return 0;
    if (wanted <= ring[middle] && wanted > (ring[middle - 1] ?? 0n)) return middle;
    if (ring[middle] < wanted) low = middle + 1;
    else high = middle - 1;
  }
  return 0;
}

it('finds what the search of ketama finds', () => {
  fc.assert(
    fc.property(fc.uniqueArray(hash, { minLength: 1, maxLength: 60 }), fc.array(hash), (list, others) => {
      const subject = sorted(list);
      const ring = [...list].sort((a, b) => (a < b ? -1 : 1));
      for (const wanted of [...list, ...others]) {
        const { high, low } = halves(wanted);
        expect(subject.lowerBound(high, low)).toBe(ketama(ring, wanted));
      }
    }),
  );
});

it('keeps equal hashes in the order they came', () => {
  fc.assert(
    fc.property(fc.array(hash, { minLength: 1, maxLength: 60 }), (list) => {
      const order = list.map((value, index) => ({ value, index }));
      order.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.index - b.index));
      expect([...sorted(list).owners]).toEqual(order.map(({ index }) => index));
    }),
  );
});
