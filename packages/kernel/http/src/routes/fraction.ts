import type { RouteMatch } from '@dragoman/api';
import { atPath, ConfigError, type FractionalPercent, type Runtime } from '@dragoman/core';

/** The denominators of `type.v3.FractionalPercent.DenominatorType`. */
const DENOMINATORS = [100, 10_000, 1_000_000] as const;

/** True in a part of the cases. 0 ≤ draw < 2⁵³. */
export type Draw = (draw: number) => boolean;

/**
 * A `RuntimeFractionalPercent`.
 * @throws ConfigError with a path below `path`
 */
export function compileFraction(
  { defaultValue, runtimeKey }: NonNullable<RouteMatch['runtimeFraction']>,
  runtime: Runtime,
  path: string,
): Draw {
  return atPath(path, () => {
    if (defaultValue === undefined) throw ConfigError.at('default_value', 'is required');
    const denominator = DENOMINATORS[defaultValue.denominator];
    if (denominator === undefined)
      throw ConfigError.at('default_value.denominator', 'is no known denominator');
    const fallback: FractionalPercent = { numerator: defaultValue.numerator, denominator };
    return (draw) => runtime.featureEnabled(runtimeKey, fallback, draw);
  });
}
