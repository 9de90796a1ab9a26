import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Address } from '../src/index.ts';

describe('Address', () => {
  it.each([
    ['10.0.0.1:80', 'ipv4', '10.0.0.1', 80],
    ['[::1]:65535', 'ipv6', '::1', 65_535],
    ['[2001:db8::1]:0', 'ipv6', '2001:db8::1', 0],
    ['/run/x.sock', 'pipe', '', 0],
    ['@abstract', 'pipe', '', 0],
  ])('reads %s', (text, family, ip, port) => {
    const address = Address.parse(text);
    expect(address).toMatchObject({ family, ip, port, text });
    expect(`${address}`).toBe(text);
  });

  it.each([
    '',
    '10.0.0.1',
    '10.0.0.1:',
    '10.0.0.1:65536',
    '10.0.0.1:-1',
    '10.0.0.1:8o',
    '::1:80',
    'example.com:80',
    '[::1]',
    '[10.0.0.1',
    '1.2.3:4',
    'x',
  ])('does not read %j', (text) => expect(Address.parse(text)).toBeUndefined());

  it('makes IPv4 of IPv4 mapped into IPv6', () => {
    expect(Address.ip('::ffff:10.0.0.1', 80).text).toBe('10.0.0.1:80');
    expect(Address.ip('::FFFF:10.0.0.1', 80).family).toBe('ipv4');
  });

  it('takes no name for an IP', () => {
    expect(() => Address.ip('localhost', 80)).toThrow(RangeError);
    expect(() => Address.ip('', 80)).toThrow(RangeError);
  });

  it('has a form without its port', () => {
    expect(Address.ip('::1', 1).withoutPort).toBe('::1');
    expect(Address.ip('10.0.0.1', 1).withoutPort).toBe('10.0.0.1');
    expect(Address.pipe('/x').withoutPort).toBe('/x');
  });

  it('prints what it reads, and is equal to it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65_535 }), (ip, port) => {
        const address = Address.ip(ip, port);
        const again = Address.parse(address.text);
        expect(again?.equals(address)).toBe(true);
        expect(again?.equals(Address.ip(ip, (port + 1) % 65_536))).toBe(false);
      }),
    );
  });
});
