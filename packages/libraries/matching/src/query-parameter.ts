import type { QueryParameterMatcher } from '@dragoman/api';
import { atPath, ConfigError } from '@dragoman/core';
import { utf8Bytes } from './bytes.ts';
import { compileStringMatcher } from './string-matcher.ts';

/** Whether the query of `path` (the whole `:path`) holds. */
export type QueryPredicate = (path: string) => boolean;

const EQUALS = 0x3d;

/** The first value of a query parameter as it stands, not decoded; empty without `=`; undefined when it is not there. */
export function queryParameter(path: string, name: string): string | undefined {
  let at = path.indexOf('?');
  // The first "=" ends a name: none has it.
  if (at < 0 || name.includes('=')) return undefined;
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

/** The first value of a query parameter, names and values decoded (Envoy: parseAndDecodeQueryString). */
export function decodedQueryParameter(path: string, name: string): string | undefined {
  const at = path.indexOf('?');
  if (at < 0) return undefined;
  for (const part of path.slice(at + 1).split('&')) {
    const equals = part.indexOf('=');
    if (decoded(equals < 0 ? part : part.slice(0, equals)) !== name) continue;
    return equals < 0 ? '' : decoded(part.slice(equals + 1));
  }
  return undefined;
}

/** Characters that stay encoded: those that are not visible or mean something elsewhere. */
const KEPT = /[^!#-;=?-[\]_-z~]/;

/** Percent-decoding as Envoy does it: a percent sign that begins no escape is dropped, unless it is among the last two bytes. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%(?:([0-9a-fA-F]{2})|(?=..))/gs, (whole, hex?: string) => {
    if (hex === undefined) return '';
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return KEPT.test(character) ? whole : character;
  });
}

/**
 * What a `QueryParameterMatcher` asks of a value; undefined stands for a parameter that is not there.
 * @throws ConfigError with a path below the message
 */
export function compileQueryValue(config: QueryParameterMatcher): (value: string | undefined) => boolean {
  if (config.name === '') throw ConfigError.at('name', 'a parameter name is required');
  const specifier = config.queryParameterMatchSpecifier;
  if (specifier.case === 'stringMatch') {
    const matches = atPath('string_match', () => compileStringMatcher(specifier.value));
    return (value) => value !== undefined && matches(value);
  }
  const wanted = specifier.case === undefined || specifier.value;
  return (value) => (value !== undefined) === wanted;
}

/**
 * Compiles a `QueryParameterMatcher`; without a kind the parameter has to be there.
 * @throws ConfigError with a path below the message
 */
export function compileQueryParameter(config: QueryParameterMatcher): QueryPredicate {
  const holds = compileQueryValue(config);
  const name = utf8Bytes(config.name);
  return (path) => holds(queryParameter(path, name));
}
