import { getHeapStatistics } from 'node:v8';
import type { AdminMemory } from '@dragoman/admin';
import type { ThreadMemory } from './workers/worker-handle.ts';
import type { WorkerMemory } from './workers/workers.ts';

/** The whole process, and a row for main and each worker that has memory of its own. */
export function memoryOf(workers: readonly WorkerMemory[]): AdminMemory {
  const rows = [{ name: 'main_thread', memory: mainMemory() }, ...workers];
  const sum = (part: (memory: ThreadMemory) => number): bigint =>
    BigInt(rows.reduce((total, { memory }) => total + part(memory), 0));
  const threads = rows.map(({ name, memory }) => ({
    name,
    allocated: memory.heapUsed + memory.external,
    heapSize: memory.heapTotal + memory.external,
  }));
  return {
    total: {
      allocated: sum(({ heapUsed, external }) => heapUsed + external),
      heapSize: sum(({ heapTotal, external }) => heapTotal + external),
      pageheapUnmapped: sum(({ heapTotal, heapPhysical }) => Math.max(0, heapTotal - heapPhysical)),
      pageheapFree: sum(({ heapTotal, heapUsed }) => Math.max(0, heapTotal - heapUsed)),
      totalThreadCache: 0n,
      totalPhysicalBytes: BigInt(process.memoryUsage.rss()),
    },
    threads,
  };
}

function mainMemory(): ThreadMemory {
  const heap = getHeapStatistics();
  return {
    heapUsed: heap.used_heap_size,
    heapTotal: heap.total_heap_size,
    external: heap.external_memory,
    heapPhysical: heap.total_physical_size,
  };
}
