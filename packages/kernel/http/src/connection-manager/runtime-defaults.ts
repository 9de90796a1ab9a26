import type { HttpConnectionManager } from '@dragoman/api';
import { type FactoryContext, type HeaderLimits, readHeaderLimits } from '@dragoman/core';
import { hashModulo, xxHash64 } from '@dragoman/hashing';
import { escapedSlashesAction, type PathPolicy } from '../path/index.ts';

/** What runtime says where a connection manager's config says nothing. Read once, when the config is compiled, as in Envoy. */

const NORMALIZE_KEY = 'http_connection_manager.normalize_path';
const SLASHES_KEY = 'http_connection_manager.path_with_escaped_slashes_action';
const SLASHES_ENABLED_KEY = 'http_connection_manager.path_with_escaped_slashes_action_enabled';
/** Envoy's documents call {@link SLASHES_ENABLED_KEY} so, its code does not. */
const SLASHES_SAMPLING_KEY = 'http_connection_manager.path_with_escaped_slashes_action_sampling';
const REJECT_FRAGMENT_KEY = 'envoy.reloadable_features.http_reject_path_with_fragment';

/** A multiple of every denominator. */
const DRAWS = 1_000_000;
const NEVER = { numerator: 0, denominator: 100 } as const;
const ALWAYS = { numerator: 100, denominator: 100 } as const;

/** `max_request_headers_kb` and `max_headers_count`. */
export function readRequestLimits(
  { maxRequestHeadersKb, commonHttpProtocolOptions: options }: HttpConnectionManager,
  { runtime }: Pick<FactoryContext, 'runtime'>,
): HeaderLimits {
  return readHeaderLimits('request', maxRequestHeadersKb, options?.maxHeadersCount, runtime);
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
