import { CpuUtilizationConfigSchema, create } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import {
  containerUsage,
  type CpuSources,
  cpuUtilization,
  createCpuMonitor,
  hostUsage,
} from '../src/index.ts';

class System implements CpuSources {
  files: Record<string, string> = {};
  time = 0;
  readonly read = (path: string): string => {
    const text = this.files[path];
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  };
  readonly now = (): number => this.time;
}

const stat = (...times: readonly number[]): Record<string, string> => ({
  '/proc/stat': `cpu  ${times.join(' ')} 0 0 0\ncpu0 1 2 3 4\n`,
});

const group = (usec: number, quota: string, cores: string): Record<string, string> => ({
  '/sys/fs/cgroup/cpu.stat': `usage_usec ${usec}\nuser_usec 1\nsystem_usec 2\n`,
  '/sys/fs/cgroup/cpu.max': `${quota}\n`,
  '/sys/fs/cgroup/cpuset.cpus.effective': `${cores}\n`,
});

describe('of the machine', () => {
  test('user, nice and system time count as work, and the rest of the line does not count', () => {
    const system = new System();
    system.files = stat(10, 20, 30, 40);
    expect(hostUsage(system)).toEqual({ work: 60, total: 100 });
  });

  test('it is smoothed: a twentieth of the present at a time', () => {
    const system = new System();
    system.files = stat(0, 0, 0, 0);
    const monitor = createCpuMonitor(system, hostUsage);
    system.files = stat(60, 0, 0, 40);
    expect(monitor.measure()).toBeCloseTo(0.03);
    system.files = stat(160, 0, 0, 40);
    expect(monitor.measure()).toBeCloseTo(0.05 + 0.95 * 0.03);
    system.files = stat(160, 0, 0, 140);
    expect(monitor.measure()).toBeCloseTo(0.95 * (0.05 + 0.95 * 0.03));
  });

  test.each([
    ['backwards', stat(0, 0, 0, 200)],
    ['not at all', stat(60, 0, 0, 40)],
    ['something else', { '/proc/stat': 'cpu0 1 2 3 4' }],
    ['no file', {}],
  ])('times that go %s are a failed update, and the next is none', (_what, files) => {
    const system = new System();
    system.files = stat(60, 0, 0, 40);
    const monitor = createCpuMonitor(system, hostUsage);
    system.files = files;
    expect(() => monitor.measure()).toThrow();
    system.files = stat(460, 0, 0, 440);
    expect(monitor.measure()).toBeGreaterThan(0);
  });
});

describe('of the control group', () => {
  test.each([
    ['one core', 'max 100000', '3', 500_000, 0.5],
    ['two cores', 'max 100000', '0-1', 500_000, 0.25],
    ['ranges and single ones', 'max 100000', '0-1,4,6-7', 500_000, 0.1],
    ['a quota below its cores', '50000 100000', '0-3', 250_000, 0.5],
    ['a quota above its cores', '800000 100000', '0-3', 2_000_000, 0.5],
    ['more than it is granted', '50000 100000', '0', 2_000_000, 1],
  ])('%s', (_what, quota, cores, usec, utilisation) => {
    const system = new System();
    system.files = group(1000, quota, cores);
    const monitor = createCpuMonitor(system, containerUsage);
    system.time = 1000;
    system.files = group(1000 + usec, quota, cores);
    expect(monitor.measure()).toBeCloseTo(utilisation * 0.05);
  });

  test('version 1: shares are thousandths of a core', () => {
    const system = new System();
    const files = (ns: number): Record<string, string> => ({
      '/sys/fs/cgroup/cpu/cpu.shares': '2000\n',
      '/sys/fs/cgroup/cpu/cpuacct.usage': `${ns}\n`,
    });
    system.files = files(0);
    const monitor = createCpuMonitor(system, containerUsage);
    system.time = 1000;
    system.files = files(1e9);
    expect(monitor.measure()).toBeCloseTo(0.5 * 0.05);
  });

  test.each([
    ['cpu.stat', { '/sys/fs/cgroup/cpu.stat': 'nr_periods 0' }, 'has no usage_usec'],
    ['cpu.max', { '/sys/fs/cgroup/cpu.max': '1 0' }, 'cpu.max holds "1 0"'],
    ['the cores', { '/sys/fs/cgroup/cpuset.cpus.effective': '3-1' }, 'no list of cores'],
    ['no cores', { '/sys/fs/cgroup/cpuset.cpus.effective': '' }, 'no list of cores'],
  ])('%s is something else', (_what, file, text) => {
    const system = new System();
    system.files = { ...group(1, 'max 100000', '0'), ...file };
    expect(() => containerUsage(system)).toThrow(text);
  });
});

test('what cannot be measured is a config error', () => {
  const system = new System();
  expect(() => createCpuMonitor(system, hostUsage)).toThrow('ENOENT: /proc/stat');
});

test.runIf(process.platform === 'linux')('this machine', () => {
  const context = { ...testContext(), downstreamConnections: () => 0 };
  const monitor = cpuUtilization.create(create(CpuUtilizationConfigSchema) as never, context);
  // The same clock tick, or some later: a failed update, or a share.
  try {
    expect(monitor.measure()).toBeGreaterThanOrEqual(0);
  } catch (error) {
    expect(String(error)).toContain('CPU times do not grow');
  }
});
