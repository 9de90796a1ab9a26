import { create, SafeCrossSchemeConfigSchema } from '@dragoman/api';
import { StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { safeCrossScheme } from '../src/index.ts';

test.each([
  ['https', 'https', true],
  ['https', 'http', true],
  ['http', 'http', true],
  ['http', 'https', false],
])('from %s to %s', (from, to, accepted) => {
  const predicate = safeCrossScheme.create(
    create(SafeCrossSchemeConfigSchema) as never,
    testContext(),
    'own',
  );
  const info = new StreamInfo(connectionInfo(), 0, 0);
  expect(predicate.accepts(info, 'any', from === 'https', to === 'https')).toBe(accepted);
});
