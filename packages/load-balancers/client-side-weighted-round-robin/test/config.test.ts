import { ConfigError } from '@dragoman/core';
import { loadBalancerConformance } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../src/config.ts';
import { clientSideWeightedRoundRobin } from '../src/index.ts';
import { configOf } from './support.ts';

const OUT_OF_BAND = /outside of responses/;

loadBalancerConformance(
  { describe, it },
  {
    extension: clientSideWeightedRoundRobin,
    config: configOf(),
    weighted: false,
    invalid: [
      {
        name: 'reports out of band',
        config: configOf({ enable_oob_load_report: true }),
        path: 'enable_oob_load_report',
      },
      {
        name: 'their period',
        config: configOf({ oob_reporting_period: '10s' }),
        path: 'oob_reporting_period',
      },
    ],
  },
);

const DEFAULTS = {
  errorPenalty: 0,
  blackoutMs: 10_000,
  expirationMs: 180_000,
  updateMs: 1_000,
  metricNames: [],
};

it.each<[object, object]>([
  [{}, {}],
  [{ enable_oob_load_report: false }, {}],
  [{ error_utilization_penalty: 2.5 }, { errorPenalty: 2.5 }],
  [{ blackout_period: '0s' }, { blackoutMs: 0 }],
  [{ blackout_period: '1.5s' }, { blackoutMs: 1_500 }],
  [{ weight_expiration_period: '60s' }, { expirationMs: 60_000 }],
  [{ weight_update_period: '5s' }, { updateMs: 5_000 }],
  [{ weight_update_period: '0.1s' }, { updateMs: 100 }],
  [{ weight_update_period: '0.05s' }, { updateMs: 100 }],
  [{ weight_update_period: '0s' }, { updateMs: 100 }],
  [
    { metric_names_for_computing_utilization: ['cpu_utilization', 'named_metrics.a'] },
    { metricNames: ['cpu_utilization', 'named_metrics.a'] },
  ],
  [{ slow_start_config: { slow_start_window: '10s' } }, {}],
])('%j', (config, settings) => {
  expect(readSettings(configOf(config) as never)).toEqual({ ...DEFAULTS, ...settings });
});

it('names everything that is out of band, and why it is refused', () => {
  const config = configOf({ enable_oob_load_report: true, oob_reporting_period: '1s' });
  expect(() => readSettings(config as never)).toThrow(ConfigError);
  try {
    readSettings(config as never);
  } catch (error) {
    const { problems } = error as ConfigError;
    expect(problems.map(({ path }) => path)).toEqual(['enable_oob_load_report', 'oob_reporting_period']);
    for (const { message } of problems) expect(message).toMatch(OUT_OF_BAND);
  }
});
