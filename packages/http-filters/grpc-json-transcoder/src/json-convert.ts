import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import { isLooseObject, LongNumber, type LooseJson } from './json-text.ts';
import { Refusal } from './refusal.ts';

/** Brings a value into the form that proto3 JSON has for it; leaves alone what it does not know. */
type Convert = (value: LooseJson, problems: Problems) => LooseJson;

/** The first thing that is wrong. */
interface Problems {
  refusal: Refusal | undefined;
}

const ANY = 'google.protobuf.Any';
/** Their JSON holds nothing that would have to be brought into form. */
const LEFT_ALONE: ReadonlySet<string> = new Set([
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
  'google.protobuf.Timestamp',
  'google.protobuf.Duration',
  'google.protobuf.FieldMask',
]);
const LONG: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
/** What Envoy's converter takes for a boolean (`safe_strtob`). */
const TRUE: ReadonlySet<string> = new Set(['true', 't', 'yes', 'y', '1']);
const FALSE: ReadonlySet<string> = new Set(['false', 'f', 'no', 'n', '0']);

/**
 * Brings requests into the form that `fromJson` takes, where Envoy takes more: booleans and numbers of enum values as strings,
 * enum names in any case (with `case_insensitive_enum_parsing`), numbers of 64 bits as they were written. And less: a name that an
 * enum does not have is refused, not ignored.
 */
export class JsonConverter {
  /** For what is within an Any. */
  readonly registry: Registry;
  private readonly anyCase: boolean;
  private readonly messages = new Map<DescMessage, Convert | undefined>();

  constructor(registry: Registry, caseInsensitiveEnums: boolean) {
    this.registry = registry;
    this.anyCase = caseInsensitiveEnums;
  }

  /** Compiles what messages of this type need, once. */
  prepare(message: DescMessage): void {
    this.forMessage(message);
  }

  /** In place; what comes back takes the place of `value`. */
  convert(message: DescMessage, value: LooseJson): LooseJson | Refusal {
    const problems: Problems = { refusal: undefined };
    const converted = this.forMessage(message)?.(value, problems) ?? value;
    return problems.refusal ?? converted;
  }

  private forMessage(message: DescMessage): Convert | undefined {
    if (this.messages.has(message)) return this.messages.get(message);
    const convert = this.compile(message);
    this.messages.set(message, convert);
    return convert;
  }

  private compile(message: DescMessage): Convert | undefined {
    if (LEFT_ALONE.has(message.typeName)) return undefined;
    if (message.typeName === ANY) return (value, problems) => this.convertAny(value, problems);
    const wrapped = wrappedField(message);
    if (wrapped !== undefined) return this.forField(wrapped);
    const fields = new Map<string, Convert>();
    const convert: Convert = (value, problems) => {
      if (!isLooseObject(value)) return value;
      for (const key of Object.keys(value)) {
        const own = fields.get(key);
        if (own !== undefined) value[key] = own(value[key] as LooseJson, problems);
      }
      return value;
    };
    // Known before it is complete: messages may hold themselves.
    this.messages.set(message, convert);
    for (const field of message.fields) {
      const own = this.forField(field);
      if (own !== undefined) fields.set(field.name, own).set(field.jsonName, own);
    }
    return fields.size === 0 ? undefined : convert;
  }

  private convertAny(any: LooseJson, problems: Problems): LooseJson {
    if (!isLooseObject(any)) return any;
    const url = any['@type'];
    if (typeof url !== 'string') return any;
    const content = this.registry.getMessage(url.slice(url.lastIndexOf('/') + 1));
    const convert = content === undefined ? undefined : this.forMessage(content);
    if (content === undefined || convert === undefined) return any;
    if (!hasOwnJson(content)) return convert(any, problems);
    if (any['value'] !== undefined) any['value'] = convert(any['value'], problems);
    return any;
  }

  private forField(field: DescField): Convert | undefined {
    const one = this.forValue(field);
    if (one === undefined || (field.fieldKind !== 'list' && field.fieldKind !== 'map')) return one;
    return (value, problems) => {
      if (field.fieldKind === 'list') {
        if (!Array.isArray(value)) return value;
        for (let i = 0; i < value.length; i++) value[i] = one(value[i] as LooseJson, problems);
      } else if (isLooseObject(value)) {
        for (const key of Object.keys(value)) value[key] = one(value[key] as LooseJson, problems);
      }
      return value;
    };
  }

  /** For one value of a field that may have several. */
  private forValue(field: DescField): Convert | undefined {
    if (field.message !== undefined) return this.forMessage(field.message);
    if (field.enum !== undefined) return enumReader(field.enum, this.anyCase);
    if (field.scalar === ScalarType.BOOL) return readBool;
    return field.scalar !== undefined && LONG.has(field.scalar) ? readLong : undefined;
  }
}

/** The value of `google.protobuf.BoolValue` and its kin, whose JSON is that of the value. */
export function wrappedField(message: DescMessage): DescField | undefined {
  return /^google\.protobuf\.\w+Value$/.test(message.typeName) && message.fields.length === 1
    ? message.fields.find(({ name, scalar }) => name === 'value' && scalar !== undefined)
    : undefined;
}

/** Within an Any, such a message stands in a field `value`. */
function hasOwnJson(message: DescMessage): boolean {
  return message.typeName === ANY || wrappedField(message) !== undefined;
}

function readBool(value: LooseJson): LooseJson {
  return typeof value === 'string' ? (booleanOf(value) ?? value) : value;
}

/** What a text means where a boolean is due; undefined: nothing. */
export function booleanOf(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (TRUE.has(word)) return true;
  return FALSE.has(word) ? false : undefined;
}

function readLong(value: LooseJson): LooseJson {
  return value instanceof LongNumber && /^-?\d+$/.test(value.source) ? value.source : value;
}

function enumReader(type: DescEnum, anyCase: boolean): Convert {
  const numbers = new Map<string, number>();
  if (anyCase) for (const { name, number } of type.values) numbers.set(upper(name), number);
  for (const { name, number } of type.values) numbers.set(name, number);
  return (value, problems) => {
    if (typeof value !== 'string') return value;
    const number = numbers.get(value) ?? (anyCase ? numbers.get(upper(value)) : undefined);
    if (number !== undefined) return number;
    if (/^-?\d{1,10}$/.test(value)) return Number(value);
    problems.refusal ??= Refusal.request(`invalid value ${JSON.stringify(value)} for type ${type.typeName}`);
    return value;
  };
}

function upper(name: string): string {
  return name.replaceAll('-', '_').toUpperCase();
}
