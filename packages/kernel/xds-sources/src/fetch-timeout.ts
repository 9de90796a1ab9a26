import { type ConfigSourceSchema, durationMs, type MessageShape } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/** Envoy's default. */
const DEFAULT_MS = 15_000;
/** What timers take. */
const MAX_MS = 2 ** 31 - 1;

/**
 * How long whoever waits for the first update does so, ms; 0: without end.
 * @throws ConfigError with a path below the config source
 */
export function initialFetchTimeoutMs({
  initialFetchTimeout,
}: Pick<MessageShape<typeof ConfigSourceSchema>, 'initialFetchTimeout'>): number {
  const ms = durationMs(initialFetchTimeout) ?? DEFAULT_MS;
  if (ms < 0) throw ConfigError.at('initial_fetch_timeout', 'may not be negative; 0 waits without end');
  return Math.min(Math.ceil(ms), MAX_MS);
}
