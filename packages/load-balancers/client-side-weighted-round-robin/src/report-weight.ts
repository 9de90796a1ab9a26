import type { LoadReport, Runtime } from '@dragoman/core';
import { maxUtilization } from '@dragoman/orca';
import type { Settings } from './config.ts';

/** Weights have 32 bits. */
const MAX_WEIGHT = 2 ** 32 - 1;

/** Envoy's switch: false lets `application_utilization` come before the metrics that are named. Default true. */
const NAMED_FIRST = 'envoy.reloadable_features.orca_weight_manager_use_named_metrics_first';

/**
 * The weight that a report comes to: requests a second / (utilization + penalty × errors / requests), whole, 1 at least. Undefined for a report
 * that comes to none: without requests, or without load.
 */
export function reportWeight(report: LoadReport, settings: Settings, runtime: Runtime): number | undefined {
  const { rpsFractional: requests, eps } = report;
  if (!(requests > 0)) return undefined;
  const load = utilization(report, settings.metricNames, runtime) + (settings.errorPenalty * eps) / requests;
  if (!(load > 0)) return undefined;
  return Math.max(1, Math.floor(Math.min(requests / load, MAX_WEIGHT)));
}

/** The first of those that is more than 0: the greatest of the named metrics, that of the application, that of the processor. */
function utilization(report: LoadReport, names: readonly string[], runtime: Runtime): number {
  const { applicationUtilization: application, cpuUtilization } = report;
  if (names.length > 0 && (application <= 0 || runtime.getBoolean(NAMED_FIRST, true))) {
    const named = maxUtilization(report, names);
    if (named > 0) return named;
  }
  return application > 0 ? application : cpuUtilization;
}
