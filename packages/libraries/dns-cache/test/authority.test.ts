import fc from 'fast-check';
import { expect, it } from 'vitest';
import { authorityKey, parseAuthority } from '../src/authority.ts';

it.each([
  ['a.example', 'a.example:80', 'a.example', 80],
  ['a.example:8080', 'a.example:8080', 'a.example', 8080],
  ['A.Example', 'a.example:80', 'a.example', 80],
  ['10.0.0.1', '10.0.0.1:80', '10.0.0.1', 80],
  ['[fd00::1]', '[fd00::1]:80', 'fd00::1', 80],
  ['[fd00::1]:443', '[fd00::1]:443', 'fd00::1', 443],
  ['[nobody]:443', '[nobody]:443', '[nobody]', 443],
  ['a.example:x', 'a.example:x', 'a.example:x', undefined],
  ['a.example:', 'a.example:', 'a.example:', undefined],
  ['a.example:65536', 'a.example:65536', 'a.example:65536', undefined],
  ['', ':80', '', 80],
])('%j is the host %j', (authority, key, host, port) => {
  expect(authorityKey(authority, 80)).toBe(key);
  expect(parseAuthority(key)).toEqual({ host, port });
});

it('takes any text, and its own keys as they are', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 0, max: 65_535 }), (authority, port) => {
      const key = authorityKey(authority, port);
      expect(authorityKey(key, 1)).toBe(key);
      expect(parseAuthority(key).host.length).toBeLessThanOrEqual(key.length);
    }),
  );
});
