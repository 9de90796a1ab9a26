import { type HeaderMap, type ResponseHeaders, type Trailers, wellKnownId } from '@dragoman/core';
import type { UpstreamRequest } from './upstream-request.ts';

const ID_GRPC_STATUS = wellKnownId('grpc-status');

/**
 * Statuses that blame the caller, or nobody: OK, cancelled, invalid argument, not found, already exists, permission denied, resource
 * exhausted, failed precondition, aborted, out of range, unauthenticated. The others stand for a 5xx.
 */
const NOT_THE_HOSTS_FAULT = new Set(['0', '1', '3', '5', '6', '7', '8', '9', '10', '11', '16']);

/** Counts an answer that is passed on as the host's success or error; that of a gRPC answer with a body is still open. */
export function judgeHeaders(
  upstream: UpstreamRequest,
  headers: ResponseHeaders,
  endStream: boolean,
  isGrpc: boolean,
): void {
  if (headers.status < 500 && isGrpc && !endStream) upstream.grpcOutcomeOpen = true;
  else count(upstream, headers.status < 500 && (!isGrpc || succeeded(headers)));
}

/** The end of an answer. @param trailers undefined when there are none */
export function judgeEnd(upstream: UpstreamRequest, trailers: Trailers | undefined): void {
  if (!upstream.grpcOutcomeOpen) return;
  upstream.grpcOutcomeOpen = false;
  count(upstream, trailers !== undefined && succeeded(trailers));
}

/** An answer is broken off. Whether the host is to blame: as in Envoy only when it had yet to tell how it went. */
export function judgeBroken(upstream: UpstreamRequest): boolean {
  const { grpcOutcomeOpen } = upstream;
  judgeEnd(upstream, undefined);
  return grpcOutcomeOpen;
}

function count({ host }: UpstreamRequest, success: boolean): void {
  if (host !== undefined) (success ? host.stats.rqSuccess : host.stats.rqError).inc();
}

/** A gRPC answer must have a status. */
function succeeded(headers: HeaderMap): boolean {
  const status = headers.getKnown(ID_GRPC_STATUS);
  return status !== undefined && NOT_THE_HOSTS_FAULT.has(status);
}
