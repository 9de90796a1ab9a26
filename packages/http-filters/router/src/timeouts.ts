import {
  type ForwardAction,
  type GrpcTimeoutPolicy,
  readGrpcTimeout,
  type RequestHeaders,
  wellKnownId,
  writeGrpcTimeout,
} from '@dragoman/core';

const ID_TIMEOUT = wellKnownId('x-envoy-upstream-rq-timeout-ms');
const ID_PER_TRY = wellKnownId('x-envoy-upstream-rq-per-try-timeout-ms');
const ID_EXPECTED = wellKnownId('x-envoy-expected-rq-timeout-ms');
const ID_HEDGE = wellKnownId('x-envoy-hedge-on-per-try-timeout');

/** What a caller asks of the router besides: meant for this proxy alone, so none of it goes on upstream. */
const FOR_THE_ROUTER: readonly number[] = [
  ID_TIMEOUT,
  ID_PER_TRY,
  ID_HEDGE,
  wellKnownId('x-envoy-max-retries'),
  wellKnownId('x-envoy-retry-on'),
  wellKnownId('x-envoy-retry-grpc-on'),
  wellKnownId('x-envoy-retriable-status-codes'),
  wellKnownId('x-envoy-retriable-header-names'),
  wellKnownId('x-envoy-upstream-alt-stat-name'),
];

/** The times and the hedging of one request. Milliseconds; 0: no limit. */
export interface Timeouts {
  readonly globalMs: number;
  /** Less than the global one, where there is one. */
  readonly perTryMs: number;
  readonly perTryIdleMs: number;
  /** A try that takes too long goes on beside the next one. */
  readonly hedge: boolean;
  /** The upstream is told in `grpc-timeout` too. */
  readonly tellGrpc: boolean;
}

/** Digits only, as many as a safe integer has at most. */
export function readWhole(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/**
 * The times this request may take upstream. A caller that is trusted (others lose these headers in the connection
 * manager) may ask for others than the route's with `x-envoy-upstream-rq-timeout-ms` and its per-try kin, or, with
 * `respect_expected_rq_timeout`, with the `x-envoy-expected-rq-timeout-ms` of the proxy before this one; a gRPC caller
 * with `grpc-timeout`, where the route has a `max_grpc_timeout`.
 */
export function readTimeouts(
  headers: RequestHeaders,
  action: ForwardAction,
  respectExpected: boolean,
  isGrpc: boolean,
): Timeouts {
  const { retry, hedge, grpcTimeout } = action.policies;
  const byGrpc =
    isGrpc &&
    grpcTimeout !== undefined &&
    !grpcTimeout.byStreamDuration &&
    grpcTimeout.routeMaxMs !== undefined;
  const routeMs = byGrpc ? grpcRouteTimeout(headers, grpcTimeout) : action.timeoutMs;
  const from = respectExpected && headers.hasKnown(ID_EXPECTED) ? ID_EXPECTED : ID_TIMEOUT;
  const globalMs = readWhole(headers.getKnown(from)) ?? routeMs;
  const perTryMs = readWhole(headers.getKnown(ID_PER_TRY)) ?? retry?.perTryTimeoutMs ?? 0;
  const asked = headers.getKnown(ID_HEDGE);
  return {
    globalMs,
    perTryMs: globalMs !== 0 && perTryMs >= globalMs ? 0 : perTryMs,
    perTryIdleMs: retry?.perTryIdleTimeoutMs ?? 0,
    hedge: asked === 'true' || (asked !== 'false' && hedge?.onPerTryTimeout === true),
    tellGrpc: byGrpc,
  };
}

/** The caller's `grpc-timeout`, without end when there is none; less the offset, and capped. */
function grpcRouteTimeout(
  headers: RequestHeaders,
  { routeMaxMs = 0, routeOffsetMs }: GrpcTimeoutPolicy,
): number {
  let ms = readGrpcTimeout(headers) ?? 0;
  // 0 would be no timeout at all.
  if (routeOffsetMs < ms) ms -= routeOffsetMs;
  return routeMaxMs !== 0 && (ms === 0 || ms > routeMaxMs) ? routeMaxMs : ms;
}

/** Takes off every header that is meant for the router; to be called when all are read. */
export function removeRouterHeaders(headers: RequestHeaders): void {
  for (let i = 0; i < FOR_THE_ROUTER.length; i++) headers.removeKnown(FOR_THE_ROUTER[i] as number);
}

/**
 * Tells the upstream how long it has.
 * @param elapsedMs of the global time, by earlier tries
 */
export function tellTimeouts(
  headers: RequestHeaders,
  { globalMs, perTryMs, hedge, tellGrpc }: Timeouts,
  elapsedMs: number,
  suppressEnvoyHeaders: boolean,
): void {
  let ms = hedge || perTryMs === 0 ? globalMs : perTryMs;
  if (ms <= 0) return;
  ms = Math.max(1, Math.floor(ms));
  // The global timer is about to fire; 0 would tell the upstream of no limit.
  if (globalMs > 0) ms = elapsedMs >= globalMs ? 1 : Math.min(ms, Math.ceil(globalMs) - elapsedMs);
  if (!suppressEnvoyHeaders) headers.setKnown(ID_EXPECTED, String(ms));
  if (tellGrpc) writeGrpcTimeout(headers, ms);
}
