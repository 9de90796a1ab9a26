export { cgroupMemory } from './cgroup-memory.ts';
export { type CgroupFiles, createMemoryMonitor } from './memory-monitor.ts';
