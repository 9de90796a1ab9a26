import { create, PreviousHostsPredicateSchema } from '@dragoman/api';
import { retryHostPredicateConformance, testContext, testHosts } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { previousHosts } from '../src/index.ts';

const config = create(PreviousHostsPredicateSchema);
retryHostPredicateConformance({ describe, it }, { extension: previousHosts, config });

it('leaves out the hosts that were tried, and only those', () => {
  const predicate = previousHosts.create(config as never, testContext())();
  const hosts = testHosts(3);
  const skipped = () => hosts.map((host) => predicate.shouldSkip(host));
  expect(skipped()).toEqual([false, false, false]);
  predicate.onHostAttempted(hosts[1]);
  expect(skipped()).toEqual([false, true, false]);
  predicate.onHostAttempted(hosts[0]);
  predicate.onHostAttempted(hosts[1]);
  expect(skipped()).toEqual([true, true, false]);
});
