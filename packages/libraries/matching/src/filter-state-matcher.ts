import type { FilterStateMatcher } from '@dragoman/api';
import { addRanges, CidrTable } from '@dragoman/client-address';
import { Address, atPath, ConfigError, type FilterStateObject } from '@dragoman/core';
import { compileStringMatcher } from './string-matcher.ts';

/** Filter state by name, as streams carry it; undefined when nobody has set any. */
export type FilterState = ReadonlyMap<string, FilterStateObject> | undefined;

/**
 * Compiles a `type.matcher.v3.FilterStateMatcher`. An object that is not there does not match, nor one without a text
 * (`string_match`), nor one whose text is no address (`address_match`).
 * @throws ConfigError with a path below the message
 */
export function compileFilterStateMatcher(config: FilterStateMatcher): (state: FilterState) => boolean {
  const { key, matcher } = config;
  if (key === '') throw ConfigError.at('key', 'is required');
  const judge = compileText(matcher);
  return (state) => {
    const text = state?.get(key)?.toText?.();
    return text !== undefined && judge(text);
  };
}

function compileText(matcher: FilterStateMatcher['matcher']): (text: string) => boolean {
  switch (matcher.case) {
    case 'stringMatch':
      return atPath('string_match', () => compileStringMatcher(matcher.value, { values: 'text' }));
    case 'addressMatch': {
      const table = new CidrTable<true>();
      atPath('address_match.ranges', () => addRanges(table, matcher.value.ranges, true));
      // An object that is an address has its text: with a port or without.
      return (text) => table.has(Address.parse(text)?.ip ?? text);
    }
    default:
      throw ConfigError.at('', 'needs one of string_match, address_match');
  }
}
