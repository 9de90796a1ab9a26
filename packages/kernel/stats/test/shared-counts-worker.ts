// A thread that takes and gives without end, for shared-counts.test.ts. It is ended in the middle of it.
import { parentPort, workerData } from 'node:worker_threads';
import { SharedCounts, type SharedCountsHandle } from '../src/shared-counts.ts';

export interface CountsWork {
  readonly handle: SharedCountsHandle;
  readonly thread: number;
  readonly seed: number;
}

const { handle, thread, seed } = workerData as CountsWork;
const shared = SharedCounts.of(handle);
const own = Array.from({ length: handle.counts }, (_, count) => shared.of(count, thread));
parentPort?.postMessage('begun');
// A small generator of its own: the pattern is different on each thread and the same in each run.
let state = seed * 2_654_435_761 + 1;
for (;;) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  const count = own[(state >>> 8) % own.length];
  if (count === undefined) continue;
  if (count.held > 0 && (state & 1) === 0) count.dec();
  else if (count.held < 100) count.inc();
}
