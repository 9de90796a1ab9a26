import type { CookieMatcher } from '@dragoman/api';
import { atPath, ConfigError, type HeaderMap } from '@dragoman/core';
import { utf8Bytes } from './bytes.ts';
import type { HeaderPredicate } from './header-matcher.ts';
import { compileStringMatcher } from './string-matcher.ts';

/**
 * Compiles a `config.route.v3.CookieMatcher`. A cookie that is not there does not match, so that the inverted matcher
 * does. Of several with the name the first counts.
 * @throws ConfigError with a path below the message
 */
export function compileCookieMatcher(config: CookieMatcher): HeaderPredicate {
  if (config.name === '') throw ConfigError.at('name', 'a cookie name is required');
  const name = utf8Bytes(config.name);
  const { stringMatch, invertMatch } = config;
  if (stringMatch === undefined) throw ConfigError.at('string_match', 'is required');
  const matches = atPath('string_match', () => compileStringMatcher(stringMatch));
  return (headers) => {
    const value = cookieValue(headers, name);
    return (value !== undefined && matches(value)) !== invertMatch;
  };
}

/** The value of the first cookie of this name, without double quotes around it; undefined when there is none. */
export function cookieValue(headers: HeaderMap, name: string): string | undefined {
  // The first one ends a name: none has it.
  if (name.includes('=')) return undefined;
  for (const line of headers.getAll('cookie')) {
    let at = 0;
    while (at < line.length) {
      let end = line.indexOf(';', at);
      if (end < 0) end = line.length;
      while (line.charCodeAt(at) === SPACE) at++;
      const equals = at + name.length;
      if (equals < end && line.charCodeAt(equals) === EQUALS && line.startsWith(name, at))
        return unquoted(line.slice(equals + 1, end));
      at = end + 1;
    }
  }
  return undefined;
}

const SPACE = 0x20;
const EQUALS = 0x3d;

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
