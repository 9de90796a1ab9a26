import { create, FixedHeapConfigSchema } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { fixedHeap, type MemorySources, usedMemory } from '../src/index.ts';

const context = { ...testContext(), downstreamConnections: () => 0 };
const monitor = (bytes: bigint) =>
  fixedHeap.create(create(FixedHeapConfigSchema, { maxHeapSizeBytes: bytes }) as never, context);

const sources = (status: string | undefined): MemorySources => ({
  residentBytes: () => 5_000_000,
  read(path) {
    if (status === undefined || path !== '/proc/self/status') throw new Error('ENOENT');
    return status;
  },
});

describe('the memory that counts', () => {
  test.each([
    ['anonymous pages', 'VmRSS:\t  9000 kB\nRssAnon:\t    2000 kB\nRssFile:\t 7000 kB\n', 2_048_000],
    ['a system that does not tell them apart', 'VmRSS:\t  9000 kB\n', 5_000_000],
    ['no such file', undefined, 5_000_000],
  ])('%s', (_what, status, bytes) => {
    expect(usedMemory(sources(status))).toBe(bytes);
  });

  test('of this process', () => {
    const before = usedMemory();
    expect(before).toBeGreaterThan(1_000_000);
    const block = Buffer.alloc(64 * 1024 * 1024, 1);
    expect(usedMemory() - before).toBeGreaterThan(block.length / 2);
  });
});

describe('fixed_heap', () => {
  test('its share of the size', () => {
    const used = usedMemory();
    const pressure = monitor(BigInt(used * 2)).measure() as number;
    expect(pressure).toBeGreaterThan(0.4);
    expect(pressure).toBeLessThan(0.9);
  });

  test('more than all of it', () => {
    expect(monitor(1n).measure()).toBeGreaterThan(1000);
  });

  test('a size is required', () => {
    expect(() => monitor(0n)).toThrow('max_heap_size_bytes: must be greater than 0');
  });
});
