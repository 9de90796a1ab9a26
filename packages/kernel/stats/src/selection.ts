import type { MergedCounter, MergedGauge, MergedHistogram, MergedTextReadout } from './merged-stats.ts';
import type { StatsStore } from './store.ts';

/** `type` of `/stats`. */
export const STATS_TYPES = ['All', 'Counters', 'Gauges', 'Histograms', 'TextReadouts'] as const;
export type StatsType = (typeof STATS_TYPES)[number];

/** `histogram_buckets` of `/stats`. */
export const HISTOGRAM_BUCKETS_MODES = ['none', 'cumulative', 'disjoint', 'detailed', 'summary'] as const;
export type HistogramBucketsMode = (typeof HISTOGRAM_BUCKETS_MODES)[number];

/** Which stats are wanted, and how their histograms are shown. */
export interface StatsQuery {
  /** Only names it finds a match in. Default: all. */
  readonly filter?: { test(name: string): boolean };
  /** Only stats that were written. Default false. */
  readonly usedOnly?: boolean;
  /** Default `All`. */
  readonly type?: StatsType;
  /** Default `none`: quantiles. `summary` is the same, and for Prometheus (else always buckets) its type of this name. */
  readonly histogramBuckets?: HistogramBucketsMode;
  /** Prometheus only: text readouts as gauges that carry the text as a label. Default false. */
  readonly textReadouts?: boolean;
}

/** The stats that a query wants, each list sorted by name. */
export interface Selection {
  readonly textReadouts: readonly MergedTextReadout[];
  readonly counters: readonly MergedCounter[];
  readonly gauges: readonly MergedGauge[];
  readonly histograms: readonly MergedHistogram[];
}

export function select(store: StatsStore, query: StatsQuery): Selection {
  const type = query.type ?? 'All';
  const pick = <T extends { readonly name: string; readonly used: boolean }>(
    stats: Map<string, T>,
    kind: StatsType,
  ): T[] => {
    if (type !== 'All' && type !== kind) return [];
    const wanted = [...stats.values()].filter(
      (stat) =>
        (query.usedOnly !== true || stat.used) &&
        (query.filter === undefined || query.filter.test(stat.name)),
    );
    return wanted.sort(byName);
  };
  return {
    textReadouts: pick(store.textReadouts, 'TextReadouts'),
    counters: pick(store.counters, 'Counters'),
    gauges: pick(store.gauges, 'Gauges'),
    histograms: pick(store.histograms, 'Histograms'),
  };
}

/** Byte order, as Envoy sorts; not a locale's. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
