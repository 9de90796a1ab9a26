import { describe, expect, it } from 'vitest';
import { HistogramStatistics, formatJson, formatText, StatsStore, quantileSummary } from '../src/index.ts';
import { binLeft, binOf, binWidth } from '../src/bins.ts';

function recorded(...values: number[]): StatsStore {
  const store = new StatsStore();
  const histogram = store.createThread().histogram('h1', 'milliseconds');
  for (const value of values) histogram.record(value);
  store.flush();
  return store;
}

describe('bins', () => {
  it.each([
    [0, 0, 0],
    [-5, 0, 0],
    [Number.NaN, 0, 0],
    [1, 1, 0.1],
    [1.09, 1, 0.1],
    [9.99, 9.9, 0.1],
    [10, 10, 1],
    [99, 99, 1],
    [100, 100, 10],
    [109, 100, 10],
    [110, 110, 10],
    [999, 990, 10],
    [1000, 1000, 100],
    [123_456, 120_000, 10_000],
    [0.25, 0.25, 0.01],
    [0.001, 0.001, 0.0001],
    [1e-20, 1e-8, 1e-9],
    [1e300, 9.9e15, 1e14],
  ])('%d lies in the bin that begins at %d', (value, left, width) => {
    const bin = binOf(value);
    expect(binLeft(bin)).toBeCloseTo(left, 12);
    expect(binWidth(bin)).toBeCloseTo(width, 12);
  });

  it('takes every whole number of two digits exactly', () => {
    for (let exponent = 0; exponent <= 13; exponent++) {
      for (let digits = 10; digits < 100; digits++) {
        const value = digits * 10 ** exponent;
        expect(binLeft(binOf(value))).toBe(value);
      }
    }
  });
});

describe('quantiles', () => {
  // The figures are those that Envoy's own tests expect of the same samples.
  it('of 200, 300, 300', () => {
    const expected =
      'h1: P0(200,200) P25(207.5,207.5) P50(302.5,302.5) P75(306.25,306.25) ' +
      'P90(308.5,308.5) P95(309.25,309.25) P99(309.85,309.85) P99.5(309.925,309.925) ' +
      'P99.9(309.985,309.985) P100(310,310)\n';
    expect(formatText(recorded(200, 300, 300))).toBe(expected);
  });

  it('cumulative and disjoint buckets of the same', () => {
    const store = recorded(200, 300, 300);
    expect(formatText(store, { histogramBuckets: 'cumulative' })).toBe(
      'h1: B0.5(0,0) B1(0,0) B5(0,0) B10(0,0) B25(0,0) B50(0,0) B100(0,0) B250(1,1) ' +
        'B500(3,3) B1000(3,3) B2500(3,3) B5000(3,3) B10000(3,3) B30000(3,3) B60000(3,3) ' +
        'B300000(3,3) B600000(3,3) B1.8e+06(3,3) B3.6e+06(3,3)\n',
    );
    expect(formatText(store, { histogramBuckets: 'disjoint' })).toBe(
      'h1: B0.5(0,0) B1(0,0) B5(0,0) B10(0,0) B25(0,0) B50(0,0) B100(0,0) B250(1,1) B500(2,2) ' +
        'B1000(0,0) B2500(0,0) B5000(0,0) B10000(0,0) B30000(0,0) B60000(0,0) B300000(0,0) ' +
        'B600000(0,0) B1.8e+06(0,0) B3.6e+06(0,0)\n',
    );
    expect(formatText(store, { histogramBuckets: 'detailed' })).toBe(
      'h1:\n  totals=200,10:1, 300,10:2\n  intervals=200,10:1, 300,10:2\n  summary=P0(200,200) ' +
        'P25(207.5,207.5) P50(302.5,302.5) P75(306.25,306.25) P90(308.5,308.5) P95(309.25,309.25) ' +
        'P99(309.85,309.85) P99.5(309.925,309.925) P99.9(309.985,309.985) P100(310,310)\n',
    );
  });

  it('shows an interval without samples as nan, and null in JSON', () => {
    const store = recorded(1);
    store.flush();
    expect(formatText(store)).toBe(
      'h1: P0(nan,1) P25(nan,1.025) P50(nan,1.05) P75(nan,1.075) P90(nan,1.09) P95(nan,1.095) ' +
        'P99(nan,1.099) P99.5(nan,1.0995) P99.9(nan,1.0999) P100(nan,1.1)\n',
    );
    const { stats } = JSON.parse(formatJson(store));
    expect(stats[0].histograms.computed_quantiles[0].values[0]).toEqual({ cumulative: 1, interval: null });
  });

  it('gives only the samples since the flush before as the interval', () => {
    const store = new StatsStore();
    const histogram = store.createThread().histogram('h');
    histogram.record(10);
    store.flush();
    histogram.record(50);
    histogram.record(0);
    store.flush();
    const merged = store.histograms.get('h')!;
    expect(merged.interval.bins()).toEqual([
      { lowerBound: 0, width: 0, count: 1 },
      { lowerBound: 50, width: 1, count: 1 },
    ]);
    expect(merged.cumulative.sampleCount).toBe(3);
  });

  it('sums with the midpoints of circllhist', () => {
    const statistics = recorded(50, 20, 30, 70, 100, 5000, 200).histograms.get('h1')!.cumulative;
    expect(statistics.sampleSum).toBeCloseTo(5531.116, 3);
    expect(statistics.cumulativeBuckets().slice(0, 13)).toEqual([0, 0, 0, 0, 1, 2, 4, 6, 6, 6, 6, 6, 7]);
  });

  it('prints large and small numbers with an exponent', () => {
    const summary = quantileSummary(
      new HistogramStatistics(new Map()),
      new HistogramStatistics(new Map([[binOf(0.00001), 1]])),
    );
    expect(summary.split(' ')[0]).toBe('P0(nan,1e-05)');
  });
});
