import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { encodeGrpcFrameHeader } from '@dragoman/grpc-frames';
import type { FieldPath } from './field-path.ts';

export const HTTP_BODY = 'google.api.HttpBody';

/** Field numbers of `google.api.HttpBody`. */
const Field = { contentType: 1, data: 2, extensions: 3 } as const;

/** What a request's message is made of, when a field of it is the body as it came. */
export interface RawMessage {
  /** The other fields, serialised. */
  readonly others: Uint8Array;
  /** Of the field that is the HttpBody; empty: the message is. */
  readonly path: FieldPath;
  /** Empty for none. */
  readonly contentType: string;
  /** A serialised `google.protobuf.Any` for the HttpBody's extensions. */
  readonly extension: Uint8Array | undefined;
  readonly data: Buffer;
}

/** The gRPC frame of such a message. */
export function encodeRawMessage({ others, path, contentType, extension, data }: RawMessage): Buffer {
  const body = new BinaryWriter();
  if (contentType !== '') body.tag(Field.contentType, WireType.LengthDelimited).string(contentType);
  if (extension !== undefined) body.tag(Field.extensions, WireType.LengthDelimited).bytes(extension);
  body.tag(Field.data, WireType.LengthDelimited).uint32(data.length);
  const parts: Uint8Array[] = [body.finish(), data];
  let length = lengthOf(parts);
  for (const { number } of [...path].reverse()) {
    const envelope = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
    parts.unshift(envelope);
    length += envelope.length;
  }
  length += others.length;
  return Buffer.concat([encodeGrpcFrameHeader(length), others, ...parts]);
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** What a client gets of a `google.api.HttpBody`. */
export interface RawBody {
  /** Empty for none. */
  readonly contentType: string;
  readonly data: Buffer;
}

/**
 * Reads the HttpBody at `path` of a serialised message; one without any is empty.
 * @returns undefined for bytes that are no such message
 */
export function readRawBody(message: Uint8Array, path: FieldPath): RawBody | undefined {
  try {
    const body: Draft = { contentType: '', data: EMPTY };
    readInto(body, message, path);
    return body;
  } catch {
    return undefined;
  }
}

const EMPTY = Buffer.alloc(0);

interface Draft {
  contentType: string;
  data: Buffer;
}

/** Of a field that comes more than once, the last counts: as messages merge. */
function readInto(body: Draft, bytes: Uint8Array, path: FieldPath): void {
  const reader = new BinaryReader(bytes);
  const [first, ...rest] = path;
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    const isBytes = wireType === WireType.LengthDelimited;
    if (first !== undefined) {
      if (no === first.number && isBytes) readInto(body, reader.bytes(), rest);
      else reader.skip(wireType, no);
    } else if (no === Field.contentType && isBytes) body.contentType = reader.string();
    else if (no === Field.data && isBytes) {
      const { buffer, byteOffset, byteLength } = reader.bytes();
      body.data = Buffer.from(buffer, byteOffset, byteLength);
    } else reader.skip(wireType, no);
  }
}
