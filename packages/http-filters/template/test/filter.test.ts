import { create, type HeaderValue, HeaderValueSchema, type MessageInitShape } from '@dragoman/api';
import type { CreateHttpFilter } from '@dragoman/core';
import { httpFilterConformance, responseHeaders, TestHttpStream, testContext } from '@dragoman/testing';
import { describe, expect, it, test } from 'vitest';
import { template } from '../src/index.ts';

const config = (fields: MessageInitShape<typeof HeaderValueSchema>) =>
  create(HeaderValueSchema, fields) as HeaderValue as never;

httpFilterConformance(
  { describe, it },
  {
    extension: template,
    config: config({ key: 'x-served-by', value: 'dragoman' }),
    invalid: [
      { name: 'no name', config: config({ value: 'b' }), path: 'key' },
      { name: 'a name with a space', config: config({ key: 'x a', value: 'b' }), path: 'key' },
      {
        name: 'a line break in the value',
        config: config({ key: 'x-a', value: 'b\r\nx-b: c' }),
        path: 'value',
      },
      {
        name: 'a field that does not act',
        config: config({ key: 'x-a', rawValue: new Uint8Array([1]) }),
        path: 'raw_value',
      },
    ],
  },
);

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

  test('a header may be empty', () => {
    const createFilter = template.create(config({ key: 'x-a' }), testContext()) as CreateHttpFilter;
    const headers = responseHeaders({ 'x-a': 'upstream' });
    createFilter(new TestHttpStream()).onResponseHeaders?.(headers, true);
    expect(headers.getAll('x-a')).toEqual(['']);
  });
});
