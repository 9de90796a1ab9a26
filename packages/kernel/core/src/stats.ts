/** A number that only grows. Handles are made once, when config is loaded; `inc` is a typed-array write. */
export interface Counter {
  readonly name: string;
  inc(): void;
  /** `amount` ≥ 0. */
  add(amount: number): void;
  /** The value of this thread's segment. */
  value(): number;
}

/** A number that goes up and down. */
export interface Gauge {
  readonly name: string;
  inc(): void;
  dec(): void;
  add(amount: number): void;
  sub(amount: number): void;
  set(value: number): void;
  value(): number;
}

/** Envoy's histogram units; they say how a recorded number is to be read, the name does not carry them. */
export type HistogramUnit = 'unspecified' | 'bytes' | 'microseconds' | 'milliseconds' | 'percent';

/** A distribution of recorded numbers, log-linear as Envoy's (circllhist). */
export interface Histogram {
  readonly name: string;
  readonly unit: HistogramUnit;
  /** `value` ≥ 0. */
  record(value: number): void;
}

/** A stat that holds a text (Envoy: text readout). */
export interface TextReadout {
  readonly name: string;
  set(value: string): void;
}

/**
 * How the values of several threads become one:
 * `accumulate` adds them up (active connections); `never-import` is the same within one process but not taken over
 * in a hot restart; `max` takes the largest (a state that every thread sees).
 */
export type GaugeMode = 'accumulate' | 'never-import' | 'max';

/**
 * Makes stats under a prefix. Asking twice for the same name gives the same stat. Names are Envoy's, complete but for
 * the prefix: `scope('cluster.foo').counter('upstream_rq_total')` is `cluster.foo.upstream_rq_total`.
 * Prefixes are taken as they are, except that `:` in a name becomes `_` (Envoy's sanitising).
 */
export interface StatsScope {
  readonly prefix: string;
  counter(name: string): Counter;
  gauge(name: string, mode?: GaugeMode): Gauge;
  histogram(name: string, unit?: HistogramUnit): Histogram;
  textReadout(name: string): TextReadout;
  /** A scope below this one; a trailing dot in `prefix` does not matter. */
  scope(prefix: string): StatsScope;
  /** The thread's own scope, which no lease ends: for what several owners share. The same object for every scope of the thread. */
  readonly root: StatsScope;
  /** A lease of this thread's stats below this scope. */
  lease(): StatsLease;
}

/**
 * Stats for as long as somebody is there. Whoever comes and goes under names of its own (a cluster, a listener) takes a lease and makes
 * its stats through it. A lease takes hold of each scope that is asked of its {@link stats}. When the last lease of a scope (known by its prefix) was
 * given back on every thread, what was made through them is forgotten: a scope of that name that comes later begins at 0.
 * So a new version takes its lease before the old one gives its own back. A stat that was also made outside of leases stays.
 *
 * A handle may be used after that: it counts, and nobody sees it.
 */
export interface StatsLease {
  readonly stats: StatsScope;
  /** Gives it back. Does nothing the second time. */
  release(): void;
}
