import {
  create,
  type DescMessage,
  type JsonValue,
  type MessageInitShape,
  registry,
  toJson,
} from '@dragoman/api';

/**
 * A message as Envoy's admin interface prints it: the proto's field names; with `always`, fields that have their
 * default value too.
 */
export function messageJson<S extends DescMessage>(
  schema: S,
  init: MessageInitShape<S>,
  always = false,
): JsonValue {
  return toJson(schema, create(schema, init), {
    registry,
    useProtoFieldName: true,
    alwaysEmitImplicit: always,
  });
}
