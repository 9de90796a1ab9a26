import { type AdmissionControl, AdmissionControlSchema, durationMs } from '@dragoman/api';
import { atPath, ConfigError, refuseUnsupported, type Runtime } from '@dragoman/core';
import {
  compileRuntimeDouble,
  compileRuntimeFlag,
  compileRuntimePercent,
  compileRuntimeUint32,
} from '@dragoman/matching';
import { compileSuccessCriteria, type SuccessCriteria } from './success-criteria.ts';

const DEFAULT_WINDOW_MS = 30_000;
const DEFAULT_AGGRESSION = 1;
const DEFAULT_THRESHOLD_PERCENT = 95;
const DEFAULT_RPS_THRESHOLD = 0;
const DEFAULT_MAX_REJECTION_PERCENT = 80;
const MIN_THRESHOLD_PERCENT = 1;

/** What the filter works with. The functions read runtime, where the config names a key. */
export interface Options {
  readonly criteria: SuccessCriteria;
  /** Whole, 1 or more. */
  readonly windowSeconds: number;
  enabled(): boolean;
  /** 1 or more. */
  aggression(): number;
  /** Success rate, 0 to 1. */
  threshold(): number;
  /** Requests a second. */
  rpsThreshold(): number;
  /** 0 to 1. */
  maxRejection(): number;
}

const SUPPORTED: ReadonlySet<string> = new Set([
  'enabled',
  'success_criteria',
  'sampling_window',
  'aggression',
  'sr_threshold',
  'rps_threshold',
  'max_rejection_probability',
]);

/** @throws ConfigError with a path below the filter's config */
export function parseConfig(config: AdmissionControl, runtime: Runtime): Options {
  refuseUnsupported(config, AdmissionControlSchema, SUPPORTED);
  checkThreshold(config);
  const aggression = compileRuntimeDouble(config.aggression, runtime, DEFAULT_AGGRESSION);
  const threshold = compileRuntimePercent(config.srThreshold, runtime, DEFAULT_THRESHOLD_PERCENT);
  const maxRejection = compileRuntimePercent(
    config.maxRejectionProbability,
    runtime,
    DEFAULT_MAX_REJECTION_PERCENT,
  );
  return {
    criteria: criteriaOf(config),
    windowSeconds: windowSecondsOf(config),
    enabled: compileRuntimeFlag(config.enabled, runtime, true),
    aggression: () => Math.max(1, aggression()),
    threshold: () => threshold() / 100,
    rpsThreshold: compileRuntimeUint32(config.rpsThreshold, runtime, DEFAULT_RPS_THRESHOLD),
    maxRejection: () => maxRejection() / 100,
  };
}

function criteriaOf({ evaluationCriteria }: AdmissionControl): SuccessCriteria {
  const { case: kind, value } = evaluationCriteria;
  if (kind === undefined)
    throw ConfigError.at('success_criteria', 'is required; {} takes the default statuses for successes');
  return atPath('success_criteria', () => compileSuccessCriteria(value));
}

function checkThreshold({ srThreshold }: AdmissionControl): void {
  if (srThreshold === undefined) return;
  const percent = srThreshold.defaultValue?.value ?? 0;
  if (percent < MIN_THRESHOLD_PERCENT)
    throw ConfigError.at(
      'sr_threshold.default_value',
      `must be at least ${MIN_THRESHOLD_PERCENT} (percent), is ${percent}`,
    );
}

function windowSecondsOf({ samplingWindow }: AdmissionControl): number {
  const ms = durationMs(samplingWindow) ?? DEFAULT_WINDOW_MS;
  if (ms < 1000) throw ConfigError.at('sampling_window', 'must be at least 1s: the window has whole seconds');
  return Math.floor(ms / 1000);
}
