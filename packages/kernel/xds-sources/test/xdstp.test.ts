import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatXdstp, parseXdstp } from '../src/index.ts';
import { canonicalName, collectionOf } from '../src/xdstp.ts';

describe('xdstp names', () => {
  it.each([
    ['xdstp://a/t/x', { authority: 'a', resourceType: 't', id: 'x', context: [], directives: [] }],
    ['xdstp:///t/x/y/*', { authority: '', resourceType: 't', id: 'x/y/*', context: [], directives: [] }],
    ['xdstp://a/t', { authority: 'a', resourceType: 't', id: '', context: [], directives: [] }],
    [
      'xdstp://a%2Fb/t/x%3Fy?k%3D=v%26&j=1&j=2#entry=e,alt=xdstp://b/t/z',
      {
        authority: 'a/b',
        resourceType: 't',
        id: 'x?y',
        context: [
          ['j', '1'],
          ['k=', 'v&'],
        ],
        directives: [
          { kind: 'entry', value: 'e' },
          { kind: 'alt', value: 'xdstp://b/t/z' },
        ],
      },
    ],
  ])('%s is read', (name, parsed) => {
    expect(parseXdstp(name)).toEqual(parsed);
  });

  it.each([
    ['xdstp://a/t/x?b=1&a=2', 'xdstp://a/t/x?a=2&b=1'],
    ['xdstp://a/t/%78', 'xdstp://a/t/x'],
    ['plain?b=1&a=2', 'plain?b=1&a=2'],
    ['xdstp:bad', 'xdstp:bad'],
    ['xdstp://a/t/%zz', 'xdstp://a/t/%zz'],
  ])('%s is the same as %s', (name, canonical) => {
    expect(canonicalName(name)).toBe(canonical);
  });

  it.each([
    ['xdstp://a/t/x', 'xdstp://a/t/*'],
    ['xdstp://a/t/x/y?k=a/b', 'xdstp://a/t/x/*?k=a/b'],
    ['xdstp://a/t', undefined],
    ['plain/x', undefined],
  ])('%s is in %s', (name, collection) => {
    expect(collectionOf(name)).toBe(collection);
  });

  it('come back from how they are written', () => {
    const text = fc.string({ unit: 'grapheme' });
    const name = fc.record({
      authority: text,
      resourceType: fc.constant('envoy.config.cluster.v3.Cluster'),
      id: text,
      context: fc
        .dictionary(text, text, { noNullPrototype: true })
        .map((params) => Object.entries(params).sort(([left], [right]) => (left < right ? -1 : 1))),
      directives: fc.constant([]),
    });
    fc.assert(
      fc.property(name, (one) => {
        expect(parseXdstp(formatXdstp(one))).toEqual(one);
      }),
      { seed: 5 },
    );
  });

  it('are never the reason for another error', () => {
    fc.assert(
      fc.property(fc.string(), (rest) => {
        const name = `xdstp:${rest}`;
        expect(canonicalName(canonicalName(name))).toBe(canonicalName(name));
        collectionOf(name);
      }),
      { seed: 5 },
    );
  });
});
