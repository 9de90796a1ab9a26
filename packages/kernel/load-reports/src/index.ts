export { createLoadReporter, type LoadReporter } from './load-reporter.ts';
export type { KnownClusters, LoadReporterOptions, LoadSource, TakeLoads } from './options.ts';
