/** Slots in a chunk: 32 KiB of shared memory, a few hundred stats of a few clusters. */
export const CHUNK_SLOTS = 4096;

/** A run of slots within one chunk. */
export interface SlotRange {
  readonly chunk: number;
  /** Index in the chunk's {@link view}. */
  readonly slot: number;
  readonly view: Float64Array<SharedArrayBuffer>;
}

/**
 * The shared memory that one thread writes its stats to: chunks of 64-bit floats, added as names are added and never
 * moved. Only the owning thread writes, so a write is a plain store; other threads read values that may be a moment old.
 */
export class StatsSegment {
  readonly #views: Float64Array<SharedArrayBuffer>[] = [];
  readonly #onChunk: (chunk: number, buffer: SharedArrayBuffer) => void;
  #free = CHUNK_SLOTS;

  /** `onChunk` is told of each new chunk before any slot of it is used. */
  constructor(onChunk: (chunk: number, buffer: SharedArrayBuffer) => void) {
    this.#onChunk = onChunk;
  }

  /** `count` slots side by side, all zero. 1 ≤ count ≤ {@link CHUNK_SLOTS}. */
  allocate(count: number): SlotRange {
    if (this.#free + count > CHUNK_SLOTS) this.#grow();
    const slot = this.#free;
    this.#free += count;
    const chunk = this.#views.length - 1;
    return { chunk, slot, view: this.#views[chunk] };
  }

  /** Bytes of shared memory taken. */
  get byteLength(): number {
    return this.#views.length * CHUNK_SLOTS * Float64Array.BYTES_PER_ELEMENT;
  }

  #grow(): void {
    const buffer = new SharedArrayBuffer(CHUNK_SLOTS * Float64Array.BYTES_PER_ELEMENT);
    this.#views.push(new Float64Array(buffer));
    this.#free = 0;
    this.#onChunk(this.#views.length - 1, buffer);
  }
}
