import type { MessageShape, StructSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

type Struct = MessageShape<typeof StructSchema> | { readonly [key: string]: unknown };

/**
 * The values of a Struct by key. Nested objects become dotted keys; a FractionalPercent stays one value, as JSON.
 * @throws ConfigError with paths below the Struct
 */
export function flatten(struct: Struct | undefined): Map<string, string> {
  const values = new Map<string, string>();
  if (struct !== undefined) walk(struct, '', values);
  return values;
}

function walk(struct: Struct, prefix: string, into: Map<string, string>): void {
  for (const [name, value] of Object.entries(struct)) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (value === null) throw ConfigError.at(key, 'null is no runtime value');
    if (Array.isArray(value)) throw ConfigError.at(key, 'a list is no runtime value');
    if (typeof value !== 'object') into.set(key, String(value));
    else if (isFraction(value)) into.set(key, JSON.stringify(value));
    else walk(value as Struct, key, into);
  }
}

/** Nothing at all is how proto3 JSON writes the fraction 0. */
function isFraction(value: object): boolean {
  return 'numerator' in value || 'denominator' in value || Object.keys(value).length === 0;
}
