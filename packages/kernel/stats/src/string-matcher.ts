import { compileRegex } from '@dragoman/core';

/** Envoy's `StringMatcher` as plain data; exactly one of the patterns is set. */
export interface StringMatch {
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly contains?: string;
  /** RE2 syntax; must match the whole text, as `safe_regex` does. */
  readonly regex?: string;
  /** Does not touch {@link regex}. */
  readonly ignoreCase?: boolean;
}

/** A function that tells whether a text matches. @throws RegexSyntaxError, or an Error when no pattern is set. */
export function compileStringMatch(match: StringMatch): (text: string) => boolean {
  if (match.regex !== undefined) {
    const regex = compileRegex(match.regex);
    return (text) => regex.fullMatch(text);
  }
  const fold = match.ignoreCase === true ? (text: string) => text.toLowerCase() : (text: string) => text;
  if (match.exact !== undefined) {
    const exact = fold(match.exact);
    return (text) => fold(text) === exact;
  }
  if (match.prefix !== undefined) {
    const prefix = fold(match.prefix);
    return (text) => fold(text).startsWith(prefix);
  }
  if (match.suffix !== undefined) {
    const suffix = fold(match.suffix);
    return (text) => fold(text).endsWith(suffix);
  }
  if (match.contains !== undefined) {
    const part = fold(match.contains);
    return (text) => fold(text).includes(part);
  }
  throw new Error('a string matcher needs one of exact, prefix, suffix, contains, safe_regex');
}
