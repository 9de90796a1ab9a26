import type { HttpProtocolOptions } from '@dragoman/api';
import type { Runtime } from '@dragoman/core';

const MAX_KB_KEY = 'envoy.reloadable_features.max_response_headers_size_kb';
const MAX_COUNT_KEY = 'envoy.reloadable_features.max_response_headers_count';

const DEFAULT_KB = 60;
const DEFAULT_COUNT = 100;
/** The bounds of the fields. */
const MAX_KB = 8192;
const MAX_UINT32 = 2 ** 32 - 1;

/** What a client codec takes of a response's head. */
export interface HeaderLimits {
  readonly maxHeaderBytes: number;
  readonly maxHeaderCount: number;
}

/**
 * `max_response_headers_kb` and `max_headers_count`; where they are not set, what runtime says as the cluster is made. A runtime value that the field
 * could not have counts as none.
 */
export function readHeaderLimits(options: HttpProtocolOptions | undefined, runtime: Runtime): HeaderLimits {
  const kb = options?.maxResponseHeadersKb ?? within(runtime, MAX_KB_KEY, DEFAULT_KB, MAX_KB);
  const maxHeaderCount =
    options?.maxHeadersCount ?? within(runtime, MAX_COUNT_KEY, DEFAULT_COUNT, MAX_UINT32);
  return { maxHeaderBytes: kb * 1024, maxHeaderCount };
}

function within(runtime: Runtime, key: string, fallback: number, max: number): number {
  const value = runtime.getInteger(key, fallback);
  return value >= 1 && value <= max ? value : fallback;
}
