import type { Counter, Gauge, Histogram, StatsLease, StatsScope, TextReadout } from '@dragoman/core';

/** Stats in plain maps, to be looked at by name. */
export class MemoryStats implements StatsScope {
  readonly prefix: string;
  readonly root: MemoryStats;
  private readonly store: Store;

  constructor(prefix = '', store?: Store, root?: MemoryStats) {
    this.root = root ?? this;
    this.prefix = prefix.replace(/\.$/, '').replaceAll(':', '_');
    this.store = store ?? { numbers: new Map(), samples: new Map(), texts: new Map() };
  }

  counter(name: string): Counter {
    return new MemoryNumber(this.store.numbers, this.full(name));
  }

  gauge(name: string): Gauge {
    return new MemoryNumber(this.store.numbers, this.full(name));
  }

  histogram(name: string, unit: Histogram['unit'] = 'unspecified'): Histogram {
    const full = this.full(name);
    const samples = this.store.samples.get(full) ?? [];
    this.store.samples.set(full, samples);
    return { name: full, unit, record: (value) => samples.push(value) };
  }

  textReadout(name: string): TextReadout {
    const full = this.full(name);
    return { name: full, set: (value) => this.store.texts.set(full, value) };
  }

  scope(prefix: string): MemoryStats {
    return new MemoryStats(this.full(prefix), this.store, this.root);
  }

  /** Stats that were made stay after it. */
  lease(): StatsLease {
    return { stats: this, release: () => {} };
  }

  /** A counter's or gauge's value by its complete name. @throws Error when nobody has made it */
  value(name: string): number {
    const value = this.store.numbers.get(name);
    if (value === undefined)
      throw new Error(`no counter or gauge ${name}; there are ${[...this.store.numbers.keys()]}`);
    return value;
  }

  /** What was recorded in a histogram, in order. */
  samples(name: string): readonly number[] {
    return this.store.samples.get(name) ?? [];
  }

  text(name: string): string | undefined {
    return this.store.texts.get(name);
  }

  /** The complete names of all counters, gauges and histograms. */
  get names(): readonly string[] {
    return [...this.store.numbers.keys(), ...this.store.samples.keys()];
  }

  /** Counters and gauges that are not 0, sorted by name. */
  used(): Record<string, number> {
    const entries = [...this.store.numbers].filter(([, value]) => value !== 0);
    return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  private full(name: string): string {
    return this.prefix === '' ? name.replaceAll(':', '_') : `${this.prefix}.${name.replaceAll(':', '_')}`;
  }
}

interface Store {
  readonly numbers: Map<string, number>;
  readonly samples: Map<string, number[]>;
  readonly texts: Map<string, string>;
}

class MemoryNumber implements Counter, Gauge {
  readonly name: string;
  private readonly numbers: Map<string, number>;

  constructor(numbers: Map<string, number>, name: string) {
    this.numbers = numbers;
    this.name = name;
    if (!numbers.has(name)) numbers.set(name, 0);
  }

  inc(): void {
    this.add(1);
  }

  dec(): void {
    this.add(-1);
  }

  add(amount: number): void {
    this.set(this.value() + amount);
  }

  sub(amount: number): void {
    this.add(-amount);
  }

  set(value: number): void {
    this.numbers.set(this.name, value);
  }

  value(): number {
    return this.numbers.get(this.name) as number;
  }
}
