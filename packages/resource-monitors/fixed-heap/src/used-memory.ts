import { readFileSync } from 'node:fs';

/** What is read of the system; tests put their own in its place. */
export interface MemorySources {
  /** Resident memory of the process, bytes. */
  residentBytes(): number;
  /** @throws Error when the file is not there */
  read(path: string): string;
}

const SYSTEM: MemorySources = {
  residentBytes: process.memoryUsage.rss,
  read: (path) => readFileSync(path, 'latin1'),
};

/**
 * Memory that the process has got from the system and uses, in bytes: its anonymous resident pages (`RssAnon`), so the heaps and buffers of all
 * threads, and what the C library and V8 keep of them for later. Where the system does not tell it apart: all resident memory,
 * with the program's own pages.
 */
export function usedMemory(sources: MemorySources = SYSTEM): number {
  const kib = anonymousKib(sources);
  return kib === undefined ? sources.residentBytes() : kib * 1024;
}

function anonymousKib(sources: MemorySources): number | undefined {
  try {
    const found = /^RssAnon:\s*(\d+) kB$/m.exec(sources.read('/proc/self/status'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
