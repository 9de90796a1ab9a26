import { type DescMessage, type JsonValue, type Message, type Registry, toJson } from '@bufbuild/protobuf';
import { registry as api } from './registry.ts';

/**
 * A message as Envoy's config dumps print it: proto field names, and in each Any `@type` before its fields.
 * @throws Error when an Any holds a type that the registry does not have
 */
export function toConfigJson(message: Message, registry: Registry = api): JsonValue {
  const desc = registry.getMessage(message.$typeName);
  if (desc === undefined) throw new Error(`${message.$typeName} is not in the registry`);
  return typeFirst(toJson(desc as DescMessage, message, { registry, useProtoFieldName: true }));
}

function typeFirst(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(typeFirst);
  const keys = Object.keys(value);
  const at = keys.indexOf('@type');
  if (at > 0) keys.unshift(...keys.splice(at, 1));
  const out: { [key: string]: JsonValue } = Object.create(null);
  for (const key of keys) out[key] = typeFirst(value[key]);
  return out;
}
