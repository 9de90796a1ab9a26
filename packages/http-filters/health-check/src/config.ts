import { type HttpHealthCheck, HttpHealthCheckSchema } from '@dragoman/api';
import { atPath, ConfigError, type HttpFilterContext, refuseUnsupported } from '@dragoman/core';
import { compileHeaderMatchers, type HeaderPredicate } from '@dragoman/matching';

/** What the filter works with. */
export interface Options {
  /** Whether a request is a health check. */
  readonly matches: HeaderPredicate;
  readonly passThrough: boolean;
  /** 0: answers are not cached. */
  readonly cacheMs: number;
  /** Name and whole percent, in the order of the names as Envoy asks them. */
  readonly clusters: readonly (readonly [name: string, minPercent: number])[];
}

const SUPPORTED: ReadonlySet<string> = new Set([
  'pass_through_mode',
  'cache_time',
  'cluster_min_healthy_percentages',
  'headers',
]);

/** @throws ConfigError with a path below the filter's config */
export function parseConfig(config: HttpHealthCheck, warn: HttpFilterContext['warn']): Options {
  refuseUnsupported(config, HttpHealthCheckSchema, SUPPORTED);
  if (config.passThroughMode === undefined) throw ConfigError.at('pass_through_mode', 'is required');
  const passThrough = config.passThroughMode;
  const { cacheTime, clusterMinHealthyPercentages, headers } = config;
  const cacheMs =
    cacheTime === undefined ? 0 : Number(cacheTime.seconds) * 1000 + Math.floor(cacheTime.nanos / 1e6);
  if (!passThrough && cacheMs !== 0)
    throw ConfigError.at(
      'cache_time',
      'must not be set when pass_through_mode is false: nothing is passed through',
    );
  const entries = Object.entries(clusterMinHealthyPercentages);
  if (passThrough && entries.length > 0)
    warn('HealthCheck.cluster_min_healthy_percentages', 'has no effect with pass_through_mode: true');
  return {
    matches: atPath('headers', () => compileHeaderMatchers(headers)),
    passThrough,
    cacheMs: Math.max(0, cacheMs),
    clusters: passThrough
      ? []
      : entries
          .map(([name, { value }]) => [name, Math.trunc(value)] as const)
          .sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}
