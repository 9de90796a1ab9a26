export { fixedHeap } from './fixed-heap.ts';
export { type MemorySources, usedMemory } from './used-memory.ts';
