import type { GaugeMode, HistogramUnit } from '@dragoman/core';
import { BINS_PER_DECADE, DECADES, ZERO_BIN } from './bins.ts';
import { HistogramStatistics } from './histogram-statistics.ts';
import { CHUNK_SLOTS } from './segment.ts';
import { HEADER_COUNT, HEADER_DECADES, HEADER_ZERO, isUsed } from './slot-stats.ts';

/** The chunks of one thread's segment as main sees them; grows by announcement. */
export interface SegmentView {
  readonly chunks: Float64Array[];
}

/** One thread's share of a stat. */
export interface Part {
  readonly segment: SegmentView;
  readonly chunk: number;
  readonly slot: number;
}

function read(part: Part): number {
  return part.segment.chunks[part.chunk][part.slot];
}

/** A counter over all threads. */
export class MergedCounter {
  readonly name: string;
  /** Groups that it belongs to, which keep it; Infinity: it stays. */
  owners = 0;
  #parts: Part[] = [];
  /** What threads that are gone had counted. */
  #retained = 0;
  #retainedUsed = false;
  /** Taken off by {@link reset}: main never writes to a thread's slots. */
  #base = 0;
  #latched = 0;
  #delta = 0;

  constructor(name: string) {
    this.name = name;
  }

  addPart(part: Part): void {
    this.#parts.push(part);
  }

  /** Keeps the value of a thread that writes it no more. */
  removePart(part: Part): void {
    this.#retained += read(part);
    this.#retainedUsed ||= isUsed(read(part));
    this.#parts = without(this.#parts, part);
  }

  get used(): boolean {
    return this.#retainedUsed || this.#parts.some((part) => isUsed(read(part)));
  }

  /** All that was ever counted, whatever {@link reset} has taken off. */
  get total(): number {
    let total = this.#retained;
    for (const part of this.#parts) total += read(part);
    return total;
  }

  get value(): number {
    return this.total - this.#base + 0;
  }

  /** What was added between the last two {@link latch}es. */
  get delta(): number {
    return this.#delta;
  }

  latch(): void {
    const total = this.total;
    this.#delta = total - this.#latched;
    this.#latched = total;
  }

  reset(): void {
    this.#base = this.total;
  }
}

/** A gauge over all threads. */
export class MergedGauge {
  readonly name: string;
  readonly mode: GaugeMode;
  /** As of {@link MergedCounter}. */
  owners = 0;
  #parts: Part[] = [];
  #derive: (() => number) | undefined = undefined;

  constructor(name: string, mode: GaugeMode) {
    this.name = name;
    this.mode = mode;
  }

  addPart(part: Part): void {
    this.#parts.push(part);
  }

  /** What a thread held is gone with it. */
  removePart(part: Part): void {
    this.#parts = without(this.#parts, part);
  }

  /** Its value is taken from elsewhere. */
  get derived(): boolean {
    return this.#derive !== undefined;
  }

  /** Takes the value from elsewhere, whatever threads write; undefined: from the threads again. */
  derive(value: (() => number) | undefined): void {
    this.#derive = value;
  }

  get used(): boolean {
    return this.#derive !== undefined || this.#parts.some((part) => isUsed(read(part)));
  }

  get value(): number {
    if (this.#derive !== undefined) return this.#derive();
    let sum = 0;
    let largest = Number.NEGATIVE_INFINITY;
    for (const part of this.#parts) {
      const value = read(part);
      sum += value;
      if (isUsed(value) && value > largest) largest = value;
    }
    if (this.mode !== 'max') return sum;
    return largest === Number.NEGATIVE_INFINITY ? 0 : largest;
  }
}

/** A histogram over all threads. Its statistics are those of the last flush, as in Envoy. */
export class MergedHistogram {
  readonly name: string;
  readonly unit: HistogramUnit;
  readonly bounds: readonly number[];
  /** As of {@link MergedCounter}. */
  owners = 0;
  #parts: Part[] = [];
  readonly #retained = new Map<number, number>();
  #samples = 0;
  #retainedSamples = 0;
  #counts: ReadonlyMap<number, number> = new Map();
  #intervalIsEmpty = true;
  #cumulative: HistogramStatistics;
  #interval: HistogramStatistics;

  constructor(name: string, unit: HistogramUnit, bounds: readonly number[]) {
    this.name = name;
    this.unit = unit;
    this.bounds = bounds;
    this.#cumulative = new HistogramStatistics(new Map(), bounds);
    this.#interval = this.#cumulative;
  }

  addPart(part: Part): void {
    this.#parts.push(part);
  }

  /** Keeps the samples of a thread that records no more. */
  removePart(part: Part): void {
    addBins(part, this.#retained);
    this.#retainedSamples += read(part);
    this.#parts = without(this.#parts, part);
  }

  /** True once a flush has found samples. */
  get used(): boolean {
    return this.#counts.size > 0;
  }

  /** All samples up to the last {@link latch}. */
  get cumulative(): HistogramStatistics {
    return this.#cumulative;
  }

  /** The samples between the last two {@link latch}es. */
  get interval(): HistogramStatistics {
    return this.#interval;
  }

  /** Merges what the threads have recorded; a histogram that nobody wrote to costs one read a thread. */
  latch(): void {
    let samples = this.#retainedSamples;
    for (const part of this.#parts) samples += part.segment.chunks[part.chunk][part.slot + HEADER_COUNT];
    if (samples === this.#samples) {
      if (!this.#intervalIsEmpty) this.#interval = new HistogramStatistics(new Map(), this.bounds);
      this.#intervalIsEmpty = true;
      return;
    }
    this.#samples = samples;
    const counts = new Map(this.#retained);
    for (const part of this.#parts) addBins(part, counts);
    const added = new Map<number, number>();
    for (const [bin, count] of counts) {
      const difference = count - (this.#counts.get(bin) ?? 0);
      if (difference > 0) added.set(bin, difference);
    }
    this.#counts = counts;
    this.#cumulative = new HistogramStatistics(counts, this.bounds);
    this.#interval = new HistogramStatistics(added, this.bounds);
    this.#intervalIsEmpty = false;
  }
}

function without(parts: readonly Part[], part: Part): Part[] {
  return parts.filter((candidate) => candidate !== part);
}

function addBins(part: Part, into: Map<number, number>): void {
  const { chunks } = part.segment;
  const header = chunks[part.chunk];
  addTo(into, ZERO_BIN, header[part.slot + HEADER_ZERO]);
  for (let decade = 0; decade < DECADES; decade++) {
    const pointer = header[part.slot + HEADER_DECADES + decade];
    if (pointer === 0) continue;
    const bins = chunks[Math.floor((pointer - 1) / CHUNK_SLOTS)];
    // The word of a new chunk may still be under way from its thread: its bins are there at the next flush.
    if (bins === undefined) continue;
    const start = (pointer - 1) % CHUNK_SLOTS;
    for (let bin = 0; bin < BINS_PER_DECADE; bin++) {
      addTo(into, 1 + decade * BINS_PER_DECADE + bin, bins[start + bin]);
    }
  }
}

function addTo(counts: Map<number, number>, bin: number, count: number): void {
  if (count > 0) counts.set(bin, (counts.get(bin) ?? 0) + count);
}

/** A text readout over all threads: the text that came last. */
export class MergedTextReadout {
  readonly name: string;
  /** As of {@link MergedCounter}. */
  owners = 0;
  #value: string | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get used(): boolean {
    return this.#value !== undefined;
  }

  get value(): string {
    return this.#value ?? '';
  }

  set(value: string): void {
    this.#value = value;
  }
}

export type MergedStat = MergedCounter | MergedGauge | MergedHistogram | MergedTextReadout;
