import { RuntimeFractionSchema } from '@dragoman/api';
import { atPath, ConfigError, defineValueMatcher } from '@dragoman/core';
import { hashModulo, xxHash64 } from '@dragoman/hashing';
import { compileRuntimeFraction } from '@dragoman/matching';

/** A multiple of every denominator that a fraction can have: the remainder of a hash draws as the hash itself would. */
const DRAW_FROM = 1_000_000;

/** Holds for a share of the values, drawn by their hash; the share can be changed at run time. */
export const runtimeFractionMatcher = defineValueMatcher({
  name: 'envoy.matching.matchers.runtime_fraction',
  config: RuntimeFractionSchema,
  create({ runtimeFraction: fraction, seed }, { runtime }) {
    if (fraction === undefined) throw ConfigError.at('runtime_fraction', 'is required');
    const holds = atPath('runtime_fraction', () => compileRuntimeFraction(fraction, runtime));
    const from = { high: Number(seed >> 32n), low: Number(seed & 0xffff_ffffn) };
    return {
      takes: 'text',
      matches: (value) => typeof value === 'string' && holds(hashModulo(xxHash64(value, from), DRAW_FROM)),
    };
  },
});
