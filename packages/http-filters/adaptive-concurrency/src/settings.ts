import { durationMs, type GradientControllerConfig, type Percent } from '@dragoman/api';
import { ConfigError, type Runtime } from '@dragoman/core';

const RUNTIME_PREFIX = 'adaptive_concurrency.gradient_controller.';

const DEFAULT_MAX_LIMIT = 1000;
const DEFAULT_REQUEST_COUNT = 50;
const DEFAULT_MIN_CONCURRENCY = 3;
const DEFAULT_PERCENTILE = 50;
const DEFAULT_JITTER_PERCENT = 15;
const DEFAULT_BUFFER_PERCENT = 25;

/** What the controller works with. The functions read runtime, each under a fixed key. */
export interface Settings {
  /** ms; undefined where the minRTT is measured. */
  readonly fixedMinRttMs: number | undefined;
  /** Between two measurements of the minRTT, ms. */
  minRttIntervalMs(): number;
  /** Share of the interval that the next measurement is put off by at most, 0 to 1. */
  jitter(): number;
  /** Samples of a measurement. */
  requestCount(): number;
  /** Share of the minRTT that is added to it, 0 to 1. */
  buffer(): number;
  /** Between two limits, ms. */
  updateIntervalMs(): number;
  minConcurrency(): number;
  maxLimit(): number;
  /** Of the samples that stand for a window, 0 to 1. */
  percentile(): number;
}

/** @throws ConfigError with a path below `gradient_controller_config` */
export function readSettings(
  config: GradientControllerConfig,
  runtime: Runtime,
  warn: (path: string, message: string) => void,
): Settings {
  const { concurrencyLimitParams: limits, minRttCalcParams: minRtt } = config;
  const updateIntervalMs = wholeMs(limits?.concurrencyUpdateInterval);
  if (updateIntervalMs === undefined || updateIntervalMs < 1)
    throw ConfigError.at(
      'concurrency_limit_params.concurrency_update_interval',
      'is required, and at least 1ms: how often the limit is computed, such as 0.1s',
    );
  const fixedMinRttMs = fixedMinRtt(config, warn);
  const intervalMs = wholeMs(minRtt?.interval) ?? 0;
  if (fixedMinRttMs === undefined && intervalMs < 1)
    throw ConfigError.at(
      'min_rtt_calc_params.interval',
      'is required, and at least 1ms: how often the minRTT is measured, such as 60s. Or set fixed_value',
    );
  const count = (key: string, fallback: number) => () =>
    Math.max(1, runtime.getInteger(RUNTIME_PREFIX + key, fallback));
  const share = (key: string, percent: Percent | undefined, unset: number) => () =>
    Math.max(0, Math.min(100, runtime.getNumber(RUNTIME_PREFIX + key, percent?.value ?? unset))) / 100;
  return {
    fixedMinRttMs,
    minRttIntervalMs: count('min_rtt_calc_interval_ms', intervalMs),
    jitter: share('jitter', minRtt?.jitter, DEFAULT_JITTER_PERCENT),
    requestCount: count('min_rtt_aggregate_request_count', minRtt?.requestCount ?? DEFAULT_REQUEST_COUNT),
    buffer: share('min_rtt_buffer', minRtt?.buffer, DEFAULT_BUFFER_PERCENT),
    updateIntervalMs: count('sample_rtt_calc_interval_ms', updateIntervalMs),
    minConcurrency: count('min_concurrency', minRtt?.minConcurrency ?? DEFAULT_MIN_CONCURRENCY),
    maxLimit: count('max_concurrency_limit', limits?.maxConcurrencyLimit ?? DEFAULT_MAX_LIMIT),
    percentile: share('sample_aggregate_percentile', config.sampleAggregatePercentile, DEFAULT_PERCENTILE),
  };
}

/** What is said of measurements has no effect beside it. */
function fixedMinRtt(
  { minRttCalcParams: minRtt }: GradientControllerConfig,
  warn: (path: string, message: string) => void,
): number | undefined {
  const ms = wholeMs(minRtt?.fixedValue);
  if (minRtt === undefined || ms === undefined) return undefined;
  if (ms < 1) throw ConfigError.at('min_rtt_calc_params.fixed_value', 'must be at least 1ms');
  const measuring = {
    interval: minRtt.interval,
    request_count: minRtt.requestCount,
    jitter: minRtt.jitter,
  };
  for (const [field, value] of Object.entries(measuring))
    if (value !== undefined)
      warn(`min_rtt_calc_params.${field}`, 'has no effect beside fixed_value: the minRTT is not measured');
  return ms;
}

function wholeMs(duration: Parameters<typeof durationMs>[0]): number | undefined {
  const ms = durationMs(duration);
  return ms === undefined ? undefined : Math.floor(ms);
}
