import { type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type HeaderMap, wellKnownId } from '@dragoman/core';
import { decodeGrpcMessage } from '@dragoman/grpc-frames';
import type { JsonPrinter } from './json-printer.ts';
import { Refusal } from './refusal.ts';

export const ID_GRPC_STATUS: number = wellKnownId('grpc-status');
export const ID_GRPC_MESSAGE: number = wellKnownId('grpc-message');
export const GRPC_STATUS_DETAILS = 'grpc-status-details-bin';

/** Field numbers of `google.rpc.Status`. */
const Field = { code: 1, message: 2 } as const;

/** Base64 of either kind of ending. */
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Prints `google.rpc.Status`. */
export interface StatusPrinter {
  readonly printer: JsonPrinter;
  /** The type as the descriptor set has it, or the built-in one. */
  readonly type: DescMessage;
}

/**
 * The `google.rpc.Status` of a call that failed, as JSON: what the server sent, else made of status and message.
 * @returns undefined when a detail has a type that is not known
 */
export function statusAsJson(
  status: number,
  headers: HeaderMap,
  { printer, type }: StatusPrinter,
): string | undefined {
  const json = printer.print(type, sentStatus(headers, type) ?? madeStatus(status, headers), []);
  return json instanceof Refusal ? undefined : json;
}

function sentStatus(headers: HeaderMap, type: DescMessage): Uint8Array | undefined {
  const value = headers.get(GRPC_STATUS_DETAILS);
  if (value === undefined || !BASE64.test(value)) return undefined;
  const bytes = Buffer.from(value, 'base64');
  try {
    fromBinary(type, bytes);
    return bytes;
  } catch {
    return undefined;
  }
}

function madeStatus(status: number, headers: HeaderMap): Uint8Array {
  const message = decodeGrpcMessage(headers.getKnown(ID_GRPC_MESSAGE) ?? '');
  return new BinaryWriter()
    .tag(Field.code, WireType.Varint)
    .int32(status | 0)
    .tag(Field.message, WireType.LengthDelimited)
    .string(message)
    .finish();
}
