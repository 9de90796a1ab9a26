import { type DescField, type DescMessage, getOption, type Message, registry } from '@dragoman/api';
import {
  ANY,
  descriptorOf,
  fieldValue,
  isAny,
  isMessage,
  openAny,
  packAny,
  setField,
} from './config-dump.ts';

const REDACTED = '[redacted]';

/** The proto option that marks fields whose values are secret. */
const sensitive = registry.getExtension('udpa.annotations.sensitive') as Parameters<typeof getOption>[1];

/**
 * Replaces every value of a field that is marked `udpa.annotations.sensitive`, in Anys too, by `[redacted]` (numbers by
 * zero). Changes `message` in place.
 */
export function redact(message: Message): void {
  walk(message, false);
}

function walk(message: Message, secret: boolean): void {
  if (isAny(message)) {
    const inner = openAny(message);
    if (inner === undefined) {
      // What cannot be read cannot be told apart: below a secret field it goes, elsewhere there is nothing to find.
      if (secret) message.value = new Uint8Array();
      return;
    }
    walk(inner, secret);
    message.value = packAny(inner).value;
    return;
  }
  const desc = descriptorOf(message);
  for (const field of secret ? desc.fields : tellingFields(desc)) {
    const value = fieldValue(message, field);
    if (value === undefined) continue;
    walkField(message, field, value, secret || isSensitive(field));
  }
}

/** By type: most have no field that could hold a secret, and a history of many resources is made of them. */
const telling = new Map<DescMessage, readonly DescField[]>();
const holding = new Map<DescMessage, boolean>();

function tellingFields(desc: DescMessage): readonly DescField[] {
  let fields = telling.get(desc);
  if (fields === undefined) {
    fields = desc.fields.filter((field) => isSensitive(field) || mayHold(messageOf(field)));
    telling.set(desc, fields);
  }
  return fields;
}

function isSensitive(field: DescField): boolean {
  return getOption(field, sensitive) === true;
}

/** The type of the messages in a field. */
function messageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === 'scalar' || field.fieldKind === 'enum' ? undefined : field.message;
}

/** Whether there is a secret, or an Any, somewhere below a type. */
function mayHold(desc: DescMessage | undefined): boolean {
  if (desc === undefined) return false;
  const known = holding.get(desc);
  if (known !== undefined) return known;
  // Types may hold themselves: everything that can be reached is looked at once.
  const seen = new Set<DescMessage>([desc]);
  let found = false;
  for (const one of seen) {
    if (one.typeName === ANY || one.fields.some(isSensitive)) {
      found = true;
      break;
    }
    for (const field of one.fields) {
      const below = messageOf(field);
      if (below !== undefined) seen.add(below);
    }
  }
  // What cannot hold any, has nothing below it that can.
  if (!found) for (const one of seen) holding.set(one, false);
  holding.set(desc, found);
  return found;
}

function walkField(message: Message, field: DescField, value: unknown, secret: boolean): void {
  if (field.fieldKind === 'message') {
    if (isMessage(value)) walk(value, secret);
    else if (secret) setField(message, field, hide(value));
  } else if (field.fieldKind === 'list') {
    const list = value as unknown[];
    for (const element of list) if (isMessage(element)) walk(element, secret);
    if (secret) setField(message, field, list.map(hide));
  } else if (field.fieldKind === 'map') {
    const map = value as Record<string, unknown>;
    for (const key of Object.keys(map)) {
      const entry = map[key];
      if (isMessage(entry)) walk(entry, secret);
      else if (secret) map[key] = hide(entry);
    }
  } else if (secret && field.fieldKind === 'scalar' && !isEmpty(value)) {
    setField(message, field, hide(value));
  }
}

/** A text that is empty was not set: there is nothing to hide. */
function isEmpty(value: unknown): boolean {
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length === 0;
}

/** A message has been seen to by itself. */
function hide(value: unknown): unknown {
  if (isMessage(value)) return value;
  switch (typeof value) {
    case 'string':
      return REDACTED;
    case 'number':
      return 0;
    case 'bigint':
      return 0n;
    case 'boolean':
      return false;
    default:
      if (value instanceof Uint8Array) return Buffer.from(REDACTED);
      if (Array.isArray(value)) return value.map(hide);
      return value === null
        ? null
        : Object.fromEntries(Object.entries(value as object).map(([key, inner]) => [key, hide(inner)]));
  }
}
