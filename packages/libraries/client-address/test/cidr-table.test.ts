import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addRanges, CidrTable } from '../src/index.ts';

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
