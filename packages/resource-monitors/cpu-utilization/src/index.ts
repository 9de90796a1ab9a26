export { cpuUtilization } from './cpu-utilization.ts';
export { containerUsage, type CpuSample, type CpuSources, hostUsage } from './cpu-usage.ts';
export { createCpuMonitor } from './cpu-monitor.ts';
