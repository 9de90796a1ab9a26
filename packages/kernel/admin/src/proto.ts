import {
  type AddressSchema,
  create,
  type DescMessage,
  type JsonValue,
  type MessageInitShape,
  registry,
  toJson,
} from '@dragoman/api';
import type { Address } from '@dragoman/core';

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

export function toAddress(address: Address): MessageInitShape<typeof AddressSchema> {
  if (address.family === 'pipe') return { address: { case: 'pipe', value: { path: address.path } } };
  const portSpecifier = { case: 'portValue', value: address.port } as const;
  return { address: { case: 'socketAddress', value: { address: address.ip, portSpecifier } } };
}
