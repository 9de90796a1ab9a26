import {
  type ClientSideWeightedRoundRobin,
  ClientSideWeightedRoundRobinSchema,
  durationMs,
} from '@dragoman/api';
import { refuseUnsupported } from '@dragoman/core';

/** How weights come from reports. Times are milliseconds. */
export interface Settings {
  /** What errors add to the utilization: this × errors / requests. */
  readonly errorPenalty: number;
  /** Since its first report a host must have been reporting for this long. */
  readonly blackoutMs: number;
  /** After this time without a report a weight counts no longer. */
  readonly expirationMs: number;
  /** Between two times that weights are worked out. */
  readonly updateMs: number;
  readonly metricNames: readonly string[];
}

/** Envoy's defaults of `ClientSideWeightedRoundRobin`. */
const DEFAULT_BLACKOUT_MS = 10_000;
const DEFAULT_EXPIRATION_MS = 180_000;
const DEFAULT_UPDATE_MS = 1_000;
/** Shorter times count as this (`weight_update_period` of the API). */
const MIN_UPDATE_MS = 100;
/** The API says 1, and Envoy's code comes to this when the field is not set: the code is what runs. */
const DEFAULT_PENALTY = 0;

const FIELDS = new Set([
  'blackout_period',
  'weight_expiration_period',
  'weight_update_period',
  'error_utilization_penalty',
  'metric_names_for_computing_utilization',
  'slow_start_config',
]);
const OUT_OF_BAND =
  'load reports outside of responses are not built: hosts send theirs in headers or trailers of responses; remove it';

/** @throws ConfigError for out-of-band reports */
export function readSettings(config: ClientSideWeightedRoundRobin): Settings {
  const supported =
    config.enableOobLoadReport === true ? FIELDS : new Set([...FIELDS, 'enable_oob_load_report']);
  refuseUnsupported(config, ClientSideWeightedRoundRobinSchema, supported, '', {
    enable_oob_load_report: OUT_OF_BAND,
    oob_reporting_period: OUT_OF_BAND,
  });
  return {
    errorPenalty: config.errorUtilizationPenalty ?? DEFAULT_PENALTY,
    blackoutMs: durationMs(config.blackoutPeriod) ?? DEFAULT_BLACKOUT_MS,
    expirationMs: durationMs(config.weightExpirationPeriod) ?? DEFAULT_EXPIRATION_MS,
    updateMs: Math.max(MIN_UPDATE_MS, durationMs(config.weightUpdatePeriod) ?? DEFAULT_UPDATE_MS),
    metricNames: config.metricNamesForComputingUtilization,
  };
}
