import { QUANTILES } from './histogram-statistics.ts';
import type { MergedHistogram } from './merged-stats.ts';
import { formatLong } from './numbers.ts';
import { select, type StatsQuery } from './selection.ts';
import type { StatsStore } from './store.ts';
import type { Tag } from './tag-producer.ts';

/**
 * The Prometheus text format as Envoy writes it: `envoy_` and the name without its tags, every other character than
 * letters, digits and `_` replaced; all lines of one metric together; counters, gauges, text readouts, histograms.
 */
export function formatPrometheus(store: StatsStore, query: StatsQuery = {}): string {
  const selection = select(store, query);
  let text =
    family(store, selection.counters, 'counter', (name, tags, { value }) => `${name}{${tags}} ${value}\n`) +
    family(store, selection.gauges, 'gauge', (name, tags, { value }) => `${name}{${tags}} ${value}\n`);
  if (query.textReadouts === true) {
    text += family(store, selection.textReadouts, 'gauge', (name, tags, { value }) => {
      const label = formatTags([{ name: 'text_value', value }]);
      return `${name}{${tags === '' ? label : `${tags},${label}`}} 1\n`;
    });
  }
  const summary = query.histogramBuckets === 'summary';
  return summary
    ? text + family(store, selection.histograms, 'summary', formatSummary)
    : text + family(store, selection.histograms, 'histogram', formatHistogram);
}

function family<T extends { readonly name: string }>(
  store: StatsStore,
  stats: readonly T[],
  type: string,
  format: (name: string, tags: string, stat: T) => string,
): string {
  // Names that differ only in what sanitising replaces become one metric: grouped by the final name.
  const groups = new Map<string, string>();
  for (const stat of stats) {
    const { extractedName, tags } = store.tagged(stat.name);
    const name = prometheusName(extractedName);
    groups.set(name, (groups.get(name) ?? `# TYPE ${name} ${type}\n`) + format(name, formatTags(tags), stat));
  }
  return [...groups.keys()]
    .sort()
    .map((name) => groups.get(name))
    .join('');
}

function formatHistogram(name: string, tags: string, histogram: MergedHistogram): string {
  const { cumulative } = histogram;
  const comma = tags === '' ? '' : `${tags},`;
  const counts = cumulative.cumulativeBuckets();
  let text = '';
  histogram.bounds.forEach((bound, index) => {
    text += `${name}_bucket{${comma}le="${formatLong(bound)}"} ${counts[index]}\n`;
  });
  text += `${name}_bucket{${comma}le="+Inf"} ${cumulative.sampleCount}\n`;
  text += `${name}_sum{${tags}} ${formatLong(cumulative.sampleSum)}\n`;
  return `${text}${name}_count{${tags}} ${cumulative.sampleCount}\n`;
}

/** Quantiles of the last interval, as in Envoy; sum and count of all samples. */
function formatSummary(name: string, tags: string, histogram: MergedHistogram): string {
  const { cumulative, interval } = histogram;
  const comma = tags === '' ? '' : `${tags},`;
  const lines = interval.quantiles().map((value, index) => {
    const text = Number.isNaN(value) ? 'NaN' : formatLong(value);
    return `${name}{${comma}quantile="${QUANTILES[index]}"} ${text}\n`;
  });
  return (
    `${lines.join('')}${name}_sum{${tags}} ${formatLong(cumulative.sampleSum)}\n` +
    `${name}_count{${tags}} ${cumulative.sampleCount}\n`
  );
}

/** The metric name of a stat's name without its tags. */
export function prometheusName(extractedName: string): string {
  return `envoy_${sanitizeName(extractedName)}`;
}

function sanitizeName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, '_');
}

/** `name="value",…`, with `\`, `"` and line ends escaped. */
export function formatTags(tags: readonly Tag[]): string {
  return tags.map(({ name, value }) => `${sanitizeName(name)}="${escapeLabel(value)}"`).join(',');
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
