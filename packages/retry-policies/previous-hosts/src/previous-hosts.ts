import { PreviousHostsPredicateSchema } from '@dragoman/api';
import { defineRetryHostPredicate, type Host, type RetryHostPredicate } from '@dragoman/core';

/** `envoy.retry_host_predicates.previous_hosts`: leaves out the hosts that a request has been to. */
export const previousHosts = defineRetryHostPredicate({
  name: 'envoy.retry_host_predicates.previous_hosts',
  config: PreviousHostsPredicateSchema,
  create: () => () => new PreviousHosts(),
});

class PreviousHosts implements RetryHostPredicate {
  /** As many as there are tries: a list is searched sooner than a set. */
  private readonly attempted: Host[] = [];

  shouldSkip(host: Host): boolean {
    return this.attempted.includes(host);
  }

  onHostAttempted(host: Host): void {
    this.attempted.push(host);
  }
}
