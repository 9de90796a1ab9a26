import { CgroupMemoryConfigSchema, create } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type CgroupFiles, cgroupMemory, createMemoryMonitor } from '../src/index.ts';

const V2 = { usage: '/sys/fs/cgroup/memory.current', limit: '/sys/fs/cgroup/memory.max' };
const V1 = {
  usage: '/sys/fs/cgroup/memory/memory.usage_in_bytes',
  limit: '/sys/fs/cgroup/memory/memory.limit_in_bytes',
};

function files(entries: Record<string, string>): CgroupFiles & { readonly entries: Record<string, string> } {
  return {
    entries,
    read(path) {
      const text = entries[path];
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return text;
    },
  };
}

describe('the pressure', () => {
  test.each([
    ['of its limit', V2, '250\n', '1000\n', undefined, 0.25],
    ['of a smaller one in the config', V2, '250', '1000', 500, 0.5],
    ['a larger one in the config changes nothing', V2, '250', '1000', 2000, 0.25],
    ['without a limit', V2, '250', 'max\n', undefined, 0],
    ['without a limit but the config’s', V2, '250', 'max', 500, 0.5],
    ['above the limit', V2, '1500', '1000', undefined, 1.5],
    ['version 1', V1, '250\n', '1000\n', undefined, 0.25],
    ['version 1 without a limit', V1, '250', '9223372036854771712', undefined, 0],
    ['version 1, -1', V1, '250', '-1', 500, 0.5],
  ])('%s', (_what, paths, usage, limit, max, pressure) => {
    const monitor = createMemoryMonitor(files({ [paths.usage]: usage, [paths.limit]: limit }), max);
    expect(monitor.measure()).toBe(pressure);
  });

  test('version 2 goes before version 1', () => {
    const both = files({ [V1.usage]: '1', [V1.limit]: '10', [V2.usage]: '5', [V2.limit]: '10' });
    expect(createMemoryMonitor(both, undefined).measure()).toBe(0.5);
  });

  test('a limit that changes while the proxy runs', () => {
    const system = files({ [V2.usage]: '250', [V2.limit]: '1000' });
    const monitor = createMemoryMonitor(system, undefined);
    expect(monitor.measure()).toBe(0.25);
    system.entries[V2.limit] = '500';
    expect(monitor.measure()).toBe(0.5);
  });
});

describe('what cannot be read', () => {
  test.each([
    ['', 'memory.current holds "", and no number of bytes'],
    ['12 kB', 'holds "12 kB"'],
    ['-5', 'holds "-5"'],
  ])('%j', (usage, text) => {
    const monitor = createMemoryMonitor(files({ [V2.usage]: usage, [V2.limit]: '100' }), undefined);
    expect(() => monitor.measure()).toThrow(text);
  });

  test('no control groups', () => {
    expect(() => createMemoryMonitor(files({}), undefined)).toThrow(
      'there is no control group that counts memory',
    );
    expect(() => createMemoryMonitor(files({ [V2.usage]: '1' }), undefined)).toThrow('fixed_heap');
  });

  test('a limit of nothing', () => {
    const config = create(CgroupMemoryConfigSchema, { maxMemoryBytes: 0n });
    expect(() =>
      cgroupMemory.create(config as never, { ...testContext(), downstreamConnections: () => 0 }),
    ).toThrow('max_memory_bytes: must be greater than 0');
  });
});
