import type { DescMethod } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** One way to call a method over HTTP. */
export interface HttpBinding {
  /** `GET`, …, or what a custom pattern says; `*` for any. */
  readonly method: string;
  /** A path template. */
  readonly template: string;
  /** Path of the field that is the request's body; `*` or empty: the message is. */
  readonly body: string;
  /** Path of the field that is the response's body; empty: the message is. */
  readonly responseBody: string;
}

/** The number of the extension `google.api.http` of `google.protobuf.MethodOptions`. */
const HTTP_OPTION = 72_295_728;

/** Field numbers of `google.api.HttpRule`. */
const Rule = { body: 7, custom: 8, additionalBindings: 11, responseBody: 12 } as const;
const METHODS: ReadonlyMap<number, string> = new Map([
  [2, 'GET'],
  [3, 'PUT'],
  [4, 'POST'],
  [5, 'DELETE'],
  [6, 'PATCH'],
]);
/** Field numbers of `google.api.CustomHttpPattern`. */
const Custom = { kind: 1, path: 2 } as const;

/**
 * The bindings in a method's `google.api.http`, the additional ones behind it; undefined when it has no such option. They are read
 * from the bytes of the option: a descriptor set need not declare the extension under the name of a certain file.
 *
 * @throws Error for bytes that are no HttpRule
 */
export function httpBindings(method: DescMethod): readonly HttpBinding[] | undefined {
  const options = method.proto.options?.$unknown?.filter(({ no }) => no === HTTP_OPTION) ?? [];
  if (options.length === 0) return undefined;
  const bindings: HttpBinding[] = [];
  for (const { data, wireType } of options) {
    if (wireType !== WireType.LengthDelimited) throw new Error('google.api.http is no message');
    readRule(new BinaryReader(data).bytes(), bindings);
  }
  return bindings;
}

function readRule(bytes: Uint8Array, bindings: HttpBinding[]): void {
  const reader = new BinaryReader(bytes);
  const additional: Uint8Array[] = [];
  let method = '';
  let template = '';
  let body = '';
  let responseBody = '';
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    const named = METHODS.get(no);
    if (named !== undefined) {
      method = named;
      template = reader.string();
    } else if (no === Rule.custom) [method, template] = readCustom(reader.bytes());
    else if (no === Rule.body) body = reader.string();
    else if (no === Rule.responseBody) responseBody = reader.string();
    else if (no === Rule.additionalBindings) additional.push(reader.bytes());
    else reader.skip(wireType, no);
  }
  if (method !== '') bindings.push({ method, template, body, responseBody });
  for (const rule of additional) readRule(rule, bindings);
}

function readCustom(bytes: Uint8Array): [kind: string, path: string] {
  const reader = new BinaryReader(bytes);
  let kind = '';
  let path = '';
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    if (no === Custom.kind) kind = reader.string();
    else if (no === Custom.path) path = reader.string();
    else reader.skip(wireType, no);
  }
  return [kind, path];
}
