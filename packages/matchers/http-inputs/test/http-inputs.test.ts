import { type JsonObject, readLoose } from '@dragoman/api';
import {
  type HttpMatchData,
  type MatchInputExtension,
  NOT_AVAILABLE,
  StreamInfo,
  Trailers,
} from '@dragoman/core';
import { connectionInfo, requestHeaders, responseHeaders, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  queryParamInput,
  requestHeadersInput,
  requestTrailersInput,
  responseHeadersInput,
  responseTrailersInput,
  statusCodeClassInput,
  statusCodeInput,
} from '../src/index.ts';

const inputs = {
  queryParamInput,
  requestHeadersInput,
  requestTrailersInput,
  responseHeadersInput,
  responseTrailersInput,
  statusCodeClassInput,
  statusCodeInput,
};

const NOTHING: HttpMatchData = {
  info: new StreamInfo(connectionInfo(), 0, 0),
  requestHeaders: undefined,
  requestTrailers: undefined,
  responseHeaders: undefined,
  responseTrailers: undefined,
};

function make(extension: MatchInputExtension, json: JsonObject) {
  const config = readLoose(extension.config as never, json);
  const input = extension.createHttp?.(config as never, testContext());
  if (input === undefined) throw new Error(`${extension.name} is no input for requests`);
  return input;
}

function trailers(...values: string[]): Trailers {
  const made = new Trailers();
  for (const value of values) made.append('x-a', value);
  return made;
}

describe.each<
  [name: keyof typeof inputs, field: keyof HttpMatchData, headers: (values: string[]) => unknown]
>([
  [
    'requestHeadersInput',
    'requestHeaders',
    (values) => {
      const made = requestHeaders();
      for (const value of values) made.append('x-a', value);
      return made;
    },
  ],
  [
    'responseHeadersInput',
    'responseHeaders',
    (values) => {
      const made = responseHeaders();
      for (const value of values) made.append('x-a', value);
      return made;
    },
  ],
  ['requestTrailersInput', 'requestTrailers', (values) => trailers(...values)],
  ['responseTrailersInput', 'responseTrailers', (values) => trailers(...values)],
])('%s', (name, field, headers) => {
  const input = make(inputs[name], { header_name: 'X-A' });
  it.each<[values: string[], expected: string | undefined]>([
    [[], undefined],
    [['1'], '1'],
    [['1', '2'], '1,2'],
    [[''], ''],
  ])('%j → %j', (values, expected) => {
    expect(input.get({ ...NOTHING, [field]: headers(values) })).toBe(expected);
  });

  it('is not available before they have come', () => {
    expect(input.get(NOTHING)).toBe(NOT_AVAILABLE);
    expect(input.kind).toBe('text');
  });

  it('needs a name', () => {
    expect(() => make(inputs[name], {})).toThrow(/^header_name: is required/);
  });
});

it('reads pseudo-headers', () => {
  const data = { ...NOTHING, requestHeaders: requestHeaders({ ':path': '/x' }) };
  expect(make(inputs.requestHeadersInput, { header_name: ':path' }).get(data)).toBe('/x');
});

describe('queryParamInput', () => {
  const get = (path: string, name = 'a') =>
    make(inputs.queryParamInput, { query_param: name }).get({
      ...NOTHING,
      requestHeaders: requestHeaders({ ':path': path }),
    });
  it.each<[path: string, expected: string | undefined]>([
    ['/', undefined],
    ['/?', undefined],
    ['/?b=1', undefined],
    ['/?a=1', '1'],
    ['/?b=2&a=1&a=3', '1'],
    ['/?a', ''],
    ['/?a=', ''],
    ['/?a=b=c', 'b=c'],
    ['/?%61=1', '1'],
    ['/?a=%41%2fb', 'A/b'],
    ['/?a=a+b', 'a+b'],
    // What cannot stand in a URL stays encoded.
    ['/?a=%20%3C%7B%00%ff', '%20%3C%7B%00%ff'],
    ['/?a=%zz1', 'zz1'],
    ['/?a=1%4', '1%4'],
  ])('%s → %j', (path, expected) => {
    expect(get(path)).toBe(expected);
  });

  it('compares names as UTF-8', () => {
    expect(get('/?\xc3\xa9=1', 'é')).toBe('1');
  });

  it('is not available before the headers have come, nor for a CONNECT', () => {
    expect(make(inputs.queryParamInput, { query_param: 'a' }).get(NOTHING)).toBe(NOT_AVAILABLE);
    const headers = requestHeaders();
    headers.path = '';
    expect(
      make(inputs.queryParamInput, { query_param: 'a' }).get({ ...NOTHING, requestHeaders: headers }),
    ).toBe(NOT_AVAILABLE);
    expect(() => make(inputs.queryParamInput, {})).toThrow(/^query_param: is required/);
  });

  it('takes any path', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('%', '?', '&', '=', 'a', '4', '1', '/') }), (text) => {
        expect(['string', 'undefined']).toContain(typeof get(`/${text}`));
      }),
    );
  });
});

describe('status inputs', () => {
  it.each<[status: number, code: string | undefined, group: string | undefined]>([
    [100, '100', '1xx'],
    [200, '200', '2xx'],
    [304, '304', '3xx'],
    [499, '499', '4xx'],
    [503, '503', '5xx'],
    [600, '600', undefined],
    [0, undefined, undefined],
  ])('%i → %j, %j', (status, code, group) => {
    const headers = responseHeaders();
    headers.status = status;
    const data = { ...NOTHING, responseHeaders: headers };
    expect(make(inputs.statusCodeInput, {}).get(data)).toBe(code);
    expect(make(inputs.statusCodeClassInput, {}).get(data)).toBe(group);
  });

  it('are not available before the response', () => {
    expect(make(inputs.statusCodeInput, {}).get(NOTHING)).toBe(NOT_AVAILABLE);
    expect(make(inputs.statusCodeClassInput, {}).get(NOTHING)).toBe(NOT_AVAILABLE);
  });
});
