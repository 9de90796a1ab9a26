import { type SharedCount, SharedCounts, type SharedCountsHandle } from '@dragoman/stats';

/** How many connections there are: of one listener, or of the whole proxy. */
export interface ConnectionCount {
  /** Over all workers. */
  readonly total: number;
  inc(): void;
  dec(): void;
}

class LocalCount implements ConnectionCount {
  total = 0;

  inc(): void {
    this.total++;
  }

  dec(): void {
    this.total--;
  }
}

/** @param handle undefined: this worker is the only one */
export function connectionCount(
  handle: SharedCountsHandle | undefined,
  workerIndex: number,
): ConnectionCount | SharedCount {
  return handle === undefined ? new LocalCount() : SharedCounts.of(handle).of(0, workerIndex);
}
