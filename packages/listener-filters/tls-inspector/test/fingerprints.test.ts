import {
  alpnExtension,
  type ClientHello,
  encodeClientHelloBody,
  type HelloParts,
  parseClientHello,
  serverNameExtension,
  uint16,
  uint16s,
  vector16,
  vector8,
} from '@dragoman/client-hello';
import { describe, expect, it } from 'vitest';
import { ja3, ja3Text } from '../src/ja3.ts';
import { ja4 } from '../src/ja4.ts';

function parsed(parts: HelloParts): ClientHello {
  const hello = parseClientHello(encodeClientHelloBody(parts));
  if (typeof hello === 'string') throw new Error(hello);
  return hello;
}

const empty = Buffer.alloc(0);
const groups = (...ids: number[]) => [10, vector16(uint16s(ids))] as const;
const points = (...ids: number[]) => [11, vector8(Buffer.from(ids))] as const;
const algorithms = (...ids: number[]) => [13, vector16(uint16s(ids))] as const;
const versions = (...ids: number[]) => [43, vector8(uint16s(ids))] as const;
const GREASE = Array.from({ length: 16 }, (_, i) => 0x0a0a + i * 0x1010);

describe('JA3', () => {
  it.each<[string, HelloParts, string, string?]>([
    [
      'of BoringSSL with one cipher suite (golden value of Envoy’s tests)',
      {
        ciphers: [49199],
        extensions: [
          [23, empty],
          [65281, Buffer.from([0])],
          groups(23),
          points(0),
          [35, empty],
          alpnExtension('envoyalpn'),
          algorithms(0x0403),
        ],
      },
      '771,49199,23-65281-10-11-35-16-13,23,0',
      '71d1f47d1125ac53c3c6a4863c087cfe',
    ],
    ['without extensions', { version: 769, ciphers: [47, 53] }, '769,47-53,,,'],
    ['without groups', { ciphers: [47], extensions: [serverNameExtension('a')] }, '771,47,0,,'],
    [
      'without GREASE, but among groups',
      {
        ciphers: [...GREASE, 47],
        extensions: [[0x1a1a, empty], groups(0x2a2a, 29), points(0, 1, 2)],
      },
      '771,47,10-11,10794-29,0-1-2',
    ],
    [
      'with a cut list of groups',
      { ciphers: [47], extensions: [[10, Buffer.from([0, 4, 0, 29, 0])]] },
      '771,47,10,29,',
    ],
  ])('%s', (_, parts, text, hash) => {
    const hello = parsed(parts);
    expect(ja3Text(hello)).toBe(text);
    if (hash !== undefined) expect(ja3(hello)).toBe(hash);
    expect(ja3(hello)).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('JA4', () => {
  const signatures = algorithms(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601);
  const browser: HelloParts = {
    ciphers: [
      0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
      0x009d, 0x002f, 0x0035,
    ],
    extensions: [
      [0x5a5a, empty],
      serverNameExtension('example.org'),
      [0x0017, empty],
      [0xff01, empty],
      groups(29),
      points(0),
      [0x0023, empty],
      alpnExtension('h2', 'http/1.1'),
      [0x0005, empty],
      signatures,
      [0x0012, empty],
      [0x0033, empty],
      [0x002d, empty],
      versions(0x7a7a, 0x0304, 0x0303),
      [0x001b, empty],
      [0x4469, empty],
      [0x0015, empty],
    ],
  };

  it.each<[string, HelloParts, string]>([
    ['the example of its specification', browser, 't13d1516h2_8daaf6152771_e5627efa2ab1'],
    ['no extensions', { version: 0x0302, ciphers: [0xc02f] }, 't11i010000_f06271c2b022_000000000000'],
    ['only a name', { version: 0x0301, extensions: [serverNameExtension('a')] }, 't10d010100_'],
    ['an unknown version', { version: 0x0305, ciphers: [0xc02f] }, 't00i010000_f06271c2b022_000000000000'],
    [
      'a malformed list of versions',
      { ciphers: [0xc02f], extensions: [[43, Buffer.from([9, 3, 4])]] },
      't00i010100_f06271c2b022_',
    ],
    [
      'a list of GREASE versions',
      { ciphers: [0xc02f], extensions: [versions(0x1a1a)] },
      't12i010100_f06271c2b022_',
    ],
    ['only GREASE', { ciphers: [0x1a1a], extensions: [] }, 't12i000000_000000000000_000000000000'],
    ['an ALPN of one character', { ciphers: [0xc02f], extensions: [alpnExtension('x')] }, 't12i0101xx_'],
    ['an ALPN of other bytes', { ciphers: [0xc02f], extensions: [alpnExtension('\xab!')] }, 't12i0101a1_'],
    ['an empty ALPN', { ciphers: [0xc02f], extensions: [[16, uint16(0)]] }, 't12i010100_'],
    ['a cut ALPN', { ciphers: [0xc02f], extensions: [[16, Buffer.from([0, 3, 5, 104])]] }, 't12i010100_'],
    [
      'more than 99 of each',
      {
        ciphers: Array.from({ length: 120 }, (_, i) => i + 1),
        extensions: Array.from({ length: 150 }, (_, i) => [100 + i, empty] as const),
      },
      't12i999900_',
    ],
  ])('%s', (_, parts, expected) => {
    expect(ja4(parsed(parts)).startsWith(expected)).toBe(true);
    expect(ja4(parsed(parts))).toMatch(/^t\d\d[di]\d{4}[\x21-\x7e]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/);
  });
});
