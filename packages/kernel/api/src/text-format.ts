import {
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Registry,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf';
import { hasCustomJson, MAX_DEPTH } from './normalise.ts';
import type { PathStep } from './path.ts';
import { type Source, SourceError } from './source.ts';
import { tokenize, type Token } from './text-format-tokens.ts';

/** A value with where it stands, and the places of what is in it. */
interface Placed {
  offset: number;
  value: unknown;
  fields?: Map<string, { key: number; at: Placed }>;
  items?: Placed[];
}

const ANY = 'google.protobuf.Any';
const STRUCT = 'google.protobuf.Struct';
const LIST = 'google.protobuf.ListValue';
const VALUE = 'google.protobuf.Value';
const FREE_FORM = new Set([STRUCT, LIST, VALUE]);

/** The two fields of a map entry, which has no descriptor of its own. */
interface EntryTypes {
  key: ScalarType;
  value: { scalar?: ScalarType; message?: DescMessage };
}

function fail(offset: number, message: string): never {
  throw new SourceError([{ offset, message }]);
}

class TextParser {
  readonly #tokens: readonly Token[];
  readonly #registry: Registry;
  #at = 0;
  #depth = 0;

  constructor(text: string, registry: Registry) {
    this.#tokens = tokenize(text);
    this.#registry = registry;
  }

  document(desc: DescMessage): Placed {
    return this.#body(desc, 'end', 0);
  }

  get #token(): Token {
    return this.#tokens[this.#at];
  }

  #accept(text: string): boolean {
    const token = this.#token;
    if (token.kind !== 'sign' || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text))
      fail(this.#token.offset, `expected ${text}, got ${this.#token.text || 'the end'}`);
  }

  /** Fields up to the closing sign. Without a descriptor everything is read as it looks. */
  #body(desc: DescMessage | undefined, close: string, offset: number): Placed {
    if (++this.#depth > MAX_DEPTH) fail(offset, `nested more than ${MAX_DEPTH} deep`);
    const map = Object.create(null) as Record<string, unknown>;
    const fields = new Map<string, { key: number; at: Placed }>();
    for (;;) {
      const token = this.#token;
      if (token.kind === 'end' || (token.kind === 'sign' && token.text === close)) {
        if (token.kind === 'end' && close !== 'end') fail(token.offset, `expected ${close}, got the end`);
        if (token.kind !== 'end') this.#at++;
        break;
      }
      if (desc?.typeName === ANY && this.#accept('[')) {
        this.#expandedAny(map, fields, token.offset);
      } else {
        this.#field(desc, map, fields);
      }
      if (!this.#accept(',')) this.#accept(';');
    }
    this.#depth--;
    return { offset, value: map, fields };
  }

  /** `[type.googleapis.com/some.Type] { … }` */
  #expandedAny(
    map: Record<string, unknown>,
    fields: Map<string, { key: number; at: Placed }>,
    offset: number,
  ): void {
    let url = '';
    while (!this.#accept(']')) {
      const token = this.#token;
      if (token.kind !== 'name' && !(token.kind === 'sign' && (token.text === '/' || token.text === '.'))) {
        fail(token.offset, 'expected a type URL in brackets');
      }
      url += token.text;
      this.#at++;
    }
    if (map['@type'] !== undefined) fail(offset, 'an Any holds one message');
    this.#accept(':');
    const type = this.#registry.getMessage(url.slice(url.lastIndexOf('/') + 1));
    const inner = this.#message(type);
    fields.set('@type', { key: offset, at: { offset, value: url } });
    map['@type'] = url;
    if (!(type !== undefined && hasCustomJson(type)) && inner.fields !== undefined) {
      Object.assign(map, inner.value);
      for (const [name, entry] of inner.fields) fields.set(name, entry);
    } else {
      map['value'] = inner.value;
      fields.set('value', { key: offset, at: inner });
    }
  }

  #field(
    desc: DescMessage | undefined,
    map: Record<string, unknown>,
    fields: Map<string, { key: number; at: Placed }>,
  ): void {
    const token = this.#token;
    if (token.kind !== 'name') fail(token.offset, `expected a field name, got ${token.text || 'the end'}`);
    this.#at++;
    const name = token.text;
    const field = desc?.fields.find((f) => f.name === name);
    const colon = this.#accept(':');
    const known = fields.get(name);
    const repeated =
      field === undefined ? known !== undefined : field.fieldKind === 'list' || field.fieldKind === 'map';
    if (known !== undefined && !repeated) fail(token.offset, `${name} is set twice`);
    const read = () => this.#value(field, colon);
    if (!repeated) {
      const at = read();
      fields.set(name, { key: token.offset, at });
      map[name] = at.value;
      return;
    }
    const items: Placed[] = [];
    if (this.#accept('[')) {
      if (!this.#accept(']')) {
        do items.push(read());
        while (this.#accept(','));
        this.#expect(']');
      }
    } else items.push(read());
    if (field?.fieldKind === 'map') this.#entries(items, map, fields, name, token.offset);
    else {
      const all = [...(known?.at.items ?? (known === undefined ? [] : [known.at])), ...items];
      const list = all.map((item) => item.value);
      map[name] = list;
      fields.set(name, known ?? { key: token.offset, at: { offset: token.offset, value: list, items: all } });
      const entry = fields.get(name) as { at: Placed };
      entry.at = { offset: entry.at.offset, value: list, items: all };
    }
  }

  #entries(
    items: readonly Placed[],
    map: Record<string, unknown>,
    fields: Map<string, { key: number; at: Placed }>,
    name: string,
    offset: number,
  ): void {
    const target = (map[name] ??= Object.create(null)) as Record<string, unknown>;
    let places = fields.get(name);
    if (places === undefined) {
      places = { key: offset, at: { offset, value: target, fields: new Map() } };
      fields.set(name, places);
    }
    for (const item of items) {
      const entry = item.value as Record<string, unknown>;
      const key = String(entry['key'] ?? '');
      target[key] = entry['value'] ?? null;
      const at = item.fields?.get('value')?.at ?? item;
      places.at.fields?.set(key, { key: item.offset, at });
    }
  }

  #value(field: DescField | undefined, colon: boolean): Placed {
    if (field === undefined) return this.#untyped(colon);
    if (field.fieldKind === 'map') {
      return this.#entry({ key: field.mapKey, value: { scalar: field.scalar, message: field.message } });
    }
    if (field.message !== undefined) return this.#message(field.message);
    if (!colon) fail(this.#token.offset, `expected : after ${field.name}`);
    return this.#scalar(field.enum === undefined ? (field.scalar as ScalarType) : undefined);
  }

  #message(desc: DescMessage | undefined): Placed {
    const token = this.#token;
    const close = this.#accept('{') ? '}' : this.#accept('<') ? '>' : undefined;
    if (close === undefined) fail(token.offset, `expected {, got ${token.text || 'the end'}`);
    const body = this.#body(desc, close, token.offset);
    if (desc === undefined) return body;
    if (FREE_FORM.has(desc.typeName))
      return { offset: token.offset, value: freeForm(desc.typeName, body.value) };
    if (desc.typeName === ANY) return this.#rawAny(body);
    return body;
  }

  /** `type_url: "…" value: "…"`: the bytes are read, so that all of it is checked the same way. */
  #rawAny(body: Placed): Placed {
    const map = body.value as Record<string, unknown>;
    if (typeof map['type_url'] !== 'string' || map['@type'] !== undefined) return body;
    const url = map['type_url'];
    const desc = this.#registry.getMessage(url.slice(url.lastIndexOf('/') + 1));
    let json: JsonValue = {};
    if (desc !== undefined) {
      try {
        const bytes = Buffer.from(String(map['value'] ?? ''), 'base64');
        json = toJson(desc, fromBinary(desc, bytes), { registry: this.#registry, useProtoFieldName: true });
      } catch (error) {
        fail(body.offset, `the value is not a ${desc.typeName}: ${(error as Error).message}`);
      }
    }
    const custom = typeof json !== 'object' || json === null || Array.isArray(json);
    return { offset: body.offset, value: { ...(custom ? { value: json } : (json as object)), '@type': url } };
  }

  #entry(types: EntryTypes): Placed {
    const token = this.#token;
    const close = this.#accept('{') ? '}' : this.#accept('<') ? '>' : undefined;
    if (close === undefined) fail(token.offset, 'expected a map entry: { key: … value: … }');
    const map = Object.create(null) as Record<string, unknown>;
    const fields = new Map<string, { key: number; at: Placed }>();
    while (!this.#accept(close)) {
      const name = this.#token;
      if (name.text !== 'key' && name.text !== 'value')
        fail(name.offset, 'a map entry has only key and value');
      this.#at++;
      this.#accept(':');
      const message = name.text === 'value' ? types.value.message : undefined;
      const at =
        message === undefined
          ? this.#scalar(name.text === 'key' ? types.key : types.value.scalar)
          : this.#message(message);
      map[name.text] = at.value;
      fields.set(name.text, { key: name.offset, at });
      if (!this.#accept(',')) this.#accept(';');
    }
    return { offset: token.offset, value: map, fields };
  }

  /** A scalar of a type; an enum when there is none. Maps are read too: the loader then says what was expected. */
  #scalar(type: ScalarType | undefined): Placed {
    const token = this.#token;
    if (token.kind === 'sign' && (token.text === '{' || token.text === '<')) return this.#untyped(true);
    if (token.kind === 'string') {
      const bytes = this.#string();
      if (type === ScalarType.BYTES) return { offset: token.offset, value: bytes.toString('base64') };
      if (type !== ScalarType.STRING) fail(token.offset, 'a quoted string is no value for this field');
      const value = bytes.toString('utf8');
      if (!Buffer.from(value).equals(bytes)) fail(token.offset, 'not UTF-8');
      return { offset: token.offset, value };
    }
    if (type === ScalarType.STRING || type === ScalarType.BYTES)
      fail(token.offset, 'expected a quoted string');
    const negative = this.#accept('-');
    const word = this.#token;
    if (word.kind !== 'number' && word.kind !== 'name')
      fail(word.offset, `expected a value, got ${word.text || 'the end'}`);
    this.#at++;
    if (word.kind === 'name') return { offset: token.offset, value: wordValue(word.text, type, negative) };
    const number = word.text;
    if (type === ScalarType.BOOL && /^0*[01]$/.test(number))
      return { offset: token.offset, value: number.endsWith('1') };
    if (/^(?:0[xX][0-9a-fA-F]+|\d+)$/.test(number)) {
      const size = /^0[0-7]+$/.test(number) ? BigInt(`0o${number.slice(1)}`) : BigInt(number);
      return { offset: token.offset, value: String(negative ? -size : size) };
    }
    const value = Number(number.replace(/[fF]$/, ''));
    if (Number.isNaN(value)) fail(word.offset, `${number} is not a number`);
    return { offset: token.offset, value: negative ? -value : value };
  }

  #string(): Buffer {
    const parts: Buffer[] = [];
    while (this.#token.kind === 'string') {
      parts.push(this.#token.bytes as Buffer);
      this.#at++;
    }
    return Buffer.concat(parts);
  }

  #untyped(colon: boolean): Placed {
    const token = this.#token;
    if (token.kind === 'sign' && (token.text === '{' || token.text === '<')) return this.#message(undefined);
    if (!colon) fail(token.offset, 'expected : or {');
    if (token.kind === 'string') return { offset: token.offset, value: this.#string().toString('utf8') };
    if (this.#accept('[')) {
      const items: Placed[] = [];
      if (!this.#accept(']')) {
        do items.push(this.#untyped(true));
        while (this.#accept(','));
        this.#expect(']');
      }
      return { offset: token.offset, value: items.map((item) => item.value), items };
    }
    return this.#scalar(undefined);
  }
}

function wordValue(word: string, type: ScalarType | undefined, negative: boolean): unknown {
  const lower = word.toLowerCase();
  if (type === ScalarType.BOOL) {
    if (word === 'true' || word === 'True' || word === 't') return true;
    if (word === 'false' || word === 'False' || word === 'f') return false;
  }
  if (type === ScalarType.DOUBLE || type === ScalarType.FLOAT) {
    if (lower === 'inf' || lower === 'infinity') return negative ? '-Infinity' : 'Infinity';
    if (lower === 'nan') return 'NaN';
  }
  return negative ? `-${word}` : word;
}

/** Struct, ListValue and Value as they are spelt in text format → the JSON that they mean. */
function freeForm(typeName: string, raw: unknown): JsonValue {
  const map = raw as Record<string, unknown>;
  if (typeName === STRUCT) return (map['fields'] ?? Object.create(null)) as JsonValue;
  if (typeName === LIST) return (map['values'] ?? []) as JsonValue;
  for (const kind of ['string_value', 'bool_value', 'struct_value', 'list_value']) {
    if (map[kind] !== undefined) return map[kind] as JsonValue;
  }
  return map['number_value'] === undefined ? null : Number(map['number_value']);
}

function findPlaced(
  root: Placed,
  steps: readonly PathStep[],
  part: 'key' | 'value',
): { offset: number; depth: number } {
  let at = root;
  let offset = root.offset;
  let depth = 0;
  for (const step of steps) {
    if (typeof step === 'number') {
      const item = at.items?.[step];
      if (item === undefined) break;
      at = item;
      offset = item.offset;
    } else {
      const name = typeof step === 'object' ? step.key : step;
      const entry = at.fields?.get(name) ?? at.fields?.get('value')?.at.fields?.get(name);
      if (entry === undefined) break;
      at = entry.at;
      offset = part === 'key' || at.fields !== undefined || at.items !== undefined ? entry.key : at.offset;
    }
    depth++;
  }
  return { offset, depth };
}

/**
 * Reads protobuf text format into what the loader takes: maps, lists and scalars by field name. Covers messages
 * (`{}` and `<>`), lists, maps, enums, strings with escapes, `[type URL] {}` in an Any; no extensions, no groups.
 * @throws SourceError on what is not text format
 */
export function readTextFormat(text: string, schema: DescMessage, registry: Registry): Source {
  const root = new TextParser(text, registry).document(schema);
  return { value: root.value, find: (steps, part) => findPlaced(root, steps, part) };
}
