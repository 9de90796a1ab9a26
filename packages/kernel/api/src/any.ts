import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  type MessageShape,
  type Registry,
} from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { ConfigError } from '@dragoman/core';
import { GiveUp, Normaliser } from './normalise.ts';
import { registry as api, typeNameOf } from './registry.ts';

const TYPED_STRUCTS = new Set(['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct']);

interface TypedStruct extends Message {
  typeUrl: string;
  value?: Record<string, unknown>;
}

/** Messages already taken out, by the Any they came from: configs are checked, logged and built from the same Any. */
const unpacked = new WeakMap<Any, Message>();

/**
 * The message inside an `Any`. A `TypedStruct` (of xds or udpa) whose `type_url` is known comes out as that type, else
 * as the TypedStruct. Undefined for an empty Any and for a type that the registry does not have.
 *
 * The same Any gives the same object each time: treat it as frozen.
 * @throws ConfigError when the bytes are not a message of the type, or a TypedStruct does not fit the type it names
 */
export function unpackAny(any: Any, registry: Registry = api): Message | undefined {
  const known = unpacked.get(any);
  if (known !== undefined) return known;
  if (any.typeUrl === '') return undefined;
  const desc = registry.getMessage(typeNameOf(any.typeUrl));
  if (desc === undefined) return undefined;
  let message: Message;
  try {
    message = fromBinary(desc, any.value);
  } catch (error) {
    throw ConfigError.at('', `not a valid ${desc.typeName}: ${(error as Error).message}`);
  }
  if (TYPED_STRUCTS.has(desc.typeName)) message = unwrap(message as TypedStruct, registry);
  unpacked.set(any, message);
  return message;
}

/** The message inside an `Any` when it is of this type (also by way of a TypedStruct); undefined when it is another. */
export function unpackAnyAs<S extends DescMessage>(
  any: Any,
  schema: S,
  registry?: Registry,
): MessageShape<S> | undefined {
  if (anyTypeName(any) !== schema.typeName) return undefined;
  return unpackAny(any, registry) as MessageShape<S> | undefined;
}

/** The full name of the type inside an `Any`, seen through a TypedStruct. Empty for an empty Any. */
export function anyTypeName(any: Any): string {
  const name = typeNameOf(any.typeUrl);
  if (!TYPED_STRUCTS.has(name)) return name;
  const desc = api.getMessage(name);
  try {
    const inner = (fromBinary(desc as DescMessage, any.value) as TypedStruct).typeUrl;
    return inner === '' ? name : typeNameOf(inner);
  } catch {
    return name;
  }
}

function unwrap(struct: TypedStruct, registry: Registry): Message {
  const desc = registry.getMessage(typeNameOf(struct.typeUrl));
  // A static config was checked for unknown fields when it was loaded; elsewhere they are let through, as in binary.
  return desc === undefined ? struct : readLoose(desc, struct.value ?? {}, registry, true);
}

/**
 * Reads JSON by the loader's rules into a message.
 * @param allowUnknownFields leaves fields out that the message does not have. Default false: they are problems.
 * @throws ConfigError with every problem
 */
export function readLoose<S extends DescMessage>(
  desc: S,
  value: unknown,
  registry: Registry = api,
  allowUnknownFields = false,
): MessageShape<S> {
  const normaliser = new Normaliser({ registry, allowUnknownFields });
  let json: JsonValue | undefined;
  try {
    json = normaliser.message(desc, value);
  } catch (error) {
    if (!(error instanceof GiveUp)) throw error;
  }
  if (normaliser.problems.length > 0 || json === undefined) throw new ConfigError(normaliser.problems);
  return fromJson(desc, json, { registry, recursionLimit: 1000 });
}
