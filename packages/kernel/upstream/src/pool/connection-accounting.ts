import type { ConnectionCloseKind, PoolFailureReason } from '@dragoman/core';
import type { UpstreamHost } from '../hosts/host.ts';
import type { ConnectAhead } from './connect-ahead.ts';
import type { Breaker } from './overflow-texts.ts';
import type { PoolContext } from './pool-options.ts';

/** Counts a connection that is being opened, on cluster, host and circuit breaker. */
export function countOpened(context: PoolContext, host: UpstreamHost): void {
  const { stats, resources } = context;
  stats.upstreamCxTotal.inc();
  stats.upstreamCxActive.inc();
  host.stats.cxTotal.inc();
  host.stats.cxActive.inc();
  resources.connections.take();
}

/** The opposite of {@link countOpened}, and how it ended. */
export function countClosed(
  context: PoolContext,
  host: UpstreamHost,
  kind: ConnectionCloseKind,
  withActiveRequest: boolean,
  lengthMs: number,
): void {
  const { stats, resources } = context;
  stats.upstreamCxActive.dec();
  host.stats.cxActive.dec();
  resources.connections.give();
  stats.upstreamCxLengthMs.record(lengthMs);
  stats.upstreamCxDestroy.inc();
  (kind === 'remote' ? stats.upstreamCxDestroyRemote : stats.upstreamCxDestroyLocal).inc();
  if (!withActiveRequest) return;
  stats.upstreamCxDestroyWithActiveRq.inc();
  (kind === 'remote'
    ? stats.upstreamCxDestroyRemoteWithActiveRq
    : stats.upstreamCxDestroyLocalWithActiveRq
  ).inc();
}

/** A connection that never came up. `reason` is the socket's text. */
export function countConnectFailure(context: PoolContext, host: UpstreamHost, reason: string): void {
  context.stats.upstreamCxConnectFail.inc();
  host.stats.cxConnectFail.inc();
  if (reason.includes(ADDRESS_NOT_AVAILABLE)) context.stats.bindErrors.inc();
}

/** EADDRNOTAVAIL: the source address of `upstream_bind_config` is not one of this machine's. */
const ADDRESS_NOT_AVAILABLE = 'Cannot assign requested address';

/** Why it never came up, as those hear it who waited. */
export function connectFailureReason(kind: ConnectionCloseKind, timedOut: boolean): PoolFailureReason {
  if (timedOut) return 'timeout';
  return kind === 'local' ? 'local-connection-failure' : 'remote-connection-failure';
}

/** Counts a request that a connection begins to carry, on cluster, host and circuit breaker, and for its pool to connect ahead. */
export function countRequest(
  context: PoolContext,
  host: UpstreamHost,
  ahead: ConnectAhead | undefined,
): void {
  const { stats, resources } = context;
  stats.upstreamRqTotal.inc();
  stats.upstreamRqActive.inc();
  host.stats.rqTotal.inc();
  host.stats.rqActive.inc();
  host.activeRequests++;
  resources.requests.take();
  if (ahead === undefined) return;
  ahead.active++;
  if (context.predictive !== undefined) context.predictive.active++;
}

/** The opposite of {@link countRequest}. */
export function giveRequestBack(
  context: PoolContext,
  host: UpstreamHost,
  ahead: ConnectAhead | undefined,
): void {
  const { stats, resources } = context;
  stats.upstreamRqActive.dec();
  host.stats.rqActive.dec();
  host.activeRequests--;
  resources.requests.give();
  if (ahead === undefined) return;
  ahead.active--;
  if (context.predictive !== undefined) context.predictive.active--;
}

/**
 * Counts an overflow of connections where one more to `host` is too many, for the cluster or for the host (whose connections of all priorities
 * on this worker count, as in Envoy over all).
 *
 * @returns the breaker that is open; undefined when one more may be opened
 */
export function connectionsOverflow(context: PoolContext, host: UpstreamHost): Breaker | undefined {
  const { maxConnectionsPerHost, resources, stats } = context;
  let full: Breaker | undefined;
  if (maxConnectionsPerHost !== undefined && host.stats.cxActive.value() >= maxConnectionsPerHost)
    full = 'connectionsPerHost';
  else if (!resources.connections.canTake()) full = 'connections';
  if (full !== undefined) stats.upstreamCxOverflow.inc();
  return full;
}
