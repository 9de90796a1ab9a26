import {
  type ForwardAction,
  isGrpcContentType,
  readGrpcTimeout,
  removeGrpcTimeout,
  type RequestHeaders,
  writeGrpcTimeout,
} from '@dragoman/core';

/**
 * How long a stream may take by its route, in milliseconds: its `max_stream_duration`, or what a gRPC caller asks for where
 * the route heeds that (`grpc_timeout_header_max`). A gRPC upstream is told the same; time that has passed already
 * is not taken off, as in Envoy.
 *
 * @param byManager `max_stream_duration` of the connection manager; 0: none
 * @returns undefined for no limit; 0 when the time is over before it began
 */
export function streamDuration(
  headers: RequestHeaders,
  action: ForwardAction,
  byManager: number,
): number | undefined {
  const policy = action.policies.grpcTimeout;
  const asked = policy?.streamMaxMs === undefined ? undefined : readGrpcTimeout(headers);
  let ms: number | undefined;
  if (asked === undefined || policy === undefined) {
    ms = (action.maxStreamDurationMs ?? byManager) || undefined;
  } else {
    const max = policy.streamMaxMs ?? 0;
    const capped = max !== 0 && asked > max ? max : asked;
    ms = Math.max(0, capped - policy.streamOffsetMs);
  }
  if (policy?.byStreamDuration === true && isGrpcContentType(headers)) {
    if (ms === undefined) removeGrpcTimeout(headers);
    else writeGrpcTimeout(headers, ms);
  }
  return ms;
}
