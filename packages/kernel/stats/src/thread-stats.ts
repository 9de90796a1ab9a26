import type {
  Counter,
  Gauge,
  GaugeMode,
  Histogram,
  HistogramUnit,
  StatsScope,
  TextReadout,
} from '@dragoman/core';
import type { StatsAnnouncement } from './announcement.ts';
import { StatsSegment } from './segment.ts';
import { AnnouncedTextReadout, HEADER_SLOTS, SlotCounter, SlotGauge, SlotHistogram } from './slot-stats.ts';

export interface ThreadStatsOptions {
  /** Gets every announcement, in order: hand it to `StatsStore.attach().receive`, directly or through a port. */
  readonly announce: (announcement: StatsAnnouncement) => void;
  /** False for a name that `stats_matcher` rejects: the stat works for who made it, but nobody else sees it. Default: all. */
  readonly accepts?: (name: string) => boolean;
  /** Told each name that is asked for, whether it exists or not. */
  readonly onLookup?: (name: string) => void;
}

/** The stats of one thread: makes handles, keeps their values in a segment of its own. Also the thread's root scope. */
export class ThreadStats implements StatsScope {
  readonly prefix = '';
  readonly #segment: StatsSegment;
  readonly #announce: (announcement: StatsAnnouncement) => void;
  readonly #accepts: (name: string) => boolean;
  readonly #onLookup: ((name: string) => void) | undefined;
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #texts = new Map<string, TextReadout>();

  constructor(options: ThreadStatsOptions) {
    this.#announce = options.announce;
    this.#accepts = options.accepts ?? (() => true);
    this.#onLookup = options.onLookup;
    this.#segment = new StatsSegment((chunk, buffer) => this.#announce({ type: 'chunk', chunk, buffer }));
  }

  /** Bytes of shared memory that this thread's stats take. */
  get byteLength(): number {
    return this.#segment.byteLength;
  }

  counter(name: string): Counter {
    const full = this.#fullName(name);
    let counter = this.#counters.get(full);
    if (counter === undefined) {
      const range = this.#segment.allocate(1);
      counter = new SlotCounter(full, range);
      this.#counters.set(full, counter);
      if (this.#accepts(full)) {
        this.#announce({ type: 'stat', kind: 'counter', name: full, chunk: range.chunk, slot: range.slot });
      }
    }
    return counter;
  }

  gauge(name: string, mode: GaugeMode = 'accumulate'): Gauge {
    const full = this.#fullName(name);
    let gauge = this.#gauges.get(full);
    if (gauge === undefined) {
      const range = this.#segment.allocate(1);
      gauge = new SlotGauge(full, range);
      this.#gauges.set(full, gauge);
      if (this.#accepts(full)) {
        this.#announce({
          type: 'stat',
          kind: 'gauge',
          name: full,
          mode,
          chunk: range.chunk,
          slot: range.slot,
        });
      }
    }
    return gauge;
  }

  histogram(name: string, unit: HistogramUnit = 'unspecified'): Histogram {
    const full = this.#fullName(name);
    let histogram = this.#histograms.get(full);
    if (histogram === undefined) {
      const range = this.#segment.allocate(HEADER_SLOTS);
      histogram = new SlotHistogram(full, unit, this.#segment, range);
      this.#histograms.set(full, histogram);
      if (this.#accepts(full)) {
        const { chunk, slot } = range;
        this.#announce({ type: 'stat', kind: 'histogram', name: full, unit, chunk, slot });
      }
    }
    return histogram;
  }

  textReadout(name: string): TextReadout {
    const full = this.#fullName(name);
    let text = this.#texts.get(full);
    if (text === undefined) {
      const accepted = this.#accepts(full);
      text = new AnnouncedTextReadout(full, (value) => {
        if (accepted) this.#announce({ type: 'text', name: full, value });
      });
      this.#texts.set(full, text);
      if (accepted) this.#announce({ type: 'text', name: full, value: undefined });
    }
    return text;
  }

  scope(prefix: string): StatsScope {
    return new PrefixScope(this, join('', prefix));
  }

  #fullName(name: string): string {
    const full = sanitize(name);
    this.#onLookup?.(full);
    return full;
  }
}

/** A view of a {@link ThreadStats} below a prefix. */
class PrefixScope implements StatsScope {
  readonly prefix: string;
  readonly #root: ThreadStats;

  constructor(root: ThreadStats, prefix: string) {
    this.#root = root;
    this.prefix = prefix;
  }

  counter(name: string): Counter {
    return this.#root.counter(join(this.prefix, name));
  }

  gauge(name: string, mode?: GaugeMode): Gauge {
    return this.#root.gauge(join(this.prefix, name), mode);
  }

  histogram(name: string, unit?: HistogramUnit): Histogram {
    return this.#root.histogram(join(this.prefix, name), unit);
  }

  textReadout(name: string): TextReadout {
    return this.#root.textReadout(join(this.prefix, name));
  }

  scope(prefix: string): StatsScope {
    return new PrefixScope(this.#root, join(this.prefix, prefix));
  }
}

function join(prefix: string, name: string): string {
  const tail = name.endsWith('.') ? name.slice(0, -1) : name;
  if (prefix === '') return tail;
  return tail === '' ? prefix : `${prefix}.${tail}`;
}

/** `:` is the separator of statsd lines; line ends would break every text format. Envoy replaces the same. */
function sanitize(name: string): string {
  return /[:\r\n\0]/.test(name) ? name.replace(/[:\r\n\0]/g, '_') : name;
}
