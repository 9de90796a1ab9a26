import { DynamicMetadataInputSchema } from '@dragoman/api';
import { ConfigError, defineMatchInput } from '@dragoman/core';
import { metadataValue } from '@dragoman/matching';

/** A value of the request's dynamic metadata. It is no text: only `envoy.matching.matchers.metadata_matcher` takes it. */
export const dynamicMetadataInput = defineMatchInput({
  name: 'envoy.matching.inputs.dynamic_metadata',
  config: DynamicMetadataInputSchema,
  createHttp(config) {
    const { filter } = config;
    if (filter === '') throw ConfigError.at('filter', 'is required');
    if (config.path.length === 0) throw ConfigError.at('path', 'needs one key at least');
    const path = config.path.map(({ segment }, i) => {
      if (segment.case !== 'key' || segment.value === '') throw ConfigError.at(`path[${i}]`, 'needs key');
      return segment.value;
    });
    return {
      kind: 'value',
      get: ({ info }) =>
        metadataValue(info.hasDynamicMetadata ? info.dynamicMetadata : undefined, filter, path),
    };
  },
});
