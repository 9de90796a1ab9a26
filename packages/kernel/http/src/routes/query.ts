import type { QueryParameterMatcher } from '@dragoman/api';
import { atPath, ConfigError } from '@dragoman/core';
import { compileStringMatcher, utf8Bytes } from '@dragoman/matching';

/** Whether the query of `path` (the whole `:path`) holds. */
export type QueryPredicate = (path: string) => boolean;

const EQUALS = 0x3d;

/** The first value of a query parameter as it stands, not decoded; empty without `=`; undefined when it is not there. */
export function queryParameter(path: string, name: string): string | undefined {
  let at = path.indexOf('?');
  if (at < 0) return undefined;
  at++;
  while (at <= path.length) {
    let end = path.indexOf('&', at);
    if (end < 0) end = path.length;
    const after = at + name.length;
    if (after <= end && path.startsWith(name, at)) {
      if (after === end) return '';
      if (path.charCodeAt(after) === EQUALS) return path.slice(after + 1, end);
    }
    at = end + 1;
  }
  return undefined;
}

/**
 * Compiles a `QueryParameterMatcher`; without a kind the parameter has to be there.
 * @throws ConfigError with a path below the message
 */
export function compileQueryParameter(config: QueryParameterMatcher): QueryPredicate {
  if (config.name === '') throw ConfigError.at('name', 'a parameter name is required');
  const name = utf8Bytes(config.name);
  const specifier = config.queryParameterMatchSpecifier;
  if (specifier.case === 'stringMatch') {
    const matches = atPath('string_match', () => compileStringMatcher(specifier.value));
    return (path) => {
      const value = queryParameter(path, name);
      return value !== undefined && matches(value);
    };
  }
  const wanted = specifier.case === undefined || specifier.value;
  return (path) => (queryParameter(path, name) !== undefined) === wanted;
}
