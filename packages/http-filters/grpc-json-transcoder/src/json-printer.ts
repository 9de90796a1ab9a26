import {
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonObject,
  type JsonValue,
  type JsonWriteOptions,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { FieldPath } from './field-path.ts';
import { MAX_MESSAGE_DEPTH } from './json-text.ts';
import { Refusal, reasonOf } from './refusal.ts';

/** `print_options`, but for how messages of a stream are told apart. */
export interface PrintOptions {
  /** One space for each level, and a line break at the end. */
  readonly addWhitespace: boolean;
  readonly alwaysPrintPrimitiveFields: boolean;
  readonly alwaysPrintEnumsAsInts: boolean;
  readonly preserveProtoFieldNames: boolean;
}

const READ = { readUnknownFields: false, recursionLimit: MAX_MESSAGE_DEPTH };

/** Writes messages as JSON. */
export class JsonPrinter {
  private readonly write: Partial<JsonWriteOptions> & { readonly registry: Registry };
  private readonly space: number;
  private readonly end: string;

  /** @param registry for what is within an Any */
  constructor(registry: Registry, options: PrintOptions) {
    this.write = {
      registry,
      alwaysEmitImplicit: options.alwaysPrintPrimitiveFields,
      enumAsInteger: options.alwaysPrintEnumsAsInts,
      useProtoFieldName: options.preserveProtoFieldNames,
    };
    this.space = options.addWhitespace ? 1 : 0;
    this.end = options.addWhitespace ? '\n' : '';
  }

  /** A serialised message as JSON: all of it, or the field at `path`. */
  print(type: DescMessage, bytes: Uint8Array, path: FieldPath): string | Refusal {
    try {
      const message = fromBinary(type, bytes, READ);
      const json =
        path.length === 0
          ? (toJson(type, message, this.write) as JsonValue)
          : this.field(type, message, path);
      return JSON.stringify(typesFirst(json), null, this.space) + this.end;
    } catch (error) {
      return Refusal.response(reasonOf(error));
    }
  }

  /** A field in JSON, its default when it is not set. */
  private field(type: DescMessage, message: Parameters<typeof reflect>[1], path: FieldPath): JsonValue {
    let holder = reflect(type, message as never);
    const last = path.at(-1) as DescField;
    for (const field of path.slice(0, -1)) holder = holder.get(field) as typeof holder;
    if (last.fieldKind === 'message') {
      const value = holder.get(last) as typeof holder;
      return toJson(last.message, value.message, this.write) as JsonValue;
    }
    const alone = reflect(holder.desc);
    if (holder.isSet(last)) alone.set(last, holder.get(last) as never);
    const json = toJson(holder.desc, alone.message, {
      ...this.write,
      alwaysEmitImplicit: true,
    }) as JsonObject;
    return json[this.write.useProtoFieldName === true ? last.name : last.jsonName] ?? null;
  }
}

/** Puts `@type` in front of what is in an Any, where readers look for it. */
export function typesFirst(json: JsonValue): JsonValue {
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) {
    for (let i = 0; i < json.length; i++) json[i] = typesFirst(json[i] as JsonValue);
    return json;
  }
  for (const key of Object.keys(json)) json[key] = typesFirst(json[key] as JsonValue);
  const type = json['@type'];
  return type === undefined ? json : { '@type': type, ...json };
}
