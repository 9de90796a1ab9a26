import { ConfigError, type ResourceMonitor } from '@dragoman/core';

/** The files of control groups; tests put their own in their place. */
export interface CgroupFiles {
  /** @throws Error when the file is not there */
  read(path: string): string;
}

/** Where a version of control groups has usage and limit. */
const VERSIONS = [
  { usage: '/sys/fs/cgroup/memory.current', limit: '/sys/fs/cgroup/memory.max' },
  {
    usage: '/sys/fs/cgroup/memory/memory.usage_in_bytes',
    limit: '/sys/fs/cgroup/memory/memory.limit_in_bytes',
  },
] as const;

/** Version 1 says "no limit" with the largest multiple of a page, and there is no machine of this size either. */
const UNLIMITED_FROM = 2 ** 62;

/**
 * @param maxBytes `max_memory_bytes`: counts where the group's own limit is higher, or there is none; undefined: not given
 * @throws ConfigError where there are no control groups that count memory
 */
export function createMemoryMonitor(files: CgroupFiles, maxBytes: number | undefined): ResourceMonitor {
  const version = VERSIONS.find(({ usage, limit }) => exists(files, usage) && exists(files, limit));
  if (version === undefined) {
    throw ConfigError.at(
      '',
      `there is no control group that counts memory: neither ${VERSIONS[0].usage} nor ${VERSIONS[1].usage} can be read; use envoy.resource_monitors.fixed_heap`,
    );
  }
  return {
    measure() {
      const limit = Math.min(maxBytes ?? Number.POSITIVE_INFINITY, readBytes(files, version.limit));
      // Where nothing limits it, nothing presses.
      return limit === Number.POSITIVE_INFINITY ? 0 : readBytes(files, version.usage) / limit;
    },
  };
}

function exists(files: CgroupFiles, path: string): boolean {
  try {
    files.read(path);
    return true;
  } catch {
    return false;
  }
}

/** @throws Error when the file holds no size */
function readBytes(files: CgroupFiles, path: string): number {
  const text = files.read(path).trim();
  if (text === 'max' || text === '-1') return Number.POSITIVE_INFINITY;
  if (!/^\d+$/.test(text)) throw new Error(`${path} holds "${text}", and no number of bytes`);
  const bytes = Number(text);
  return bytes >= UNLIMITED_FROM ? Number.POSITIVE_INFINITY : bytes;
}
