import { type AdaptiveConcurrency, AdaptiveConcurrencySchema } from '@dragoman/api';
import { atPath, ConfigError, refuseUnsupported, type Runtime } from '@dragoman/core';
import { compileRuntimeFlag } from '@dragoman/matching';
import { readSettings, type Settings } from './settings.ts';

const DEFAULT_STATUS = 503;
const FIRST_ERROR = 400;
const FIELD = 'gradient_controller_config';

/** What the filter works with. */
export interface Options {
  readonly settings: Settings;
  /** Of refusals, 400 or more. */
  readonly status: number;
  enabled(): boolean;
}

const SUPPORTED: ReadonlySet<string> = new Set([FIELD, 'enabled', 'concurrency_limit_exceeded_status']);

/** @throws ConfigError with a path below the filter's config */
export function parseConfig(
  config: AdaptiveConcurrency,
  runtime: Runtime,
  warn: (path: string, message: string) => void,
): Options {
  refuseUnsupported(config, AdaptiveConcurrencySchema, SUPPORTED);
  const { case: kind, value } = config.concurrencyControllerConfig;
  if (kind === undefined) throw ConfigError.at(FIELD, 'is required: there is no other controller');
  return {
    settings: atPath(FIELD, () =>
      readSettings(value, runtime, (path, message) => warn(`${FIELD}.${path}`, message)),
    ),
    status: statusOf(config, warn),
    enabled: compileRuntimeFlag(config.enabled, runtime, true),
  };
}

function statusOf(
  { concurrencyLimitExceededStatus }: AdaptiveConcurrency,
  warn: (path: string, message: string) => void,
): number {
  const code: number = concurrencyLimitExceededStatus?.code ?? DEFAULT_STATUS;
  if (code >= FIRST_ERROR) return code;
  warn('concurrency_limit_exceeded_status.code', `${code} is no error: ${DEFAULT_STATUS} is sent`);
  return DEFAULT_STATUS;
}
