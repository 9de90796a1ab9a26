/** Slots in a chunk: 32 KiB of shared memory, a few hundred stats of a few clusters. */
export const CHUNK_SLOTS = 4096;

/** A run of slots within one chunk. */
export interface SlotRange {
  readonly chunk: number;
  /** Index in the chunk's {@link view}. */
  readonly slot: number;
  readonly view: Float64Array<SharedArrayBuffer>;
  readonly count: number;
}

/** The first slot of the first chunk is main's: how many releases of the thread it has carried out. */
const RESERVED_SLOTS = 1;

/** Where main writes that number. @param buffer of chunk 0 */
export function confirmationOf(buffer: SharedArrayBuffer): Int32Array<SharedArrayBuffer> {
  return new Int32Array(buffer, 0, 1);
}

interface Waiting {
  readonly range: SlotRange;
  /** Main must have carried out this many releases first. */
  readonly release: number;
}

/**
 * The shared memory that one thread writes its stats to: chunks of 64-bit floats, added as names are added and never
 * moved. Only the owning thread writes, so a write is a plain store; other threads read values that may be a moment old.
 */
export class StatsSegment {
  readonly #views: Float64Array<SharedArrayBuffer>[] = [];
  readonly #onChunk: (chunk: number, buffer: SharedArrayBuffer) => void;
  /** By their length: the lengths that are asked for are few. */
  readonly #free = new Map<number, SlotRange[]>();
  #waiting: Waiting[] = [];
  #confirmation: Int32Array<SharedArrayBuffer> | undefined = undefined;
  /** As it was when {@link #waiting} was last gone through. Undefined: more has come since. */
  #confirmed: number | undefined = undefined;
  #next = CHUNK_SLOTS;
  #used = 0;

  /** `onChunk` is told of each new chunk before any slot of it is used. */
  constructor(onChunk: (chunk: number, buffer: SharedArrayBuffer) => void) {
    this.#onChunk = onChunk;
  }

  /** `count` slots side by side, all zero. 1 ≤ count < {@link CHUNK_SLOTS}. */
  allocate(count: number): SlotRange {
    this.#used += count;
    const recycled = this.#recycled(count);
    if (recycled !== undefined) return recycled;
    if (this.#next + count > CHUNK_SLOTS) this.#grow();
    const slot = this.#next;
    this.#next += count;
    const chunk = this.#views.length - 1;
    return { chunk, slot, view: this.#views[chunk], count };
  }

  /**
   * Takes slots back that nobody on this thread can write to any more.
   *
   * @param release they are used again when main has carried out this many releases: it does not read them any more then
   */
  recycle(ranges: readonly SlotRange[], release: number): void {
    for (const range of ranges) {
      this.#used -= range.count;
      this.#waiting.push({ range, release });
    }
    // What waits may be confirmed by now.
    this.#confirmed = undefined;
  }

  /** Bytes of shared memory taken. */
  get byteLength(): number {
    return this.#views.length * CHUNK_SLOTS * Float64Array.BYTES_PER_ELEMENT;
  }

  /** Slots given out, and not taken back. */
  get usedSlots(): number {
    return this.#used;
  }

  #recycled(count: number): SlotRange | undefined {
    if (this.#waiting.length > 0) this.#sortOut();
    const range = this.#free.get(count)?.pop();
    range?.view.fill(0, range.slot, range.slot + count);
    return range;
  }

  #sortOut(): void {
    const confirmed = Atomics.load(this.#confirmation as Int32Array<SharedArrayBuffer>, 0);
    if (confirmed === this.#confirmed) return;
    this.#confirmed = confirmed;
    this.#waiting = this.#waiting.filter(({ range, release }) => {
      // The count goes round after 2^31.
      if (((confirmed - release) | 0) < 0) return true;
      const free = this.#free.get(range.count);
      if (free === undefined) this.#free.set(range.count, [range]);
      else free.push(range);
      return false;
    });
  }

  #grow(): void {
    const buffer = new SharedArrayBuffer(CHUNK_SLOTS * Float64Array.BYTES_PER_ELEMENT);
    this.#views.push(new Float64Array(buffer));
    this.#next = this.#confirmation === undefined ? RESERVED_SLOTS : 0;
    this.#confirmation ??= confirmationOf(buffer);
    this.#onChunk(this.#views.length - 1, buffer);
  }
}
