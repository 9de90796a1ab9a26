/** Values to try the fields of a config with: of the field's kind by its descriptor, or by name where any would not do. */
import { EXCLUDES, FIELDS, MESSAGES, NEEDS, WELL_KNOWN } from './field-values.mjs';

const SCALAR = {
  1: 1,
  2: 1,
  3: '1',
  4: '1',
  5: 1,
  6: '1',
  7: 1,
  8: true,
  9: 'x',
  12: 'eA==',
  13: 1,
  15: 1,
  16: '1',
  17: 1,
  18: '1',
};

/**
 * `WeightedCluster.ClusterWeight.name`: how the tables here, and of notes, name a field. Messages are without their package; a site may
 * have a name of its own.
 *
 * @param {{ type: string, as?: string | undefined }} site
 * @param {string} fieldName
 */
export function fieldKey({ type, as }, fieldName) {
  return `${as ?? type.replace(/^.*\.v3\./, '')}.${fieldName}`;
}

/** Names of the fields that cannot stand beside this one, with this value. */
export function excludedBy(site, field, value) {
  const key = fieldKey(site, field.name);
  return [
    ...(field.oneof?.fields ?? []).map(({ name }) => name),
    ...(EXCLUDES[key] ?? []),
    ...(EXCLUDES[`${key}=${value}`] ?? []),
  ];
}

/** What must be put into the config before this field is tried with this value. */
export function neededBy(site, field, value) {
  const key = fieldKey(site, field.name);
  return structuredClone([NEEDS[key] ?? [], NEEDS[`${key}=${value}`] ?? []].flat());
}

/**
 * What to try a field with: every value of an enum, else one value.
 *
 * @returns {{ value: unknown, label: string }[]}
 */
export function valuesFor(site, field) {
  const key = fieldKey(site, field.name);
  if (Object.hasOwn(FIELDS, key)) return [{ value: structuredClone(FIELDS[key]), label: '' }];
  if (field.fieldKind === 'enum') return enumNames(field.enum).map((name) => ({ value: name, label: name }));
  return [{ value: valueFor(field), label: '' }];
}

/** One value for a field that is no enum, in proto3 JSON. */
export function valueFor(field) {
  switch (field.fieldKind) {
    case 'scalar':
      return SCALAR[field.scalar];
    case 'message':
      return messageValue(field.message);
    case 'list':
      return [
        field.listKind === 'message'
          ? messageValue(field.message)
          : field.listKind === 'enum'
            ? enumNames(field.enum)[0]
            : SCALAR[field.scalar],
      ];
    case 'map':
      return {
        [field.mapKey === 9 ? 'x' : '1']:
          field.mapKind === 'message'
            ? messageValue(field.message)
            : field.mapKind === 'enum'
              ? enumNames(field.enum)[0]
              : SCALAR[field.scalar],
      };
    default:
      throw new Error(`no value for ${field.name}`);
  }
}

export function enumNames(desc) {
  return desc.values.map(({ name }) => name);
}

function messageValue(desc) {
  return structuredClone(WELL_KNOWN[desc.typeName] ?? MESSAGES[desc.typeName] ?? {});
}
