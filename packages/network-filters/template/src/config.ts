import type { UInt32Value } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/** What the filter works with: the config, checked and compiled. */
export interface Options {
  /** 1 or more. */
  readonly maximumBytes: number;
}

/** @throws ConfigError with a path below the filter's config */
export function parseConfig(config: UInt32Value): Options {
  if (config.value < 1) throw ConfigError.at('value', 'at least one byte must be allowed');
  return { maximumBytes: config.value };
}
