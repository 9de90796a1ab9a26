import type { DescField } from '@bufbuild/protobuf';
import type { FieldTree } from './bound-fields.ts';
import { booleanOf, wrappedField } from './json-convert.ts';
import { isLooseObject, LongNumber, type LooseJson, type LooseObject } from './json-text.ts';
import { Refusal } from './refusal.ts';

/** As near as Envoy takes two doubles for one. */
const NEARLY = 32 * 2 ** -23;

/**
 * Puts the fields of a request's line into the JSON of its body, in place. What the body has stays: a list gets the line's values
 * behind its own, anything else none.
 * @param refuseCollisions a value of the body that is not the line's is a refusal
 */
export function weave(tree: FieldTree, body: LooseJson, refuseCollisions: boolean): Refusal | undefined {
  if (!isLooseObject(body)) return undefined;
  for (const [field, values] of tree.values) {
    const refusal = setValues(field, values, body, refuseCollisions);
    if (refusal !== undefined) return refusal;
  }
  for (const [field, subtree] of tree.messages) {
    const refusal = weave(subtree, messageOf(field, subtree, body), refuseCollisions);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function setValues(
  field: DescField,
  values: readonly string[],
  body: LooseObject,
  refuseCollisions: boolean,
): Refusal | undefined {
  const key = keyOf(field, body);
  const present = Object.hasOwn(body, key) ? body[key] : undefined;
  if (field.fieldKind === 'list') {
    if (Array.isArray(present)) present.push(...values);
    else if (present == null) body[key] = [...values];
    return undefined;
  }
  if (present == null) {
    body[key] = values.at(-1) as string;
    return undefined;
  }
  return refuseCollisions ? collision(field, values, present) : undefined;
}

/** The object that the fields of a subtree go into: the body's, or a new one in its place. */
function messageOf(field: DescField, subtree: FieldTree, body: LooseObject): LooseJson {
  const key = keyOf(field, body);
  const present = Object.hasOwn(body, key) ? body[key] : undefined;
  const made: LooseObject = {};
  if (field.fieldKind === 'list') {
    if (Array.isArray(present)) present.push(made);
    else if (present == null) body[key] = [made];
    return made;
  }
  if (present != null) return present;
  const wrapped = field.message === undefined ? undefined : wrappedField(field.message);
  // `max_age.value=3`: in JSON the wrapper is its value.
  if (wrapped !== undefined) body[key] = subtree.values.get(wrapped)?.at(-1) ?? made;
  else body[key] = made;
  return made;
}

/** A field may stand in JSON under either of its names. */
function keyOf(field: DescField, body: LooseObject): string {
  return Object.hasOwn(body, field.name) && !Object.hasOwn(body, field.jsonName)
    ? field.name
    : field.jsonName;
}

function collision(field: DescField, values: readonly string[], present: LooseJson): Refusal | undefined {
  const other = values.find((value) => !isSame(value, present));
  if (other === undefined) return undefined;
  const shown = present instanceof LongNumber ? present.source : String(present);
  return Refusal.request(
    `The binding value ${other} of the field ${field.name} is conflicting with the value ${shown} in the body.`,
  );
}

function isSame(value: string, present: LooseJson): boolean {
  if (present instanceof LongNumber) return value === present.source;
  switch (typeof present) {
    case 'string':
      return value === present;
    case 'boolean':
      return booleanOf(value) === present;
    case 'number':
      return value !== '' && Math.abs(Number(value) - present) < NEARLY;
    default:
      return true;
  }
}
