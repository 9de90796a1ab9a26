import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EdfScheduler } from '../src/index.ts';

/** A schedule from its beginning, pick by pick. */
function picksOf(weights: readonly number[], count: number): number[] {
  const scheduler = new EdfScheduler(weights);
  return Array.from({ length: count }, () => scheduler.next());
}

it('starts in the midst of the schedule as if the picks before had been made', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 0, max: 5000 }),
      (weights, passedOver) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const scheduler = new EdfScheduler(weights, undefined, passedOver);
        const counts = new Array<number>(weights.length).fill(0);
        for (let i = 0; i < total; i++) counts[scheduler.next()]++;
        for (const [entry, weight] of weights.entries())
          expect(Math.abs(counts[entry] - weight)).toBeLessThanOrEqual(1);
      },
    ),
  );
});

// Where no two entries are due at the same moment: those may change places.
it.each([
  { weights: [3, 7, 11], passedOver: 5 },
  { weights: [3, 7, 11], passedOver: 25 },
  { weights: [13, 2.5, 40, 7], passedOver: 31 },
  { weights: [1, 1000], passedOver: 500 },
])('comes to the same picks: $weights after $passedOver', ({ weights, passedOver }) => {
  const scheduler = new EdfScheduler(weights, undefined, passedOver);
  const rest = Array.from({ length: 12 }, () => scheduler.next());
  expect(rest).toEqual(picksOf(weights, passedOver + 12).slice(passedOver));
});

it('costs no more for a start that is far away', () => {
  const asked: number[] = [];
  const weights = [1, 2, 3];
  const weigh = (entry: number): number => {
    asked.push(entry);
    return weights[entry];
  };
  new EdfScheduler(weights, weigh, 2 ** 53 - 1);
  expect(asked.length).toBeLessThanOrEqual(2 * weights.length);
});
