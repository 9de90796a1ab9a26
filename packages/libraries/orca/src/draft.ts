import type { LoadReport } from '@dragoman/core';

/** Entries of all maps of one report together: an answer that reports more is not listened to. */
export const MAX_METRICS = 256;

/** The maps of `xds.data.orca.v3.OrcaLoadReport`. */
export type MetricMap = 'requestCost' | 'utilization' | 'namedMetrics';

/** Its numbers. */
export type MetricField =
  | 'cpuUtilization'
  | 'memUtilization'
  | 'applicationUtilization'
  | 'rpsFractional'
  | 'eps';

/** A report that is being read. */
export class ReportDraft implements LoadReport {
  cpuUtilization = 0;
  memUtilization = 0;
  applicationUtilization = 0;
  rpsFractional = 0;
  eps = 0;
  readonly requestCost = new Map<string, number>();
  readonly utilization = new Map<string, number>();
  readonly namedMetrics = new Map<string, number>();
  private metrics = 0;

  /** @returns false for what is no number */
  set(field: MetricField, value: number): boolean {
    if (!Number.isFinite(value)) return false;
    this[field] = value;
    return true;
  }

  /** The last of one name counts. @returns false for what is no number, and when there are too many */
  put(map: MetricMap, name: string, value: number): boolean {
    if (!Number.isFinite(value) || ++this.metrics > MAX_METRICS) return false;
    this[map].set(name, value);
    return true;
  }
}

/** Names of the numbers in the API. */
export const FIELDS: ReadonlyMap<string, MetricField> = new Map([
  ['cpu_utilization', 'cpuUtilization'],
  ['mem_utilization', 'memUtilization'],
  ['application_utilization', 'applicationUtilization'],
  ['rps_fractional', 'rpsFractional'],
  ['eps', 'eps'],
]);

/** Names of the maps in the API. */
export const MAPS: ReadonlyMap<string, MetricMap> = new Map([
  ['request_cost', 'requestCost'],
  ['utilization', 'utilization'],
  ['named_metrics', 'namedMetrics'],
]);
