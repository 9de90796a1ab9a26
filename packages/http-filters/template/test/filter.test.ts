import { create, type HeaderValue, HeaderValueSchema, type MessageInitShape } from '@dragoman/api';
import type { ConfigError, CreateHttpFilter } from '@dragoman/core';
import { responseHeaders, TestHttpStream, testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { template } from '../src/index.ts';

const config = (fields: MessageInitShape<typeof HeaderValueSchema>) =>
  create(HeaderValueSchema, fields) as HeaderValue as never;

function problemsOf(fields: MessageInitShape<typeof HeaderValueSchema>) {
  try {
    template.create(config(fields), testContext());
  } catch (error) {
    return (error as ConfigError).problems.map(({ path }) => path);
  }
  return [];
}

describe('the filter', () => {
  test('adds its header to a response and counts it', () => {
    const context = testContext();
    const createFilter = template.create(
      config({ key: 'X-Served-By', value: 'dragoman' }),
      context,
    ) as CreateHttpFilter;
    const headers = responseHeaders({ 'x-served-by': 'upstream' });
    const verdict = createFilter(new TestHttpStream()).onResponseHeaders?.(headers, false);
    expect(verdict).toBeUndefined();
    expect(headers.getAll('x-served-by')).toEqual(['dragoman']);
    expect(context.stats.used()).toEqual({ 'http.test.template.added': 1 });
  });

  test('a route has its own', () => {
    const context = testContext();
    const createFilter = template.create(
      config({ key: 'x-a', value: 'filter' }),
      context,
    ) as CreateHttpFilter;
    const perRoute = [template.createPerRoute?.(config({ key: 'x-a', value: 'route' }), context)];
    const headers = responseHeaders();
    createFilter(new TestHttpStream({ perRoute })).onResponseHeaders?.(headers, true);
    expect(headers.get('x-a')).toBe('route');
  });
});

describe('the config', () => {
  test.each([
    ['a name and a value', { key: 'x-a', value: 'b' }, []],
    ['an empty value', { key: 'x-a' }, []],
    ['no name', { value: 'b' }, ['key']],
    ['a name with a space', { key: 'x a', value: 'b' }, ['key']],
    ['a line break in the value', { key: 'x-a', value: 'b\r\nx-b: c' }, ['value']],
    ['a field that does not act', { key: 'x-a', rawValue: new Uint8Array([1]) }, ['raw_value']],
  ])('%s', (_name, fields, paths) => {
    expect(problemsOf(fields)).toEqual(paths);
  });
});
