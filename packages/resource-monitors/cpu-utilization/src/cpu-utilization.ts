import { readFileSync } from 'node:fs';
import {
  CpuUtilizationConfig_UtilizationComputeStrategy as Strategy,
  CpuUtilizationConfigSchema,
} from '@dragoman/api';
import { ConfigError, defineResourceMonitor } from '@dragoman/core';
import { createCpuMonitor } from './cpu-monitor.ts';
import { containerUsage, type CpuSources, hostUsage } from './cpu-usage.ts';

/** `envoy.resource_monitors.cpu_utilization`: CPU time in use, of the machine's or of the control group's. */
export const cpuUtilization = defineResourceMonitor({
  name: 'envoy.resource_monitors.cpu_utilization',
  config: CpuUtilizationConfigSchema,
  create({ mode }, { clock }) {
    const sources: CpuSources = { read: (path) => readFileSync(path, 'latin1'), now: () => clock.now() };
    try {
      return createCpuMonitor(sources, mode === Strategy.CONTAINER ? containerUsage : hostUsage);
    } catch (error) {
      throw ConfigError.at('mode', `${Strategy[mode]} cannot be measured here: ${(error as Error).message}`);
    }
  },
});
