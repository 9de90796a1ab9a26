import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffLines } from '../src/history/line-diff.ts';

const text = (before: string, after: string) =>
  diffLines(before.split(''), after.split('')).map(
    ({ start, lines }) => `${start}:${lines.map(({ kind, text: one }) => `${kind}${one}`).join('')}`,
  );

test.each([
  ['abc', 'abc', []],
  ['abc', 'abd', ['0: a b-c+d']],
  ['abcdef', 'abXcdef', ['0: a b+X c d']],
  ['abcdef', 'bcdef', ['0:-a b c']],
  ['abcdefghij', 'Xbcdefghiy', ['0:-a+X b c', '7: h i-j+y']],
  ['abcdef', 'Xbcdey', ['0:-a+X b c d e-f+y']],
])('%s to %s', (before, after, hunks) => {
  expect(text(before, after)).toEqual(hunks);
});

test('what is taken away and added makes the one of the other', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 40 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const all = diffLines(before, after);
      let made: string[] = [...after];
      // From the last on, so that places before it stay right.
      for (const { start, lines: hunk } of [...all].reverse()) {
        const now = hunk.filter(({ kind }) => kind !== '-').map((line) => line.text);
        expect(made.slice(start, start + now.length)).toEqual(now);
        made = made.toSpliced(
          start,
          now.length,
          ...hunk.filter(({ kind }) => kind !== '+').map((line) => line.text),
        );
      }
      expect(made).toEqual(before);
    }),
  );
});

test('the change is the least one, and texts without end are no trouble', () => {
  const changed = (before: readonly string[], after: readonly string[]) =>
    diffLines(before, after).flatMap(({ lines }) => lines.filter(({ kind }) => kind !== ' ')).length;
  expect(changed([...'abcabba'], [...'cbabac'])).toBe(5);
  const many = Array.from({ length: 50_000 }, (_, i) => `a${i}`);
  const others = many.map((line) => `${line}x`);
  expect(changed(many, others)).toBe(100_000);
  expect(changed(many, many.with(25_000, 'x'))).toBe(2);
});
