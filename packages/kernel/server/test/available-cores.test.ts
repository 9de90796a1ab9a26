import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { availableCores } from '../src/index.ts';

const PROC = '/proc/self/cgroup';

test.each<[string, number, Record<string, string>, number]>([
  ['no control groups', 8, {}, 8],
  ['version 2 without a limit', 8, { [PROC]: '0::/x\n', '/sys/fs/cgroup/x/cpu.max': 'max 100000\n' }, 8],
  ['version 2', 8, { [PROC]: '0::/x\n', '/sys/fs/cgroup/x/cpu.max': '250000 100000\n' }, 2],
  ['less than a core', 8, { [PROC]: '0::/x\n', '/sys/fs/cgroup/x/cpu.max': '50000 100000\n' }, 1],
  ['more than there are', 2, { [PROC]: '0::/x\n', '/sys/fs/cgroup/x/cpu.max': '800000 100000\n' }, 2],
  [
    'the smallest on the way up',
    8,
    {
      [PROC]: '0::/a/b\n',
      '/sys/fs/cgroup/a/b/cpu.max': '600000 100000\n',
      '/sys/fs/cgroup/a/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/cpu.max': 'max 100000\n',
    },
    3,
  ],
  ['a container of version 2', 8, { [PROC]: '0::/\n', '/sys/fs/cgroup/cpu.max': '200000 100000\n' }, 2],
  [
    'version 1',
    8,
    {
      [PROC]: '4:memory:/m\n3:cpu,cpuacct:/d/c\n',
      '/sys/fs/cgroup/cpu,cpuacct/d/c/cpu.cfs_quota_us': '400000\n',
      '/sys/fs/cgroup/cpu,cpuacct/d/c/cpu.cfs_period_us': '100000\n',
    },
    4,
  ],
  [
    'version 1 seen from a container, and no limit further in',
    8,
    {
      [PROC]: '3:cpu:/docker/abc\n',
      '/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '150000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    1,
  ],
  ['nonsense', 8, { [PROC]: 'x\n0::/x\n1:cpu:/x\n', '/sys/fs/cgroup/x/cpu.max': 'a b\n' }, 8],
])('%s', (_, parallelism, files, expected) => {
  const read = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  };
  expect(availableCores({ parallelism: () => parallelism, read })).toBe(expected);
});

test('of this machine', () => {
  expect(availableCores()).toBeGreaterThanOrEqual(1);
  expect(availableCores()).toBeLessThanOrEqual(availableParallelism());
});
