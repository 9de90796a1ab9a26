import { type GrpcCallStatus, type HeaderMap, readBinaryMetadata, wellKnownId } from '@dragoman/core';
import { decodeGrpcMessage, GrpcStatus, readGrpcStatus } from '@dragoman/grpc-frames';

const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');
const STATUS_DETAILS = 'grpc-status-details-bin';
const VIA_UPSTREAM = 'via_upstream';

/** A status that this proxy gives. */
export function localStatus(code: number, message: string, details: string): GrpcCallStatus {
  return { code, message, details, statusDetails: undefined };
}

const PLAIN_OK = localStatus(GrpcStatus.OK, '', VIA_UPSTREAM);

/** What the upstream gave: UNKNOWN for no status, as in Envoy, and for one that is no number of gRPC's. */
export function statusOfTrailers(trailers: HeaderMap): GrpcCallStatus {
  const text = trailers.getKnown(ID_GRPC_STATUS);
  if (text === '0' && !trailers.hasKnown(ID_GRPC_MESSAGE)) return PLAIN_OK;
  const code = readGrpcStatus(text);
  const message = decodeGrpcMessage(trailers.getKnown(ID_GRPC_MESSAGE) ?? '');
  if (code === undefined) return remoteStatus(GrpcStatus.UNKNOWN, message || 'no grpc-status', trailers);
  if (code < 0) return remoteStatus(GrpcStatus.UNKNOWN, message || 'invalid grpc-status', trailers);
  return remoteStatus(code, message, trailers);
}

/** @param trailers undefined when nothing but the HTTP status is to be looked at */
export function remoteStatus(code: number, message: string, trailers?: HeaderMap): GrpcCallStatus {
  const statusDetails = trailers === undefined ? undefined : readBinaryMetadata(trailers, STATUS_DETAILS)[0];
  return { code, message, details: VIA_UPSTREAM, statusDetails };
}
