import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { compileRegex, RegexSyntaxError } from '../../src/index.ts';

/** The bytes of a text as a header value has them. */
const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

const alphabet = [
  'a',
  'b',
  'k',
  'S',
  '1',
  '_',
  '-',
  '/',
  '.',
  '\n',
  '\r',
  ' ',
  'é',
  'É',
  'ſ',
  'Ω',
  '\u2028',
  '\u{1f600}',
];
const textOf = (max: number) =>
  fc.array(fc.constantFrom(...alphabet), { maxLength: max }).map((chars) => chars.join(''));

const atom = fc.constantFrom(
  'a',
  'b',
  'k',
  'S',
  '1',
  '_',
  '/',
  '.',
  '\\.',
  '\\/',
  '\\n',
  '\\r',
  'é',
  'ſ',
  '\u{1f600}',
  '\\x{1F600}',
  '\\xe9',
  '\\101',
  '\\d',
  '\\D',
  '\\w',
  '\\W',
  '\\s',
  '\\S',
  '[ab]',
  '[^a]',
  '[a-k]',
  '[^a-z/]',
  '[]a]',
  '[^]a]',
  '[a-]',
  '[\\d-]',
  '[[:alpha:]]',
  '[^[:space:]]',
  '[[:^digit:]b]',
  '[é-ſ]',
  '[^\\x{1F600}]',
  '[\\pL_]',
  '\\pN',
  '\\p{Greek}',
  '\\P{Lu}',
  '\\p{^Lu}',
  '[^\\D]',
  '\\Qa.b\\E',
  '^',
  '$',
  '\\A',
  '\\z',
  '\\b',
  '\\B',
  '()',
  '(|a)',
  '(?i)',
  '(?s)',
  '(?m)',
);
const quantifier = fc.constantFrom(
  '',
  '',
  '',
  '*',
  '+',
  '?',
  '*?',
  '+?',
  '??',
  '{2}',
  '{0}',
  '{1,3}',
  '{2,}',
  '{0,2}?',
  '{,2}',
);
const { pattern } = fc.letrec<{ pattern: string; branch: string; piece: string }>((tie) => ({
  pattern: fc.array(tie('branch'), { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|')),
  branch: fc.array(tie('piece'), { maxLength: 4 }).map((pieces) => pieces.join('')),
  piece: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.tuple(atom, quantifier).map(([text, times]) => text + times),
    fc
      .tuple(fc.constantFrom('(', '(?:', '(?i:', '(?s:', '(?m:', '(?U:', '(?-i:'), tie('pattern'), quantifier)
      .map(([open, inner, times]) => `${open}${inner})${times}`),
  ),
}));

function outcome<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

describe('compileRegex against re2js', () => {
  it('takes the same patterns, and matches the same texts', () => {
    let matched = 0;
    fc.assert(
      fc.property(pattern, fc.array(textOf(8), { minLength: 4, maxLength: 8 }), (source, texts) => {
        const theirs = outcome(() => RE2JS.compile(source));
        const ours = outcome(() => compileRegex(source));
        expect(ours !== undefined).toBe(theirs !== undefined);
        if (ours === undefined || theirs === undefined) return;
        for (const text of texts) {
          const full = theirs.matches(text);
          if (full) matched++;
          expect([text, ours.fullMatch(bytes(text))]).toEqual([text, full]);
          expect([text, ours.search(bytes(text))]).toEqual([text, theirs.matcher(text).find()]);
        }
      }),
      { numRuns: 1500, seed: 20260101 },
    );
    expect(matched).toBeGreaterThan(200);
  });

  it('refuses and takes what RE2 does among random characters', () => {
    const char = fc.constantFrom(...'ab01(){}[]*+?|\\^$.-,:<>P=!?imsUQEdpLxz'.split(''));
    fc.assert(
      fc.property(
        fc.array(char, { maxLength: 8 }).map((chars) => chars.join('')),
        (source) => {
          const theirs = outcome(() => RE2JS.compile(source));
          let ours = false;
          try {
            compileRegex(source);
            ours = true;
          } catch (error) {
            expect(error).toBeInstanceOf(RegexSyntaxError);
          }
          expect([source, ours]).toEqual([source, theirs !== undefined]);
        },
      ),
      { numRuns: 10_000, seed: 20260102 },
    );
  });

  it('finds the same groups where captures are defined alike', () => {
    const piece = fc.constantFrom(
      '(a+)',
      '([^/]*)',
      '(b|k)',
      '(\\w+?)',
      '/',
      'a',
      '(é)?',
      '(.)',
      '(?:1|(S))',
      'a{2}',
      '([a-k]{2,20})',
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 4 }), textOf(10), (pieces, text) => {
        const source = pieces.join('');
        const matcher = RE2JS.compile(source).matcher(text);
        const found = matcher.find()
          ? Array.from({ length: matcher.groupCount() + 1 }, (_, i) => {
              const group = matcher.group(i);
              return group === null ? undefined : bytes(group);
            })
          : undefined;
        expect(compileRegex(source).captures(bytes(text))).toEqual(found);
      }),
      { numRuns: 1500, seed: 20260103 },
    );
  });
});
