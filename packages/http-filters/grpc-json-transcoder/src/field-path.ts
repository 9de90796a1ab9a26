import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { unescapeBytes } from './unescape.ts';

/** From the message that it begins at: each but the last is a message. */
export type FieldPath = readonly DescField[];

/** Longer ones come from recursive messages only; what they stand for is as deep as JSON that is refused. */
const MAX_FIELDS = 100;

const knownNames = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** A message's fields by their names in JSON, and by those in the proto where JSON does not use them. */
export function fieldsByName(message: DescMessage): ReadonlyMap<string, DescField> {
  const known = knownNames.get(message);
  if (known !== undefined) return known;
  const names = new Map<string, DescField>();
  for (const field of message.fields) names.set(field.name, field);
  for (const field of message.fields) names.set(field.jsonName, field);
  knownNames.set(message, names);
  return names;
}

/**
 * Follows names through messages.
 * @returns a text in Envoy's words when that is not possible
 */
export function resolveFieldPath(message: DescMessage, names: readonly string[]): FieldPath | string {
  const path: DescField[] = [];
  let current = message;
  if (names.length > MAX_FIELDS) return `The field path has more than ${MAX_FIELDS} names.`;
  for (const [index, name] of names.entries()) {
    const field = fieldNamed(current, name);
    if (field === undefined) return `Could not find field "${name}" in the type "${current.typeName}".`;
    path.push(field);
    if (index === names.length - 1) break;
    if (field.message === undefined || field.fieldKind === 'map')
      return `Encountered a non-leaf field "${field.name}" that is not a message while parsing a field path`;
    current = field.message;
  }
  return path;
}

function fieldNamed(message: DescMessage, name: string): DescField | undefined {
  const names = fieldsByName(message);
  const found = names.get(name);
  return found === undefined && name.includes('%') ? names.get(unescapeBytes(name, 'all')) : found;
}
