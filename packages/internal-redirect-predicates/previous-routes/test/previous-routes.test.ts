import { create, PreviousRoutesConfigSchema } from '@dragoman/api';
import { StreamInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { previousRoutes } from '../src/index.ts';

const info = () => new StreamInfo(connectionInfo(), 0, 0);
const predicateOf = (route: string) =>
  previousRoutes.create(create(PreviousRoutesConfigSchema) as never, testContext(), route);

test.each([
  ['two routes', ['a', 'b'], [true, true]],
  ['one route twice', ['a', 'a'], [true, false]],
  ['a circle', ['a', 'b', 'a', 'b'], [true, true, false, false]],
  ['routes without a name', ['', ''], [true, false]],
])('%s', (_, targets, accepted) => {
  const request = info();
  const predicate = predicateOf('own');
  expect(targets.map((target) => predicate.accepts(request, target, false, false))).toEqual(accepted);
});

test('routes count apart, and so do requests', () => {
  const request = info();
  expect(predicateOf('one').accepts(request, 'a', false, false)).toBe(true);
  expect(predicateOf('two').accepts(request, 'a', false, false)).toBe(true);
  expect(predicateOf('one').accepts(request, 'a', false, false)).toBe(false);
  expect(predicateOf('one').accepts(info(), 'a', false, false)).toBe(true);
});

test('what was taken is known after the redirect', () => {
  const request = info();
  predicateOf('one').accepts(request, 'a', false, false);
  expect(predicateOf('one').accepts(request.afterRedirect(), 'a', false, false)).toBe(false);
});
