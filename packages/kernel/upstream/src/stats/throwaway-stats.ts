import type {
  Counter,
  Gauge,
  Histogram,
  HistogramUnit,
  StatsLease,
  StatsScope,
  TextReadout,
} from '@dragoman/core';

const none = (): void => {};
const zero = (): number => 0;

/** Stats that nobody sees: of what is compiled to find out whether it can be, and thrown away. A name costs nothing here, and for good elsewhere. */
export class ThrowawayStats implements StatsScope {
  readonly prefix: string;
  readonly root: StatsScope;

  constructor(prefix = '', root?: StatsScope) {
    this.prefix = prefix;
    this.root = root ?? this;
  }

  lease(): StatsLease {
    return { stats: this, release: none };
  }

  counter(name: string): Counter {
    return { name, inc: none, add: none, value: zero };
  }

  gauge(name: string): Gauge {
    return { name, inc: none, dec: none, add: none, sub: none, set: none, value: zero };
  }

  histogram(name: string, unit: HistogramUnit = 'unspecified'): Histogram {
    return { name, unit, record: none };
  }

  textReadout(name: string): TextReadout {
    return { name, set: none };
  }

  scope(prefix: string): StatsScope {
    return new ThrowawayStats(this.prefix === '' ? prefix : `${this.prefix}.${prefix}`, this.root);
  }
}
