import { OmitCanaryHostsPredicateSchema } from '@dragoman/api';
import { defineRetryHostPredicate, type RetryHostPredicate } from '@dragoman/core';

/** Remembers nothing of a request: one does for all. */
const PREDICATE: RetryHostPredicate = {
  shouldSkip: (host) => host.canary,
  onHostAttempted() {},
};

/** `envoy.retry_host_predicates.omit_canary_hosts`: leaves out the hosts whose metadata says that they are canaries. */
export const omitCanaryHosts = defineRetryHostPredicate({
  name: 'envoy.retry_host_predicates.omit_canary_hosts',
  config: OmitCanaryHostsPredicateSchema,
  create: () => () => PREDICATE,
});
