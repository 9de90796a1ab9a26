import type { StatsSnapshot } from '@dragoman/core';
import type { StatAnnouncement } from './announcement.ts';
import { MergedGroups } from './merged-groups.ts';
import {
  MergedCounter,
  MergedGauge,
  MergedHistogram,
  type MergedStat,
  type MergedTextReadout,
} from './merged-stats.ts';
import { compileBuckets, compileStatsMatcher, type StatsOptions } from './options.ts';
import { RecentLookups } from './recent-lookups.ts';
import { AttachedSource, type StatsSource } from './stats-source.ts';
import { type TaggedName, TagProducer } from './tag-producer.ts';
import { ThreadStats } from './thread-stats.ts';

/** A histogram in a snapshot. */
export interface HistogramSnapshot {
  readonly name: string;
  readonly histogram: MergedHistogram;
}

/** The merged stats of one flush. */
export interface StoreSnapshot extends StatsSnapshot {
  readonly counters: readonly {
    readonly name: string;
    readonly value: number;
    readonly delta: number;
    readonly used: boolean;
  }[];
  readonly gauges: readonly { readonly name: string; readonly value: number; readonly used: boolean }[];
  readonly textReadouts: readonly { readonly name: string; readonly value: string; readonly used: boolean }[];
  readonly histograms: readonly HistogramSnapshot[];
}

export interface StatsStoreOptions extends StatsOptions {
  /** Wall time in ms, for snapshots. Default `Date.now`. */
  readonly wallTime?: () => number;
}

/** Main's view of the stats of every thread: adds them up when asked. */
export class StatsStore {
  readonly counters = new Map<string, MergedCounter>();
  readonly gauges = new Map<string, MergedGauge>();
  readonly histograms = new Map<string, MergedHistogram>();
  readonly textReadouts = new Map<string, MergedTextReadout>();
  /** Of the thread that this store lives on. */
  readonly recentLookups = new RecentLookups();
  readonly #tagProducer: TagProducer;
  readonly #accepts: (name: string) => boolean;
  readonly #bucketsFor: (name: string) => readonly number[];
  readonly #wallTime: () => number;
  readonly #tagged = new Map<string, TaggedName>();
  readonly #groups = new MergedGroups((stat) => this.#forget(stat));
  readonly #sources = new Set<AttachedSource>();

  /** @throws Error for a bad tag specifier, matcher or regex in the options. */
  constructor(options: StatsStoreOptions = {}) {
    this.#tagProducer = new TagProducer(options);
    this.#accepts = compileStatsMatcher(options.matcher);
    this.#bucketsFor = compileBuckets(options.histogramBuckets);
    this.#wallTime = options.wallTime ?? Date.now;
  }

  /** The stats of the thread that this store lives on. */
  createThread(): ThreadStats {
    return this.#threadOf(this.attach());
  }

  /**
   * Values that come from elsewhere, such as from the process that this one takes over from: whoever asked for them writes
   * them, and `detach` keeps the counts and drops the gauges. Their names are forgotten with the leases of this process's threads.
   */
  createImport(): { readonly stats: ThreadStats; detach(): void } {
    const source = this.#attach(true);
    return { stats: this.#threadOf(source), detach: () => source.detach() };
  }

  #threadOf(source: StatsSource): ThreadStats {
    return new ThreadStats({
      announce: (announcement) => source.receive(announcement),
      accepts: this.#accepts,
      onLookup: (name) => this.recentLookups.record(name),
    });
  }

  /**
   * A gauge whose value is worked out when it is read, such as from counts that threads share. The returned function ends that:
   * the gauge then reads what threads write, and is gone when no thread has it.
   */
  deriveGauge(name: string, value: () => number): () => void {
    if (!this.#accepts(name)) return () => {};
    const gauge = obtain(this.gauges, name, (key) => new MergedGauge(key, 'never-import'));
    gauge.derive(value);
    return () => {
      gauge.derive(undefined);
      if (gauge.owners === 0) this.#forget(gauge);
    };
  }

  /** Takes in a thread, whose announcements the caller hands on in order. */
  attach(): StatsSource {
    return this.#attach(false);
  }

  /** Threads that were detached have been replaced: what they alone had a lease of, and nobody has taken one since, is forgotten. */
  forgetLost(): void {
    this.#groups.dropLost();
  }

  /** Bytes of shared memory that the stats of all threads take. */
  get byteLength(): number {
    let bytes = 0;
    for (const source of this.#sources) bytes += source.byteLength;
    return bytes;
  }

  #attach(guest: boolean): StatsSource {
    const source = new AttachedSource(
      {
        groups: this.#groups,
        textReadouts: this.textReadouts,
        obtain: (announcement) => this.#obtain(announcement),
      },
      guest,
    );
    this.#sources.add(source);
    return {
      receive: (announcement) => source.receive(announcement),
      detach: () => {
        source.detach();
        this.#sources.delete(source);
      },
    };
  }

  #forget(stat: MergedStat): void {
    // Whoever derives it ends that first.
    if (stat instanceof MergedGauge && stat.derived) return;
    const { name } = stat;
    if (this.#home(stat).get(name) !== stat) return;
    this.#home(stat).delete(name);
    this.#tagged.delete(name);
  }

  #home(stat: MergedStat): Map<string, MergedStat> {
    if (stat instanceof MergedCounter) return this.counters;
    if (stat instanceof MergedGauge) return this.gauges;
    return stat instanceof MergedHistogram ? this.histograms : this.textReadouts;
  }

  #obtain(stat: StatAnnouncement): MergedCounter | MergedGauge | MergedHistogram {
    if (stat.kind === 'counter') return obtain(this.counters, stat.name, (name) => new MergedCounter(name));
    if (stat.kind === 'gauge') {
      return obtain(this.gauges, stat.name, (name) => new MergedGauge(name, stat.mode ?? 'accumulate'));
    }
    return obtain(
      this.histograms,
      stat.name,
      (name) => new MergedHistogram(name, stat.unit ?? 'unspecified', this.#bucketsFor(name)),
    );
  }

  /** The tags of a name; worked out once for each name. */
  tagged(name: string): TaggedName {
    return obtain(this.#tagged, name, (key) => this.#tagProducer.produce(key));
  }

  /**
   * Ends an interval (`stats_flush_interval`, default 5 s): latches counter deltas, merges histograms. Histograms in
   * `/stats` change only here.
   */
  flush(): StoreSnapshot {
    for (const counter of this.counters.values()) counter.latch();
    for (const histogram of this.histograms.values()) histogram.latch();
    return this.snapshot();
  }

  /** Values as they are now; deltas and histograms as of the last {@link flush}. */
  snapshot(): StoreSnapshot {
    return {
      counters: Array.from(this.counters.values(), ({ name, value, delta, used }) => ({
        name,
        value,
        delta,
        used,
      })),
      gauges: Array.from(this.gauges.values(), ({ name, value, used }) => ({ name, value, used })),
      textReadouts: Array.from(this.textReadouts.values(), ({ name, value, used }) => ({
        name,
        value,
        used,
      })),
      histograms: Array.from(this.histograms.values(), (histogram) => ({ name: histogram.name, histogram })),
      time: this.#wallTime(),
    };
  }

  /** `/reset_counters`: counters read zero from here on. */
  resetCounters(): void {
    for (const counter of this.counters.values()) counter.reset();
  }
}

function obtain<T>(map: Map<string, T>, name: string, create: (name: string) => T): T {
  let value = map.get(name);
  if (value === undefined) {
    value = create(name);
    map.set(name, value);
  }
  return value;
}
