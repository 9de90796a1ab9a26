import type { HttpConnectionManager } from '@dragoman/api';
import type { FactoryContext, Runtime } from '@dragoman/core';
import { hashModulo, xxHash64 } from '@dragoman/hashing';
import { escapedSlashesAction, type PathPolicy } from '../path/index.ts';

/** What runtime says where a connection manager's config says nothing. Read once, when the config is compiled, as in Envoy. */

const MAX_HEADERS_KB_KEY = 'envoy.reloadable_features.max_request_headers_size_kb';
const MAX_HEADERS_KEY = 'envoy.reloadable_features.max_request_headers_count';
const NORMALIZE_KEY = 'http_connection_manager.normalize_path';
const SLASHES_KEY = 'http_connection_manager.path_with_escaped_slashes_action';
const SLASHES_ENABLED_KEY = 'http_connection_manager.path_with_escaped_slashes_action_enabled';
/** Envoy's documents call {@link SLASHES_ENABLED_KEY} so, its code does not. */
const SLASHES_SAMPLING_KEY = 'http_connection_manager.path_with_escaped_slashes_action_sampling';
const REJECT_FRAGMENT_KEY = 'envoy.reloadable_features.http_reject_path_with_fragment';

const DEFAULT_HEADERS_KB = 60;
const DEFAULT_HEADERS = 100;
/** The bounds of the fields. */
const MAX_HEADERS_KB = 8192;
const MAX_UINT32 = 2 ** 32 - 1;

/** A multiple of every denominator. */
const DRAWS = 1_000_000;
const NEVER = { numerator: 0, denominator: 100 } as const;
const ALWAYS = { numerator: 100, denominator: 100 } as const;

export interface HeaderLimits {
  readonly maxHeaderBytes: number;
  readonly maxHeaderCount: number;
}

/** `max_request_headers_kb` and `max_headers_count`. A runtime value that the field could not have counts as none. */
export function readHeaderLimits(config: HttpConnectionManager, runtime: Runtime): HeaderLimits {
  const kb =
    config.maxRequestHeadersKb ?? within(runtime, MAX_HEADERS_KB_KEY, DEFAULT_HEADERS_KB, MAX_HEADERS_KB);
  const maxHeaderCount =
    config.commonHttpProtocolOptions?.maxHeadersCount ??
    within(runtime, MAX_HEADERS_KEY, DEFAULT_HEADERS, MAX_UINT32);
  return { maxHeaderBytes: kb * 1024, maxHeaderCount };
}

function within(runtime: Runtime, key: string, fallback: number, max: number): number {
  const value = runtime.getInteger(key, fallback);
  return value >= 1 && value <= max ? value : fallback;
}

/**
 * `normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action`. A share of less than 100 % is one of proxies, not of requests: drawn
 * by node and `stat_prefix`, so that every worker comes to the same.
 */
export function readPathPolicy(config: HttpConnectionManager, context: FactoryContext): PathPolicy {
  const { runtime, localInfo, warn } = context;
  const draw = hashModulo(xxHash64(`${localInfo.node}/${config.statPrefix}`), DRAWS);
  if (runtime.get(SLASHES_SAMPLING_KEY) !== undefined)
    warn(
      SLASHES_SAMPLING_KEY,
      `has no effect: the runtime key that is read, here and in Envoy, is ${SLASHES_ENABLED_KEY}`,
    );
  return {
    normalize: config.normalizePath ?? runtime.featureEnabled(NORMALIZE_KEY, NEVER, draw),
    mergeSlashes: config.mergeSlashes,
    escapedSlashes: runtime.featureEnabled(SLASHES_ENABLED_KEY, ALWAYS, draw)
      ? escapedSlashesAction(config.pathWithEscapedSlashesAction || runtime.getInteger(SLASHES_KEY, 0))
      : 'keep',
    dropFragment: () => !runtime.getBoolean(REJECT_FRAGMENT_KEY, true),
  };
}
