import { FilterStateInputSchema } from '@dragoman/api';
import { ConfigError, defineMatchInput, type FilterStateObject } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

/** The text of an object of filter state; nothing when there is no such object, or it has no text. */
export const filterStateInput = defineMatchInput({
  name: 'envoy.matching.inputs.filter_state',
  config: FilterStateInputSchema,
  createHttp({ key }) {
    checkKey(key);
    return {
      kind: 'text',
      get: ({ info }) => textOf(info.hasFilterState ? info.filterState : undefined, key),
    };
  },
  createConnection({ key }) {
    checkKey(key);
    return { kind: 'text', get: ({ filterState }) => textOf(filterState, key) };
  },
});

function checkKey(key: string): void {
  if (key === '') throw ConfigError.at('key', 'is required');
}

function textOf(state: ReadonlyMap<string, FilterStateObject> | undefined, key: string): string | undefined {
  const text = state?.get(key)?.toText?.();
  return text === undefined ? undefined : utf8Bytes(text);
}
