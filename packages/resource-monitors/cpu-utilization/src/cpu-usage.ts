/** What is read of the system; tests put their own in its place. */
export interface CpuSources {
  /** @throws Error when the file is not there */
  read(path: string): string;
  /** Monotonic, ms. */
  now(): number;
}

/** What has been used, and what there was to use, since some moment: in the same unit. */
export interface CpuSample {
  readonly work: number;
  readonly total: number;
}

/** Reads the state of the CPU. @throws Error for files that are missing or hold something else */
export type ReadCpu = (sources: CpuSources) => CpuSample;

const STAT = '/proc/stat';
const V2 = {
  usage: '/sys/fs/cgroup/cpu.stat',
  quota: '/sys/fs/cgroup/cpu.max',
  cores: '/sys/fs/cgroup/cpuset.cpus.effective',
} as const;
const V1 = { shares: '/sys/fs/cgroup/cpu/cpu.shares', usage: '/sys/fs/cgroup/cpu/cpuacct.usage' } as const;
/** Shares of version 1 are read as thousandths of a core, as Envoy reads them. */
const SHARES_PER_CORE = 1000;

/** Of the machine: user, nice and system time, of these and idle time. */
export const hostUsage: ReadCpu = ({ read }) => {
  const found = /^cpu {2}(\d+) (\d+) (\d+) (\d+)/.exec(read(STAT));
  if (found === null) throw new Error(`${STAT} does not begin with the times of all cores`);
  const [user, nice, system, idle] = found.slice(1, 5).map(Number) as [number, number, number, number];
  const work = user + nice + system;
  return { work, total: work + idle };
};

/** Of the control group: its CPU time, of what its quota and its cores grant. Version 2 goes before version 1. */
export const containerUsage: ReadCpu = (sources) => {
  const stat = attempt(sources, V2.usage);
  return stat === undefined ? usageV1(sources) : usageV2(sources, stat);
};

function usageV2({ read, now }: CpuSources, stat: string): CpuSample {
  const usage = /^usage_usec (\d+)$/m.exec(stat);
  if (usage === null) throw new Error(`${V2.usage} has no usage_usec`);
  const cores = Math.min(coresOf(read(V2.cores)), quotaOf(read(V2.quota)));
  return { work: Number(usage[1]), total: now() * 1000 * cores };
}

function usageV1({ read, now }: CpuSources): CpuSample {
  const cores = numberOf(read(V1.shares), V1.shares) / SHARES_PER_CORE;
  return { work: numberOf(read(V1.usage), V1.usage) / 1e6, total: now() * cores };
}

/** `0-3,8`: how many there are. */
function coresOf(text: string): number {
  let cores = 0;
  for (const range of text.trim().split(',')) {
    const found = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(found?.[1]);
    const last = Number(found?.[2] ?? first);
    if (found === null || last < first)
      throw new Error(`${V2.cores} holds "${text.trim()}", and no list of cores`);
    cores += last - first + 1;
  }
  return cores;
}

/** `200000 100000`: quota and period in µs; `max` without a quota. In cores. */
function quotaOf(text: string): number {
  const [quota, period] = text.trim().split(' ');
  if (quota === 'max') return Number.POSITIVE_INFINITY;
  const cores = Number(quota) / Number(period);
  if (!Number.isFinite(cores) || cores <= 0)
    throw new Error(`${V2.quota} holds "${text.trim()}", and no quota`);
  return cores;
}

function numberOf(text: string, path: string): number {
  const value = Number(text.trim());
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new Error(`${path} holds "${text.trim()}", and no number`);
  return value;
}

function attempt({ read }: CpuSources, path: string): string | undefined {
  try {
    return read(path);
  } catch {
    return undefined;
  }
}
