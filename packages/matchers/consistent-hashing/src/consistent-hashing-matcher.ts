import { ConsistentHashingSchema } from '@dragoman/api';
import { ConfigError, defineValueMatcher } from '@dragoman/core';
import { hashModulo, xxHash64 } from '@dragoman/hashing';

/** Holds for a value whose hash, modulo `modulo`, is `threshold` at least: for the same values everywhere. */
export const consistentHashingMatcher = defineValueMatcher({
  name: 'envoy.matching.matchers.consistent_hashing',
  config: ConsistentHashingSchema,
  create({ threshold, modulo, seed }) {
    if (modulo === 0) throw ConfigError.at('modulo', 'must be greater than 0');
    const from = { high: Number(seed >> 32n), low: Number(seed & 0xffff_ffffn) };
    return {
      takes: 'text',
      matches: (value) => typeof value === 'string' && hashModulo(xxHash64(value, from), modulo) >= threshold,
    };
  },
});
