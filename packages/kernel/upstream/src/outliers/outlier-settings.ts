import { durationMs, type OutlierDetection, OutlierDetectionSchema } from '@dragoman/api';
import { ConfigError, ProblemCollector, refuseUnsupported } from '@dragoman/core';

/** `outlier_detection` of a cluster, with Envoy's defaults. Times in milliseconds, shares in percent. */
export interface OutlierSettings {
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionTimeJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly enforcingConsecutive5xx: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly enforcingSuccessRate: number;
  readonly enforcingLocalOriginSuccessRate: number;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** Thousandths of the standard deviation. */
  readonly successRateStdevFactor: number;
  readonly failurePercentageThreshold: number;
  readonly enforcingFailurePercentage: number;
  readonly enforcingFailurePercentageLocalOrigin: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  readonly splitErrors: boolean;
  readonly successfulHealthCheckUnejects: boolean;
}

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_BASE_EJECTION_MS = 30_000;
const DEFAULT_MAX_EJECTION_MS = 300_000;

const FIELDS = new Set(
  OutlierDetectionSchema.fields.map(({ name }) => name).filter((name) => name !== 'monitors'),
);

/** @throws ConfigError with every problem, paths relative to the message */
export function readOutlierDetection(config: OutlierDetection): OutlierSettings {
  const problems = new ProblemCollector();
  problems.try('', () =>
    refuseUnsupported(config, OutlierDetectionSchema, FIELDS, '', {
      monitors: 'monitors that are extensions are not built yet',
    }),
  );
  const baseEjectionTimeMs = durationMs(config.baseEjectionTime) ?? DEFAULT_BASE_EJECTION_MS;
  const maxEjectionTimeMs =
    durationMs(config.maxEjectionTime) ?? Math.max(DEFAULT_MAX_EJECTION_MS, baseEjectionTimeMs);
  problems.try('', () => {
    if (maxEjectionTimeMs < baseEjectionTimeMs)
      throw ConfigError.at('max_ejection_time', 'must not be less than base_ejection_time');
  });
  problems.throwIfAny();
  return {
    intervalMs: durationMs(config.interval) ?? DEFAULT_INTERVAL_MS,
    baseEjectionTimeMs,
    maxEjectionTimeMs,
    maxEjectionTimeJitterMs: durationMs(config.maxEjectionTimeJitter) ?? 0,
    maxEjectionPercent: config.maxEjectionPercent ?? 10,
    alwaysEjectOneHost: config.alwaysEjectOneHost ?? false,
    consecutive5xx: config.consecutive5xx ?? 5,
    consecutiveGatewayFailure: config.consecutiveGatewayFailure ?? 5,
    consecutiveLocalOriginFailure: config.consecutiveLocalOriginFailure ?? 5,
    enforcingConsecutive5xx: config.enforcingConsecutive5xx ?? 100,
    enforcingConsecutiveGatewayFailure: config.enforcingConsecutiveGatewayFailure ?? 0,
    enforcingConsecutiveLocalOriginFailure: config.enforcingConsecutiveLocalOriginFailure ?? 100,
    enforcingSuccessRate: config.enforcingSuccessRate ?? 100,
    enforcingLocalOriginSuccessRate: config.enforcingLocalOriginSuccessRate ?? 100,
    successRateMinimumHosts: config.successRateMinimumHosts ?? 5,
    successRateRequestVolume: config.successRateRequestVolume ?? 100,
    successRateStdevFactor: config.successRateStdevFactor ?? 1900,
    failurePercentageThreshold: config.failurePercentageThreshold ?? 85,
    enforcingFailurePercentage: config.enforcingFailurePercentage ?? 0,
    enforcingFailurePercentageLocalOrigin: config.enforcingFailurePercentageLocalOrigin ?? 0,
    failurePercentageMinimumHosts: config.failurePercentageMinimumHosts ?? 5,
    failurePercentageRequestVolume: config.failurePercentageRequestVolume ?? 50,
    splitErrors: config.splitExternalLocalOriginErrors,
    successfulHealthCheckUnejects: config.successfulActiveHealthCheckUnejectHost ?? true,
  };
}
