import {
  CookieMatcherSchema,
  create,
  FilterStateMatcherSchema,
  type MessageInitShape,
  readLoose,
} from '@dragoman/api';
import { type FilterStateObject, RequestHeaders } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { compileCookieMatcher, compileFilterStateMatcher, cookieValue } from '../src/index.ts';

describe('cookie matcher', () => {
  const matcher = (exact: string, invertMatch = false) =>
    compileCookieMatcher(
      create(CookieMatcherSchema, {
        name: 'id',
        stringMatch: { matchPattern: { case: 'exact', value: exact } },
        invertMatch,
      }),
    );
  it.each<[lines: string[], exact: string, holds: boolean]>([
    [['id=1'], '1', true],
    [['a=b; id=1; c=d'], '1', true],
    [['a=b;id=1'], '1', true],
    [['a=b;   id=1'], '1', true],
    [['a=b', 'id=1'], '1', true],
    [['id="1"'], '1', true],
    [['id="'], '"', true],
    [['id='], '', true],
    [['id=a=b'], 'a=b', true],
    [['id=2; id=1'], '1', false],
    [['xid=1'], '1', false],
    [['id1=1'], '1', false],
    [['ID=1'], '1', false],
    [['id'], '', false],
    [['id =1'], '1', false],
    [['; ;id=1'], '1', true],
    [[], '1', false],
    [['id=1 '], '1', false],
  ])('%j is %j: %s', (lines, exact, holds) => {
    const headers = new RequestHeaders();
    for (const line of lines) headers.append('cookie', line);
    expect(matcher(exact)(headers)).toBe(holds);
    expect(matcher(exact, true)(headers)).toBe(!holds);
  });

  it('has no name with "=", which ends the name', () => {
    const headers = new RequestHeaders();
    headers.append('cookie', 'a=b=c');
    expect([cookieValue(headers, 'a'), cookieValue(headers, 'a=b')]).toEqual(['b=c', undefined]);
  });

  it.each<[config: MessageInitShape<typeof CookieMatcherSchema>, message: RegExp]>([
    [{ stringMatch: { matchPattern: { case: 'exact', value: '' } } }, /^name: /],
    [{ name: 'a' }, /^string_match: is required/],
    [{ name: 'a', stringMatch: {} }, /^string_match: needs one of/],
  ])('refuses %j', (config, message) => {
    expect(() => compileCookieMatcher(create(CookieMatcherSchema, config))).toThrow(message);
  });
});

describe('filter state matcher', () => {
  const state = new Map<string, FilterStateObject>([
    ['text', { toText: () => 'Grün' }],
    ['v4', { toText: () => '10.1.2.3' }],
    ['v4-port', { toText: () => '10.1.2.3:80' }],
    ['v6-port', { toText: () => '[fd00::1]:80' }],
    ['none', {}],
  ]);
  it.each<[yaml: object, holds: boolean]>([
    [{ key: 'text', string_match: { exact: 'Grün' } }, true],
    [{ key: 'text', string_match: { prefix: 'grü', ignore_case: true } }, true],
    [{ key: 'text', string_match: { exact: 'x' } }, false],
    [{ key: 'missing', string_match: { exact: '' } }, false],
    [{ key: 'none', string_match: { exact: '' } }, false],
    [{ key: 'v4', address_match: { ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] } }, true],
    [{ key: 'v4-port', address_match: { ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] } }, true],
    [{ key: 'v6-port', address_match: { ranges: [{ address_prefix: 'fd00::', prefix_len: 8 }] } }, true],
    [{ key: 'v4', address_match: { ranges: [{ address_prefix: '11.0.0.0', prefix_len: 8 }] } }, false],
    [{ key: 'text', address_match: { ranges: [{ address_prefix: '0.0.0.0' }] } }, false],
    [{ key: 'v4', address_match: {} }, false],
  ])('%j', (json, holds) => {
    const matches = compileFilterStateMatcher(readLoose(FilterStateMatcherSchema, json as never));
    expect(matches(state)).toBe(holds);
    expect(matches(undefined)).toBe(false);
  });

  it.each<[json: object, message: RegExp]>([
    [{ string_match: { exact: 'a' } }, /^key: /],
    [{ key: 'a' }, /needs one of string_match, address_match/],
    [
      { key: 'a', address_match: { ranges: [{ address_prefix: 'x' }] } },
      /^address_match\.ranges\[0\]\.address_prefix/,
    ],
  ])('refuses %j', (json, message) => {
    expect(() => compileFilterStateMatcher(readLoose(FilterStateMatcherSchema, json as never))).toThrow(
      message,
    );
  });
});
