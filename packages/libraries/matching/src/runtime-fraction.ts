import type { FractionalPercent as FractionConfig, RuntimeFractionalPercent } from '@dragoman/api';
import { atPath, ConfigError, type FractionalPercent, type Runtime } from '@dragoman/core';

/** The denominators of `type.v3.FractionalPercent.DenominatorType`. */
const DENOMINATORS = [100, 10_000, 1_000_000] as const;

/** @throws ConfigError at `denominator` for one that the API does not have */
export function fractionDenominator({
  denominator,
}: Pick<FractionConfig, 'denominator'>): FractionalPercent['denominator'] {
  const known = DENOMINATORS[denominator];
  if (known === undefined) throw ConfigError.at('denominator', 'is no known denominator');
  return known;
}

/**
 * Compiles a `core.v3.RuntimeFractionalPercent` into whether a draw (0 ≤ draw < 2⁵³) falls into it.
 * @throws ConfigError with a path below the message
 */
export function compileRuntimeFraction(
  { defaultValue, runtimeKey }: RuntimeFractionalPercent,
  runtime: Runtime,
): (draw: number) => boolean {
  if (defaultValue === undefined) throw ConfigError.at('default_value', 'is required');
  const denominator = atPath('default_value', () => fractionDenominator(defaultValue));
  const fallback: FractionalPercent = { numerator: defaultValue.numerator, denominator };
  return (draw) => runtime.featureEnabled(runtimeKey, fallback, draw);
}
