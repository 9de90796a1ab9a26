/** What {@link SharedCounts.of} needs on another thread: plain data, it can be posted as it is. */
export interface SharedCountsHandle {
  readonly buffer: SharedArrayBuffer;
  /** How many counts there are. */
  readonly counts: number;
}

/**
 * Counts that several threads keep together and that must be right at every moment: how much of a budget is taken, how many
 * connections there are. A thread adds to the total atomically and notes its share in a row of its own, so that what it
 * held can be taken back when it is gone.
 *
 * Layout: a row of totals, then a row for each thread.
 */
export class SharedCounts {
  readonly handle: SharedCountsHandle;
  private readonly slots: Int32Array<SharedArrayBuffer>;

  private constructor(handle: SharedCountsHandle) {
    this.handle = handle;
    this.slots = new Int32Array(handle.buffer);
  }

  /** @param threads how many threads there may be, ≥ 1 */
  static create(counts: number, threads: number): SharedCounts {
    const bytes = counts * (threads + 1) * Int32Array.BYTES_PER_ELEMENT;
    return new SharedCounts({ buffer: new SharedArrayBuffer(bytes), counts });
  }

  /** The same counts on another thread. */
  static of(handle: SharedCountsHandle): SharedCounts {
    return new SharedCounts(handle);
  }

  /** Over all threads. */
  total(count: number): number {
    return Atomics.load(this.slots, count);
  }

  /** The handle of `thread` (from 0) on one count. Only that thread may use it. */
  of(count: number, thread: number): SharedCount {
    return new SharedCount(this.slots, count, this.handle.counts * (thread + 1) + count);
  }

  /** Takes back what a thread held that is gone. It must have ended: its row is no longer written. */
  retire(thread: number): void {
    const { counts } = this.handle;
    for (let count = 0; count < counts; count++) {
      const own = counts * (thread + 1) + count;
      Atomics.sub(this.slots, count, this.slots[own]);
      this.slots[own] = 0;
    }
  }
}

/** One count, as one thread adds to it. */
export class SharedCount {
  private readonly slots: Int32Array<SharedArrayBuffer>;
  private readonly slot: number;
  private readonly own: number;

  /** Made by {@link SharedCounts.of}. */
  constructor(slots: Int32Array<SharedArrayBuffer>, slot: number, own: number) {
    this.slots = slots;
    this.slot = slot;
    this.own = own;
  }

  /** Over all threads. */
  get total(): number {
    return Atomics.load(this.slots, this.slot);
  }

  /** Of this thread. */
  get held(): number {
    return this.slots[this.own];
  }

  /** A thread is ended between two statements at the earliest, so total and share stay in step. */
  inc(): void {
    this.slots[this.own]++;
    Atomics.add(this.slots, this.slot, 1);
  }

  dec(): void {
    this.slots[this.own]--;
    Atomics.sub(this.slots, this.slot, 1);
  }
}
