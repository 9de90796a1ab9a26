import type { Counter, Gauge, GaugeMode, Histogram, HistogramUnit, TextReadout } from '@dragoman/core';
import type { StatAnnouncement, StatsAnnouncement, TextAnnouncement } from './announcement.ts';
import { type SlotRange, StatsSegment } from './segment.ts';
import { AnnouncedTextReadout, HEADER_SLOTS, SlotCounter, SlotGauge, SlotHistogram } from './slot-stats.ts';
import { unseen } from './unseen-stats.ts';

export interface StatsBookOptions {
  readonly announce: (announcement: StatsAnnouncement) => void;
  readonly accepts: (name: string) => boolean;
  readonly onLookup: ((name: string) => void) | undefined;
}

/** A stat of this thread. */
interface Entry<S extends object = object> {
  readonly name: string;
  readonly stat: S;
  /** Whoever else takes part in it is told to main so. Undefined for one that main does not see. */
  readonly announcement: StatAnnouncement | TextAnnouncement | undefined;
  readonly ranges: readonly SlotRange[];
  readonly owners: StatsGroup[];
  /** Where it is kept by its name. */
  readonly home: Map<string, Entry<S>>;
}

/** What is forgotten together: the stats of a scope that is leased, or (`id` undefined) those that stay. */
export class StatsGroup {
  readonly id: number | undefined;
  readonly key: string;
  /** Leases that hold it. */
  holders = 0;
  /** What was made in it is forgotten. */
  forgotten = false;
  readonly entries: Entry[] = [];

  constructor(id: number | undefined, key: string) {
    this.id = id;
    this.key = key;
  }
}

interface Abandoned {
  readonly ranges: readonly SlotRange[];
  readonly release: number;
}

/** The stats of one thread by name, and what each of them goes with. */
export class StatsBook {
  /** What stays for good. */
  readonly permanent = new StatsGroup(undefined, '');
  readonly segment: StatsSegment;
  readonly #options: StatsBookOptions;
  readonly #counters = new Map<string, Entry<Counter>>();
  readonly #gauges = new Map<string, Entry<Gauge>>();
  readonly #histograms = new Map<string, Entry<Histogram>>();
  readonly #texts = new Map<string, Entry<TextReadout>>();
  /** Those that are leased, by the prefix of their scope. */
  readonly #groups = new Map<string, StatsGroup>();
  #lastGroup = 0;
  #releases = 0;
  /**
   * Slots of a forgotten stat are used again when nobody can reach its handle any more: whoever still has one may write to it at any
   * time, and would write to another stat.
   */
  readonly #unreachable = new FinalizationRegistry<Abandoned>(({ ranges, release }) =>
    this.segment.recycle(ranges, release),
  );

  constructor(options: StatsBookOptions) {
    this.#options = options;
    this.segment = new StatsSegment((chunk, buffer) => options.announce({ type: 'chunk', chunk, buffer }));
  }

  counter(name: string, group: StatsGroup): Counter {
    const full = this.#asked(name);
    if (group.forgotten) return unseen.counter(full);
    const known = this.#counters.get(full);
    if (known !== undefined) return this.#shared(known, group);
    const range = this.segment.allocate(1);
    const { chunk, slot } = range;
    const stat = new SlotCounter(full, range);
    return this.#put(this.#counters, group, stat, [range], {
      type: 'stat',
      kind: 'counter',
      name: full,
      chunk,
      slot,
    });
  }

  gauge(name: string, mode: GaugeMode, group: StatsGroup): Gauge {
    const full = this.#asked(name);
    if (group.forgotten) return unseen.gauge(full);
    const known = this.#gauges.get(full);
    if (known !== undefined) return this.#shared(known, group);
    const range = this.segment.allocate(1);
    const { chunk, slot } = range;
    const stat = new SlotGauge(full, range);
    return this.#put(this.#gauges, group, stat, [range], {
      type: 'stat',
      kind: 'gauge',
      name: full,
      mode,
      chunk,
      slot,
    });
  }

  histogram(name: string, unit: HistogramUnit, group: StatsGroup): Histogram {
    const full = this.#asked(name);
    if (group.forgotten) return unseen.histogram(full, unit);
    const known = this.#histograms.get(full);
    if (known !== undefined) return this.#shared(known, group);
    const ranges = [this.segment.allocate(HEADER_SLOTS)];
    const { chunk, slot } = ranges[0] as SlotRange;
    const stat = new SlotHistogram(full, unit, this.segment, ranges);
    return this.#put(this.#histograms, group, stat, ranges, {
      type: 'stat',
      kind: 'histogram',
      name: full,
      unit,
      chunk,
      slot,
    });
  }

  textReadout(name: string, group: StatsGroup): TextReadout {
    const full = this.#asked(name);
    if (group.forgotten) return unseen.textReadout(full);
    const known = this.#texts.get(full);
    if (known !== undefined) return this.#shared(known, group);
    const stat: TextReadout = new AnnouncedTextReadout(full, (value) => {
      const entry = this.#texts.get(full);
      // The name may be forgotten, and be somebody else's by now.
      if (entry?.stat === stat && entry.announcement !== undefined)
        this.#options.announce({ type: 'text', name: full, value });
    });
    return this.#put(this.#texts, group, stat, [], { type: 'text', name: full, value: undefined });
  }

  /** The stats of a scope, held once more. */
  hold(key: string): StatsGroup {
    let group = this.#groups.get(key);
    if (group === undefined) {
      const id = ++this.#lastGroup;
      group = new StatsGroup(id, key);
      this.#groups.set(key, group);
      this.#options.announce({ type: 'group', group: id, key });
    }
    group.holders++;
    return group;
  }

  /** Gives back one {@link hold}. */
  giveBack(group: StatsGroup): void {
    const { id, key, entries } = group;
    if (--group.holders > 0 || id === undefined) return;
    group.forgotten = true;
    this.#groups.delete(key);
    this.#releases = (this.#releases + 1) | 0;
    for (const entry of entries.splice(0)) {
      const { name, stat, ranges, owners, home } = entry;
      owners.splice(owners.indexOf(group), 1);
      if (owners.length > 0) continue;
      home.delete(name);
      this.#unreachable.register(stat, { ranges, release: this.#releases });
    }
    this.#options.announce({ type: 'release', group: id });
  }

  #put<S extends object>(
    home: Map<string, Entry<S>>,
    group: StatsGroup,
    stat: S,
    ranges: readonly SlotRange[],
    announcement: StatAnnouncement | TextAnnouncement,
  ): S {
    const { name } = announcement;
    const accepted = this.#options.accepts(name) ? announcement : undefined;
    const entry: Entry<S> = { name, stat, announcement: accepted, ranges, owners: [], home };
    home.set(name, entry);
    this.#join(entry, group);
    return stat;
  }

  #shared<S extends object>(entry: Entry<S>, group: StatsGroup): S {
    if (!entry.owners.includes(group)) this.#join(entry, group);
    return entry.stat;
  }

  #join<S extends object>(entry: Entry<S>, group: StatsGroup): void {
    const { announcement, owners } = entry;
    owners.push(group);
    // Nobody asks for what is in the other: it is as large as all stats.
    if (group.id !== undefined) group.entries.push(entry as unknown as Entry);
    if (announcement === undefined) return;
    this.#options.announce(group.id === undefined ? announcement : { ...announcement, group: group.id });
  }

  #asked(name: string): string {
    const full = sanitize(name);
    this.#options.onLookup?.(full);
    return full;
  }
}

/** `:` is the separator of statsd lines; line ends would break every text format. Envoy replaces the same. */
function sanitize(name: string): string {
  return /[:\r\n\0]/.test(name) ? name.replace(/[:\r\n\0]/g, '_') : name;
}
