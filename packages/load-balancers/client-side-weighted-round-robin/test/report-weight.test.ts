import { emptyRuntime, type LoadReport, type Runtime } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../src/config.ts';
import { reportWeight } from '../src/report-weight.ts';
import { configOf, reportOf } from './support.ts';

function weightOf(report: Partial<LoadReport>, config: object = {}, runtime = emptyRuntime): unknown {
  return reportWeight(reportOf(report), readSettings(configOf(config) as never), runtime);
}

const queue = (value: number) => ({ namedMetrics: new Map([['queue', value]]) });
const NAMED = { metric_names_for_computing_utilization: ['named_metrics.queue', 'mem_utilization'] };

it.each<[string, Partial<LoadReport>, object, number | undefined]>([
  ['the processor', { rpsFractional: 100, cpuUtilization: 0.5 }, {}, 200],
  ['a load above 1', { rpsFractional: 100, cpuUtilization: 4 }, {}, 25],
  ['the application before the processor', { applicationUtilization: 0.25, cpuUtilization: 0.5 }, {}, 400],
  ['whole numbers, rounded down', { rpsFractional: 10, cpuUtilization: 3 }, {}, 3],
  ['1 for less', { rpsFractional: 0.5, cpuUtilization: 1 }, {}, 1],
  ['no more than 32 bits', { rpsFractional: 1e300, cpuUtilization: 1e-300 }, {}, 2 ** 32 - 1],
  ['nothing without requests', { rpsFractional: 0 }, {}, undefined],
  ['nothing of negative requests', { rpsFractional: -1 }, {}, undefined],
  ['nothing without load', { cpuUtilization: 0 }, {}, undefined],
  ['nothing of negative load', { cpuUtilization: -1 }, {}, undefined],
  ['nothing of what is no number', { cpuUtilization: Number.NaN }, {}, undefined],
  ['nothing of what is no number', { rpsFractional: Number.NaN }, {}, undefined],
  ['no errors without a penalty', { eps: 50 }, {}, 100],
  ['errors by the penalty', { eps: 50, cpuUtilization: 0.5 }, { error_utilization_penalty: 1 }, 100],
  ['errors by the penalty', { eps: 50, cpuUtilization: 0.5 }, { error_utilization_penalty: 3 }, 50],
  ['errors alone', { eps: 100, cpuUtilization: 0 }, { error_utilization_penalty: 1 }, 100],
  ['errors that make good for the load', { eps: -100 }, { error_utilization_penalty: 1 }, undefined],
  ['named metrics first', { ...queue(2), applicationUtilization: 4 }, NAMED, 50],
  ['the greatest of them', { ...queue(2), memUtilization: 5 }, NAMED, 20],
  ['the application without them', { applicationUtilization: 4 }, NAMED, 25],
  ['the processor without either', {}, NAMED, 100],
  ['the processor instead of negative ones', { ...queue(-1), applicationUtilization: -1 }, NAMED, 100],
])('%s: %j with %j is %s', (_, report, config, weight) => {
  expect(weightOf(report, config)).toBe(weight);
});

describe('when runtime has the application come first', () => {
  const runtime: Runtime = {
    ...emptyRuntime,
    getBoolean: (key, fallback) =>
      key === 'envoy.reloadable_features.orca_weight_manager_use_named_metrics_first' ? false : fallback,
  };

  it.each<[Partial<LoadReport>, number]>([
    [{ ...queue(2), applicationUtilization: 4 }, 25],
    [queue(2), 50],
    [{}, 100],
  ])('%j is %d', (report, weight) => {
    expect(weightOf(report, NAMED, runtime)).toBe(weight);
  });
});

it('is a whole number of 32 bits, or nothing', () => {
  const any = fc.double();
  fc.assert(
    fc.property(any, any, any, any, (rpsFractional, eps, cpuUtilization, applicationUtilization) => {
      const report = { rpsFractional, eps, cpuUtilization, applicationUtilization };
      const weight = weightOf(report, { error_utilization_penalty: 2 });
      if (weight === undefined) return;
      expect(weight).toSatisfy(Number.isInteger);
      expect(weight).toBeGreaterThanOrEqual(1);
      expect(weight).toBeLessThan(2 ** 32);
    }),
    { numRuns: 1000 },
  );
});
