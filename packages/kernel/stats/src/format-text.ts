import { type HistogramBin, type HistogramStatistics, QUANTILES } from './histogram-statistics.ts';
import type { MergedHistogram } from './merged-stats.ts';
import { formatDouble, formatGeneral } from './numbers.ts';
import { byName, type HistogramBucketsMode, select, type StatsQuery } from './selection.ts';
import type { StatsStore } from './store.ts';

/** `/stats`: text readouts, then counters and gauges together, then histograms; each part sorted by name. */
export function formatText(store: StatsStore, query: StatsQuery = {}): string {
  const selection = select(store, query);
  let text = '';
  for (const readout of selection.textReadouts) text += `${readout.name}: "${readout.value}"\n`;
  for (const stat of [...selection.counters, ...selection.gauges].sort(byName)) {
    text += `${stat.name}: ${stat.value}\n`;
  }
  const mode = query.histogramBuckets ?? 'none';
  for (const histogram of selection.histograms) text += formatHistogram(histogram, mode);
  return text;
}

function formatHistogram(histogram: MergedHistogram, mode: HistogramBucketsMode): string {
  const { name, interval, cumulative } = histogram;
  if (!histogram.used) return `${name}: No recorded values\n`;
  switch (mode) {
    case 'cumulative':
      return `${name}: ${buckets(interval, interval.cumulativeBuckets(), cumulative.cumulativeBuckets())}\n`;
    case 'disjoint':
      return `${name}: ${buckets(interval, interval.disjointBuckets(), cumulative.disjointBuckets())}\n`;
    case 'detailed':
      return (
        `${name}:\n  totals=${bins(cumulative.bins())}\n  intervals=${bins(interval.bins())}\n` +
        `  summary=${quantileSummary(interval, cumulative)}\n`
      );
    default:
      return `${name}: ${quantileSummary(interval, cumulative)}\n`;
  }
}

/** `P0(interval,cumulative) P25(…) …`. */
export function quantileSummary(interval: HistogramStatistics, cumulative: HistogramStatistics): string {
  const latest = interval.quantiles();
  const all = cumulative.quantiles();
  return QUANTILES.map(
    (quantile, index) =>
      `P${formatGeneral(100 * quantile)}(${formatDouble(latest[index])},${formatDouble(all[index])})`,
  ).join(' ');
}

function buckets(statistics: HistogramStatistics, interval: number[], cumulative: number[]): string {
  return statistics.bounds
    .map((bound, index) => `B${formatGeneral(bound)}(${interval[index]},${cumulative[index]})`)
    .join(' ');
}

function bins(list: readonly HistogramBin[]): string {
  return list
    .map((bin) => `${formatGeneral(bin.lowerBound)},${formatGeneral(bin.width)}:${bin.count}`)
    .join(', ');
}
