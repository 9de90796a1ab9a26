import type {
  Counter,
  Gauge,
  GaugeMode,
  Histogram,
  HistogramUnit,
  StatsLease,
  StatsScope,
  TextReadout,
} from '@dragoman/core';
import { StatsGroup, type StatsBook } from './stats-book.ts';

/** What the scopes of a thread have in common. */
export class ScopeHome {
  readonly book: StatsBook;
  readonly root: StatsScope;

  constructor(book: StatsBook) {
    this.book = book;
    this.root = new GroupScope(this, '', () => book.permanent);
  }
}

/** Stats below a prefix. */
export class GroupScope implements StatsScope {
  readonly prefix: string;
  readonly #home: ScopeHome;
  readonly #groupOf: (key: string) => StatsGroup;

  /** @param groupOf what a stat, or a scope, of this full name is forgotten with */
  constructor(home: ScopeHome, prefix: string, groupOf: (key: string) => StatsGroup) {
    this.#home = home;
    this.prefix = prefix;
    this.#groupOf = groupOf;
  }

  get root(): StatsScope {
    return this.#home.root;
  }

  counter(name: string): Counter {
    const key = join(this.prefix, name);
    return this.#home.book.counter(key, this.#groupOf(key));
  }

  gauge(name: string, mode: GaugeMode = 'accumulate'): Gauge {
    const key = join(this.prefix, name);
    return this.#home.book.gauge(key, mode, this.#groupOf(key));
  }

  histogram(name: string, unit: HistogramUnit = 'unspecified'): Histogram {
    const key = join(this.prefix, name);
    return this.#home.book.histogram(key, unit, this.#groupOf(key));
  }

  textReadout(name: string): TextReadout {
    const key = join(this.prefix, name);
    return this.#home.book.textReadout(key, this.#groupOf(key));
  }

  /** All that is made in it goes together. */
  scope(prefix: string): StatsScope {
    const key = join(this.prefix, prefix);
    if (key === this.prefix) return this;
    const group = this.#groupOf(key);
    return new GroupScope(this.#home, key, () => group);
  }

  lease(): StatsLease {
    return new Lease(this.#home, this.prefix);
  }
}

/** Each scope that is asked of it is held until it is given back. */
export class Lease implements StatsLease {
  readonly stats: StatsScope;
  readonly #book: StatsBook;
  readonly #groups = new Map<string, StatsGroup>();
  #released = false;

  constructor(home: ScopeHome, prefix: string) {
    this.#book = home.book;
    this.stats = new GroupScope(home, prefix, (key) => this.group(key));
  }

  /** What is made below `key` goes with this. */
  group(key: string): StatsGroup {
    let group = this.#groups.get(key);
    if (group !== undefined) return group;
    if (this.#released) {
      group = new StatsGroup(undefined, key);
      group.forgotten = true;
      return group;
    }
    group = this.#book.hold(key);
    this.#groups.set(key, group);
    return group;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const group of this.#groups.values()) this.#book.giveBack(group);
  }
}

function join(prefix: string, name: string): string {
  const tail = name.endsWith('.') ? name.slice(0, -1) : name;
  if (prefix === '') return tail;
  return tail === '' ? prefix : `${prefix}.${tail}`;
}
