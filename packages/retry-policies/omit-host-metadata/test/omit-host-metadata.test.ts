import { create, fromJson, type JsonObject, OmitHostMetadataConfigSchema } from '@dragoman/api';
import type { MetadataValue } from '@dragoman/core';
import { retryHostPredicateConformance, testContext, testHost } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { omitHostMetadata } from '../src/index.ts';

const configOf = (metadata: JsonObject, namespace = 'envoy.lb') =>
  fromJson(OmitHostMetadataConfigSchema, {
    metadata_match: { filter_metadata: { [namespace]: metadata } },
  });
retryHostPredicateConformance(
  { describe, it },
  {
    extension: omitHostMetadata,
    config: configOf({ stage: 'old' }),
    invalid: [
      {
        name: 'typed metadata',
        config: create(OmitHostMetadataConfigSchema, {
          metadataMatch: { typedFilterMetadata: { 'envoy.lb': { typeUrl: 'x/y' } } },
        }),
        path: 'metadata_match.typed_filter_metadata',
      },
    ],
  },
);

type Values = Record<string, MetadataValue>;

it.each<[wanted: JsonObject, has: Values | undefined, omitted: boolean, namespace?: string]>([
  [{ stage: 'old' }, { stage: 'old' }, true],
  [{ stage: 'old' }, { stage: 'new' }, false],
  [{ stage: 'old' }, { other: 'old' }, false],
  [{ stage: 'old' }, undefined, false],
  [{ stage: 'old', zone: 1 }, { stage: 'old', zone: 1, more: true }, true],
  [{ stage: 'old', zone: 1 }, { stage: 'old', zone: 2 }, false],
  [{ stage: 'old' }, { stage: ['new', 'old'] }, true],
  [{ stage: 'old' }, { stage: ['new'] }, false],
  [{ a: { b: [1] } }, { a: { b: [1] } }, true],
  [{ a: null }, { a: null }, true],
  [{ toString: 'x' }, {}, false],
  [{}, { stage: 'old' }, false],
  [{ stage: 'old' }, { stage: 'old' }, false, 'another.namespace'],
])('%j against %j: left out %s', (wanted, has, omitted, namespace) => {
  const predicate = omitHostMetadata.create(configOf(wanted, namespace) as never, testContext())();
  const metadata = has === undefined ? new Map() : new Map([['envoy.lb', has]]);
  expect(predicate.shouldSkip({ ...testHost('10.0.0.1:80'), metadata })).toBe(omitted);
});

it('leaves no host out without a config', () => {
  const predicate = omitHostMetadata.create(undefined as never, testContext())();
  const metadata = new Map([['envoy.lb', { stage: 'old' }]]);
  expect(predicate.shouldSkip({ ...testHost('10.0.0.1:80'), metadata })).toBe(false);
});
