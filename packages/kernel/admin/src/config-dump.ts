import {
  anyPack,
  anyUnpack,
  type Any,
  type DescField,
  type DescMessage,
  type Message,
  messageType,
  registry,
} from '@dragoman/api';

/** A message by its fields' local names: what generic walks see. */
type Fields = Record<string, unknown>;

export const ANY = 'google.protobuf.Any';

/** The value of a field: of a oneof's member only when it is the one that is set. */
export function fieldValue(message: Message, field: DescField): unknown {
  const fields = message as unknown as Fields;
  if (field.oneof === undefined) return fields[field.localName];
  const set = fields[field.oneof.localName] as { case: string | undefined; value?: unknown };
  return set.case === field.localName ? set.value : undefined;
}

export function setField(message: Message, field: DescField, value: unknown): void {
  const fields = message as unknown as Fields;
  if (field.oneof === undefined) fields[field.localName] = value;
  else
    fields[field.oneof.localName] =
      value === undefined ? { case: undefined } : { case: field.localName, value };
}

/**
 * Whether a value of a message field is a message: a Struct and the wrappers (`google.protobuf.UInt32Value`, …) are kept
 * as plain JSON and bare scalars instead.
 */
export function isMessage(value: unknown): value is Message {
  return typeof (value as Partial<Message> | null | undefined)?.$typeName === 'string';
}

/** The descriptor of a message. @throws Error when the registry has none */
export function descriptorOf(message: Message): DescMessage {
  const desc = messageType(message.$typeName);
  if (desc === undefined) throw new Error(`${message.$typeName} is not in the registry`);
  return desc;
}

/** The message in an Any as an object of its own; undefined when its type is unknown. */
export function openAny(any: Any): Message | undefined {
  return anyUnpack(any, registry);
}

export function packAny(message: Message): Any {
  return anyPack(descriptorOf(message), message);
}

export function isAny(message: Message): message is Any {
  return message.$typeName === ANY;
}

/** The element messages of a repeated field of messages; undefined for any other field. */
export function elements(message: Message, field: DescField): Message[] | undefined {
  if (field.fieldKind !== 'list' || field.listKind !== 'message') return undefined;
  return fieldValue(message, field) as Message[];
}
