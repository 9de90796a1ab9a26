import { RegexSyntaxError } from './syntax-error.ts';
import { toByteString } from './utf8.ts';

/** A parsed substitution: texts, and numbers of groups. */
export type Rewrite = readonly (string | number)[];

/**
 * Reads RE2's rewrite syntax: `\0` … `\9` are the whole match and its groups, `\\` is a backslash.
 * @throws RegexSyntaxError for another escape, or a group that the pattern does not have.
 */
export function parseRewrite(substitution: string, groupCount: number): Rewrite {
  const parts: (string | number)[] = [];
  let text = '';
  for (let i = 0; i < substitution.length; i++) {
    const char = substitution[i] as string;
    if (char !== '\\') {
      text += char;
      continue;
    }
    const next = substitution[++i];
    if (next === '\\') text += '\\';
    else if (next !== undefined && next >= '0' && next <= '9') {
      if (Number(next) > groupCount) {
        throw new RegexSyntaxError(
          substitution,
          i - 1,
          `the pattern has no group ${next}`,
          `it has ${groupCount}`,
        );
      }
      if (text !== '') parts.push(toByteString(text));
      text = '';
      parts.push(Number(next));
    } else
      throw new RegexSyntaxError(
        substitution,
        i - 1,
        'invalid escape in a substitution',
        'write \\0 to \\9 for groups and \\\\ for a backslash',
      );
  }
  if (text !== '') parts.push(toByteString(text));
  return parts;
}
