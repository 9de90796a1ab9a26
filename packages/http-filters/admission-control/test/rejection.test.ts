import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ACCURACY, isRejected, rejectionProbability } from '../src/rejection.ts';

it.each([1, 2, 3])('rejects nothing by a threshold of 0, aggression %i', (aggression) => {
  expect(isRejected(rejectionProbability(100, 100, 0, aggression, 0.8), 0)).toBe(false);
});

describe('the probability of a rejection', () => {
  // Figures by hand: (n − s/threshold)/(n + 1), its root, the cap.
  it.each<
    [requests: number, successes: number, threshold: number, aggression: number, max: number, is: number]
  >([
    [0, 0, 0.95, 1, 0.8, 0],
    [100, 0, 0.95, 1, 1, 100 / 101],
    [100, 0, 0.95, 1, 0.8, 0.8],
    [1000, 800, 0.95, 1, 0.8, 0.157737],
    [1000, 800, 0.95, 2, 0.8, 0.39716118],
    [100, 95, 0.95, 1, 0.8, 0],
    [100, 50, 0.5, 1, 0.8, 0],
    [100, 40, 0.5, 1, 0.8, 20 / 101],
    [10, 5, 1, 1, 0.8, 5 / 11],
    [10, 5, 1, 2, 0.8, 0.67419986],
    [100, 90, 1, 4, 0.8, 0.56094419],
    [100, 90, 1, 4, 0.5, 0.5],
    [1, 0, 0.95, 1, 0.8, 0.5],
  ])('n=%d s=%d threshold=%d aggression=%d max=%d: %d', (n, s, threshold, aggression, max, is) => {
    expect(rejectionProbability(n, s, threshold, aggression, max)).toBeCloseTo(is, 7);
  });

  it.each([1, 1.5, 2, 3, 10])('above the threshold nothing is rejected, aggression %d', (aggression) => {
    const probability = rejectionProbability(100, 99, 0.95, aggression, 0.8);
    for (let draw = 0; draw < ACCURACY; draw++) expect(isRejected(probability, draw)).toBe(false);
  });

  it('is drawn in ten-thousandths of the number, and exactly so often', () => {
    const rejected = (probability: number) =>
      Array.from({ length: ACCURACY }, (_, draw) => isRejected(probability, draw + 7 * ACCURACY)).filter(
        Boolean,
      );
    expect(rejected(0)).toHaveLength(0);
    expect(rejected(0.00005)).toHaveLength(1);
    expect(rejected(0.157737)).toHaveLength(1578);
    expect(rejected(0.8)).toHaveLength(8000);
    expect(rejected(1)).toHaveLength(ACCURACY);
  });

  it('never exceeds its cap, falls as more succeed, rises with aggression', () => {
    const counts = fc
      .tuple(fc.nat(5000), fc.nat(5000))
      .map(([a, b]) => ({ n: Math.max(a, b), s: Math.min(a, b) }));
    const share = fc.double({ min: 0.01, max: 1, noNaN: true });
    const chance = (probability: number) => (Number.isNaN(probability) ? 0 : Math.max(0, probability));
    fc.assert(
      fc.property(
        counts,
        share,
        share,
        fc.double({ min: 1, max: 20, noNaN: true }),
        ({ n, s }, threshold, max, more) => {
          const plain = chance(rejectionProbability(n, s, threshold, 1, max));
          expect(plain).toBeLessThanOrEqual(max);
          expect(chance(rejectionProbability(n, s, threshold, more, max))).toBeGreaterThanOrEqual(
            plain - 1e-12,
          );
          if (s < n)
            expect(chance(rejectionProbability(n, s + 1, threshold, 1, max))).toBeLessThanOrEqual(plain);
        },
      ),
    );
  });
});
