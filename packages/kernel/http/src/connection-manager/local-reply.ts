import { type LocalReply, type RequestHeaders, ResponseHeaders, wellKnownId } from '@dragoman/core';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');

/** gRPC status for an HTTP status (gRPC's `http-grpc-status-mapping.md`). */
const GRPC_STATUS: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};
const GRPC_UNKNOWN = 2;

/** `application/grpc`, alone or with `+proto`, `;charset` and the like behind it. */
export function isGrpcRequest(headers: RequestHeaders | undefined): boolean {
  const type = headers?.getKnown(ID_CONTENT_TYPE);
  if (type === undefined || !type.startsWith('application/grpc')) return false;
  const next = type.charAt('application/grpc'.length);
  return next === '' || next === '+' || next === ';';
}

/** A local reply as headers and body. */
export interface BuiltReply {
  readonly headers: ResponseHeaders;
  readonly body: Buffer | undefined;
}

/** The wire form of a {@link LocalReply}: plain text, or for a gRPC request the status in headers alone. */
export function buildLocalReply(reply: LocalReply, request: RequestHeaders | undefined): BuiltReply {
  const headers = new ResponseHeaders();
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  if (isGrpcRequest(request)) {
    headers.status = 200;
    headers.appendKnown(ID_CONTENT_TYPE, 'application/grpc');
    headers.appendKnown(
      ID_GRPC_STATUS,
      String(reply.grpcStatus ?? GRPC_STATUS[reply.status] ?? GRPC_UNKNOWN),
    );
    if (body !== undefined && body.length > 0) headers.appendKnown(ID_GRPC_MESSAGE, percentEncode(body));
    reply.modifyHeaders?.(headers);
    return { headers, body: undefined };
  }
  headers.status = reply.status;
  if (body !== undefined && body.length > 0) {
    headers.appendKnown(ID_CONTENT_LENGTH, String(body.length));
    headers.appendKnown(ID_CONTENT_TYPE, 'text/plain');
  }
  reply.modifyHeaders?.(headers);
  const empty = body === undefined || body.length === 0;
  return { headers, body: empty || request?.method === 'HEAD' ? undefined : body };
}

/** As `grpc-message` wants it: printable ASCII but `%` stays. */
function percentEncode(body: Buffer): string {
  let text = '';
  for (const byte of body) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
