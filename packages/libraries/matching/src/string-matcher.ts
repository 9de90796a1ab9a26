import type { RegexMatcher, StringMatcher, XdsStringMatcher } from '@dragoman/api';
import { atPath, ConfigError, compileRegex } from '@dragoman/core';
import { asciiLower, utf8Bytes } from './bytes.ts';

/** Whether a string matches. Pure and cheap; made once from config. */
export type StringPredicate = (value: string) => boolean;

export interface StringMatcherOptions {
  /**
   * What the values are: `bytes` (default), strings of bytes as headers, paths and query strings are, or `text`,
   * Unicode strings as metadata holds.
   */
  readonly values?: 'bytes' | 'text';
}

/**
 * Compiles a `type.matcher.v3.RegexMatcher`. The whole value must match, as in Envoy.
 * @throws ConfigError at `regex` for a pattern that is not RE2 syntax.
 */
export function compileRegexMatcher(
  config: Pick<RegexMatcher, 'regex'>,
  options?: StringMatcherOptions,
): StringPredicate {
  const regex = atPath('regex', () => compileRegex(config.regex));
  // A regex reads strings of bytes as UTF-8 by itself.
  if (options?.values === 'text') return (value) => regex.fullMatch(utf8Bytes(value));
  return (value) => regex.fullMatch(value);
}

/**
 * Compiles a `type.matcher.v3.StringMatcher`, Envoy's or xDS': exact, prefix, suffix, contains, safe_regex; `ignore_case` folds ASCII
 * letters and does not touch regexes.
 * @throws ConfigError when nothing is asked for, for a broken regex, an empty prefix, suffix or contains, and for `custom`.
 */
export function compileStringMatcher(
  config: StringMatcher | XdsStringMatcher,
  options?: StringMatcherOptions,
): StringPredicate {
  const { matchPattern, ignoreCase } = config;
  switch (matchPattern.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains': {
      const kind = matchPattern.case;
      if (kind !== 'exact' && matchPattern.value === '') throw ConfigError.at(kind, 'must not be empty');
      return compilePlain(kind, matchPattern.value, ignoreCase, options);
    }
    case 'safeRegex': {
      const regex = matchPattern.value;
      return atPath('safe_regex', () => compileRegexMatcher(regex, options));
    }
    case 'custom':
      throw ConfigError.at(
        'custom',
        `the string matcher extension "${matchPattern.value.name}" is not supported`,
      );
    default:
      throw ConfigError.at('', 'needs one of exact, prefix, suffix, contains, safe_regex');
  }
}

/** A comparison with a fixed text. */
export function compilePlain(
  kind: 'exact' | 'prefix' | 'suffix' | 'contains',
  pattern: string,
  ignoreCase: boolean,
  options?: StringMatcherOptions,
): StringPredicate {
  const expected = options?.values === 'text' ? pattern : utf8Bytes(pattern);
  if (ignoreCase) {
    const folded = asciiLower(expected);
    switch (kind) {
      case 'exact':
        return (value) => value.length === folded.length && asciiLower(value) === folded;
      case 'prefix':
        return (value) => asciiLower(value.slice(0, folded.length)) === folded;
      case 'suffix':
        return (value) =>
          value.length >= folded.length && asciiLower(value.slice(value.length - folded.length)) === folded;
      case 'contains':
        return (value) => asciiLower(value).includes(folded);
    }
  }
  switch (kind) {
    case 'exact':
      return (value) => value === expected;
    case 'prefix':
      return (value) => value.startsWith(expected);
    case 'suffix':
      return (value) => value.endsWith(expected);
    case 'contains':
      return (value) => value.includes(expected);
  }
}
