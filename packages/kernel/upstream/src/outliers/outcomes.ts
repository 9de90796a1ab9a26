/** Places of a row, each 32 bits that every worker adds to. */
export const OUTCOME = {
  consecutive5xx: 0,
  consecutiveGatewayFailure: 1,
  consecutiveLocalOriginFailure: 2,
  externalTotal: 3,
  externalSuccess: 4,
  localTotal: 5,
  localSuccess: 6,
} as const;

/** Numbers a row: a cache line of its own would be twice that. */
export const ROW = 8;
const ROW_BYTES = ROW * Int32Array.BYTES_PER_ELEMENT;
const FIRST_ROWS = 64;
/** Hosts of one cluster. Further ones are not watched. The memory is only reserved, not used, before it is needed. */
const MAX_ROWS = 131_072;
/** A host that is gone may have requests under way which are still counted: its row rests for so long before it is another's. */
const REST_MS = 15 * 60_000;

/** The outcomes of the tries at the hosts of one cluster, in memory that all workers share: a row for each host. */
export class Outcomes {
  readonly buffer = new SharedArrayBuffer(FIRST_ROWS * ROW_BYTES, { maxByteLength: MAX_ROWS * ROW_BYTES });
  readonly counts = new Int32Array(this.buffer);
  /** In the order in which they were released. */
  private readonly free: { readonly row: number; readonly since: number }[] = [];
  private used = 0;

  /** Undefined when there are too many hosts. @param now {@link Clock.now} */
  allocate(now: number): number | undefined {
    const [oldest] = this.free;
    const rested = oldest !== undefined && now - oldest.since >= REST_MS;
    const row = rested ? oldest.row : this.used++;
    if (rested) this.free.shift();
    if (row >= MAX_ROWS) {
      this.used = MAX_ROWS;
      return undefined;
    }
    if ((row + 1) * ROW_BYTES > this.buffer.byteLength)
      this.buffer.grow(Math.min(MAX_ROWS * ROW_BYTES, this.buffer.byteLength * 2));
    for (let place = 0; place < ROW; place++) Atomics.store(this.counts, row * ROW + place, 0);
    return row;
  }

  release(row: number, now: number): void {
    this.free.push({ row, since: now });
  }

  reset(row: number, place: number): void {
    Atomics.store(this.counts, row * ROW + place, 0);
  }

  /** What was counted since the last time. */
  take(row: number, place: number): number {
    return Atomics.exchange(this.counts, row * ROW + place, 0);
  }
}
