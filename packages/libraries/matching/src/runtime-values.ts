import type { RuntimeDouble, RuntimeFeatureFlag, RuntimePercent, RuntimeUInt32 } from '@dragoman/api';
import type { Runtime } from '@dragoman/core';

const MAX_UINT32 = 2 ** 32 - 1;

/** Compiles a `core.v3.RuntimeFeatureFlag` into what it says now; a message that is absent says `unset`. */
export function compileRuntimeFlag(
  flag: RuntimeFeatureFlag | undefined,
  runtime: Runtime,
  unset: boolean,
): () => boolean {
  const fallback = flag?.defaultValue ?? unset;
  const key = flag?.runtimeKey ?? '';
  return key === '' ? () => fallback : () => runtime.getBoolean(key, fallback);
}

/** Compiles a `core.v3.RuntimeDouble` into what it says now; a message that is absent says `unset`. */
export function compileRuntimeDouble(
  value: Pick<RuntimeDouble, 'defaultValue' | 'runtimeKey'> | undefined,
  runtime: Runtime,
  unset: number,
): () => number {
  const fallback = value?.defaultValue ?? unset;
  const key = value?.runtimeKey ?? '';
  return key === '' ? () => fallback : () => runtime.getNumber(key, fallback);
}

/** As {@link compileRuntimeDouble} for a `core.v3.RuntimePercent`, in percent: the default where runtime is outside of 0 … 100. */
export function compileRuntimePercent(
  percent: RuntimePercent | undefined,
  runtime: Runtime,
  unset: number,
): () => number {
  const fallback = percent === undefined ? unset : (percent.defaultValue?.value ?? 0);
  const key = percent?.runtimeKey ?? '';
  return bounded(
    compileRuntimeDouble({ defaultValue: fallback, runtimeKey: key }, runtime, unset),
    fallback,
    100,
  );
}

/** As {@link compileRuntimeDouble} for a `core.v3.RuntimeUInt32`: the default where runtime holds no whole number of 32 bits. */
export function compileRuntimeUint32(
  value: RuntimeUInt32 | undefined,
  runtime: Runtime,
  unset: number,
): () => number {
  const fallback = value?.defaultValue ?? unset;
  const key = value?.runtimeKey ?? '';
  if (key === '') return () => fallback;
  return bounded(() => runtime.getInteger(key, fallback), fallback, MAX_UINT32);
}

function bounded(read: () => number, fallback: number, max: number): () => number {
  return () => {
    const value = read();
    return value >= 0 && value <= max ? value : fallback;
  };
}
