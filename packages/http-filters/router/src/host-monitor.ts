import { type HostMonitor, type ResponseHeaders, wellKnownId } from '@dragoman/core';
import { httpStatusFromGrpc, readGrpcStatus } from '@dragoman/grpc-frames';
import type { UpstreamRequest } from './upstream-request.ts';

const ID_GRPC_STATUS = wellKnownId('grpc-status');
const IMMEDIATE_FAIL = 'x-envoy-immediate-health-check-fail';

/** Tells whoever watches the host how it answered. A gRPC call that failed before its body says so in its headers. */
export function tellAnswer(monitor: HostMonitor, headers: ResponseHeaders, isGrpc: boolean): void {
  if (headers.has(IMMEDIATE_FAIL)) monitor.onImmediateFail();
  const status = isGrpc ? readGrpcStatus(headers.getKnown(ID_GRPC_STATUS)) : undefined;
  monitor.onStatus(status === undefined ? headers.status : httpStatusFromGrpc(status));
}

/** A try took too long: told once, even when another time is over later. */
export function tellTimeout(upstream: UpstreamRequest, status: number): void {
  if (upstream.timeoutTold || !upstream.awaitingHeaders) return;
  upstream.timeoutTold = true;
  upstream.host?.monitor?.onResult('timeout', status);
}
