// node --conditions dragoman-source packages/kernel/stats/bench/shared-count.bench.ts

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { SharedCounts, type SharedCountsHandle, StatsStore } from '../src/index.ts';

const ROUNDS = 5_000_000;
/** Places of the counts: the one that is measured, and one that is not 0 when the other thread may end. */
const MEASURED = 3;
const STOP = 15;

/** Prints the best of five rounds: the others were disturbed. */
function measure(name: string, round: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 5; index++) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name}: ${((best * 1e6) / ROUNDS).toFixed(1)} ns`);
}

/** Up and down: what a connection or a request costs. */
function pairs(count: { inc(): void; dec(): void }, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    count.inc();
    count.dec();
  }
}

async function main(): Promise<void> {
  const plain = {
    value: 0,
    inc() {
      this.value++;
    },
    dec() {
      this.value--;
    },
  };
  const gauge = new StatsStore().createThread().gauge('gauge');
  const counts = SharedCounts.create(16, 2);
  const count = counts.of(MEASURED, 0);
  measure('a plain counter, inc and dec', () => pairs(plain, ROUNDS));
  measure("a thread's gauge, inc and dec", () => pairs(gauge, ROUNDS));
  measure('SharedCount, inc and dec', () => pairs(count, ROUNDS));
  const other = new Worker(import.meta.filename, { workerData: counts.handle });
  await once(other, 'message');
  measure('SharedCount, inc and dec, while another thread does nothing else', () => pairs(count, ROUNDS));
  counts.of(STOP, 0).inc();
  await once(other, 'exit');
  if (counts.total(MEASURED) !== 0)
    throw new Error(`${counts.total(MEASURED)} are left of as many up as down`);
}

/** The other thread. */
function contend(handle: SharedCountsHandle): void {
  const counts = SharedCounts.of(handle);
  const count = counts.of(MEASURED, 1);
  pairs(count, 1000);
  parentPort?.postMessage('counting');
  while (counts.total(STOP) === 0) pairs(count, 1000);
}

if (isMainThread) await main();
else contend(workerData as SharedCountsHandle);
