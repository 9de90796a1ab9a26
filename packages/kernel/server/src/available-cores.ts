import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** What is read of the system; tests put their own in its place. */
export interface CoreSources {
  /** Cores that the process may be scheduled on. */
  parallelism(): number;
  /** @throws Error when the file is not there */
  read(path: string): string;
}

const MACHINE: CoreSources = {
  parallelism: availableParallelism,
  read: (path) => readFileSync(path, 'utf8'),
};

const ROOT = '/sys/fs/cgroup';
/** Where version 1 has its controller of CPU time: by itself, or with the one that counts it. */
const ROOTS_V1 = [`${ROOT}/cpu`, `${ROOT}/cpu,cpuacct`];

/**
 * How many cores the process may use: its affinity, and the CPU time that its control groups grant (a container's limit), rounded down.
 * Node knows the limits of cgroup version 2 by itself, but not every layout of version 1.
 *
 * @returns at least 1
 */
export function availableCores(sources: CoreSources = MACHINE): number {
  const cores = sources.parallelism();
  const granted = Math.min(...limits(sources));
  return Math.max(1, Math.min(cores, Math.floor(granted)));
}

/** What each control group on the way up grants, in cores. */
function limits(sources: CoreSources): number[] {
  const found = [Number.POSITIVE_INFINITY];
  for (const line of (attempt(sources, '/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '') {
      for (const folder of upwards(path)) found.push(readV2(sources, ROOT + folder));
    } else if (controllers.split(',').includes('cpu')) {
      for (const root of ROOTS_V1)
        for (const folder of upwards(path)) found.push(readV1(sources, root + folder));
    }
  }
  return found;
}

/** `/a/b` → `/a/b`, `/a`, and the empty path of the root: what a container sees there is its own group. */
function upwards(path: string): string[] {
  const folders: string[] = [];
  for (
    let folder = path.replace(/\/+$/, '');
    folder !== '';
    folder = folder.slice(0, folder.lastIndexOf('/'))
  )
    folders.push(folder);
  return [...folders, ''];
}

/** `cpu.max`: a quota and a period in µs, the quota `max` without a limit. */
function readV2(sources: CoreSources, folder: string): number {
  const [quota, period] = (attempt(sources, `${folder}/cpu.max`) ?? 'max').trim().split(' ');
  return quota === 'max' ? Number.POSITIVE_INFINITY : cores(Number(quota), Number(period));
}

/** The same in two files, the quota -1 without a limit. */
function readV1(sources: CoreSources, folder: string): number {
  const quota = Number(attempt(sources, `${folder}/cpu.cfs_quota_us`) ?? -1);
  return cores(quota, Number(attempt(sources, `${folder}/cpu.cfs_period_us`) ?? 0));
}

function cores(quota: number, period: number): number {
  return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY;
}

function attempt(sources: CoreSources, path: string): string | undefined {
  try {
    return sources.read(path);
  } catch {
    return undefined;
  }
}
