import type { Case } from './cases.ts';
import type { Sample } from './measure.ts';

/** All measurements of one case, by peer. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

/** The middle one; of an even number the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Half the distance between the extremes, in percent of the median: what `±` means here. */
export function spreadPercent(values: readonly number[]): number {
  const middle = median(values);
  return middle === 0 ? 0 : ((Math.max(...values) - Math.min(...values)) / 2 / middle) * 100;
}

/** The median; of several values with their {@link spreadPercent}. */
export function withSpread(values: readonly number[]): string {
  return figure(median(values)) + (values.length > 1 ? ` ±${spreadPercent(values).toFixed(0)} %` : '');
}

/** Of all measurements together: one is one too many, and no median. */
export function errorCount(samples: readonly Pick<Sample, 'errors'>[]): number {
  return samples.reduce((sum, { errors }) => sum + errors, 0);
}

/** Columns padded so that the table reads well as text; the first is left-aligned, the others right. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = rows as [readonly string[], ...(readonly string[])[]];
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (row[i] ?? '').padEnd(width) : (row[i] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** Three digits that matter, thousands with commas. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** Whose CPU time the others' is divided by. */
const BASELINES = ['nginx', 'haproxy'];

export function caseTable(wanted: Case, samples: Samples): string {
  const tcp = wanted.kind === 'tcp';
  const unit = tcp ? 'MiB' : 'request';
  const of = (peer: string, field: (sample: Sample) => number) => (samples.get(peer) ?? []).map(field);
  const baselines = BASELINES.map((peer) => median(of(peer, (sample) => sample.cpuMicros)));
  const rows = [...samples.keys()].map((peer) => {
    const cpu = of(peer, (sample) => sample.cpuMicros);
    const rate = of(peer, (sample) => sample.perSecond);
    return [
      peer,
      withSpread(rate),
      tcp ? '-' : figure(median(of(peer, (sample) => sample.p50 ?? Number.NaN))),
      tcp ? '-' : figure(median(of(peer, (sample) => sample.p99 ?? Number.NaN))),
      withSpread(cpu),
      ...baselines.map((baseline) => figure(median(cpu) / baseline)),
      `${(median(of(peer, (sample) => sample.cpuShare)) * 100).toFixed(0)} %`,
      figure(median(of(peer, (sample) => sample.rssBytes)) / (1 << 20)),
      String(errorCount(samples.get(peer) ?? [])),
    ];
  });
  const head = [
    'proxy',
    tcp ? 'MiB/s' : 'requests/s',
    'p50 ms',
    'p99 ms',
    `CPU µs/${unit}`,
    ...BASELINES.map((peer) => `× ${peer}`),
    'core used',
    'RSS MiB',
    'errors',
  ];
  return markdownTable([head, ...rows]);
}
