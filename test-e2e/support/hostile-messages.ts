import { messageType } from '@dragoman/api';
import type { Extension } from '@dragoman/core';
import fc from 'fast-check';

type Json = fc.JsonValue | { readonly [key: string]: unknown };
type Schema = NonNullable<ReturnType<typeof messageType>>;
type Field = Schema['fields'][number];

const ANY = 'type.googleapis.com/';
const MAX_DEPTH = 5;

/** Texts that many fields take, so that some messages are good but for one field, and some altogether. */
const TAME: readonly string[] = ['x', 'upstream', 'x-a', '/a', '5xx', 'a.example', '127.0.0.1', '%REQ(X-A)%'];
/** Texts that mean something somewhere: to formatters, regular expressions, templates, header maps, objects. */
const TEXTS: readonly string[] = [
  '', 'x', ' ', '*', '*.*', '/', '/a', '//', '/{a}', '/{a=**}/{a}', '/**/x', '{', '}', '%', '%%', '%REQ(', '%REQ(x)%', '%REQ(:PATH)%',
  '%START_TIME(%', '%DYNAMIC_METADATA(a:b:c)%', '%FILTER_STATE(a:PLAIN)%', '\0', 'a\r\nb: c', 'a b', 'é', '🦊', '\ud800', '__proto__',
  'constructor', 'toString', ':path', ':method', 'host', 'Host', 'content-length', 'x-envoy-retry-on', 'upstream', 'nowhere', '(', '[', '(a', '\\',
  '(?=a)', 'a{1001}', '(a*)*', '\\9', '$', '127.0.0.1', '::1', '1.2.3.4/33', 'a:99999', '5xx', '5xx,reset', 'websocket', 'CONNECT', '-1', '1e3',
  'x'.repeat(20_000), '\x7f', '\u2028',
]; // biome-ignore format: a list
const DURATIONS: readonly string[] = [
  '0s',
  '1s',
  '0.000000001s',
  '0.001s',
  '-1s',
  '315576000000s',
  '-315576000000s',
  '9999999999s',
];

/** Which extensions fields of these names take; elsewhere, any of them. */
const CATEGORIES: Readonly<Record<string, string>> = {
  predicates: 'internal-redirect-predicates',
  path_match_policy: 'path-matchers',
  path_rewrite_policy: 'path-matchers',
  early_header_mutation_extensions: 'header-mutations',
  original_ip_detection_extensions: 'original-ip-detection',
  retry_host_predicate: 'retry-policies',
  retry_priority: 'retry-policies',
  input: 'matchers',
  custom_match: 'matchers',
  matcher: 'matchers',
  formatters: 'formatters',
  header_formatter: 'header-formatters',
  request_id_extension: 'request-ids',
  access_log: 'access-loggers',
};
/** What a matching tree of routes may end in. */
const ACTIONS = ['envoy.config.route.v3.Route', 'envoy.config.route.v3.RouteList'];

/** Values of the kind that fields have, but as nobody in his senses would write them: messages in JSON, by their descriptors. */
export class HostileMessages {
  private readonly extensions: readonly Extension[];

  constructor(extensions: readonly Extension[]) {
    this.extensions = extensions;
  }

  /** @throws Error for a type that is not known */
  of(typeName: string): fc.Arbitrary<Json> {
    const schema = messageType(typeName);
    if (schema === undefined) throw new Error(`there is no message ${typeName}`);
    return this.message(schema, 0, '');
  }

  private message(schema: Schema, depth: number, fieldName: string): fc.Arbitrary<Json> {
    const known = this.wellKnown(schema, depth, fieldName);
    if (known !== undefined) return known;
    // Of a deep message only the least: fields that are scalars.
    const fields = schema.fields.filter((field) => depth < MAX_DEPTH || !this.nests(field));
    const alone = fields.filter(({ oneof }) => oneof === undefined);
    const groups = schema.oneofs
      .map(({ fields: members }) => members.filter((member) => fields.includes(member)))
      .filter((members) => members.length > 0);
    const chosen = fc.tuple(
      fc.subarray(alone, { maxLength: Math.min(alone.length, Math.max(1, 6 - depth)) }),
      fc.tuple(...groups.map((members) => fc.option(fc.constantFrom(...members), { freq: 9 }))),
    );
    return chosen.chain(([some, members]) => {
      const present = [...some, ...members.filter((member) => member !== null)];
      const entries = present.map((field) =>
        this.field(field, depth).map((value): [string, unknown] => [field.name, value]),
      );
      return entries.length === 0
        ? fc.constant({})
        : fc.tuple(...entries).map((all) => Object.fromEntries(all));
    });
  }

  private nests(field: Field): boolean {
    const { fieldKind } = field;
    if (fieldKind === 'message') return !field.message.typeName.startsWith('google.protobuf.');
    return (
      (fieldKind === 'list' && field.listKind === 'message') ||
      (fieldKind === 'map' && field.mapKind === 'message')
    );
  }

  private field(field: Field, depth: number): fc.Arbitrary<unknown> {
    switch (field.fieldKind) {
      case 'message':
        return this.message(field.message, depth + 1, field.name);
      case 'enum':
        return this.enumeration(field.enum);
      case 'scalar':
        return this.scalar(field.scalar);
      case 'list':
        return fc.array(
          field.listKind === 'message'
            ? this.message(field.message, depth + 1, field.name)
            : field.listKind === 'enum'
              ? this.enumeration(field.enum)
              : this.scalar(field.scalar),
          { maxLength: 3 },
        );
      default: {
        const value =
          field.mapKind === 'message'
            ? this.message(field.message, depth + 1, field.name)
            : field.mapKind === 'enum'
              ? this.enumeration(field.enum)
              : this.scalar(field.scalar);
        return fc.dictionary(fc.constantFrom(...TEXTS), value, { maxKeys: 2 });
      }
    }
  }

  private enumeration(desc: Extract<Field, { fieldKind: 'enum' }>['enum']): fc.Arbitrary<unknown> {
    return fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...desc.values.map(({ name }) => name)) },
      { weight: 1, arbitrary: fc.constantFrom(99, -1) },
    );
  }

  /** By protobuf's numbers of kinds: 8 is bool, 9 string, 12 bytes, 1 and 2 floating. */
  private scalar(kind: number): fc.Arbitrary<unknown> {
    if (kind === 8) return fc.boolean();
    if (kind === 9)
      return fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...TAME) },
        { weight: 1, arbitrary: fc.constantFrom(...TEXTS) },
      );
    if (kind === 12) return fc.constantFrom('', 'eA==', '/////w==');
    if (kind <= 2) return fc.constantFrom(0, 1, -1, 0.5, 100, 1e308, 'NaN', 'Infinity');
    return fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(1, 2, 10, 100, 302, 503) },
      { weight: 1, arbitrary: fc.constantFrom(0, 4_294_967_295, 2_147_483_647, 65_536) },
    );
  }

  private wellKnown(schema: Schema, depth: number, fieldName: string): fc.Arbitrary<Json> | undefined {
    switch (schema.typeName) {
      case 'google.protobuf.Duration':
        return fc.oneof(
          { weight: 2, arbitrary: fc.constantFrom('1s', '0.001s') },
          { weight: 1, arbitrary: fc.constantFrom(...DURATIONS) },
        );
      case 'google.protobuf.Timestamp':
        return fc.constantFrom('2026-01-01T00:00:00Z', '0001-01-01T00:00:00Z');
      case 'google.protobuf.Struct':
        return fc.constantFrom<Json[]>(
          {},
          { a: null },
          { a: { b: [1, 'x', '%REQ(x)%'] } },
          { __proto__x: 1 },
        );
      case 'google.protobuf.Value':
        return fc.constantFrom<Json[]>(null, 1, 'x', [1], { a: 1 });
      case 'google.protobuf.Empty':
        return fc.constant({});
      case 'google.protobuf.Any':
        return this.any(depth, fieldName);
      case 'envoy.config.core.v3.TypedExtensionConfig':
      case 'xds.core.v3.TypedExtensionConfig':
        return fc.record({ name: fc.constantFrom('x', '', 'a.b'), typed_config: this.any(depth, fieldName) });
      case 'envoy.config.route.v3.RetryPolicy.RetryHostPredicate':
      case 'envoy.config.route.v3.RetryPolicy.RetryPriority':
        return fc.record({ name: fc.constantFrom('x', ''), typed_config: this.any(depth, fieldName) });
      default:
        if (!/^google\.protobuf\.\w+Value$/.test(schema.typeName)) return undefined;
        return this.field(schema.fields[0] as Field, depth) as fc.Arbitrary<Json>;
    }
  }

  private any(depth: number, fieldName: string): fc.Arbitrary<Json> {
    const category = CATEGORIES[fieldName];
    const types = this.extensions
      .filter((one) => category === undefined || one.category === category)
      .flatMap((one) =>
        'config' in one && one.config !== undefined ? [(one.config as Schema).typeName] : [],
      );
    if (fieldName === 'action') types.unshift(...ACTIONS, ...ACTIONS, ...ACTIONS, ...ACTIONS);
    const typed = (name: string) => {
      const schema = messageType(name);
      if (schema === undefined) return fc.constant<Json>({ '@type': `${ANY}${name}` });
      return this.message(schema, Math.max(depth + 1, 2), '').map((value) => ({
        '@type': `${ANY}${name}`,
        ...(value as object),
      }));
    };
    return fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...types).chain(typed) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<Json[]>(
          { '@type': `${ANY}google.protobuf.Struct`, value: {} },
          { '@type': `${ANY}no.such.Type` },
          {},
        ),
      },
    );
  }
}
