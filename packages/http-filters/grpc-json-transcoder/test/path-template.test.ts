import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTemplate } from '../src/path-template.ts';

/** `field=start+length>behind`, with `**` for a length that is open. */
function summary(text: string): string {
  const { segments, verb, variables } = parseTemplate(text);
  const parts = variables.map(
    ({ fieldPath, start, length, behind }) => `${fieldPath.join('.')}=${start}+${length ?? '**'}>${behind}`,
  );
  return [segments.join(' '), ...(verb === '' ? [] : [`:${verb}`]), ...parts].join(' | ');
}

describe('a path template', () => {
  it.each([
    ['/', ''],
    ['/rooms', 'rooms'],
    ['/rooms/{room}/works/{work}', 'rooms * works * | room=1+1>2 | work=3+1>0'],
    ['/rooms/**', 'rooms **'],
    ['/**', '**'],
    ['/*/**', '* **'],
    ['/a:close', 'a | :close'],
    ['/a/b/*:close', 'a b * | :close'],
    ['/a/{b.c.d}', 'a * | b.c.d=1+1>0'],
    ['/a/{b=*}', 'a * | b=1+1>0'],
    ['/a/{b=**}', 'a ** | b=1+**>0'],
    ['/a/{b=c/*}', 'a c * | b=1+2>0'],
    ['/a/{b=c/*/d}/e', 'a c * d e | b=1+3>1'],
    ['/a/{b=c/**}/d/e', 'a c ** d e | b=1+**>2'],
    ['/a/{b=c/**/d}/e:close', 'a c ** d e | :close | b=1+**>1'],
    ['/{x=**}:close', '** | :close | x=0+**>0'],
    ['/{x=floors/*}/{y=rooms/*}', 'floors * rooms * | x=0+2>2 | y=2+2>0'],
    ['/a*b/c=d', 'a*b c=d'],
  ])('%s', (text, expected) => expect(summary(text)).toBe(expected));

  it.each([
    ['', 1, 'expected "/", not the end'],
    ['a', 1, 'expected "/", not "a"'],
    ['{x}', 1, 'expected "/", not "{"'],
    [':close', 1, 'expected "/", not ":"'],
    ['//', 2, 'expected a literal, not "/"'],
    ['/a/', 4, 'expected a literal, not the end'],
    ['/a//b', 4, 'expected a literal, not "/"'],
    ['/:close', 2, 'expected a literal, not ":"'],
    ['/a:', 4, 'expected a literal, not the end'],
    ['/a:b:c', 5, 'expected "/", ":" or the end, not ":"'],
    ['/a:b/c', 5, 'expected "/", ":" or the end, not "/"'],
    ['/{}', 3, 'expected a field name, not "}"'],
    ['/a/{', 5, 'expected a field name, not the end'],
    ['/a/{x', 6, 'expected "}", not the end'],
    ['/a/{x.', 7, 'expected a field name, not the end'],
    ['/a/{x=b:close}', 8, 'expected "}", not ":"'],
    ['/a/{x=/b}', 7, 'expected a literal, not "/"'],
    ['/{x=a/{y=b}}', 8, 'a variable cannot stand within another'],
    ['/a{x}', 3, 'expected "/", ":" or the end, not "{"'],
    ['/{x}a', 5, 'expected "/", ":" or the end, not "a"'],
    ['/***', 4, 'expected "/", ":" or the end, not "*"'],
    ['/a/**/*', 8, 'only literals may follow "**", not "*"'],
    ['/a/**/b/**', 11, 'only literals may follow "**", not "**"'],
    ['/{x=**}/{y}', 12, 'only literals may follow "**", not "*"'],
    ['/a'.repeat(101), 202, 'has more than 100 segments'],
  ])('refuses %j', (text, character, problem) => {
    const expected = `path template ${JSON.stringify(text)}, at character ${character}: ${problem}`;
    expect(() => parseTemplate(text)).toThrow(new Error(expected));
  });

  it('is read or refused, whatever it is', () => {
    const pieces = fc.constantFrom('/', '*', '**', '{', '}', '=', '.', ':', 'a', 'b_c', ' ', 'é', '%2f');
    const texts = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 20 }).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let template: ReturnType<typeof parseTemplate>;
        try {
          template = parseTemplate(text);
        } catch (error) {
          expect((error as Error).message).toMatch(/^path template ".*", at character \d+: /s);
          return;
        }
        for (const { start, length, behind } of template.variables) {
          expect(start + (length ?? 1) + behind).toBeLessThanOrEqual(template.segments.length);
          if (length !== undefined) expect(start + length + behind).toBe(template.segments.length);
        }
      }),
      { numRuns: 500 },
    );
  });
});
