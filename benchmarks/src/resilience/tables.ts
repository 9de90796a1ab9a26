import { figure, markdownTable } from '../report.ts';
import type { BrownOutResult } from './brown-out.ts';
import type { RetryStormResult } from './retry-storm.ts';
import type { ScaleOutResult } from './scale-out.ts';

export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share < 0.0001) return '< 0.01 %';
  return `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`;
}

export function brownOutTable(results: readonly BrownOutResult[]): string {
  const head = [
    'policy',
    'calm p50 ms',
    'p99',
    'p99.9',
    'max/mean',
    'brown-out p50 ms',
    'p99',
    'p99.9',
    'errors',
    'to bad hosts',
    'after: p99 ms',
  ];
  const rows = results.map(({ name, calm, brown, after, maxToMean, badShare }) => [
    name,
    figure(calm.p50),
    figure(calm.p99),
    figure(calm.p999),
    figure(maxToMean),
    figure(brown.p50),
    figure(brown.p99),
    figure(brown.p999),
    percent(brown.errorRate),
    percent(badShare),
    figure(after.p99),
  ]);
  return markdownTable([head, ...rows]);
}

export function scaleOutTable(results: readonly ScaleOutResult[]): string {
  const head = [
    'policy',
    'before: p99 ms',
    'joining: p50 ms',
    'p99',
    'p99.9',
    'errors',
    'share by 2 s',
    'by 6 s',
  ];
  const rows = results.map(({ name, before, joining, shares }) => [
    name,
    figure(before.p99),
    figure(joining.p50),
    figure(joining.p99),
    figure(joining.p999),
    percent(joining.errorRate),
    shareAt(shares, 2),
    shareAt(shares, 6),
  ]);
  return markdownTable([head, ...rows]);
}

/** Of the step that ends with this second. */
function shareAt(shares: ScaleOutResult['shares'], second: number): string {
  return figure(shares.find(([seconds]) => seconds === second)?.[1] ?? Number.NaN);
}

export function retryTable(results: readonly RetryStormResult[]): string {
  const head = ['retries', 'load in the storm', 'errors', 'p99 ms', 'load 5 s later', 'errors', 'p99 ms'];
  const rows = results.map(({ name, storm, after, stormLoad, afterLoad }) => [
    name,
    `${figure(stormLoad)} ×`,
    percent(storm.errorRate),
    figure(storm.p99),
    `${figure(afterLoad)} ×`,
    percent(after.errorRate),
    figure(after.p99),
  ]);
  return markdownTable([head, ...rows]);
}
