import { create, EnvironmentVariableConfigSchema } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { environmentVariableInput } from '../src/index.ts';

const input = (name: string) =>
  environmentVariableInput.createCommon?.(
    create(EnvironmentVariableConfigSchema, { name }) as never,
    testContext(),
  );

afterEach(() => vi.unstubAllEnvs());

it.each<[value: string | undefined, expected: string | undefined]>([
  ['eu', 'eu'],
  ['', ''],
  ['é', '\xc3\xa9'],
  [undefined, undefined],
])('a variable that is %j → %j', (value, expected) => {
  vi.stubEnv('DRAGOMAN_TEST_REGION', value);
  expect(input('DRAGOMAN_TEST_REGION')?.get({})).toBe(expected);
});

it('is read once', () => {
  vi.stubEnv('DRAGOMAN_TEST_REGION', 'before');
  const made = input('DRAGOMAN_TEST_REGION');
  vi.stubEnv('DRAGOMAN_TEST_REGION', 'after');
  expect(made?.get({})).toBe('before');
});

it('needs a name', () => {
  expect(() => input('')).toThrow(/^name: is required/);
});
