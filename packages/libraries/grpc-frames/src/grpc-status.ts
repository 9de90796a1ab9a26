/** gRPC's status codes (`google.rpc.Code`). */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** The last status that has a name; those above are a server's own. */
export const MAX_KNOWN_GRPC_STATUS = 16;

/** gRPC's `http-grpc-status-mapping.md`, as Envoy's `httpToGrpcStatus`: UNKNOWN for all that is not listed, 200 too. */
const FROM_HTTP: ReadonlyMap<number, number> = new Map([
  [400, GrpcStatus.INTERNAL],
  [401, GrpcStatus.UNAUTHENTICATED],
  [403, GrpcStatus.PERMISSION_DENIED],
  [404, GrpcStatus.UNIMPLEMENTED],
  [429, GrpcStatus.UNAVAILABLE],
  [502, GrpcStatus.UNAVAILABLE],
  [503, GrpcStatus.UNAVAILABLE],
  [504, GrpcStatus.UNAVAILABLE],
]);

/** The HTTP status of each gRPC status from 0 on (Google's API design guide), as Envoy's `grpcToHttpStatus`. */
const TO_HTTP = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
] as const;

/** The gRPC status that an HTTP status stands for. */
export function grpcStatusFromHttp(httpStatus: number): number {
  return FROM_HTTP.get(httpStatus) ?? GrpcStatus.UNKNOWN;
}

/** The HTTP status for a gRPC status; 500 for one without a name. */
export function httpStatusFromGrpc(grpcStatus: number): number {
  return TO_HTTP[grpcStatus] ?? 500;
}

/**
 * The number in a `grpc-status`: undefined for none or an empty value, −1 (Envoy: `InvalidCode`) for one that is no decimal
 * number or above {@link MAX_KNOWN_GRPC_STATUS}.
 * @param allowUserDefined take numbers above it too; default false
 */
export function readGrpcStatus(value: string | undefined, allowUserDefined = false): number | undefined {
  if (value === undefined || value === '') return undefined;
  if (!/^\d{1,10}$/.test(value)) return -1;
  const status = Number(value);
  return status > MAX_KNOWN_GRPC_STATUS && !allowUserDefined ? -1 : status;
}
