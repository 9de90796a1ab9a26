import type { HeaderMatcher } from '@dragoman/api';
import { atPath, ConfigError, type HeaderMap } from '@dragoman/core';
import {
  compilePlain,
  compileRegexMatcher,
  compileStringMatcher,
  type StringPredicate,
} from './string-matcher.ts';

/** Whether a message's headers match. */
export type HeaderPredicate = (headers: HeaderMap) => boolean;

/**
 * Compiles a `config.route.v3.HeaderMatcher`. Lines of the same name are joined with commas before they are compared.
 * A header that is not there matches only `present_match: false` (or `present_match` inverted); every other kind is
 * then false, inverted or not, unless `treat_missing_header_as_empty` lets it be compared as an empty value. Without a
 * kind the header has to be there.
 * @throws ConfigError with a path below the message.
 */
export function compileHeaderMatcher(config: HeaderMatcher): HeaderPredicate {
  const name = config.name.toLowerCase();
  if (!HEADER_NAME.test(name)) throw ConfigError.at('name', `"${config.name}" is not a header name`);
  const invert = config.invertMatch;
  const emptyIfMissing = config.treatMissingHeaderAsEmpty;
  const specifier = config.headerMatchSpecifier;

  if (specifier.case === 'presentMatch' || specifier.case === undefined) {
    const wanted = specifier.case === undefined || specifier.value;
    // A missing header that counts as empty is there.
    if (emptyIfMissing) return wanted !== invert ? always : never;
    return wanted !== invert ? (headers) => headers.has(name) : (headers) => !headers.has(name);
  }

  const matches = compileValue(config);
  const missing = emptyIfMissing ? matches('') !== invert : false;
  return (headers) => {
    const value = headers.getJoined(name);
    return value === undefined ? missing : matches(value) !== invert;
  };
}

/** True when all of `matchers` match; an empty list matches. */
export function compileHeaderMatchers(configs: readonly HeaderMatcher[]): HeaderPredicate {
  const all = configs.map((config, index) => atPath(`[${index}]`, () => compileHeaderMatcher(config)));
  if (all.length === 0) return always;
  if (all.length === 1) return all[0];
  return (headers) => {
    for (const matches of all) if (!matches(headers)) return false;
    return true;
  };
}

const always: HeaderPredicate = () => true;
const never: HeaderPredicate = () => false;

/** A token (RFC 9110 section 5.6.2), or one with a colon before it for a pseudo-header. */
const HEADER_NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

function compileValue(config: HeaderMatcher): StringPredicate {
  const specifier = config.headerMatchSpecifier;
  switch (specifier.case) {
    case 'exactMatch':
      // The older exact_match takes an empty text for "any value".
      return specifier.value === '' ? () => true : compilePlain('exact', specifier.value, false);
    case 'prefixMatch':
      return plain('prefix', specifier.value);
    case 'suffixMatch':
      return plain('suffix', specifier.value);
    case 'containsMatch':
      return plain('contains', specifier.value);
    case 'safeRegexMatch': {
      const regex = specifier.value;
      return atPath('safe_regex_match', () => compileRegexMatcher(regex));
    }
    case 'stringMatch': {
      const matcher = specifier.value;
      return atPath('string_match', () => compileStringMatcher(matcher));
    }
    case 'rangeMatch': {
      const { start, end } = specifier.value;
      return (value) => {
        if (!INTEGER.test(value)) return false;
        const number = BigInt(value);
        return number >= start && number < end;
      };
    }
    default:
      throw ConfigError.at('', `unknown header match ${String(specifier.case)}`);
  }
}

/** A whole number as `range_match` reads it; 19 digits hold every 64-bit one. */
const INTEGER = /^-?[0-9]{1,19}$/;

function plain(kind: 'prefix' | 'suffix' | 'contains', value: string): StringPredicate {
  if (value === '') throw ConfigError.at(`${kind}_match`, 'must not be empty');
  return compilePlain(kind, value, false);
}
