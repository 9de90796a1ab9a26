import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../src/index.ts';

/** Edits between two texts, the whole table of them: insert, delete, replace, swap of neighbours. */
function edits(a: string, b: string): number {
  const table = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  const at = (i: number, j: number): number => table[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      (table[i] as number[])[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
        swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  return at(a.length, b.length);
}

describe('nearest', () => {
  it('is the first of those with the fewest edits, within the limit', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 14 });
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 6 }), (name, candidates) => {
        const limit = Math.min(3, Math.max(1, Math.floor(name.length / 3)));
        const counted = candidates.map((candidate) => edits(name, candidate));
        const fewest = Math.min(...counted);
        const expected = fewest <= limit ? candidates[counted.indexOf(fewest)] : undefined;
        expect(nearest(name, candidates)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['long and alike', (i: number) => 'x'.repeat(190) + i, `${'x'.repeat(190)}zzzz`],
    ['of a mesh', (i: number) => `outbound|80||service-${i}.namespace.svc.cluster.local`, 'outbound|80||service-9999.namespace.svc.cluster.locaX'],
    ['without end', (i: number) => `${i}`, 'x'.repeat(60_000)],
  ])('takes little time for names that are %s', (_, name, asked) => {
    const names = Array.from({ length: 256 }, (_, i) => name(i));
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now();
      nearest(asked, names);
      return performance.now() - started;
    });
    // With a whole table for each of them it was 170 ms.
    expect(Math.min(...times), 'milliseconds').toBeLessThan(25);
  }); // biome-ignore format: a table
});
