import type { Counter, Gauge, Histogram, StatsLease, StatsScope, TextReadout } from '@dragoman/core';
import { LocalCounter, LocalGauge } from '../../src/stats/local-stats.ts';

/** Stats in maps, for tests to look into. */
export class MemoryStats implements StatsScope {
  readonly prefix: string;
  readonly root: MemoryStats;
  private readonly counters: Map<string, Counter>;
  private readonly gauges: Map<string, Gauge>;
  private readonly histograms: Map<string, number[]>;

  constructor(prefix = '', root?: MemoryStats) {
    this.prefix = prefix;
    this.root = root?.root ?? this;
    this.counters = root?.counters ?? new Map();
    this.gauges = root?.gauges ?? new Map();
    this.histograms = root?.histograms ?? new Map();
  }

  counter(name: string): Counter {
    return getOrMake(this.counters, this.full(name), (key) => new LocalCounter(key));
  }

  gauge(name: string): Gauge {
    return getOrMake(this.gauges, this.full(name), (key) => new LocalGauge(key));
  }

  histogram(name: string): Histogram {
    const values = getOrMake(this.histograms, this.full(name), () => []);
    return { name: this.full(name), unit: 'milliseconds', record: (value) => values.push(value) };
  }

  textReadout(name: string): TextReadout {
    return { name: this.full(name), set: () => {} };
  }

  scope(prefix: string): StatsScope {
    return new MemoryStats(this.full(prefix).replace(/\.$/, ''), this);
  }

  lease(): StatsLease {
    return { stats: this, release: () => {} };
  }

  /** Of a counter or gauge, by its whole name; undefined when nobody made it. */
  value(name: string): number | undefined {
    return (this.counters.get(name) ?? this.gauges.get(name))?.value();
  }

  recorded(name: string): readonly number[] {
    return this.histograms.get(name) ?? [];
  }

  /** Counters and gauges that are not 0 and begin with `prefix`, without it. */
  nonZero(prefix: string): Record<string, number> {
    const found: Record<string, number> = {};
    for (const [name, stat] of [...this.counters, ...this.gauges])
      if (name.startsWith(prefix) && stat.value() !== 0) found[name.slice(prefix.length)] = stat.value();
    return found;
  }

  private full(name: string): string {
    return this.prefix === '' ? name : `${this.prefix}.${name}`;
  }
}

function getOrMake<T>(map: Map<string, T>, key: string, make: (key: string) => T): T {
  let found = map.get(key);
  if (found === undefined) {
    found = make(key);
    map.set(key, found);
  }
  return found;
}
