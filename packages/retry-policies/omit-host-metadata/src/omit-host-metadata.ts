import { type Metadata, MetadataSchema, OmitHostMetadataConfigSchema } from '@dragoman/api';
import { defineRetryHostPredicate, refuseUnsupported, type RetryHostPredicate } from '@dragoman/core';
import { hasLabels, type Label, LB_METADATA } from '@dragoman/load-balancing';

const METADATA_FIELDS = new Set(['filter_metadata']);

/** `envoy.retry_host_predicates.omit_host_metadata`: leaves out the hosts that have all the metadata of its config. */
export const omitHostMetadata = defineRetryHostPredicate({
  name: 'envoy.retry_host_predicates.omit_host_metadata',
  config: OmitHostMetadataConfigSchema,
  create(config) {
    const labels = readLabels(config?.metadataMatch);
    const predicate: RetryHostPredicate = {
      shouldSkip: (host) => labels.length > 0 && hasLabels(host, labels, true),
      onHostAttempted() {},
    };
    return () => predicate;
  },
});

function readLabels(metadata: Metadata | undefined): readonly Label[] {
  if (metadata === undefined) return [];
  refuseUnsupported(metadata, MetadataSchema, METADATA_FIELDS, 'metadata_match');
  return Object.entries(metadata.filterMetadata[LB_METADATA] ?? {}) as Label[];
}
