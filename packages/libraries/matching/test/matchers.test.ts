import { create, type MessageInitShape } from '@dragoman/api';
import {
  HeaderMatcherSchema,
  MetadataMatcherSchema,
  StringMatcherSchema,
  ValueMatcherSchema,
} from '@dragoman/api';
import { ConfigError, type MetadataValue, RequestHeaders } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asciiLower,
  compileHeaderMatcher,
  compileHeaderMatchers,
  compileMetadataMatcher,
  compileStringMatcher,
  compileValueMatcher,
  metadataValue,
  utf8Bytes,
  utf8Text,
} from '../src/index.ts';

type Pattern = NonNullable<MessageInitShape<typeof StringMatcherSchema>['matchPattern']>;
const text = (matchPattern: Pattern, ignoreCase = false) =>
  compileStringMatcher(create(StringMatcherSchema, { matchPattern, ignoreCase }));

describe('string matcher', () => {
  it.each<[Pattern, boolean, string[], string[]]>([
    [{ case: 'exact', value: 'a/b' }, false, ['a/b'], ['A/b', 'a/b/', '', 'xa/b']],
    [{ case: 'exact', value: '' }, false, [''], ['a']],
    [{ case: 'exact', value: 'AbC' }, true, ['abc', 'ABC'], ['abcd', 'ab']],
    [{ case: 'prefix', value: '/Api' }, false, ['/Api', '/Api/1'], ['/api', '/Ap', 'x/Api']],
    [{ case: 'prefix', value: '/Api' }, true, ['/api/1', '/API'], ['/ap']],
    [{ case: 'suffix', value: '.js' }, false, ['.js', 'a.js'], ['.jsx', '.JS', 's']],
    [{ case: 'suffix', value: '.js' }, true, ['A.JS'], ['js']],
    [{ case: 'contains', value: 'oo' }, false, ['foo', 'oo'], ['fOO', '']],
    [{ case: 'contains', value: 'oO' }, true, ['FOOD'], ['fo']],
    [{ case: 'exact', value: 'é' }, false, ['\xc3\xa9'], ['\xe9']],
  ])('%j ignoreCase=%s', (pattern, ignoreCase, yes, no) => {
    const matches = text(pattern, ignoreCase);
    for (const value of yes) expect(matches(value), value).toBe(true);
    for (const value of no) expect(matches(value), value).toBe(false);
  });

  it('matches a regex against the whole value, decoded', () => {
    const matches = text({
      case: 'safeRegex',
      value: {
        $typeName: 'envoy.type.matcher.v3.RegexMatcher',
        regex: 'a.c',
        engineType: { case: undefined },
      },
    });
    expect(matches('abc')).toBe(true);
    expect(matches('a\xc3\xa9c')).toBe(true);
    expect(matches('xabc')).toBe(false);
    expect(matches('abcx')).toBe(false);
  });

  it.each<[Pattern, string]>([
    [{ case: undefined }, 'needs one of exact'],
    [{ case: 'prefix', value: '' }, 'prefix: must not be empty'],
    [{ case: 'suffix', value: '' }, 'suffix: must not be empty'],
    [{ case: 'contains', value: '' }, 'contains: must not be empty'],
    [
      { case: 'custom', value: { $typeName: 'xds.core.v3.TypedExtensionConfig', name: 'lua' } as never },
      '"lua" is not supported',
    ],
    [{ case: 'safeRegex', value: { regex: '(' } as never }, 'safe_regex.regex: '],
  ])('refuses %j', (pattern, message) => {
    expect(() => text(pattern)).toThrow(ConfigError);
    expect(() => text(pattern)).toThrow(message);
  });
});

describe('bytes', () => {
  it('goes from text to bytes and back', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (value) => utf8Text(utf8Bytes(value)) === value));
  });
  it('folds ASCII only', () => {
    expect(asciiLower('ABc')).toBe('abc');
    expect(asciiLower('A\xc3\x89')).toBe('a\xc3\x89');
  });
});

type Kind = NonNullable<MessageInitShape<typeof HeaderMatcherSchema>['headerMatchSpecifier']>;
const header = (headerMatchSpecifier: Kind, extra: MessageInitShape<typeof HeaderMatcherSchema> = {}) =>
  compileHeaderMatcher(create(HeaderMatcherSchema, { name: 'X-A', headerMatchSpecifier, ...extra }));

function headers(...values: string[]): RequestHeaders {
  const map = new RequestHeaders();
  for (const value of values) map.append('x-a', value);
  return map;
}

describe('header matcher', () => {
  const range: Kind = { case: 'rangeMatch', value: { start: -10n, end: 5n } as never };
  // Kind, then what it says of: each value, and of no such header.
  const table: [Kind, [string, boolean][]][] = [
    [
      { case: undefined },
      [
        ['', true],
        ['v', true],
      ],
    ],
    [
      { case: 'presentMatch', value: true },
      [
        ['', true],
        ['v', true],
      ],
    ],
    [{ case: 'presentMatch', value: false }, [['v', false]]],
    [
      { case: 'exactMatch', value: 'v' },
      [
        ['v', true],
        ['V', false],
        ['', false],
      ],
    ],
    [
      { case: 'exactMatch', value: '' },
      [
        ['v', true],
        ['', true],
      ],
    ],
    [
      { case: 'prefixMatch', value: 'ab' },
      [
        ['abc', true],
        ['a', false],
      ],
    ],
    [
      { case: 'suffixMatch', value: 'bc' },
      [
        ['abc', true],
        ['c', false],
      ],
    ],
    [
      { case: 'containsMatch', value: 'b' },
      [
        ['abc', true],
        ['ac', false],
      ],
    ],
    [
      {
        case: 'stringMatch',
        value: { matchPattern: { case: 'exact', value: 'V' }, ignoreCase: true } as never,
      },
      [
        ['v', true],
        ['w', false],
      ],
    ],
    [
      range,
      [
        ['-10', true],
        ['4', true],
        ['5', false],
        ['-11', false],
        ['1.5', false],
        ['', false],
        ['9'.repeat(30), false],
        [' 4', false],
      ],
    ],
  ];
  it.each(table)('%o', (kind, cases) => {
    const present = kind.case === undefined || kind.case === 'presentMatch';
    const presentFalse = kind.case === 'presentMatch' && !kind.value;
    for (const [value, expected] of cases) {
      expect(header(kind)(headers(value)), value).toBe(expected);
      expect(header(kind, { invertMatch: true })(headers(value)), `not ${value}`).toBe(!expected);
    }
    expect(header(kind)(headers()), 'missing').toBe(presentFalse);
    expect(header(kind, { invertMatch: true })(headers()), 'missing, inverted').toBe(
      present && !presentFalse,
    );
  });

  it('takes a missing header for an empty one when told to', () => {
    const extra = { treatMissingHeaderAsEmpty: true };
    expect(header({ case: 'exactMatch', value: 'v' }, { ...extra, invertMatch: true })(headers())).toBe(true);
    expect(header(range, { ...extra, invertMatch: true })(headers())).toBe(true);
    expect(header({ case: 'presentMatch', value: true }, extra)(headers())).toBe(true);
    expect(header({ case: 'presentMatch', value: true }, { ...extra, invertMatch: true })(headers())).toBe(
      false,
    );
  });

  it('joins lines with commas and reads pseudo-headers', () => {
    expect(header({ case: 'exactMatch', value: 'a,b' })(headers('a', 'b'))).toBe(true);
    const map = new RequestHeaders();
    map.method = 'GET';
    const matcher = create(HeaderMatcherSchema, {
      name: ':method',
      headerMatchSpecifier: { case: 'exactMatch', value: 'GET' },
    });
    expect(compileHeaderMatcher(matcher)(map)).toBe(true);
  });

  it('asks for all of a list', () => {
    const a = create(HeaderMatcherSchema, { name: 'x-a' });
    const b = create(HeaderMatcherSchema, { name: 'x-b' });
    const map = headers('1');
    expect(compileHeaderMatchers([])(map)).toBe(true);
    expect(compileHeaderMatchers([a])(map)).toBe(true);
    expect(compileHeaderMatchers([a, b])(map)).toBe(false);
    map.append('x-b', '');
    expect(compileHeaderMatchers([a, b])(map)).toBe(true);
    expect(() => compileHeaderMatchers([a, create(HeaderMatcherSchema, { name: 'a b' })])).toThrow(
      '[1].name',
    );
  });

  it.each<[Kind, string]>([
    [{ case: 'prefixMatch', value: '' }, 'prefix_match: must not be empty'],
    [{ case: 'stringMatch', value: {} as never }, 'string_match: needs one of'],
    [{ case: 'safeRegexMatch', value: { regex: '(?=a)' } as never }, 'safe_regex_match.regex: '],
  ])('refuses %j', (kind, message) => {
    expect(() => header(kind)).toThrow(message);
  });
});

describe('value and metadata matchers', () => {
  type V = NonNullable<MessageInitShape<typeof ValueMatcherSchema>['matchPattern']>;
  const value = (matchPattern: V) => compileValueMatcher(create(ValueMatcherSchema, { matchPattern }));
  const string = (exact: string) =>
    ({
      matchPattern: { case: 'stringMatch', value: { matchPattern: { case: 'exact', value: exact } } },
    }) as never;
  it.each<[V, (MetadataValue | undefined)[], (MetadataValue | undefined)[]]>([
    [{ case: 'nullMatch', value: {} as never }, [null], [undefined, 0, '']],
    [{ case: 'boolMatch', value: false }, [false], [true, null, undefined, 0]],
    [{ case: 'presentMatch', value: true }, [null, 0, ''], [undefined]],
    [{ case: 'presentMatch', value: false }, [undefined], [null]],
    [
      { case: 'stringMatch', value: { matchPattern: { case: 'exact', value: 'é' } } as never },
      ['é'],
      ['\xc3\xa9', 1, undefined],
    ],
    [
      {
        case: 'doubleMatch',
        value: { matchPattern: { case: 'range', value: { start: 1, end: 2 } } } as never,
      },
      [1, 1.9],
      [2, 0.9, '1'],
    ],
    [{ case: 'doubleMatch', value: { matchPattern: { case: 'exact', value: 1 } } as never }, [1], [2]],
    [
      { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: string('a') } } as never },
      [['b', 'a']],
      [['b'], 'a', []],
    ],
    [{ case: 'orMatch', value: { valueMatchers: [string('a'), string('b')] } as never }, ['a', 'b'], ['c']],
  ])('%o', (pattern, yes, no) => {
    for (const one of yes) expect(value(pattern)(one)).toBe(true);
    for (const one of no) expect(value(pattern)(one)).toBe(false);
  });

  it('refuses what asks for nothing', () => {
    expect(() => value({ case: undefined })).toThrow('needs a match pattern');
    expect(() => value({ case: 'doubleMatch', value: {} as never })).toThrow('double_match: needs one of');
    expect(() => value({ case: 'listMatch', value: {} as never })).toThrow('list_match: needs one_of');
    expect(() => compileMetadataMatcher(create(MetadataMatcherSchema, { filter: 'f' }))).toThrow(
      'value: is required',
    );
  });

  it('walks metadata by its own keys only', () => {
    const metadata = new Map([['ns', { a: { b: 'x' }, list: [1] }]]);
    expect(metadataValue(metadata, 'ns', ['a', 'b'])).toBe('x');
    expect(metadataValue(metadata, 'ns', [])).toEqual({ a: { b: 'x' }, list: [1] });
    for (const path of [['a', 'c'], ['a', 'b', 'c'], ['list', 'length'], ['constructor'], ['__proto__']]) {
      expect(metadataValue(metadata, 'ns', path), path.join('.')).toBeUndefined();
    }
    expect(metadataValue(metadata, 'other', [])).toBeUndefined();
    expect(metadataValue(undefined, 'ns', [])).toBeUndefined();
  });

  it('matches metadata, inverted or not', () => {
    const init = {
      filter: 'ns',
      path: [{ segment: { case: 'key' as const, value: 'a' } }],
      value: string('x'),
    };
    const matcher = compileMetadataMatcher(create(MetadataMatcherSchema, init));
    const inverted = compileMetadataMatcher(create(MetadataMatcherSchema, { ...init, invert: true }));
    const metadata = new Map([['ns', { a: 'x' }]]);
    expect(matcher.find(metadata)).toBe('x');
    expect(matcher.matches(metadata)).toBe(true);
    expect(inverted.matches(metadata)).toBe(false);
    expect(matcher.matches(undefined)).toBe(false);
    expect(inverted.matches(undefined)).toBe(true);
  });
});
