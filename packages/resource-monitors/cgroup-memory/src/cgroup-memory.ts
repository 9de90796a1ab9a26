import { readFileSync } from 'node:fs';
import { CgroupMemoryConfigSchema } from '@dragoman/api';
import { ConfigError, defineResourceMonitor } from '@dragoman/core';
import { type CgroupFiles, createMemoryMonitor } from './memory-monitor.ts';

const SYSTEM: CgroupFiles = { read: (path) => readFileSync(path, 'latin1') };

/** `envoy.resource_monitors.cgroup_memory`: the memory of the control group, as a share of its limit. */
export const cgroupMemory = defineResourceMonitor({
  name: 'envoy.resource_monitors.cgroup_memory',
  config: CgroupMemoryConfigSchema,
  create({ maxMemoryBytes }) {
    if (maxMemoryBytes === 0n)
      throw ConfigError.at('max_memory_bytes', 'must be greater than 0, or left out');
    return createMemoryMonitor(SYSTEM, maxMemoryBytes === undefined ? undefined : Number(maxMemoryBytes));
  },
});
