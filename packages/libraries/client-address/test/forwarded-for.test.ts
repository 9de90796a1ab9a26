import { Address, type ConfigError, RequestHeaders } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appendForwardedFor,
  compileRanges,
  IpRanges,
  lastForwardedAddress,
  lastUntrustedAddress,
  readIp,
} from '../src/index.ts';

function withForwardedFor(...lines: readonly string[]): RequestHeaders {
  const headers = new RequestHeaders();
  for (const line of lines) headers.append('x-forwarded-for', line);
  return headers;
}

const many = (count: number, address: string) => Array.from({ length: count }, () => address).join(',');

const TRUSTED = compileRanges(
  [
    { addressPrefix: '192.0.2.0', prefixLen: 24 },
    { addressPrefix: '198.51.100.0', prefixLen: 24 },
    { addressPrefix: '2001:db8:7e57:1::', prefixLen: 64 },
  ],
  'cidrs',
);

describe('lastForwardedAddress', () => {
  it.each([
    ['1.2.3.4', 0, '1.2.3.4', true],
    ['1.2.3.4', 1, undefined, undefined],
    ['1.2.3.4,2.2.2.2', 0, '2.2.2.2', false],
    ['1.2.3.4,2.2.2.2', 1, '1.2.3.4', false],
    [' 1.2.3.4 , 2.2.2.2 ', 1, '1.2.3.4', false],
    ['1.2.3.4,', 0, undefined, undefined],
    ['1.2.3.4:80', 0, undefined, undefined],
    ['::1', 0, '::1', true],
    ['[::1]', 0, undefined, undefined],
    ['fe80::1%eth0', 0, undefined, undefined],
    ['unknown', 0, undefined, undefined],
    ['', 0, undefined, undefined],
  ])('of "%s" but for %d: %s', (list, skip, ip, single) => {
    const found = lastForwardedAddress(withForwardedFor(list), skip);
    expect([found?.address.ip, found?.single]).toEqual([ip, single]);
  });
});

describe('lastUntrustedAddress', () => {
  it.each([
    [['1.2.3.4,2.2.2.2'], '2.2.2.2', false],
    [['1.2.3.4,2.2.2.2,192.0.2.5, 198.51.100.1'], '2.2.2.2', false],
    [['2.2.2.2'], '2.2.2.2', true],
    [['2001:db8::5,2001:db8:7e57:1::9'], '2001:db8::5', false],
    // All trusted: the first.
    [['192.0.2.4,192.0.2.5, 198.51.100.1'], '192.0.2.4', false],
    [['192.0.2.4'], '192.0.2.4', true],
    // Several lines are one list.
    [['1.2.3.4', '192.0.2.5'], '1.2.3.4', false],
    // What has to be read must be an address; what has not, need not.
    [['192.0.2.4,, 198.51.100.1'], undefined, undefined],
    [['1.2.3.4,x,192.0.2.1'], undefined, undefined],
    [['x,2.2.2.2,192.0.2.1'], '2.2.2.2', false],
    [[''], undefined, undefined],
    [[many(20, '192.0.2.1')], '192.0.2.1', false],
    [[many(21, '2.2.2.2')], undefined, undefined],
  ])('of %j: %s', (lines, ip, single) => {
    const found = lastUntrustedAddress(withForwardedFor(...lines), TRUSTED);
    expect([found?.address.ip, found?.single]).toEqual([ip, single]);
  });

  it('needs the header', () => expect(lastUntrustedAddress(new RequestHeaders(), TRUSTED)).toBeUndefined());

  it('throws on nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(fc.ipV4()).map((list) => list.join(',')),
        ),
        (list) => {
          lastUntrustedAddress(withForwardedFor(list), TRUSTED);
          lastForwardedAddress(withForwardedFor(list), 2);
        },
      ),
    );
  });
});

describe('appendForwardedFor', () => {
  it.each([
    [[], Address.ip('1.1.1.1', 5), ['1.1.1.1']],
    [['2.2.2.2'], Address.ip('1.1.1.1', 5), ['2.2.2.2,1.1.1.1']],
    [['2.2.2.2', '3.3.3.3'], Address.ip('::1', 5), ['2.2.2.2,3.3.3.3,::1']],
    [[''], Address.ip('1.1.1.1', 5), ['1.1.1.1']],
    [['2.2.2.2'], Address.pipe('/run/x'), ['2.2.2.2']],
  ])('to %j', (before, address, after) => {
    const headers = withForwardedFor(...before);
    appendForwardedFor(headers, address);
    expect(headers.getAll('x-forwarded-for')).toEqual(after);
  });
});

describe('readIp', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['2001:db8::1', '2001:db8::1'],
    ['1.2.3.4:80', undefined],
    ['[::1]', undefined],
    ['fe80::1%eth0', undefined],
    [' 1.2.3.4', undefined],
    ['01.2.3.4', undefined],
    ['', undefined],
  ])('of "%s"', (text, ip) => expect(readIp(text)?.ip).toBe(ip));
});

describe('compileRanges', () => {
  it.each([
    [
      { addressPrefix: 'x', prefixLen: 1 },
      'cidrs[0].address_prefix: "x" is not an IP address; expected e.g. 10.0.0.0',
    ],
    [{ addressPrefix: '10.0.0.0', prefixLen: 33 }, 'cidrs[0].prefix_len: is 33, an IPv4 address has 32 bits'],
    [{ addressPrefix: '::', prefixLen: 129 }, 'cidrs[0].prefix_len: is 129, an IPv6 address has 128 bits'],
  ])('refuses %o', (network, text) => {
    expect(() => compileRanges([network], 'cidrs')).toThrow(
      expect.objectContaining<Partial<ConfigError>>({ message: text }),
    );
  });

  it('without a length is every address of the family', () => {
    const ranges = compileRanges([{ addressPrefix: '10.0.0.0' }], 'cidrs');
    expect([ranges.has(Address.ip('1.1.1.1', 0)), ranges.has(Address.ip('::1', 0))]).toEqual([true, false]);
  });

  it('of IPv6 holds no IPv4 address, also when it is written as one', () => {
    const ranges = compileRanges([{ addressPrefix: '::ffff:10.0.0.0', prefixLen: 104 }], 'cidrs');
    expect([ranges.has(Address.ip('10.1.2.3', 0)), ranges.has(Address.ip('11.1.2.3', 0))]).toEqual([
      false,
      false,
    ]);
  });

  it('holds no Unix socket', () => {
    expect(compileRanges([{ addressPrefix: '::' }], 'cidrs').has(Address.pipe('@x'))).toBe(false);
    expect([new IpRanges().empty, TRUSTED.empty]).toEqual([true, false]);
  });
});
