import { type DescField, type DescMessage, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { LazyRegistry } from './lazy-registry.ts';
import { nearest } from './nearest.ts';
import { describe, isMap, type Plain } from './read-scalars.ts';
import { WellKnownReader } from './read-well-known.ts';

export {
  describe,
  GiveUp,
  MAX_DEPTH,
  MAX_PROBLEMS,
  MAX_VALUES,
  type NormaliseOptions,
} from './read-scalars.ts';

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

/**
 * Walks a parsed document along the descriptors and makes strict proto3 JSON of it, forgiving what Envoy's loader
 * forgives and reporting everything else, each with its path.
 */
export class Normaliser extends WellKnownReader {
  /** Messages with fields that were let through (`allowUnknownFields`). */
  messagesWithUnknownFields = 0;

  message(desc: DescMessage, value: unknown, skip?: string): JsonValue | undefined {
    if (skip === undefined && CUSTOM_JSON.has(desc.typeName)) return this.wellKnown(desc, value);
    if (!isMap(value)) return this.fail(`expected a map (${desc.typeName}), got ${describe(value)}`);
    if (!this.enter()) return undefined;
    const fields = fieldsOf(desc);
    const out = Object.create(null) as { [name: string]: JsonValue };
    let oneofs: Map<unknown, string> | undefined;
    let hasUnknown = false;
    for (const key of Object.keys(value)) {
      if (key === skip) continue;
      const field = fields.get(key);
      this.path.push(field === undefined ? key : field.name);
      if (field === undefined) {
        this.unknownField(desc, key, value);
        hasUnknown = true;
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
    if (hasUnknown && this.options.allowUnknownFields) this.messagesWithUnknownFields++;
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
      if (this.scalar(field.mapKey, key) === undefined) {
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

/** The one type with the same last name: the package is what people get wrong. */
function sameLastName(name: string, names: readonly string[]): string | undefined {
  const last = name.slice(name.lastIndexOf('.') + 1);
  const found = names.filter((candidate) => candidate.endsWith(`.${last}`));
  return found.length === 1 ? found[0] : undefined;
}
