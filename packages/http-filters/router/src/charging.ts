import type { ClusterInfo, Host, RequestStats, ResponseHeaders, VirtualCluster } from '@dragoman/core';
import { wellKnownId } from '@dragoman/core';

const ID_CANARY = wellKnownId('x-envoy-upstream-canary');

/** A request, as far as its answers are counted. */
export interface Charged {
  /** `dynamic_stats` of the router, and this is no health check: its answers count at all. */
  readonly isCharged: boolean;
  /** `suppress_grpc_request_failure_code_stats` of the router, and this is a gRPC request: statuses are not counted one by one. */
  readonly completedOnly: boolean;
  readonly clusterInfo: ClusterInfo;
  readonly virtualCluster: VirtualCluster | undefined;
  readonly routeStats: RequestStats | undefined;
  /** `x-envoy-internal` */
  readonly internal: boolean;
  /** `x-envoy-upstream-alt-stat-name` */
  readonly altStatName: string | undefined;
}

/** @param host undefined when none is to blame */
export function chargeResponse(
  request: Charged,
  status: number,
  headers: ResponseHeaders | undefined,
  host: Host | undefined,
): void {
  if (!request.isCharged) return;
  const { clusterInfo, internal, altStatName } = request;
  const counted = request.completedOnly ? 0 : status;
  clusterInfo.chargeResponse(counted, internal, isCanary(headers, host), host, altStatName);
  request.virtualCluster?.chargeResponse(counted);
  request.routeStats?.chargeResponse(counted);
}

/** A request that is turned away for the cluster's sake: no host has to do with it. */
export function chargeDropped(request: Charged, status: number): void {
  if (request.isCharged) request.clusterInfo.requestsDropped?.inc();
  chargeResponse(request, status, undefined, undefined);
}

export function chargeResponseTime(
  request: Charged,
  ms: number,
  headers: ResponseHeaders | undefined,
  host: Host | undefined,
): void {
  if (!request.isCharged) return;
  const { clusterInfo, internal, altStatName } = request;
  clusterInfo.chargeResponseTime(ms, internal, isCanary(headers, host), host, altStatName);
  request.virtualCluster?.chargeResponseTime(ms);
  request.routeStats?.chargeResponseTime(ms);
}

/** The time of the whole request is over, and this try with it. @param host undefined when it had no connection yet */
export function chargeTimeout(request: Charged, host: Host | undefined): void {
  request.clusterInfo.stats.upstreamRqTimeout.inc();
  request.virtualCluster?.rqTimeout.inc();
  request.routeStats?.rqTimeout.inc();
  host?.stats.rqTimeout.inc();
}

function isCanary(headers: ResponseHeaders | undefined, host: Host | undefined): boolean {
  return headers?.getKnown(ID_CANARY) === 'true' || host?.canary === true;
}
