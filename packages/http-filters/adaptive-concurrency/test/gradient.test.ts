import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradientOf, nextLimit } from '../src/gradient.ts';

describe('the gradient', () => {
  it.each<[minRtt: number, sampleRtt: number, buffer: number, is: number]>([
    [5000, 5000, 0, 1],
    [5000, 5000, 0.25, 1.25],
    [5000, 6250, 0.25, 1],
    [5000, 10_000, 0, 0.5],
    [5000, 10_000, 0.25, 0.625],
    [5000, 100_000, 0.25, 0.5],
    [5000, 1000, 0.25, 2],
    [4000, 7000, 0.1, 4400 / 7000],
    [5000, 0, 0, 2],
    [0, 0, 0, 2],
    [0, 10, 1, 0.5],
  ])('of a minRTT of %d µs at %d µs, buffer %d: %d', (minRtt, sampleRtt, buffer, is) => {
    expect(gradientOf(minRtt, sampleRtt, buffer)).toBeCloseTo(is, 12);
  });
});

describe('the next limit', () => {
  it.each<[limit: number, gradient: number, min: number, max: number, is: number, headroom: number]>([
    [3, 1, 3, 1000, 4, Math.sqrt(3)],
    [3, 2, 3, 1000, 8, Math.sqrt(6)],
    [8, 2, 3, 1000, 20, 4],
    [20, 2, 3, 1000, 46, Math.sqrt(40)],
    [46, 1.25, 3, 1000, 65, Math.sqrt(57.5)],
    [100, 1, 3, 1000, 110, 10],
    [100, 0.5, 3, 1000, 57, Math.sqrt(50)],
    [3, 0.5, 3, 1000, 3, Math.sqrt(1.5)],
    [900, 2, 3, 1000, 1000, Math.sqrt(1800)],
    [10, 1, 20, 1000, 20, Math.sqrt(10)],
    // The minimum has the last word.
    [10, 1, 7, 5, 7, Math.sqrt(10)],
  ])('of %d with a gradient of %d in %d … %d: %d', (limit, gradient, min, max, is, headroom) => {
    const next = nextLimit(limit, gradient, min, max);
    expect(next.limit).toBe(is);
    expect(next.headroom).toBeCloseTo(headroom, 12);
  });

  it('is a whole number within its bounds, and grows while latency is the least', () => {
    const whole = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(
        whole,
        whole,
        whole,
        fc.double({ min: 0.5, max: 2, noNaN: true }),
        (limit, a, b, gradient) => {
          const [min, max] = [Math.min(a, b), Math.max(a, b)];
          const next = nextLimit(limit, gradient, min, max).limit;
          expect(Number.isInteger(next)).toBe(true);
          expect(next).toBeGreaterThanOrEqual(min);
          expect(next).toBeLessThanOrEqual(max);
          if (gradient >= 1 && limit < max) expect(next).toBeGreaterThan(limit);
        },
      ),
    );
  });
});
