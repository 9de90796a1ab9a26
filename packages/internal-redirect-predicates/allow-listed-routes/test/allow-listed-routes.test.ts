import { AllowListedRoutesConfigSchema, readLoose } from '@dragoman/api';
import { StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { allowListedRoutes } from '../src/index.ts';

const info = () => new StreamInfo(connectionInfo(), 0, 0);

test.each([
  ['in the list', ['a', 'b'], 'b', true],
  ['not in the list', ['a', 'b'], 'c', false],
  ['in other letters', ['a'], 'A', false],
  ['without a name', ['a'], '', false],
  ['of an empty list', [], 'a', false],
])('a route that is %s', (_, names, target, accepted) => {
  const config = readLoose(AllowListedRoutesConfigSchema, { allowed_route_names: names });
  const predicate = allowListedRoutes.create(config as never, testContext(), 'own');
  expect(predicate.accepts(info(), target, false, false)).toBe(accepted);
});
