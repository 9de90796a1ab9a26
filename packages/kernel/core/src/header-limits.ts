import type { Runtime } from './runtime.ts';

const DEFAULT_KB = 60;
const DEFAULT_COUNT = 100;
/** The bounds of the fields. */
const MAX_KB = 8192;
const MAX_UINT32 = 2 ** 32 - 1;

/** What a codec takes of a head. */
export interface HeaderLimits {
  /** Bytes, default 61440. */
  readonly maxHeaderBytes: number;
  /** Default 100. */
  readonly maxHeaderCount: number;
}

/**
 * `max_<kind>_headers_kb` and `max_headers_count`; where they are not set, what runtime says now
 * (`envoy.reloadable_features.max_<kind>_headers_size_kb`, `…_count`). A runtime value that the field could not have counts as none.
 */
export function readHeaderLimits(
  kind: 'request' | 'response',
  maxKb: number | undefined,
  maxCount: number | undefined,
  runtime: Runtime,
): HeaderLimits {
  const key = `envoy.reloadable_features.max_${kind}_headers_`;
  const kb = maxKb ?? within(runtime, `${key}size_kb`, DEFAULT_KB, MAX_KB);
  const maxHeaderCount = maxCount ?? within(runtime, `${key}count`, DEFAULT_COUNT, MAX_UINT32);
  return { maxHeaderBytes: kb * 1024, maxHeaderCount };
}

function within(runtime: Runtime, key: string, fallback: number, max: number): number {
  const value = runtime.getInteger(key, fallback);
  return value >= 1 && value <= max ? value : fallback;
}
