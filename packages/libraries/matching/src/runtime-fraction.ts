import type { RuntimeFractionalPercent } from '@dragoman/api';
import { ConfigError, type FractionalPercent, type Runtime } from '@dragoman/core';

/** The denominators of `type.v3.FractionalPercent.DenominatorType`. */
const DENOMINATORS = [100, 10_000, 1_000_000] as const;

/**
 * Compiles a `core.v3.RuntimeFractionalPercent` into whether a draw (0 ≤ draw < 2⁵³) falls into it.
 * @throws ConfigError with a path below the message
 */
export function compileRuntimeFraction(
  { defaultValue, runtimeKey }: RuntimeFractionalPercent,
  runtime: Runtime,
): (draw: number) => boolean {
  if (defaultValue === undefined) throw ConfigError.at('default_value', 'is required');
  const denominator = DENOMINATORS[defaultValue.denominator];
  if (denominator === undefined) throw ConfigError.at('default_value.denominator', 'is no known denominator');
  const fallback: FractionalPercent = { numerator: defaultValue.numerator, denominator };
  return (draw) => runtime.featureEnabled(runtimeKey, fallback, draw);
}
