import { type HeaderMap, wellKnownId } from '@dragoman/core';

const ID_GRPC_STATUS = wellKnownId('grpc-status');

/**
 * Statuses that blame the caller, or nobody: OK, cancelled, invalid argument, not found, already exists, permission denied, resource
 * exhausted, failed precondition, aborted, out of range, unauthenticated. The others stand for a 5xx.
 */
const NOT_THE_HOSTS_FAULT = new Set(['0', '1', '3', '5', '6', '7', '8', '9', '10', '11', '16']);

/** Whether headers or trailers say that the host has done its work. False without a status: a gRPC answer must have one. */
export function grpcSucceeded(headers: HeaderMap): boolean {
  const status = headers.getKnown(ID_GRPC_STATUS);
  return status !== undefined && NOT_THE_HOSTS_FAULT.has(status);
}
