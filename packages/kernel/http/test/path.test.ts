import { RequestHeaders } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compileHostPolicy,
  compilePathPolicy,
  mergeSlashes,
  normalizePath,
  portOf,
  stripPort,
  stripTrailingDot,
  unescapeSlashes,
} from '../src/path/index.ts';

describe('normalizePath', () => {
  it.each([
    // Nothing to do.
    ['/', '/'],
    ['/x/y/z', '/x/y/z'],
    ['/A/B/C', '/A/B/C'],
    ['/a.b/c..d/..e/f..', '/a.b/c..d/..e/f..'],
    ['/a/...', '/a/...'],
    ["/!$&'()*+,-._~:;=@[]", "/!$&'()*+,-._~:;=@[]"],
    ['/a?b=../c&d=%2e%2e', '/a?b=../c&d=%2e%2e'],
    // Dot segments.
    ['/a/b/../c', '/a/c'],
    ['/a/b/./c', '/a/b/c'],
    ['a/b/../c', '/a/c'],
    ['/a/b/../../../../c', '/c'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['..', '/'],
    ['/../a/b', '/a/b'],
    ['/./a/b', '/a/b'],
    ['', '/'],
    ['?x', '/?x'],
    ['/a//../b', '/a/b'],
    // Escaped dots.
    ['/a/b/%2E%2E/c', '/a/c'],
    ['/a/b/%2e%2E/c', '/a/c'],
    ['/a/b/%2E./c', '/a/c'],
    ['/a/b/.%2e/c', '/a/c'],
    ['/a/b/%2E/c', '/a/b/c'],
    ['/a%2eb', '/a.b'],
    // Backslashes.
    ['/a/..\\c', '/c'],
    ['\\a\\b', '/a/b'],
    ['/a\\..\\b', '/b'],
    // Parameters of dot segments.
    ['/a/..;/b', '/b'],
    ['/a/..;x=y/b', '/b'],
    ['/a/.;/b', '/a/b'],
    ['/a/%2e%2e;x/b', '/b'],
    ['/a/..;', '/'],
    ['/a/..;\\b', '/b'],
    ['/a;x/b;y', '/a;x/b;y'],
    ['/a/...;/b', '/a/...;/b'],
    ['/a/..%3b/b', '/a/..%3b/b'],
    // Escapes.
    ['/%41%7a%30%2D%5f%7E', '/Az0-_~'],
    ['/%c0%af', '/%c0%af'],
    ['/%5c%25', '/%5c%25'],
    ['/a/%2F%2f/c', '/a/%2F%2f/c'],
    ['/a b"<>^`{|}', '/a%20b%22%3C%3E%5E%60%7B%7C%7D'],
    ['/caf\xc3\xa9', '/caf%C3%A9'],
    ['/\x01\x7f', '/%01%7F'],
    // Escapes that are none, alone and put together by unescaping.
    ['/%', '/%'],
    ['/%2', '/%2'],
    ['/%zz', '/%zz'],
    ['/%%2e', '/%.'],
    ['/%%300', '/%2500'],
    ['/%%30%30', '/%2500'],
    ['/%2%35', '/%2525'],
  ])('%s → %s', (path, expected) => {
    expect(normalizePath(path)).toBe(expected);
  });

  it.each(['/xyz/.%00../abc', '/xyz/%00.%00./abc', '/xyz/AAAAA%%0000/abc', '/a\0b'])('refuses %j', (path) => {
    expect(normalizePath(path)).toBe(undefined);
  });

  it('gives the path itself when there is nothing to do', () => {
    const path = '/api/v1/things/42?x=..';
    expect(normalizePath(path)).toBe(path);
  });
});

/** Paths as those who attack make them. */
const hostile = fc
  .array(
    fc.constantFrom(
      '/',
      '//',
      '.',
      '..',
      '%2e',
      '%2E',
      '\\',
      '%5c',
      '%2f',
      ';',
      ';x=y',
      '%',
      '%%',
      '%25',
      '2e',
      '3',
      '%30',
      '%32',
      '%65',
      'a',
      'é',
      '?',
      '#',
      ' ',
      '\x80',
      '%00',
    ),
    { maxLength: 14 },
  )
  .map((parts) => `/${parts.join('')}`);

describe('whatever the path', () => {
  const policies = [
    { normalize: true, mergeSlashes: true, escapedSlashes: 'forward' },
    { normalize: true, mergeSlashes: true, escapedSlashes: 'keep' },
    { normalize: true, mergeSlashes: false, escapedSlashes: 'keep' },
  ] as const;
  it.each(policies)('%o: nothing throws, and normalising again changes nothing', (policy) => {
    const apply = compilePathPolicy(policy);
    const normalized = (path: string): string | undefined => {
      const headers = new RequestHeaders();
      headers.path = path;
      return apply(headers) === 'continue' ? headers.path : undefined;
    };
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string({ unit: 'binary', maxLength: 30 })), (path) => {
        const once = normalized(path.replace(/[^\x00-\xff]/g, 'x'));
        if (once === undefined || once === '') return;
        expect(normalized(once)).toBe(once);
        const bare = once.replace(/\?.*$/s, '');
        expect(bare.startsWith('/')).toBe(true);
        expect(bare).not.toMatch(/\/(?:\.|%2e){1,2}(?:;[^/]*)?(?:\/|$)/i);
        expect(bare).not.toContain('\\');
        if (policy.mergeSlashes) expect(bare).not.toContain('//');
      }),
      { numRuns: 3000 },
    );
  });
});

describe('mergeSlashes', () => {
  it.each([
    ['', ''],
    ['a//b/c', 'a/b/c'],
    ['/a//b/c/', '/a/b/c/'],
    ['/a', '/a'],
    ['//a/b/c', '/a/b/c'],
    ['/a/b/c//', '/a/b/c/'],
    ['/a////b/c', '/a/b/c'],
    ['/a//b?a=///c', '/a/b?a=///c'],
    ['/a/b?a=///c', '/a/b?a=///c'],
    ['//a/?b', '/a/?b'],
  ])('%s → %s', (path, expected) => {
    expect(mergeSlashes(path)).toBe(expected);
  });
});

describe('unescapeSlashes', () => {
  it.each([
    ['', ''],
    ['%2f%2F', '//'],
    ['/a%2Fb%2fc/', '/a/b/c/'],
    ['/a%5Cb%5cc', '/a\\b\\c'],
    ['%2b', '%2b'],
    ['%2', '%2'],
    ['/a%252fb', '/a%252fb'],
    ['/a?b=%2f', '/a?b=%2f'],
    ['/a%2fb?c=%2f', '/a/b?c=%2f'],
  ])('%s → %s', (path, expected) => {
    expect(unescapeSlashes(path)).toBe(expected);
  });
});

describe('the path policy', () => {
  it.each([
    ['keep', '/a%2fb', 'continue', '/a%2fb'],
    ['reject', '/a%2fb', 'reject', '/a%2fb'],
    ['reject', '/a%5cb', 'reject', '/a%5cb'],
    ['reject', '/a/b?%2f', 'continue', '/a/b?%2f'],
    ['redirect', '/a%2fb', 'redirect', '/a/b'],
    ['redirect', '/a/b', 'continue', '/a/b'],
    ['forward', '/a%2f..%5cb', 'continue', '/b'],
    ['forward', '/a%2f%2fb', 'continue', '/a/b'],
    ['keep', '/a#b', 'reject', '/a#b'],
    ['keep', '/a?b#c', 'reject', '/a?b#c'],
    ['keep', '/%00', 'reject', '/%00'],
    ['keep', '', 'continue', ''],
  ] as const)('%s: %s → %s, %s', (escapedSlashes, path, verdict, after) => {
    const headers = new RequestHeaders();
    headers.path = path;
    expect(compilePathPolicy({ normalize: true, mergeSlashes: true, escapedSlashes })(headers)).toBe(verdict);
    expect(headers.path).toBe(after);
  });

  it('does nothing when everything is off, but refuses fragments', () => {
    const apply = compilePathPolicy({ normalize: false, mergeSlashes: false, escapedSlashes: 'keep' });
    const headers = new RequestHeaders();
    headers.path = '/a/..//%2e\\';
    expect(apply(headers)).toBe('continue');
    expect(headers.path).toBe('/a/..//%2e\\');
    headers.path = '/a#';
    expect(apply(headers)).toBe('reject');
  });
});

describe('hosts', () => {
  it.each([
    ['a.com', undefined, 'a.com', undefined],
    ['a.com:80', 80, 'a.com', undefined],
    ['a.com:80', 80, 'a.com', 80],
    ['a.com:80', 80, 'a.com:80', 81],
    ['a.com:', undefined, 'a.com:', undefined],
    ['a.com:x', undefined, 'a.com:x', undefined],
    ['[::1]', undefined, '[::1]', undefined],
    ['[::1]:80', 80, '[::1]', undefined],
  ])('%s has the port %s; stripped: %s', (host, port, stripped, only) => {
    expect(portOf(host)).toBe(port);
    expect(stripPort(host, only)).toBe(stripped);
  });

  it.each([
    ['localhost.', 'localhost'],
    ['', ''],
    ['192.168.1.1', '192.168.1.1'],
    ['abc.com.', 'abc.com'],
    ['abc.com:443', 'abc.com:443'],
    ['abc.com.:443', 'abc.com:443'],
    ['[fc00::1]', '[fc00::1]'],
    [':', ':'],
    ['.', ''],
    ['..', '.'],
    ['.123', '.123'],
    ['.:.', '.:'],
  ])('without its trailing dot, %s is %s', (host, expected) => {
    expect(stripTrailingDot(host)).toBe(expected);
  });

  it('applies both, the dot first', () => {
    const headers = new RequestHeaders();
    headers.authority = 'a.com.:8080';
    compileHostPolicy({ stripPort: 'matching', stripTrailingDot: true })?.(headers, 8080);
    expect(headers.authority).toBe('a.com');
    expect(compileHostPolicy({ stripPort: 'no', stripTrailingDot: false })).toBe(undefined);
  });
});
