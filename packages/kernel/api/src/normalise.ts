import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import type { ConfigProblem } from '@dragoman/core';
import { LazyRegistry } from './lazy-registry.ts';
import { nearest } from './nearest.ts';
import { camelCase, formatPath, type PathStep } from './path.ts';

/** Nesting of maps and lists that is followed; the protobuf libraries stop at 100 messages. */
export const MAX_DEPTH = 200;
/** Values a document may expand to (aliases repeat what they point to). */
export const MAX_VALUES = 5_000_000;
/** Problems that are listed before the rest is given up. */
export const MAX_PROBLEMS = 1_000;

const ANY = 'google.protobuf.Any';
const TYPED_STRUCTS = new Set(['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct']);

/** What older configs call a field, and what it became: worth a better hint than the nearest spelling. */
const RENAMED = new Map([
  ['hosts', 'load_assignment'],
  ['config', 'typed_config'],
  ['per_filter_config', 'typed_per_filter_config'],
  ['tls_context', 'transport_socket'],
  ['regex', 'safe_regex'],
  ['regex_match', 'safe_regex_match'],
]);

/** Thrown when going on makes no sense: too many values or problems. What was found stays in `problems`. */
export class GiveUp extends Error {}

export interface NormaliseOptions {
  registry: Registry;
  /** Unknown fields become warnings and are left out. */
  allowUnknownFields?: boolean;
}

type Plain = Record<string, unknown>;

const fieldMaps = new WeakMap<DescMessage, Map<string, DescField>>();

/** The fields of a message by proto name and by JSON name. */
function fieldsOf(desc: DescMessage): Map<string, DescField> {
  let map = fieldMaps.get(desc);
  if (map === undefined) {
    map = new Map();
    for (const field of desc.fields) {
      map.set(field.jsonName, field);
      map.set(field.name, field);
    }
    fieldMaps.set(desc, map);
  }
  return map;
}

const valueMaps = new WeakMap<DescEnum, Map<string, string>>();

/** Enum value names by their upper-case form: Envoy takes any case. */
function valuesOf(desc: DescEnum): Map<string, string> {
  let map = valueMaps.get(desc);
  if (map === undefined) {
    map = new Map(desc.values.map((value) => [value.name.toUpperCase(), value.name]));
    valueMaps.set(desc, map);
  }
  return map;
}

/** A value as an error message shows it. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') {
    return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`;
  }
  return `the ${typeof value} ${String(value)}`;
}

const isMap = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

interface IntegerRange {
  name: string;
  min: bigint;
  max: bigint;
}
const INT32: IntegerRange = { name: 'a 32-bit integer', min: -(2n ** 31n), max: 2n ** 31n - 1n };
const UINT32: IntegerRange = { name: 'an unsigned 32-bit integer', min: 0n, max: 2n ** 32n - 1n };
const INT64: IntegerRange = { name: 'a 64-bit integer', min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64: IntegerRange = { name: 'an unsigned 64-bit integer', min: 0n, max: 2n ** 64n - 1n };

const RANGES: Partial<Record<ScalarType, IntegerRange>> = {
  [ScalarType.INT32]: INT32,
  [ScalarType.SINT32]: INT32,
  [ScalarType.SFIXED32]: INT32,
  [ScalarType.UINT32]: UINT32,
  [ScalarType.FIXED32]: UINT32,
  [ScalarType.INT64]: INT64,
  [ScalarType.SINT64]: INT64,
  [ScalarType.SFIXED64]: INT64,
  [ScalarType.UINT64]: UINT64,
  [ScalarType.FIXED64]: UINT64,
};

const WRAPPERS: Record<string, ScalarType> = {
  'google.protobuf.DoubleValue': ScalarType.DOUBLE,
  'google.protobuf.FloatValue': ScalarType.FLOAT,
  'google.protobuf.Int64Value': ScalarType.INT64,
  'google.protobuf.UInt64Value': ScalarType.UINT64,
  'google.protobuf.Int32Value': ScalarType.INT32,
  'google.protobuf.UInt32Value': ScalarType.UINT32,
  'google.protobuf.BoolValue': ScalarType.BOOL,
  'google.protobuf.StringValue': ScalarType.STRING,
  'google.protobuf.BytesValue': ScalarType.BYTES,
};

const CUSTOM_JSON = new Set([
  ...Object.keys(WRAPPERS),
  ANY,
  'google.protobuf.Duration',
  'google.protobuf.Timestamp',
  'google.protobuf.FieldMask',
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
]);

/** Types whose JSON is not a map of their fields; in an Any it stands under `value`. */
export const hasCustomJson = (desc: DescMessage): boolean => CUSTOM_JSON.has(desc.typeName);

const DURATION = /^-?(\d{1,12})(?:\.\d{1,9})?s$/;
/** 10,000 years: the limit of google.protobuf.Duration. */
const MAX_DURATION_SECONDS = 315_576_000_000;
const UNIT_SECONDS = new Map([
  ['', 1],
  ['s', 1],
  ['us', 1e-6],
  ['ms', 1e-3],
  ['m', 60],
  ['min', 60],
  ['h', 3600],
  ['d', 86_400],
]);
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * Walks a parsed document along the descriptors and makes strict proto3 JSON of it, forgiving what Envoy's loader
 * forgives and reporting everything else, each with its path.
 */
export class Normaliser {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  readonly path: PathStep[] = [];
  readonly options: NormaliseOptions;
  readonly warned = new Set<string>();
  /** Problems that are about a key and not its value: they are placed at the key. */
  readonly aboutKeys = new Set<ConfigProblem>();
  values = 0;
  depth = 0;

  constructor(options: NormaliseOptions) {
    this.options = options;
  }

  /** Records a problem at the current path. */
  fail(message: string, suggestion?: string): undefined {
    const problem: ConfigProblem = { path: formatPath(this.path), message };
    if (suggestion !== undefined) problem.suggestion = suggestion;
    this.problems.push(problem);
    if (this.problems.length >= MAX_PROBLEMS) throw new GiveUp('too many problems');
  }

  warn(message: string): void {
    if (this.warnings.length < MAX_PROBLEMS) {
      this.warnings.push({ path: formatPath(this.path), message, severity: 'warning' });
    }
  }

  /** Counts a value against the limit on what a document may expand to. */
  count(): void {
    if (++this.values > MAX_VALUES) {
      this.fail(`the document expands to more than ${MAX_VALUES} values`);
      throw new GiveUp('too many values');
    }
  }

  enter(): boolean {
    if (++this.depth > MAX_DEPTH) {
      this.depth--;
      this.fail(`nested more than ${MAX_DEPTH} deep`);
      return false;
    }
    return true;
  }

  message(desc: DescMessage, value: unknown, skip?: string): JsonValue | undefined {
    if (skip === undefined && CUSTOM_JSON.has(desc.typeName)) return this.wellKnown(desc, value);
    if (!isMap(value)) return this.fail(`expected a map (${desc.typeName}), got ${describe(value)}`);
    if (!this.enter()) return undefined;
    const fields = fieldsOf(desc);
    const out = Object.create(null) as { [name: string]: JsonValue };
    let oneofs: Map<unknown, string> | undefined;
    for (const key of Object.keys(value)) {
      if (key === skip) continue;
      const field = fields.get(key);
      this.path.push(field === undefined ? key : field.name);
      if (field === undefined) {
        this.unknownField(desc, key, value);
      } else {
        const result = this.field(field, value[key]);
        if (result !== undefined) {
          if (field.oneof !== undefined && !(field.jsonName in out)) {
            const other = oneofs?.get(field.oneof);
            if (other !== undefined) this.fail(`only one of ${other} and ${field.name} can be set`);
            oneofs ??= new Map();
            oneofs.set(field.oneof, field.name);
          }
          if (field.proto.options?.deprecated) this.warnDeprecated(`${desc.typeName}.${field.name}`, 'field');
          out[field.jsonName] = result;
        }
      }
      this.path.pop();
    }
    this.depth--;
    return out;
  }

  unknownField(desc: DescMessage, key: string, holder: Plain): void {
    const names = desc.fields.map((field) => field.name);
    const renamed = RENAMED.get(key);
    const suggestion =
      renamed !== undefined && names.includes(renamed)
        ? renamed
        : nearest(
            key,
            names.filter((name) => !(name in holder)),
          );
    const message =
      key === '@type'
        ? `${desc.typeName} is not an Any: it takes no @type`
        : `no such field in ${desc.typeName}`;
    if (this.options.allowUnknownFields) {
      this.warn(`${message}: ignored`);
      return;
    }
    const at = this.problems.length;
    this.fail(message, suggestion);
    this.aboutKeys.add(this.problems[at]);
  }

  warnDeprecated(name: string, what: string): void {
    if (this.warned.has(name)) return;
    this.warned.add(name);
    this.warn(`${what} ${name} is deprecated`);
  }

  field(field: DescField, value: unknown): JsonValue | undefined {
    this.count();
    if (value === null) return acceptsNull(field) ? null : undefined;
    switch (field.fieldKind) {
      case 'scalar':
        return this.scalar(field.scalar, value);
      case 'enum':
        return this.enumValue(field.enum, value);
      case 'message':
        return this.message(field.message, value);
      case 'list':
        return this.list(field, value);
      case 'map':
        return this.map(field, value);
    }
  }

  list(field: DescField & { fieldKind: 'list' }, value: unknown): JsonValue {
    // One value where a list is expected is a list of one.
    const items = Array.isArray(value) ? value : [value];
    const out: JsonValue[] = [];
    const keepNull = field.message?.typeName === 'google.protobuf.Value';
    for (const item of items) {
      this.count();
      if (item === null && !keepNull) continue;
      this.path.push(out.length);
      const result = this.single(field, item);
      // A bad item keeps its place, so that the paths of what is found later stay right.
      out.push(result === undefined ? placeholder(field) : result);
      this.path.pop();
    }
    return out;
  }

  map(field: DescField & { fieldKind: 'map' }, value: unknown): JsonValue | undefined {
    if (!isMap(value)) return this.fail(`expected a map, got ${describe(value)}`);
    if (!this.enter()) return undefined;
    const out = Object.create(null) as { [name: string]: JsonValue };
    for (const key of Object.keys(value)) {
      this.count();
      this.path.push({ key });
      if (field.mapKey !== ScalarType.STRING && this.scalar(field.mapKey, key) === undefined) {
        this.path.pop();
        continue;
      }
      if (value[key] !== null || field.message?.typeName === 'google.protobuf.Value') {
        const result = this.single(field, value[key]);
        if (result !== undefined) out[key] = result;
      }
      this.path.pop();
    }
    this.depth--;
    return out;
  }

  single(field: DescField & { fieldKind: 'list' | 'map' }, value: unknown): JsonValue | undefined {
    if (field.message !== undefined) return this.message(field.message, value);
    if (field.enum !== undefined) return this.enumValue(field.enum, value);
    return this.scalar(field.scalar as ScalarType, value);
  }

  scalar(type: ScalarType, value: unknown): JsonValue | undefined {
    switch (type) {
      case ScalarType.STRING:
        if (typeof value === 'string') return value;
        return this.fail(
          `expected a string, got ${describe(value)}${typeof value === 'object' ? '' : '; put it in quotes'}`,
        );
      case ScalarType.BOOL:
        if (typeof value === 'boolean') return value;
        if (value === 'true' || value === 'false') return value === 'true';
        return this.fail(`expected true or false, got ${describe(value)}`);
      case ScalarType.BYTES:
        if (typeof value === 'string' && BASE64.test(value) && value.replace(/=+$/, '').length % 4 !== 1)
          return value;
        return this.fail(`expected bytes in base64, got ${describe(value)}`);
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return this.float(type, value);
      default:
        return this.integer(RANGES[type] as IntegerRange, value);
    }
  }

  float(type: ScalarType, value: unknown): JsonValue | undefined {
    if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return value;
    const number =
      typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) {
      return this.fail(`expected a number, got ${describe(value)}`);
    }
    if (type === ScalarType.FLOAT && Math.abs(number) > 3.4028234663852886e38) {
      return this.fail(`${number} is out of range for a 32-bit float`);
    }
    return number;
  }

  integer(range: IntegerRange, value: unknown): JsonValue | undefined {
    let number: bigint | undefined;
    if (typeof value === 'number' && Number.isInteger(value)) number = BigInt(value);
    else if (typeof value === 'string' && /^-?\d{1,30}$/.test(value)) number = BigInt(value);
    else if (typeof value === 'string' && /^-?\d{1,30}(\.\d+)?([eE][+-]?\d{1,3})?$/.test(value)) {
      const exact = Number(value);
      if (Number.isInteger(exact)) number = BigInt(exact);
    }
    if (number === undefined) return this.fail(`expected ${range.name}, got ${describe(value)}`);
    if (number < range.min || number > range.max) {
      return this.fail(`${number} is out of range for ${range.name} (${range.min} to ${range.max})`);
    }
    return range === INT32 || range === UINT32 ? Number(number) : String(number);
  }

  enumValue(desc: DescEnum, value: unknown): JsonValue | undefined {
    if (desc.typeName === 'google.protobuf.NullValue') return null;
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31) return value;
    if (typeof value === 'string') {
      const names = valuesOf(desc);
      const name = names.get(value.toUpperCase());
      if (name !== undefined) {
        const entry = desc.values.find((v) => v.name === name);
        if (entry?.proto.options?.deprecated) this.warnDeprecated(`${desc.typeName}.${name}`, 'value');
        return name;
      }
      if (/^-?\d{1,9}$/.test(value)) return Number(value);
      const known = [...names.values()];
      const list = known.length > 12 ? `${known.slice(0, 12).join(', ')}, …` : known.join(', ');
      return this.fail(`${JSON.stringify(value)} is not one of ${list}`, nearest(value, known));
    }
    return this.fail(`expected a name of ${desc.typeName}, got ${describe(value)}`);
  }

  wellKnown(desc: DescMessage, value: unknown): JsonValue | undefined {
    const wrapped = WRAPPERS[desc.typeName];
    if (wrapped !== undefined) return this.scalar(wrapped, soleValue(value));
    switch (desc.typeName) {
      case ANY:
        return this.any(value);
      case 'google.protobuf.Duration':
        return this.duration(value);
      case 'google.protobuf.Timestamp':
        return this.timestamp(value);
      case 'google.protobuf.FieldMask':
        return this.fieldMask(value);
      case 'google.protobuf.Struct':
        return isMap(value) ? this.free(value) : this.fail(`expected a map, got ${describe(value)}`);
      case 'google.protobuf.ListValue':
        return this.free(Array.isArray(value) ? value : [value]);
      default:
        return this.free(value);
    }
  }

  duration(value: unknown): JsonValue | undefined {
    if (isMap(value))
      return this.secondsAndNanos(value, (seconds, nanos) => {
        const negative = seconds < 0 || nanos < 0;
        if (
          Math.abs(seconds) > MAX_DURATION_SECONDS ||
          (seconds > 0 && nanos < 0) ||
          (seconds < 0 && nanos > 0)
        ) {
          return this.fail(`${seconds} s and ${nanos} ns make no duration`);
        }
        return `${negative ? '-' : ''}${Math.abs(seconds)}${fraction(Math.abs(nanos))}s`;
      });
    if (typeof value === 'string') {
      const match = DURATION.exec(value);
      if (match !== null) {
        if (Number(match[1]) <= MAX_DURATION_SECONDS) return value;
        return this.fail(`${value} is out of range for a duration (at most ${MAX_DURATION_SECONDS}s)`);
      }
    }
    return this.fail(
      `${describe(value)} is not a duration: write seconds with an s, such as "0.25s"`,
      likelyDuration(value),
    );
  }

  timestamp(value: unknown): JsonValue | undefined {
    if (isMap(value))
      return this.secondsAndNanos(value, (seconds, nanos) => {
        const date = new Date(seconds * 1000);
        const year = Number.isNaN(date.getTime()) ? 0 : date.getUTCFullYear();
        if (year < 1 || year > 9999 || nanos < 0)
          return this.fail(`${seconds} s is out of range for a timestamp`);
        return `${date.toISOString().slice(0, 19)}${fraction(nanos)}Z`;
      });
    if (typeof value === 'string' && TIMESTAMP.test(value) && !Number.isNaN(Date.parse(value))) return value;
    return this.fail(`expected a time such as "2026-01-31T12:00:00Z", got ${describe(value)}`);
  }

  secondsAndNanos(
    value: Plain,
    make: (seconds: number, nanos: number) => string | undefined,
  ): JsonValue | undefined {
    for (const key of Object.keys(value)) {
      if (key !== 'seconds' && key !== 'nanos') {
        this.path.push(key);
        this.fail('expected only seconds and nanos', nearest(key, ['seconds', 'nanos']));
        this.path.pop();
        return undefined;
      }
    }
    const seconds = this.integer(INT64, value['seconds'] ?? 0);
    const nanos = this.integer(INT32, value['nanos'] ?? 0);
    if (seconds === undefined || nanos === undefined) return undefined;
    if (Math.abs(Number(nanos)) > 999_999_999)
      return this.fail(`${String(nanos)} nanos are a second or more`);
    return make(Number(seconds), Number(nanos));
  }

  fieldMask(value: unknown): JsonValue | undefined {
    const paths = isMap(value) ? value['paths'] : value;
    const text = Array.isArray(paths) ? paths.join(',') : paths;
    if (typeof text === 'string' && /^[\w.,]*$/.test(text)) return camelCase(text);
    return this.fail(`expected field paths with commas between them, got ${describe(value)}`);
  }

  any(value: unknown): JsonValue | undefined {
    if (!isMap(value)) return this.fail(`expected a map with "@type", got ${describe(value)}`);
    if (Object.keys(value).length === 0) return Object.create(null) as JsonValue;
    const url = value['@type'];
    if (typeof url !== 'string' || url === '') {
      this.path.push('@type');
      if (url === undefined) {
        this.path.pop();
        return this.fail('"@type" is missing: it names the message type, as in "type.googleapis.com/…"');
      }
      this.fail(`expected a type URL, got ${describe(url)}`);
      this.path.pop();
      return undefined;
    }
    const desc = this.resolve(url, '@type');
    if (desc === undefined) return undefined;
    const type = `type.googleapis.com/${desc.typeName}`;
    if (!this.enter()) return undefined;
    let content: JsonValue | undefined;
    if (CUSTOM_JSON.has(desc.typeName)) {
      const inner = this.message(desc, value['value']);
      content = inner === undefined ? undefined : { '@type': type, value: inner };
    } else {
      if (TYPED_STRUCTS.has(desc.typeName)) this.typedStruct(value);
      content = this.message(desc, value, '@type');
      if (content !== undefined) (content as { [key: string]: JsonValue })['@type'] = type;
    }
    this.depth--;
    return content;
  }

  /** The `value` of a TypedStruct is checked against the type it names; a name that is not known is left alone. */
  typedStruct(holder: Plain): void {
    const url = holder['type_url'] ?? holder['typeUrl'];
    if (typeof url !== 'string') return;
    const inner = this.options.registry.getMessage(url.slice(url.lastIndexOf('/') + 1));
    if (inner !== undefined && isMap(holder['value'])) this.message(inner, holder['value']);
  }

  resolve(url: string, field: string): DescMessage | undefined {
    const name = url.slice(url.lastIndexOf('/') + 1);
    const desc = url.includes('/') ? this.options.registry.getMessage(name) : undefined;
    if (desc !== undefined) return desc;
    this.path.push(field);
    if (!url.includes('/')) {
      this.fail(`${JSON.stringify(url)} is not a type URL`, `type.googleapis.com/${url}`);
    } else {
      const { registry } = this.options;
      const names =
        registry instanceof LazyRegistry ? [...registry.names()] : [...registry].map((type) => type.typeName);
      const near = nearest(name, names) ?? sameLastName(name, names);
      const old = /\.v2(alpha\d?)?\.|\.api\.v2\./.test(name) ? ' (the v2 API is gone; use v3)' : '';
      this.fail(`unknown type ${name}${old}`, near === undefined ? undefined : `type.googleapis.com/${near}`);
    }
    this.path.pop();
    return undefined;
  }

  /** Free-form JSON (Struct, Value, ListValue), copied with its limits checked. */
  free(value: unknown): JsonValue | undefined {
    this.count();
    if (typeof value === 'number' && !Number.isFinite(value))
      return this.fail(`${value} has no place in JSON`);
    if (typeof value !== 'object' || value === null) return value as JsonValue;
    if (!this.enter()) return undefined;
    let out: JsonValue;
    if (Array.isArray(value)) {
      out = value.map((item) => this.free(item) ?? null);
    } else {
      const map = Object.create(null) as { [key: string]: JsonValue };
      for (const key of Object.keys(value)) map[key] = this.free((value as Plain)[key]) ?? null;
      out = map;
    }
    this.depth--;
    return out;
  }
}

/** Stands in for a list item that is wrong; the config is refused anyway. */
function placeholder(field: DescField & { fieldKind: 'list' }): JsonValue {
  if (field.message === undefined) {
    if (field.enum !== undefined) return 0;
    return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES
      ? ''
      : field.scalar === ScalarType.BOOL
        ? false
        : 0;
  }
  switch (field.message.typeName) {
    case 'google.protobuf.Duration':
      return '0s';
    case 'google.protobuf.Timestamp':
      return '1970-01-01T00:00:00Z';
    case 'google.protobuf.StringValue':
    case 'google.protobuf.BytesValue':
    case 'google.protobuf.FieldMask':
      return '';
    case 'google.protobuf.BoolValue':
      return false;
    case 'google.protobuf.ListValue':
      return [];
    default:
      return field.message.typeName in WRAPPERS ? 0 : {};
  }
}

function acceptsNull(field: DescField): boolean {
  return (
    (field.fieldKind === 'message' && field.message.typeName === 'google.protobuf.Value') ||
    (field.fieldKind === 'enum' && field.enum.typeName === 'google.protobuf.NullValue')
  );
}

/** `{value: 3}` for a wrapper is 3. */
function soleValue(value: unknown): unknown {
  if (!isMap(value)) return value;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === 'value' ? value['value'] : value;
}

function fraction(nanos: number): string {
  return nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
}

/** What `250ms`, `5m` or a bare number was probably meant to be. */
function likelyDuration(value: unknown): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(String(value));
  if (match === null || typeof value === 'object') return undefined;
  const unit = UNIT_SECONDS.get(match[2]);
  if (unit === undefined) return undefined;
  return `${Number((Number(match[1]) * unit).toFixed(9))}s`;
}

/** The one type with the same last name: the package is what people get wrong. */
function sameLastName(name: string, names: readonly string[]): string | undefined {
  const last = name.slice(name.lastIndexOf('.') + 1);
  const found = names.filter((candidate) => candidate.endsWith(`.${last}`));
  return found.length === 1 ? found[0] : undefined;
}
