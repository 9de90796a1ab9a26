import type { RuntimeDouble } from '@dragoman/api';
import type { Runtime } from '@dragoman/core';

/** Reads a `RuntimeDouble` anew at each call. Without the message it is `fallback`. */
export function runtimeNumber(
  config: RuntimeDouble | undefined,
  fallback: number,
  runtime: Runtime,
): () => number {
  if (config === undefined) return () => fallback;
  const { runtimeKey, defaultValue } = config;
  return runtimeKey === '' ? () => defaultValue : () => runtime.getNumber(runtimeKey, defaultValue);
}
