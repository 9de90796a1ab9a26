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
    this.root = new GroupScope(this, '', book.permanent);
  }
}

/** Stats below a prefix that are forgotten together, or not at all. */
export class GroupScope implements StatsScope {
  readonly prefix: string;
  readonly #home: ScopeHome;
  readonly #group: StatsGroup;

  constructor(home: ScopeHome, prefix: string, group: StatsGroup) {
    this.#home = home;
    this.prefix = prefix;
    this.#group = group;
  }

  get root(): StatsScope {
    return this.#home.root;
  }

  counter(name: string): Counter {
    return this.#home.book.counter(join(this.prefix, name), this.#group);
  }

  gauge(name: string, mode: GaugeMode = 'accumulate'): Gauge {
    return this.#home.book.gauge(join(this.prefix, name), mode, this.#group);
  }

  histogram(name: string, unit: HistogramUnit = 'unspecified'): Histogram {
    return this.#home.book.histogram(join(this.prefix, name), unit, this.#group);
  }

  textReadout(name: string): TextReadout {
    return this.#home.book.textReadout(join(this.prefix, name), this.#group);
  }

  scope(prefix: string): StatsScope {
    return new GroupScope(this.#home, join(this.prefix, prefix), this.#group);
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
    this.stats = new LeasedScope(home, prefix, this);
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

/** The scope that a lease begins with. */
class LeasedScope implements StatsScope {
  readonly prefix: string;
  readonly #home: ScopeHome;
  readonly #lease: Lease;

  constructor(home: ScopeHome, prefix: string, lease: Lease) {
    this.#home = home;
    this.prefix = prefix;
    this.#lease = lease;
  }

  get root(): StatsScope {
    return this.#home.root;
  }

  counter(name: string): Counter {
    const key = join(this.prefix, name);
    return this.#home.book.counter(key, this.#lease.group(key));
  }

  gauge(name: string, mode: GaugeMode = 'accumulate'): Gauge {
    const key = join(this.prefix, name);
    return this.#home.book.gauge(key, mode, this.#lease.group(key));
  }

  histogram(name: string, unit: HistogramUnit = 'unspecified'): Histogram {
    const key = join(this.prefix, name);
    return this.#home.book.histogram(key, unit, this.#lease.group(key));
  }

  textReadout(name: string): TextReadout {
    const key = join(this.prefix, name);
    return this.#home.book.textReadout(key, this.#lease.group(key));
  }

  scope(prefix: string): StatsScope {
    const key = join(this.prefix, prefix);
    if (key === this.prefix) return this;
    return new GroupScope(this.#home, key, this.#lease.group(key));
  }

  lease(): StatsLease {
    return new Lease(this.#home, this.prefix);
  }
}

function join(prefix: string, name: string): string {
  const tail = name.endsWith('.') ? name.slice(0, -1) : name;
  if (prefix === '') return tail;
  return tail === '' ? prefix : `${prefix}.${tail}`;
}
