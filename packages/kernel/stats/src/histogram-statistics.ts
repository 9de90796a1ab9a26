import { binLeft, binMidpoint, binRight, binWidth } from './bins.ts';

/** The quantiles that Envoy computes. */
export const QUANTILES: readonly number[] = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1];

/** Envoy's default upper bounds of histogram buckets. */
export const DEFAULT_BUCKETS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

/** A bin that has samples. */
export interface HistogramBin {
  readonly lowerBound: number;
  readonly width: number;
  readonly count: number;
}

/** What can be said of a set of samples, from the counts of their bins. Immutable; computed when asked for. */
export class HistogramStatistics {
  /** Ascending bins and their counts, none of them zero. */
  readonly #bins: readonly (readonly [bin: number, count: number])[];
  /** How many samples there are. */
  readonly sampleCount: number;
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];

  constructor(counts: ReadonlyMap<number, number>, bounds: readonly number[] = DEFAULT_BUCKETS) {
    this.#bins = [...counts].filter(([, count]) => count > 0).sort((a, b) => a[0] - b[0]);
    this.sampleCount = this.#bins.reduce((sum, [, count]) => sum + count, 0);
    this.bounds = bounds;
  }

  /** The sum of the samples, each taken as its bin's midpoint (within 5 % of the truth). */
  get sampleSum(): number {
    return this.#bins.reduce((sum, [bin, count]) => sum + binMidpoint(bin) * count, 0);
  }

  /** One value for each of {@link QUANTILES}: linear within the bin, NaN without samples. */
  quantiles(): number[] {
    if (this.#bins.length === 0) return QUANTILES.map(() => Number.NaN);
    let index = 0;
    let below = 0;
    let upTo = this.#bins[0][1];
    return QUANTILES.map((quantile) => {
      const wanted = quantile * this.sampleCount;
      while (index < this.#bins.length - 1 && upTo < wanted) {
        index++;
        below = upTo;
        upTo += this.#bins[index][1];
      }
      const bin = this.#bins[index][0];
      if (wanted === below) return binLeft(bin);
      if (wanted === upTo) return binRight(bin);
      return binLeft(bin) + ((wanted - below) / (upTo - below)) * binWidth(bin);
    });
  }

  /** For each bound the samples of the bins that lie wholly below or at it. */
  cumulativeBuckets(): number[] {
    let index = 0;
    let count = 0;
    return this.bounds.map((bound) => {
      while (index < this.#bins.length) {
        const [bin, samples] = this.#bins[index];
        if (binRight(bin) > bound) break;
        count += samples;
        index++;
      }
      return count;
    });
  }

  /** For each bound the samples above the bound before it. */
  disjointBuckets(): number[] {
    let before = 0;
    return this.cumulativeBuckets().map((count) => {
      const difference = count - before;
      before = count;
      return difference;
    });
  }

  /** Every bin that has samples, ascending. */
  bins(): HistogramBin[] {
    return this.#bins.map(([bin, count]) => ({ lowerBound: binLeft(bin), width: binWidth(bin), count }));
  }
}
