import type { LoadReport } from '@dragoman/core';
import { FIELDS, type MetricMap, MAPS } from './draft.ts';

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
  const entry = entryOf(name);
  if (entry === undefined) return 0;
  const values = report[entry.map];
  return entry.key === '*' ? Math.max(0, ...values.values()) : (values.get(entry.key) ?? 0);
}

/** Tells of the metrics of a report that it was made for. */
export type MetricReader = (report: LoadReport, take: (name: string, value: number) => void) => void;

/**
 * Reads the metrics that are named, by the names of {@link maxUtilization}. A number counts though it be 0, since reports do not say whether it was
 * sent; an entry of a map only where it is there, `<map>.*` under the name of each entry.
 */
export function metricReader(names: readonly string[]): MetricReader {
  const readers = [...new Set(names)].map(readerOf);
  return (report, take) => {
    for (const reader of readers) reader(report, take);
  };
}

/** Those of the names that no report can have. */
export function unknownMetrics(names: readonly string[]): readonly string[] {
  return names.filter((name) => !FIELDS.has(name) && entryOf(name) === undefined);
}

function readerOf(name: string): MetricReader {
  const field = FIELDS.get(name);
  if (field !== undefined) return (report, take) => take(name, report[field]);
  const entry = entryOf(name);
  if (entry === undefined) return () => {};
  const { map, key } = entry;
  if (key !== '*')
    return (report, take) => {
      const value = report[map].get(key);
      if (value !== undefined) take(name, value);
    };
  const prefix = name.slice(0, -1);
  return (report, take) => {
    for (const [found, value] of report[map]) take(`${prefix}${found}`, value);
  };
}

function entryOf(name: string): { map: MetricMap; key: string } | undefined {
  const dot = name.indexOf('.');
  const map = dot < 0 ? undefined : MAPS.get(name.slice(0, dot));
  return map && { map, key: name.slice(dot + 1) };
}
