import { type DescField, type DescMessage, isFieldSet, type MessageShape } from '@bufbuild/protobuf';
import { ConfigError, type ConfigProblem, joinPath } from './config-error.ts';

/** Why a field that is known but not built yet is refused, by field name in snake case. Shown after the name. */
export type RefusalReasons = Readonly<Record<string, string>>;

/**
 * Every field of `message` that is set and not among `supported`, as a problem located at `path`. A proto3 field
 * without presence counts as set when it differs from its default.
 *
 * @param supported Field names as in the proto (snake case, members of a oneof by their own names).
 * @param reasons What to say of a field instead of the general text.
 */
export function unsupportedFields<D extends DescMessage>(
  message: MessageShape<D>,
  schema: D,
  supported: ReadonlySet<string>,
  path: string,
  reasons: RefusalReasons = {},
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const field of schema.fields) {
    if (supported.has(field.name) || !isFieldSet(message, field)) continue;
    problems.push({ path: joinPath(path, field.name), message: reasonFor(field, schema, reasons) });
  }
  return problems;
}

/**
 * Refuses, by name, what a config sets and this proxy does not act on: nothing is ignored in silence.
 *
 * @throws ConfigError with one problem for each such field.
 */
export function refuseUnsupported<D extends DescMessage>(
  message: MessageShape<D>,
  schema: D,
  supported: ReadonlySet<string>,
  path = '',
  reasons: RefusalReasons = {},
): void {
  const problems = unsupportedFields(message, schema, supported, path, reasons);
  if (problems.length > 0) throw new ConfigError(problems);
}

function reasonFor(field: DescField, schema: DescMessage, reasons: RefusalReasons): string {
  return Object.hasOwn(reasons, field.name)
    ? (reasons[field.name] as string)
    : `${field.name} of ${schema.typeName} is not supported yet; remove it`;
}
