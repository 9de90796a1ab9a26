import {
  clone,
  type DescMessage,
  type JsonValue,
  type Message,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack, StringValueSchema } from '@bufbuild/protobuf/wkt';
import { registry as api } from './registry.ts';

/**
 * A message as Envoy's config dumps print it: proto field names, and in each Any `@type` before its fields. An Any whose
 * type is unknown or whose bytes are broken shows its type and its bytes in base64, under `value`.
 * @throws Error when the message itself is of a type that the registry does not have
 */
export function toConfigJson(message: Message, registry: Registry = api): JsonValue {
  const desc = registry.getMessage(message.$typeName);
  if (desc === undefined) throw new Error(`${message.$typeName} is not in the registry`);
  const options = { registry, useProtoFieldName: true };
  try {
    return typeFirst(toJson(desc, message, options));
  } catch {
    // An Any somewhere cannot be read; rare, so the good case pays nothing for it.
    return typeFirst(toJson(desc, readable(desc, message, registry), options), registry);
  }
}

/** Marks the stand-in for an Any that cannot be read: a string that no config holds. */
const MARK = '\u0000any\u0000';

function readable(desc: DescMessage, message: Message, registry: Registry): Message {
  const copy = clone(desc, message);
  replace(copy as unknown as Record<string, unknown>, registry);
  return copy;
}

function replace(value: unknown, registry: Registry): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if ((value as Message).$typeName === 'google.protobuf.Any') {
    const any = value as Any;
    if (any.typeUrl === '') return;
    try {
      toJson(AnySchema, any, { registry });
    } catch {
      const text = `${MARK}${any.typeUrl}${MARK}${Buffer.from(any.value).toString('base64')}`;
      anyPack(StringValueSchema, { $typeName: 'google.protobuf.StringValue', value: text }, any);
    }
    return;
  }
  for (const key of Object.keys(value)) replace((value as Record<string, unknown>)[key], registry);
}

function typeFirst(value: JsonValue, registry?: Registry): JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => typeFirst(item, registry));
  const marked = value['value'];
  if (typeof marked === 'string' && marked.startsWith(MARK)) {
    const [, type, bytes] = marked.split(MARK);
    return { '@type': type, value: bytes };
  }
  const keys = Object.keys(value);
  const at = keys.indexOf('@type');
  if (at > 0) keys.unshift(...keys.splice(at, 1));
  const out: { [key: string]: JsonValue } = Object.create(null);
  for (const key of keys) out[key] = typeFirst(value[key], registry);
  return out;
}
