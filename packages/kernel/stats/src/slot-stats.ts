import type { Counter, Gauge, Histogram, HistogramUnit, TextReadout } from '@dragoman/core';
import { BINS_PER_DECADE, binInDecade, DECADES, decadeOf } from './bins.ts';
import { CHUNK_SLOTS, type SlotRange, type StatsSegment } from './segment.ts';

/**
 * A slot holds -0 until it is first written: any addition or `set` makes +0 or another number of it, so that "used"
 * costs neither a second slot nor a second write.
 */
export const UNUSED = -0;

/** Whether a slot was ever written. */
export function isUsed(slot: number): boolean {
  return !Object.is(slot, UNUSED);
}

/** A counter in shared memory. `inc` is a load, an add and a store. */
export class SlotCounter implements Counter {
  readonly name: string;
  private readonly slots: Float64Array;
  private readonly slot: number;

  constructor(name: string, range: SlotRange) {
    this.name = name;
    this.slots = range.view;
    this.slot = range.slot;
    range.view[range.slot] = UNUSED;
  }

  inc(): void {
    this.slots[this.slot] += 1;
  }

  add(amount: number): void {
    this.slots[this.slot] += amount;
  }

  value(): number {
    return this.slots[this.slot] + 0;
  }
}

/** A gauge in shared memory. */
export class SlotGauge implements Gauge {
  readonly name: string;
  private readonly slots: Float64Array;
  private readonly slot: number;

  constructor(name: string, range: SlotRange) {
    this.name = name;
    this.slots = range.view;
    this.slot = range.slot;
    range.view[range.slot] = UNUSED;
  }

  inc(): void {
    this.slots[this.slot] += 1;
  }

  dec(): void {
    this.slots[this.slot] -= 1;
  }

  add(amount: number): void {
    this.slots[this.slot] += amount;
  }

  sub(amount: number): void {
    this.slots[this.slot] -= amount;
  }

  set(value: number): void {
    this.slots[this.slot] = value + 0;
  }

  value(): number {
    return this.slots[this.slot] + 0;
  }
}

/** Slots of a histogram's header: the count of all samples, the count of zeros, and where each decade's bins are. */
export const HEADER_COUNT = 0;
export const HEADER_ZERO = 1;
export const HEADER_DECADES = 2;
export const HEADER_SLOTS = HEADER_DECADES + DECADES;

/**
 * A histogram in shared memory. A decade's 90 bins are taken from the segment when its first value comes; the header then
 * holds 1 + their position in the segment (0: none yet), which is how main finds them without another message.
 */
export class SlotHistogram implements Histogram {
  readonly name: string;
  readonly unit: HistogramUnit;
  private readonly segment: StatsSegment;
  private readonly header: Float64Array;
  private readonly slot: number;
  private readonly views: (Float64Array | undefined)[];
  private readonly starts: Int32Array;
  private readonly ranges: SlotRange[];

  /** @param ranges its header; what it takes besides is added. Whoever holds them need not hold the histogram */
  constructor(name: string, unit: HistogramUnit, segment: StatsSegment, ranges: SlotRange[]) {
    const range = ranges[0] as SlotRange;
    this.name = name;
    this.unit = unit;
    this.segment = segment;
    this.ranges = ranges;
    this.header = range.view;
    this.slot = range.slot;
    this.views = new Array<Float64Array | undefined>(DECADES).fill(undefined);
    this.starts = new Int32Array(DECADES);
  }

  record(value: number): void {
    this.header[this.slot + HEADER_COUNT] += 1;
    if (!(value > 0)) {
      this.header[this.slot + HEADER_ZERO] += 1;
      return;
    }
    const decade = decadeOf(value);
    const bins = this.views[decade] ?? this.addDecade(decade);
    bins[this.starts[decade] + binInDecade(value, decade)] += 1;
  }

  private addDecade(decade: number): Float64Array {
    const range = this.segment.allocate(BINS_PER_DECADE);
    this.ranges.push(range);
    this.views[decade] = range.view;
    this.starts[decade] = range.slot;
    this.header[this.slot + HEADER_DECADES + decade] = 1 + range.chunk * CHUNK_SLOTS + range.slot;
    return range.view;
  }
}

/** A text readout: each change of the text is told to main. */
export class AnnouncedTextReadout implements TextReadout {
  readonly name: string;
  private readonly announce: (value: string) => void;
  private current: string | undefined;

  constructor(name: string, announce: (value: string) => void) {
    this.name = name;
    this.announce = announce;
  }

  set(value: string): void {
    if (value === this.current) return;
    this.current = value;
    this.announce(value);
  }
}
