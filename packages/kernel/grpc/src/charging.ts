import {
  type ClusterInfo,
  type HeaderMap,
  type Host,
  type ResponseHeaders,
  wellKnownId,
} from '@dragoman/core';
import { GrpcStatus } from '@dragoman/grpc-frames';
import type { Attempt } from './attempt.ts';

const ID_CANARY = wellKnownId('x-envoy-upstream-canary');
const ID_GRPC_STATUS = wellKnownId('grpc-status');

/** Statuses that blame the host: the others are answers of one that works, as in Envoy. */
const HOSTS_FAULT: ReadonlySet<string> = new Set(
  [
    GrpcStatus.UNKNOWN,
    GrpcStatus.DEADLINE_EXCEEDED,
    GrpcStatus.UNIMPLEMENTED,
    GrpcStatus.INTERNAL,
    GrpcStatus.UNAVAILABLE,
    GrpcStatus.DATA_LOSS,
  ].map(String),
);

/** Counts the status that a call was answered with, or would be. @param host undefined when none is to blame */
export function chargeResponse(
  info: ClusterInfo,
  status: number,
  internal: boolean,
  headers: ResponseHeaders | undefined,
  host: Host | undefined,
): void {
  info.chargeResponse(status, internal, isCanary(headers, host), host);
}

/** @param ms from the end of the request to that of the response */
export function chargeResponseTime(
  info: ClusterInfo,
  ms: number,
  internal: boolean,
  headers: ResponseHeaders | undefined,
  host: Host | undefined,
): void {
  info.chargeResponseTime(Math.round(ms), internal, isCanary(headers, host), host);
}

export function chargeTimeout(info: ClusterInfo, host: Host | undefined): void {
  info.stats.upstreamRqTimeout.inc();
  host?.stats.rqTimeout.inc();
}

/** How the host has done its work. @param trailers where its status stands; undefined: it has given none */
export function chargeOutcome(attempt: Attempt, trailers: HeaderMap | undefined): void {
  attempt.outcomeOpen = false;
  const { host } = attempt;
  if (host === undefined) return;
  const status = trailers?.getKnown(ID_GRPC_STATUS);
  const success = status !== undefined && /^\d{1,2}$/.test(status) && !HOSTS_FAULT.has(status);
  (success ? host.stats.rqSuccess : host.stats.rqError).inc();
}

function isCanary(headers: ResponseHeaders | undefined, host: Host | undefined): boolean {
  return headers?.getKnown(ID_CANARY) === 'true' || host?.canary === true;
}
