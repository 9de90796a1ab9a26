import type { LoadReport } from '@dragoman/core';
import { FIELDS, MAPS } from './draft.ts';

/**
 * The greatest of the metrics that are named, 0 at least. Names are those of the API: a number (`cpu_utilization`), an entry of a map
 * (`named_metrics.queue`) or all of its entries (`utilization.*`). What a report does not have, and a name that means nothing, count as 0.
 */
export function maxUtilization(report: LoadReport, names: readonly string[]): number {
  let most = 0;
  for (const name of names) most = Math.max(most, metric(report, name));
  return most;
}

function metric(report: LoadReport, name: string): number {
  const field = FIELDS.get(name);
  if (field !== undefined) return report[field];
  const dot = name.indexOf('.');
  const map = dot < 0 ? undefined : MAPS.get(name.slice(0, dot));
  if (map === undefined) return 0;
  const key = name.slice(dot + 1);
  if (key === '*') return Math.max(0, ...report[map].values());
  return report[map].get(key) ?? 0;
}
