/** What {@link SharedCounts.of} needs on another thread: plain data, it can be posted as it is. */
export interface SharedCountsHandle {
  readonly buffer: SharedArrayBuffer;
  /** How many counts there are. */
  readonly counts: number;
}

/** Ints of a cache line: threads that count do not take the line of each other's row. */
const LINE = 16;

/** From one thread's row to the next. */
const strideOf = (counts: number): number => Math.ceil(counts / LINE) * LINE;

/**
 * Counts that several threads keep together and that must be right at every moment: how much of a budget is taken, how many
 * connections there are. Each thread writes a row of its own, and a total is the sum of a column. There is no word for totals besides: a
 * thread can be ended between any two writes (`terminate` does that), and then nobody could tell which of them had been made.
 */
export class SharedCounts {
  readonly handle: SharedCountsHandle;
  private readonly slots: Int32Array<SharedArrayBuffer>;
  private readonly stride: number;

  private constructor(handle: SharedCountsHandle) {
    this.handle = handle;
    this.slots = new Int32Array(handle.buffer);
    this.stride = strideOf(handle.counts);
  }

  /** @param threads how many threads there may be, ≥ 1 */
  static create(counts: number, threads: number): SharedCounts {
    const bytes = strideOf(counts) * threads * Int32Array.BYTES_PER_ELEMENT;
    return new SharedCounts({ buffer: new SharedArrayBuffer(bytes), counts });
  }

  /** The same counts on another thread. */
  static of(handle: SharedCountsHandle): SharedCounts {
    return new SharedCounts(handle);
  }

  /** Over all threads. */
  total(count: number): number {
    return sum(this.slots, count, this.stride);
  }

  /** The handle of `thread` (from 0) on one count. Only that thread may use it. */
  of(count: number, thread: number): SharedCount {
    return new SharedCount(this.slots, count, this.stride, this.stride * thread + count);
  }

  /** Takes back what a thread held that is gone. It must have ended: its row is no longer written. */
  retire(thread: number): void {
    const row = this.stride * thread;
    for (let count = 0; count < this.handle.counts; count++) Atomics.store(this.slots, row + count, 0);
  }
}

/** One count, as one thread adds to it. */
export class SharedCount {
  private readonly slots: Int32Array<SharedArrayBuffer>;
  private readonly first: number;
  private readonly stride: number;
  private readonly own: number;

  /** Made by {@link SharedCounts.of}. */
  constructor(slots: Int32Array<SharedArrayBuffer>, first: number, stride: number, own: number) {
    this.slots = slots;
    this.first = first;
    this.stride = stride;
    this.own = own;
  }

  /** Over all threads. */
  get total(): number {
    return sum(this.slots, this.first, this.stride);
  }

  /** Of this thread. */
  get held(): number {
    return this.slots[this.own];
  }

  inc(): void {
    Atomics.add(this.slots, this.own, 1);
  }

  dec(): void {
    Atomics.sub(this.slots, this.own, 1);
  }
}

function sum(slots: Int32Array<SharedArrayBuffer>, first: number, stride: number): number {
  let total = 0;
  for (let slot = first; slot < slots.length; slot += stride) total += Atomics.load(slots, slot);
  return total;
}
