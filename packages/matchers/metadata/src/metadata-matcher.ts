import { InputMatchersMetadataSchema } from '@dragoman/api';
import { atPath, ConfigError, defineValueMatcher } from '@dragoman/core';
import { compileValueMatcher } from '@dragoman/matching';

/** Judges a value of metadata. One that is not there is asked about too: `present_match` and `invert` count for it. */
export const metadataMatcher = defineValueMatcher({
  name: 'envoy.matching.matchers.metadata_matcher',
  config: InputMatchersMetadataSchema,
  create({ value: expected, invert }) {
    if (expected === undefined) throw ConfigError.at('value', 'is required');
    const matches = atPath('value', () => compileValueMatcher(expected));
    return { takes: 'value', matches: (value) => matches(value) !== invert };
  },
});
