import { create, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf';
import { AnySchema, UnknownQueryParamsSchema, anyPack } from '@dragoman/api';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import { type BoundField, type FieldTree, type LineValues, treeOf } from './bound-fields.ts';
import type { Call } from './call.ts';
import type { FieldPath } from './field-path.ts';
import type { JsonConverter } from './json-convert.ts';
import {
  MAX_MESSAGE_DEPTH,
  type LooseJson,
  type LooseObject,
  parseJson,
  withoutLongNumbers,
} from './json-text.ts';
import { Refusal, reasonOf } from './refusal.ts';
import { weave } from './weave.ts';

/** What all requests share. */
export interface RequestOptions {
  readonly converter: JsonConverter;
  /** `reject_binding_body_field_collisions` */
  readonly refuseCollisions: boolean;
}

/** Makes the messages of one request: the first one has what its line says, the others do not. */
export class MessageMaker {
  private readonly call: Call;
  private readonly options: RequestOptions;
  private fields: FieldTree | undefined;

  constructor(call: Call, line: readonly BoundField[], options: RequestOptions) {
    this.call = call;
    this.options = options;
    this.fields = line.length === 0 ? undefined : treeOf(line);
  }

  /** The gRPC frame of the next message. @param json undefined: the request has no body */
  frame(json: Buffer | undefined): Buffer | Refusal {
    const message = this.message(json);
    return message instanceof Refusal ? message : encodeGrpcFrame(message);
  }

  /** The next message, serialised. */
  message(json: Buffer | undefined): Uint8Array | Refusal {
    const parsed = json === undefined ? { value: {}, hasLongNumbers: false } : parseJson(json);
    if (parsed instanceof Refusal) return parsed;
    const { call, options } = this;
    const value = wrap(parsed.value, call.body);
    const { fields } = this;
    this.fields = undefined;
    const refusal = fields === undefined ? undefined : weave(fields, value, options.refuseCollisions);
    if (refusal !== undefined) return refusal;
    const converted = options.converter.convert(call.input, value);
    if (converted instanceof Refusal) return converted;
    return serialise(
      call,
      parsed.hasLongNumbers ? withoutLongNumbers(converted) : (converted as JsonValue),
      options,
    );
  }
}

function serialise(call: Call, json: JsonValue, { converter }: RequestOptions): Uint8Array | Refusal {
  try {
    const message = fromJson(call.input, json, {
      ignoreUnknownFields: true,
      recursionLimit: MAX_MESSAGE_DEPTH,
      registry: converter.registry,
    });
    return toBinary(call.input, message);
  } catch (error) {
    return Refusal.request(reasonOf(error));
  }
}

/** The message whose field at `path` is `value`. */
function wrap(value: LooseJson, path: FieldPath): LooseJson {
  let wrapped = value;
  for (let i = path.length - 1; i >= 0; i--) {
    const outer: LooseObject = {};
    outer[path[i]?.jsonName as string] = wrapped;
    wrapped = outer;
  }
  return wrapped;
}

/** Of the fields in a request's line, those that are not within the body as it came. */
export function outsideBody(fields: readonly BoundField[], body: FieldPath): readonly BoundField[] {
  return fields.filter(({ path }) => !body.every((field, i) => path[i] === field));
}

/** The unknown parameters of a query, as a serialised `google.protobuf.Any`. */
export function packUnknown(unknown: NonNullable<LineValues['unknown']>): Uint8Array {
  const key = Object.fromEntries([...unknown].map(([name, values]) => [name, { values: [...values] }]));
  const params = create(UnknownQueryParamsSchema, { key });
  return toBinary(AnySchema, anyPack(UnknownQueryParamsSchema, params));
}
