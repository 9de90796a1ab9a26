import { create, OmitCanaryHostsPredicateSchema } from '@dragoman/api';
import { retryHostPredicateConformance, testContext, testHost } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { omitCanaryHosts } from '../src/index.ts';

const config = create(OmitCanaryHostsPredicateSchema);
retryHostPredicateConformance({ describe, it }, { extension: omitCanaryHosts, config });

it.each([
  ['a canary', true],
  ['another host', false],
] as const)('%s: left out %s', (_name, canary) => {
  const predicate = omitCanaryHosts.create(config as never, testContext())();
  const host = { ...testHost('10.0.0.1:80'), canary };
  expect(predicate.shouldSkip(host)).toBe(canary);
  predicate.onHostAttempted(host);
  expect(predicate.shouldSkip(host)).toBe(canary);
});
