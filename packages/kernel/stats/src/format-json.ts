import { type HistogramBin, QUANTILES } from './histogram-statistics.ts';
import type { MergedHistogram } from './merged-stats.ts';
import { byName, type HistogramBucketsMode, select, type StatsQuery } from './selection.ts';
import type { StatsStore } from './store.ts';

const PERCENTILES = QUANTILES.map((quantile) => quantile * 100);

/** `/stats?format=json`: one list of `{name, value}`, its last element the histograms. */
export function formatJson(store: StatsStore, query: StatsQuery = {}): string {
  const selection = select(store, query);
  const stats: unknown[] = selection.textReadouts.map(({ name, value }) => ({ name, value }));
  for (const { name, value } of [...selection.counters, ...selection.gauges].sort(byName)) {
    stats.push({ name, value });
  }
  if (selection.histograms.length > 0) {
    stats.push({ histograms: histograms(selection.histograms, query.histogramBuckets ?? 'none') });
  }
  return JSON.stringify({ stats });
}

function histograms(list: readonly MergedHistogram[], mode: HistogramBucketsMode): unknown {
  switch (mode) {
    case 'cumulative':
      return list.map((one) =>
        buckets(one, one.interval.cumulativeBuckets(), one.cumulative.cumulativeBuckets()),
      );
    case 'disjoint':
      return list.map((one) =>
        buckets(one, one.interval.disjointBuckets(), one.cumulative.disjointBuckets()),
      );
    case 'detailed':
      return {
        supported_percentiles: PERCENTILES,
        details: list.map((one) => ({
          name: one.name,
          totals: one.cumulative.bins().map(bin),
          intervals: one.interval.bins().map(bin),
          percentiles: quantiles(one),
        })),
      };
    default:
      return {
        supported_quantiles: PERCENTILES,
        computed_quantiles: list.map((one) => ({ name: one.name, values: quantiles(one) })),
      };
  }
}

/** A NaN (no samples) becomes null. */
function quantiles(histogram: MergedHistogram): unknown[] {
  const interval = histogram.interval.quantiles();
  return histogram.cumulative
    .quantiles()
    .map((cumulative, index) => ({ cumulative, interval: interval[index] }));
}

function buckets(histogram: MergedHistogram, interval: number[], cumulative: number[]): unknown {
  return {
    name: histogram.name,
    buckets: histogram.bounds.map((bound, index) => ({
      upper_bound: bound,
      interval: interval[index],
      cumulative: cumulative[index],
    })),
  };
}

function bin({ lowerBound, width, count }: HistogramBin): unknown {
  return { lower_bound: lowerBound, width, count };
}
