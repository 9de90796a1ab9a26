import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { SharedCounts } from '../src/shared-counts.ts';
import type { CountsWork } from './shared-counts-worker.ts';

describe('on one thread', () => {
  test('totals and shares of several counts', () => {
    const counts = SharedCounts.create(2, 3);
    const [first, second] = [counts.of(0, 0), counts.of(0, 2)];
    const other = counts.of(1, 0);
    first.inc();
    first.inc();
    second.inc();
    other.inc();
    first.dec();
    expect([counts.total(0), counts.total(1)]).toEqual([2, 1]);
    expect([first.held, second.held, other.held]).toEqual([1, 1, 1]);
    expect([first.total, second.total, other.total]).toEqual([2, 2, 1]);
  });

  test('the same counts by their handle', () => {
    const counts = SharedCounts.create(2, 1);
    counts.of(1, 0).inc();
    const same = SharedCounts.of(structuredClone(counts.handle));
    same.of(1, 0).inc();
    expect([counts.total(0), counts.total(1), counts.of(1, 0).held]).toEqual([0, 2, 2]);
  });

  test('retire takes back what one thread held, of every count, once', () => {
    const counts = SharedCounts.create(2, 2);
    for (const thread of [0, 1]) for (const count of [0, 1]) counts.of(count, thread).inc();
    counts.of(1, 1).inc();
    counts.retire(1);
    expect([counts.total(0), counts.total(1)]).toEqual([1, 1]);
    counts.retire(1);
    expect([counts.total(0), counts.total(1)]).toEqual([1, 1]);
    // Its successor begins at 0.
    const next = counts.of(1, 1);
    expect(next.held).toBe(0);
    next.inc();
    expect([next.held, counts.total(1)]).toEqual([1, 2]);
  });
});

describe('on several threads', () => {
  const COUNTS = 3;
  const start = (counts: SharedCounts, thread: number, seed: number): Worker => {
    const work: CountsWork = { handle: counts.handle, thread, seed };
    return new Worker(new URL('./shared-counts-worker.ts', import.meta.url), { workerData: work });
  };
  const shares = (counts: SharedCounts, count: number, threads: number): number =>
    Array.from({ length: threads }, (_, thread) => counts.of(count, thread).held).reduce((a, b) => a + b);

  test('a thread that is ended in the middle leaves nothing behind', async () => {
    const THREADS = 3;
    const counts = SharedCounts.create(COUNTS, THREADS);
    const workers = Array.from({ length: THREADS }, (_, thread) => start(counts, thread, thread));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    for (let round = 0; round < 20; round++) {
      const dying = round % THREADS;
      await (workers[dying] as Worker).terminate();
      counts.retire(dying);
      expect([0, 1, 2].map((count) => counts.of(count, dying).held)).toEqual([0, 0, 0]);
      workers[dying] = start(counts, dying, round + THREADS);
      await once(workers[dying], 'message');
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
    for (let count = 0; count < COUNTS; count++)
      expect(counts.total(count), `count ${count}`).toBe(shares(counts, count, THREADS));
    for (let thread = 0; thread < THREADS; thread++) counts.retire(thread);
    expect([0, 1, 2].map((count) => counts.total(count))).toEqual([0, 0, 0]);
  });
});
