import {
  CookieMatcherSchema,
  create,
  FilterStateMatcherSchema,
  type MessageInitShape,
  readLoose,
} from '@dragoman/api';
import { type FilterStateObject, RequestHeaders } from '@dragoman/core';
import fc from 'fast-check';
import { isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import { addRanges, CidrTable, compileCookieMatcher, compileFilterStateMatcher } from '../src/index.ts';

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

describe('a table of networks', () => {
  const table = new CidrTable<string>();
  addRanges(table, [{ addressPrefix: '10.0.0.0', prefixLen: 8 }], 'ten');
  addRanges(table, [{ addressPrefix: '10.1.0.0', prefixLen: 16 }], 'ten-one');
  addRanges(table, [{ addressPrefix: '10.200.3.4', prefixLen: 8 }], 'ten-again');
  addRanges(table, [{ addressPrefix: '0.0.0.0' }, { addressPrefix: '::', prefixLen: 0 }], 'all');
  addRanges(table, [{ addressPrefix: '2001:db8::', prefixLen: 33 }], 'doc');
  addRanges(table, [{ addressPrefix: '192.168.1.1', prefixLen: 32 }], 'one');
  it.each<[ip: string, found: string[] | undefined]>([
    ['10.1.2.3', ['ten-one', 'ten', 'ten-again', 'all']],
    ['10.2.2.3', ['ten', 'ten-again', 'all']],
    ['192.168.1.1', ['one', 'all']],
    ['192.168.1.2', ['all']],
    ['2001:db8:7fff::1', ['doc', 'all']],
    ['2001:db8:8000::1', ['all']],
    ['::ffff:10.1.2.3', ['all']],
    ['10.1.2', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
    ['x', undefined],
  ])('%s', (ip, found) => {
    expect(table.find(ip)).toEqual(found);
    expect(table.has(ip)).toBe(found !== undefined);
  });

  it.each([
    ['10.0.0.0', 33],
    ['::', 129],
    ['10.0.0', 8],
    ['example.com', 8],
    ['', 0],
  ])('refuses %s/%i', (addressPrefix, prefixLen) => {
    expect(() => new CidrTable().add({ addressPrefix, prefixLen }, 1)).toThrow(/address_prefix|prefix_len/);
  });

  it('holds what comparing bits says', () => {
    const bits = (ip: string) =>
      ip
        .split('.')
        .map((octet) => Number(octet).toString(2).padStart(8, '0'))
        .join('');
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(32), fc.ipV4(), (network, length, ip) => {
        const made = new CidrTable<number>();
        made.add({ addressPrefix: network, prefixLen: length }, 1);
        const near = `${network.split('.').slice(0, 3).join('.')}.${ip.split('.')[3]}`;
        for (const each of [ip, near])
          expect(made.has(each)).toBe(bits(each).startsWith(bits(network).slice(0, length)));
      }),
    );
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), fc.string()), (text) => {
        expect(new CidrTable().find(text)).toEqual(isIP(text) === 0 || text.includes('%') ? undefined : []);
      }),
    );
  });
});
