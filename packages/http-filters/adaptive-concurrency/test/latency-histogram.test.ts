import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../src/latency-histogram.ts';

function histogram(samples: readonly number[]): LatencyHistogram {
  const made = new LatencyHistogram();
  for (const sample of samples) made.add(sample);
  return made;
}

/** The bin of circllhist that a sample is in, by its two first digits as text. */
function binOf(sample: number): { left: number; right: number } {
  if (sample === 0) return { left: 0, right: 0 };
  const [digits, exponent] = sample.toExponential(15).split('e') as [string, string];
  const head = Number(digits.slice(0, 3).replace('.', ''));
  const scale = 10 ** (Number(exponent) - 1);
  return { left: head * scale, right: (head + 1) * scale };
}

describe('the histogram', () => {
  // Of circllhist: linear within a bin, from its left end at a share of 0 to its right end at 1.
  it.each<[samples: number[], share: number, is: number]>([
    [[0], 0.5, 0],
    [[1], 0.5, 1.05],
    [[5000], 0, 5000],
    [[5000], 0.5, 5050],
    [[5000], 1, 5100],
    [[5000, 5000, 5000, 5000], 0.5, 5050],
    [[5099], 0.5, 5050],
    [[9999], 0.5, 9950],
    [[1000, 2000, 3000, 4000], 0.5, 2100],
    [[1000, 2000, 3000, 4000], 0.25, 1100],
    [[1000, 2000, 3000, 4000], 0.6, 3040],
    [[1000, 2000, 3000, 4000], 0.95, 4080],
    [[0, 0, 1000], 0.5, 0],
    [[123_456, 129_999], 0.75, 127_500],
  ])('%j at %d: %d', (samples, share, is) => {
    expect(histogram(samples).quantile(share)).toBeCloseTo(is, 6);
  });

  it('has no quantile without samples, and none of those that were cleared', () => {
    const made = histogram([5, 6, 7]);
    expect(made.count).toBe(3);
    made.clear();
    expect(made.count).toBe(0);
    expect(made.quantile(0.5)).toBeNaN();
    made.add(40);
    expect(made.quantile(1)).toBeCloseTo(41, 9);
  });

  it('takes latencies that are out of all proportion', () => {
    expect(histogram([2 ** 53 - 1]).quantile(0)).toBe(9.9e12);
  });

  it('is within the bin of the sample that a sorted list has there', () => {
    const latency = fc.oneof(fc.nat(20), fc.nat(100_000), fc.nat(10_000_000_000));
    const list = fc.array(latency, { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(list, fc.integer({ min: 0, max: 100 }), (samples, percent) => {
        const sorted = samples.toSorted((one, other) => one - other);
        const rank = Math.max(0, Math.ceil((percent / 100) * sorted.length - 1e-9) - 1);
        const { left, right } = binOf(sorted[rank] as number);
        const quantile = histogram(samples).quantile(percent / 100);
        expect(quantile).toBeGreaterThanOrEqual(left * (1 - 1e-12));
        expect(quantile).toBeLessThanOrEqual(right * (1 + 1e-12));
      }),
    );
  });
});
