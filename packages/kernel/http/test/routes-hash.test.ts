import { Address, type HashValue } from '@dragoman/core';
import { hashHex, rotateXor, xxHash64, xxHash64All } from '@dragoman/hashing';
import { describe, expect, it } from 'vitest';
import { clusterFor, request, routeFor, streamInfo, tableOfRoutes } from './routes-support.ts';

function hashOf(policies: string, headers = request('/'), info = streamInfo()) {
  const cookies: string[] = [];
  const { action } = routeFor(
    tableOfRoutes(`[{ match: { prefix: / }, route: { cluster: a, hash_policy: ${policies} } }]`),
    headers,
  );
  if (action.kind !== 'forward') throw new Error(action.kind);
  const { hash } = action.policies;
  return {
    hash: hash?.hash(headers, info, { addSetCookie: (value) => cookies.push(value) }),
    cookies,
    policy: hash,
  };
}

const big = ({ high, low }: HashValue) => (BigInt(high) << 32n) | BigInt(low);

describe('hash policies', () => {
  it('are none without any', () => {
    expect(hashOf('[]').policy).toBeUndefined();
  });

  it.each([
    ['a header', '[{ header: { header_name: X-Test } }]', { 'x-test': 'test-value' }, xxHash64('test-value')],
    ['no header', '[{ header: { header_name: x-test } }]', {}, undefined],
    [
      'a header of bytes',
      '[{ header: { header_name: x-test } }]',
      { 'x-test': '\xc3\xa9' },
      xxHash64('\xc3\xa9'),
    ],
    ['the authority', '[{ header: { header_name: ":authority" } }]', {}, xxHash64('example.com')],
    [
      'a rewritten header',
      '[{ header: { header_name: x-test, regex_rewrite: { pattern: { regex: "t(e)st" }, substitution: "r\\\\1placed" } } }]',
      { 'x-test': 'test-value' },
      xxHash64('replaced-value'),
    ],
    ['a cookie', '[{ cookie: { name: c } }]', { cookie: 'b=1; c=value; c=2' }, xxHash64('value')],
    ['a cookie in quotes', '[{ cookie: { name: c } }]', { cookie: 'c="a b"' }, xxHash64('a b')],
    ['a cookie with blanks behind', '[{ cookie: { name: c } }]', { cookie: 'x;  c=1 ;d=2' }, xxHash64('1 ')],
    ['no cookie of the name', '[{ cookie: { name: c } }]', { cookie: 'cc=1; C=2; c' }, undefined],
    ['an empty cookie', '[{ cookie: { name: c } }]', { cookie: 'c=; c=1' }, undefined],
    ['the peer', '[{ connection_properties: { source_ip: true } }]', {}, xxHash64('203.0.113.7')],
    ['the peer, not asked for', '[{ connection_properties: {} }]', {}, undefined],
    [
      'a query parameter',
      '[{ query_parameter: { name: q } }]',
      { ':path': '/?p=1&q=a%20b&q=2' },
      xxHash64('a%20b'),
    ],
    ['an empty query parameter', '[{ query_parameter: { name: q } }]', { ':path': '/?q' }, xxHash64('')],
    ['no query parameter', '[{ query_parameter: { name: q } }]', { ':path': '/?Q=1' }, undefined],
  ])('of %s', (_name, policies, fields, hash) => {
    expect(hashOf(policies, request('/', fields as Record<string, string>)).hash).toEqual(hash);
  });

  it("gives the number that Envoy's own test has", () => {
    const { hash } = hashOf('[{ header: { header_name: x } }]', request('/', { x: 'foo' }));
    expect(big(hash as HashValue)).toBe(3728699739546630719n);
  });

  it('takes several lines of a header in any order', () => {
    const headers = (first: string, second: string) => {
      const made = request('/');
      made.append('x', first);
      made.append('x', second);
      return made;
    };
    const policies = '[{ header: { header_name: x } }]';
    expect(big(hashOf(policies, headers('foo', 'bar')).hash as HashValue)).toBe(
      big(xxHash64All(['bar', 'foo'])),
    );
    expect(hashOf(policies, headers('bar', 'foo')).hash).toEqual(
      hashOf(policies, headers('foo', 'bar')).hash,
    );
  });

  it('hashes the trusted address, not that of the connection; a Unix socket has none', () => {
    const policies = '[{ connection_properties: { source_ip: true } }]';
    const info = streamInfo();
    info.remoteAddress = Address.ip('2001:db8::1', 0);
    expect(hashOf(policies, request('/'), info).hash).toEqual(xxHash64('2001:db8::1'));
    info.remoteAddress = Address.pipe('/run/x.sock');
    expect(hashOf(policies, request('/'), info).hash).toBeUndefined();
  });

  it.each([
    ['with a hash', { hash: () => ({ high: 7, low: 1234567 }) }, { high: 7, low: 1234567 }],
    ['without one', {}, undefined],
    ['that gives none', { hash: () => undefined }, undefined],
    ['that is not there', undefined, undefined],
  ])('asks an object of the filter state %s', (_name, object, hash) => {
    const info = streamInfo();
    if (object !== undefined) info.filterState.set('k', object);
    expect(hashOf('[{ filter_state: { key: k } }]', request('/'), info).hash).toEqual(hash);
  });
});

describe('generated cookies', () => {
  // The peer's address and port, then the local ones, as they stand on the connection.
  const value = hashHex(xxHash64('203.0.113.7:432110.0.0.1:8080'));
  const made = (policies: string, cookie?: string) =>
    hashOf(policies, request('/', cookie === undefined ? {} : { cookie }));

  it.each([
    ['{ name: c, ttl: 60s }', 'c="V"; Max-Age=60; HttpOnly'],
    ['{ name: c, ttl: 0s }', 'c="V"; HttpOnly'],
    ['{ name: c, ttl: 1.9s, path: /x }', 'c="V"; Max-Age=1; Path=/x; HttpOnly'],
    [
      '{ name: c, ttl: 60s, path: /, attributes: [{ name: Secure }, { name: SameSite, value: Strict }] }',
      'c="V"; Max-Age=60; Path=/; Secure; SameSite=Strict; HttpOnly',
    ],
  ])('%s is set as %s', (cookie, text) => {
    const { hash, cookies } = made(`[{ cookie: ${cookie} }]`);
    const [line = ''] = cookies;
    const hex = /"([0-9a-f]{16})"/.exec(line)?.[1] ?? '';
    expect(line.replace(hex, 'V')).toBe(text);
    expect(hex).toBe(value);
    expect(hash).toEqual(xxHash64(hex));
  });

  it.each([
    ['a cookie that is there', '[{ cookie: { name: c, ttl: 60s } }]', 'c=1', xxHash64('1')],
    ['no ttl', '[{ cookie: { name: c } }]', undefined, undefined],
  ])('with %s none is made', (_name, policies, cookie, hash) => {
    const result = made(policies, cookie);
    expect(result.cookies).toEqual([]);
    expect(result.hash).toEqual(hash);
  });

  it('nor where nobody would send it', () => {
    const { policy } = made('[{ cookie: { name: c, ttl: 60s } }]');
    expect(policy?.hash(request('/'), streamInfo(), undefined)).toBeUndefined();
  });
});

describe('several policies', () => {
  const [a, b] = [xxHash64('A'), xxHash64('B')];
  const both = { a: 'A', b: 'B' };
  const of = (first: string, second: string) =>
    `[{ header: { header_name: a }${first} }, { header: { header_name: b }${second} }]`;
  it.each([
    ['are joined', of('', ''), both, rotateXor(a, b)],
    [
      'do not cancel each other',
      '[{ header: { header_name: a } }, { header: { header_name: a } }]',
      both,
      rotateXor(a, a),
    ],
    ['leave out what is not there', of('', ''), { b: 'B' }, b],
    ['end with a terminal one that has a hash', of(', terminal: true', ''), both, a],
    ['go on after a terminal one that has none', of(', terminal: true', ''), { b: 'B' }, b],
    [
      'end at a terminal one with the hash from before',
      '[{ header: { header_name: a } }, { header: { header_name: none }, terminal: true }, { header: { header_name: b } }]',
      both,
      a,
    ],
    ['have none when none of them has', of('', ''), {}, undefined],
  ])('%s', (_name, policies, fields, hash) => {
    expect(hashOf(policies, request('/', fields as Record<string, string>)).hash).toEqual(hash);
  });
});

describe('hash policies that are refused', () => {
  const at = 'virtual_hosts[0].routes[0].route.hash_policy[0]';
  it.each([
    ['{}', `${at}: a hash policy needs one of`],
    ['{ header: { header_name: "" } }', `${at}.header.header_name: is required`],
    [
      '{ header: { header_name: x, regex_rewrite: { substitution: y } } }',
      `${at}.header.regex_rewrite.pattern: is required`,
    ],
    [
      '{ header: { header_name: x, regex_rewrite: { pattern: { regex: "(" } } } }',
      `${at}.header.regex_rewrite.pattern.regex`,
    ],
    [
      '{ header: { header_name: x, regex_rewrite: { pattern: { regex: "a" }, substitution: "\\\\1" } } }',
      `${at}.header.regex_rewrite.substitution`,
    ],
    ['{ cookie: { name: "" } }', `${at}.cookie.name: is required`],
    ['{ cookie: { name: c, ttl: 1s, path: "/\\r\\n" } }', `${at}.cookie: a cookie may not contain`],
    ['{ query_parameter: { name: "" } }', `${at}.query_parameter.name: is required`],
    ['{ filter_state: { key: "" } }', `${at}.filter_state.key: is required`],
  ])('%s', (policy, message) => {
    expect(() => hashOf(`[${policy}]`)).toThrow(message);
  });
});

describe('weighted clusters drawn by hash', () => {
  const table = (more: string) =>
    tableOfRoutes(`
    - match: { prefix: / }
      route:
        hash_policy: [{ header: { header_name: x } }, { cookie: { name: c, ttl: 60s } }]
        weighted_clusters:
          ${more}
          clusters: [{ name: a, weight: 50 }, { name: b, weight: 50 }]
    `);
  // The last two digits of Envoy's hashes of these: 19, 25, 04, 57.
  it.each([
    ['foo', 'a'],
    ['bar', 'a'],
    ['lyft', 'a'],
    ['foo\nbar', 'b'],
  ])('%j goes to %s, whatever is drawn', (x, cluster) => {
    for (const draw of [0, 99])
      expect(clusterFor(table('use_hash_policy: true'), request('/', { x }), draw)).toBe(cluster);
  });

  it.each([
    ['without a hash', 'use_hash_policy: true', {}],
    ['when turned off', 'use_hash_policy: false', { x: 'foo' }],
    ['by default', '', { x: 'foo' }],
  ])('%s the draw decides', (_name, more, fields) => {
    const found = [0, 99].map((draw) =>
      clusterFor(table(more), request('/', fields as Record<string, string>), draw),
    );
    expect(found).toEqual(['a', 'b']);
  });
});
