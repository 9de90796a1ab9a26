import { isDeepStrictEqual } from 'node:util';
import { type Metadata, MetadataSchema, OmitHostMetadataConfigSchema } from '@dragoman/api';
import {
  defineRetryHostPredicate,
  type HostDescription,
  type MetadataValue,
  refuseUnsupported,
  type RetryHostPredicate,
} from '@dragoman/core';

/** Where load balancers look for the metadata of a host. */
const NAMESPACE = 'envoy.lb';
const METADATA_FIELDS = new Set(['filter_metadata']);

/** `envoy.retry_host_predicates.omit_host_metadata`: leaves out the hosts that have all the metadata of its config. */
export const omitHostMetadata = defineRetryHostPredicate({
  name: 'envoy.retry_host_predicates.omit_host_metadata',
  config: OmitHostMetadataConfigSchema,
  create(config) {
    const labels = readLabels(config?.metadataMatch);
    const predicate: RetryHostPredicate = {
      shouldSkip: (host) => labels.length > 0 && hasAll(host, labels),
      onHostAttempted() {},
    };
    return () => predicate;
  },
});

type Label = readonly [key: string, value: MetadataValue];

function readLabels(metadata: Metadata | undefined): readonly Label[] {
  if (metadata === undefined) return [];
  refuseUnsupported(metadata, MetadataSchema, METADATA_FIELDS, 'metadata_match');
  return Object.entries(metadata.filterMetadata[NAMESPACE] ?? {}) as Label[];
}

function hasAll(host: HostDescription, labels: readonly Label[]): boolean {
  const values = host.metadata.get(NAMESPACE);
  if (values === undefined) return false;
  return labels.every(([key, wanted]) => Object.hasOwn(values, key) && holds(values[key], wanted));
}

/** A host with a list of values has each of them. */
function holds(value: MetadataValue, wanted: MetadataValue): boolean {
  if (Array.isArray(value)) return value.some((one) => isDeepStrictEqual(one, wanted));
  return isDeepStrictEqual(value, wanted);
}
