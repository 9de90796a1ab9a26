import { type Any, fromBinary, StatusSchema } from '@dragoman/api';
import { type HeaderMap, wellKnownId } from '@dragoman/core';
import { decodeGrpcMessage, GrpcStatus, readGrpcStatus } from '@dragoman/grpc-frames';

const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');

/** Connect's error codes, and the HTTP statuses of unary answers, by gRPC status. */
const CODES: readonly (readonly [code: string, httpStatus: number])[] = [
  ['', 200],
  ['canceled', 408],
  ['unknown', 500],
  ['invalid_argument', 400],
  ['deadline_exceeded', 408],
  ['not_found', 404],
  ['already_exists', 409],
  ['permission_denied', 403],
  ['resource_exhausted', 429],
  ['failed_precondition', 412],
  ['aborted', 409],
  ['out_of_range', 400],
  ['unimplemented', 404],
  ['internal', 500],
  ['unavailable', 503],
  ['data_loss', 500],
  ['unauthenticated', 401],
];

/** An error of Connect's, as its JSON has it. */
export interface ConnectError {
  readonly code: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

/** The status that ends a call: of its trailers, or of headers that hold them. Undefined when it is missing. */
export function statusOf(fields: HeaderMap): number | undefined {
  return readGrpcStatus(fields.getKnown(ID_GRPC_STATUS));
}

/** The HTTP status of a unary answer with this gRPC status, which is not 0. */
export function httpStatusOf(grpcStatus: number): number {
  return CODES[grpcStatus]?.[1] ?? 500;
}

/** The error that `fields` tell of, with this status, which is not 0. */
export function errorOf(grpcStatus: number, fields: HeaderMap): ConnectError {
  const message = decodeGrpcMessage(fields.getKnown(ID_GRPC_MESSAGE) ?? '');
  const details = detailsOf(fields.get('grpc-status-details-bin'));
  return {
    code: CODES[grpcStatus]?.[0] ?? `code_${grpcStatus}`,
    ...(message === '' ? {} : { message }),
    ...(details.length === 0
      ? {}
      : {
          details: details.map(({ typeUrl, value }) => ({
            type: typeUrl,
            value: Buffer.from(value).toString('base64'),
          })),
        }),
  };
}

/**
 * The JSON of a stream's last envelope.
 * @param fields trailers, or headers that hold them
 * @param withMetadata fields that are not gRPC's own are the metadata
 */
export function endOfStream(fields: HeaderMap, withMetadata: boolean): string {
  // A server that does not say how it went has not said that it went well.
  const status = statusOf(fields) ?? GrpcStatus.UNKNOWN;
  const metadata = new Map<string, string[]>();
  if (withMetadata) {
    fields.forEach((name, value) => {
      if (name.startsWith('grpc-')) return;
      const values = metadata.get(name);
      const text = Buffer.from(value, 'latin1').toString('utf8');
      if (values === undefined) metadata.set(name, [text]);
      else values.push(text);
    });
  }
  return JSON.stringify({
    ...(status === GrpcStatus.OK ? {} : { error: errorOf(status, fields) }),
    ...(metadata.size === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
  });
}

/** The details of a `google.rpc.Status` in base64, with or without padding; none when it cannot be read. */
function detailsOf(text: string | undefined): readonly Any[] {
  if (text === undefined || !/^[+/0-9A-Za-z]+={0,2}$/.test(text)) return [];
  try {
    return fromBinary(StatusSchema, Buffer.from(text, 'base64')).details;
  } catch {
    return [];
  }
}
