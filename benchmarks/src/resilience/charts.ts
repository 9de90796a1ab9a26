import { type BrownOutResult, BROWN_FROM_MS, BROWN_UNTIL_MS } from './brown-out.ts';
import { lineChart, type Series } from './line-chart.ts';
import { type RetryStormResult, STORM_FROM_MS, STORM_UNTIL_MS } from './retry-storm.ts';
import type { ScaleOutResult } from './scale-out.ts';

const BROWN_SPAN = { from: BROWN_FROM_MS / 1000, until: BROWN_UNTIL_MS / 1000, name: 'brown-out' };

type Step = BrownOutResult['timeline'][number];

function lines(results: readonly BrownOutResult[], value: (step: Step) => number): readonly Series[] {
  return results.map(({ name, timeline }) => ({
    name,
    points: timeline.map((step) => [step.fromMs / 1000, value(step)] as const),
  }));
}

export function slowChart(results: readonly BrownOutResult[]): string {
  return lineChart({
    title: 'A tenth of the hosts is slow: 99th percentile',
    x: 'seconds, when a request began',
    y: 'milliseconds',
    series: lines(results, ({ p99 }) => p99),
    span: BROWN_SPAN,
    logarithmic: true,
  });
}

export function failingChart(results: readonly BrownOutResult[]): string {
  return lineChart({
    title: 'A tenth of the hosts fails fast: errors',
    x: 'seconds, when a request began',
    y: 'percent of the requests',
    series: lines(results, ({ errorRate }) => errorRate * 100),
    span: BROWN_SPAN,
  });
}

export function sharesChart(results: readonly ScaleOutResult[]): string {
  return lineChart({
    title: 'New hosts: what one gets of an even share',
    x: 'seconds since they joined',
    y: 'share',
    series: results.map(({ name, shares }) => ({ name, points: shares })),
  });
}

export function goodputChart(results: readonly RetryStormResult[]): string {
  return lineChart({
    title: 'Five slow seconds: requests answered well',
    x: 'seconds, when a request began',
    y: 'a second',
    series: results.map(({ name, goodput }) => ({ name, points: goodput })),
    span: { from: STORM_FROM_MS / 1000, until: STORM_UNTIL_MS / 1000, name: 'all hosts slow' },
  });
}
