/** An entry of a {@link TimerHeap}. */
export interface HeapEntry {
  /** When it is due. Not to be changed while it is in the heap. */
  deadline: number;
  /** Among equal deadlines the lower comes first. */
  order: number;
  /** Its place in the heap; −1: it is not there. The heap's own. */
  index: number;
}

/** Entries by deadline, then order: a binary heap that can take any entry out, in O(log n), since each knows its place. */
export class TimerHeap<Entry extends HeapEntry> {
  private readonly entries: Entry[] = [];

  get size(): number {
    return this.entries.length;
  }

  get first(): Entry | undefined {
    return this.entries[0];
  }

  /** @param entry one that is not in the heap */
  add(entry: Entry): void {
    this.entries.push(entry);
    this.rise(this.entries.length - 1, entry);
  }

  /** Nothing happens when it is not there. */
  remove(entry: Entry): void {
    const { index } = entry;
    if (index < 0) return;
    entry.index = -1;
    const last = this.entries.pop() as Entry;
    if (last === entry) return;
    this.sink(index, last);
    if (last.index === index) this.rise(index, last);
  }

  private rise(start: number, entry: Entry): void {
    const { entries } = this;
    let hole = start;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!isBefore(entry, entries[parent])) break;
      this.put(hole, entries[parent]);
      hole = parent;
    }
    this.put(hole, entry);
  }

  private sink(start: number, entry: Entry): void {
    const { entries } = this;
    const { length } = entries;
    let hole = start;
    for (let child = 2 * hole + 1; child < length; child = 2 * hole + 1) {
      if (child + 1 < length && isBefore(entries[child + 1], entries[child])) child++;
      if (!isBefore(entries[child], entry)) break;
      this.put(hole, entries[child]);
      hole = child;
    }
    this.put(hole, entry);
  }

  private put(index: number, entry: Entry): void {
    this.entries[index] = entry;
    entry.index = index;
  }
}

function isBefore(one: HeapEntry, other: HeapEntry): boolean {
  return one.deadline < other.deadline || (one.deadline === other.deadline && one.order < other.order);
}
